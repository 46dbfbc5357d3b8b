// sandgate policy history, policy rollback: what was applied, and back to it. Control keeps the
// texts; the file is written by whoever asks, with their own rights.
#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "control/cli/cli.h"
#include "control/cli/policy_commands.h"
#include "control/cli/text.h"

namespace sandgate::control {

namespace json = boost::json;

namespace {

std::string author_text(const json::value& author)
{
    if (!author.is_int64())
        return "(file saved)";
    const auto uid = static_cast<uid_t>(author.as_int64());
    const passwd* account = getpwuid(uid);
    return account != nullptr ? account->pw_name : fmt::format("uid {}", uid);
}

int history(const Context& context)
{
    json::object response;
    std::string fault;
    if (!ask(context, {{"verb", "policy-history"}}, response, fault))
        return context.fail(kUnreachable, fault);
    if (response.at("ok") != true)
        return context.fail(kRefused, response.at("error").as_string().c_str());
    if (context.is_json) {
        context.print(response);
        return kDone;
    }
    Table table({"NUMBER", "WHEN", "BY", "HASH"}, {true});
    for (const json::value& one : response.at("policies").as_array()) {
        const auto time = static_cast<std::time_t>(one.at("time_unix").to_number<int64_t>());
        table.add({fmt::format("{}", one.at("number").to_number<uint32_t>()),
                   fmt::format("{:%Y-%m-%d %H:%M:%S}Z", fmt::gmtime(time)),
                   author_text(one.at("author")),
                   std::string(one.at("hash").as_string()).substr(0, 12)});
    }
    context.out << table.to_text();
    return kDone;
}

// Replaces a file in one step and leaves its owner and mode as they were. "" or the fault.
std::string replace_file(const std::string& path, const std::string& text)
{
    struct stat before
    {
    };
    const bool is_there = stat(path.c_str(), &before) == 0;
    const std::string beside = path + ".rollback";
    const int fd = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                        is_there ? before.st_mode & 0777 : 0640);
    bool is_good = fd >= 0;
    for (size_t at = 0; is_good && at < text.size();) {
        const ssize_t written = write(fd, text.data() + at, text.size() - at);
        is_good = written > 0;
        at += is_good ? static_cast<size_t>(written) : 0;
    }
    if (is_good && is_there)
        is_good = fchmod(fd, before.st_mode & 0777) == 0 &&
                  (fchown(fd, before.st_uid, before.st_gid) == 0 || geteuid() != 0);
    is_good = is_good && fsync(fd) == 0 && rename(beside.c_str(), path.c_str()) == 0;
    const int error = errno;
    if (fd >= 0)
        close(fd);
    if (is_good)
        return "";
    if (fd >= 0)
        unlink(beside.c_str());
    return fmt::format("{} cannot be written: {}.", path, std::strerror(error));
}

int rollback(const Context& context, uint32_t number)
{
    json::object response;
    std::string fault;
    if (!ask(context, {{"verb", "policy-text"}, {"number", number}}, response, fault))
        return context.fail(kUnreachable, fault);
    if (response.at("ok") != true)
        return context.fail(kRefused, response.at("error").as_string().c_str());
    for (const json::value& file : response.at("files").as_array()) {
        const std::string path(file.at("file").as_string());
        fault = replace_file(path, std::string(file.at("text").as_string()));
        if (!fault.empty())
            return context.fail(kRefused, fault);
        if (!context.is_json)
            context.out << fmt::format("{} is as it was in policy {}.\n", path, number);
    }
    return apply_policy(context);
}

}  // namespace

void add_policy_history(CLI::App& policy, Context& context)
{
    auto* listing =
        policy.add_subcommand("history", "Lists the policies that were applied, the newest first.");
    listing->callback([&context] { context.command = [&context] { return history(context); }; });
    auto number = std::make_shared<uint32_t>(0);
    auto* going_back = policy.add_subcommand(
        "rollback",
        "Writes the files of a policy that was applied before, as `history` numbers them, and\n"
        "applies them. Bulk files stay as they are.");
    going_back->add_option("NUMBER", *number, "of the policy")->required();
    going_back->callback([&context, number] {
        context.command = [&context, number] { return rollback(context, *number); };
    });
}

}  // namespace sandgate::control
