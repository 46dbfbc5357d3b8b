// Reading one secret from disk. The text is wiped before this returns, on every path.
#include "config/key_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace sandgate::config {
namespace {

// 44 characters and the end of a line, with room to see that there is more.
struct Text
{
    std::array<char, 64> bytes{};
    ~Text() { crypto::wipe(bytes.data(), bytes.size()); }
};

// Root, the one who reads, and for root also the account of the service, whose files root looks
// after.
bool may_own(uid_t owner)
{
    if (owner == 0 || owner == geteuid())
        return true;
    const passwd* service = geteuid() == 0 ? getpwnam("sandgate") : nullptr;
    return service != nullptr && owner == service->pw_uid;
}

}  // namespace

Result<crypto::Secret<32>> load_key_file(const std::string& path)
{
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        if (errno == ELOOP)
            return Error{"The key file is a symbolic link; name the file itself.", path};
        return Error{fmt::format("The key file cannot be opened: {}.", std::strerror(errno)), path};
    }
    struct stat status
    {
    };
    Text text;
    const bool is_known = fstat(fd, &status) == 0;
    ssize_t got = -1;
    std::string fault;
    if (!is_known || !S_ISREG(status.st_mode))
        fault = "The key file is not a regular file.";
    else if (!may_own(status.st_uid))
        fault = fmt::format("The key file belongs to somebody else (user {}); run: chown {} {}",
                            status.st_uid, geteuid(), path);
    else if ((status.st_mode & 0077) != 0)
        fault = fmt::format("Others may use the key file (mode {:04o}); run: chmod 600 {}",
                            status.st_mode & 07777, path);
    else if ((got = read(fd, text.bytes.data(), text.bytes.size())) < 0)
        fault = fmt::format("The key file cannot be read: {}.", std::strerror(errno));
    close(fd);
    if (!fault.empty())
        return Error{fault, path};

    size_t length = static_cast<size_t>(got);
    while (length > 0 && std::strchr(" \t\r\n", text.bytes[length - 1]) != nullptr &&
           text.bytes[length - 1] != 0)
        length--;
    crypto::Secret<32> key;
    size_t bytes = 0;
    const char* end = nullptr;
    if (length != 44 ||
        sodium_base642bin(key.data(), key.size(), text.bytes.data(), length, nullptr, &bytes, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        bytes != key.size() || end != text.bytes.data() + length)
        return Error{
            "The key file does not hold 44 characters of base64, as `sandgate keygen` prints them.",
            path};
    if (key.is_zero())
        return Error{"The key file holds a key of zeroes.", path};
    return key;
}

}  // namespace sandgate::config
