// sandgate policy import tailscale: another language's file as one of ours.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

#include "config/hujson.h"
#include "config/import_tailscale.h"
#include "control/cli/policy_commands.h"
#include "control/cli/text.h"

namespace sandgate::control {

namespace json = boost::json;

namespace {

// At most one byte more than may be imported, so that the parser says that it is too much.
Result<std::string> read_text(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    std::string text(config::kMaxHujsonBytes + 1, '\0');
    if (!file.is_open())
        return Error{fmt::format("The file cannot be opened: {}.", std::strerror(errno)), path};
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.bad() || (file.gcount() == 0 && !file.eof()))
        return Error{"The file cannot be read.", path};
    text.resize(static_cast<size_t>(file.gcount()));
    return text;
}

// Makes a file that is not there yet. The sentence of what went wrong, or nothing.
std::string write_new(const std::string& path, const std::string& text)
{
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0 && errno == EEXIST)
        return path + " exists; it is not overwritten. Choose another name.";
    if (fd < 0)
        return path + " cannot be made: " + std::strerror(errno) + ".";
    size_t written = 0;
    ssize_t got = 0;
    while (written < text.size() &&
           (got = write(fd, text.data() + written, text.size() - written)) > 0)
        written += static_cast<size_t>(got);
    const bool is_written = written == text.size() && fsync(fd) == 0;
    const int error = errno;
    close(fd);
    if (is_written)
        return "";
    unlink(path.c_str());
    return path + " cannot be written: " + std::strerror(error) + ".";
}

int import_file(const Context& context, const std::string& path, const std::string& out)
{
    const auto text = read_text(path);
    if (!text)
        return context.fail(kRefused, text.error().text());
    const auto made = config::import_tailscale(*text, path);
    if (!made)
        return context.fail(kRefused, made.error().text());
    if (!out.empty())
        if (const std::string fault = write_new(out, made->yaml); !fault.empty())
            return context.fail(kRefused, fault);
    if (context.is_json) {
        json::array remarks;
        for (const config::Remark& remark : made->remarks)
            remarks.push_back(
                {{"where", config::place(path, remark.where)}, {"what", remark.what}});
        json::object answer{{"ok", true}, {"remarks", std::move(remarks)}};
        if (out.empty())
            answer["policy"] = made->yaml;
        else
            answer["file"] = out;
        context.print(answer);
        return kDone;
    }
    for (const config::Remark& remark : made->remarks)
        context.err << config::place(path, remark.where) << ": " << remark.what << "\n";
    context.err << fmt::format("sandgate: {}; agents are still to be added.\n",
                               counted(made->remarks.size(), "remark"));
    if (out.empty())
        context.out << made->yaml;
    return kDone;
}

}  // namespace

void add_policy_import(CLI::App& policy, Context& context)
{
    struct Options
    {
        std::string file, out;
    };
    auto options = std::make_shared<Options>();
    auto* importing =
        policy.add_subcommand("import", "Translates the policy file of another product.");
    importing->require_subcommand(1);
    auto* tailscale = importing->add_subcommand(
        "tailscale",
        "Prints what a Tailscale policy file allows as a policy, and on stderr, line by line,\n"
        "what has no counterpart and is left out. Agents are still to be added.");
    tailscale->add_option("FILE", options->file, "HuJSON: acls, grants, groups, ...")->required();
    tailscale->add_option("--out", options->out,
                          "write the policy to this file, which must not exist");
    tailscale->callback([&context, options] {
        context.command = [&context, options] {
            return import_file(context, options->file, options->out);
        };
    });
}

}  // namespace sandgate::control
