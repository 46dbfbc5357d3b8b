// A directory that lives as long as the test, and files in it.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace sandgate::test {

class TempDir
{
  public:
    TempDir()
    {
        char name[] = "/tmp/sandgate-test-XXXXXX";
        if (mkdtemp(name) == nullptr)
            std::abort();
        path_ = name;
    }
    ~TempDir()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    const std::string& path() const { return path_; }

    // Written beside and renamed over, as editors do.
    void write(const std::string& name, const std::string& text, mode_t mode = 0644) const
    {
        const std::string target = *this / name;
        std::ofstream(target + ".tmp") << text;
        chmod((target + ".tmp").c_str(), mode);
        std::filesystem::rename(target + ".tmp", target);
    }
    std::string read(const std::string& name) const
    {
        std::ifstream file(*this / name);
        std::ostringstream text;
        text << file.rdbuf();
        return text.str();
    }

  private:
    std::string path_;
};

}  // namespace sandgate::test
