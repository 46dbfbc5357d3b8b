// The id map and its file.
#include "config/id_map.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <optional>
#include <unordered_set>
#include <vector>

#include "config/agent_list.h"
#include "config/parse.h"
#include "config/policy.h"

namespace sandgate::config {
namespace {

constexpr std::string_view kTitle = "sandgate-id-map 1";
constexpr uint32_t kMaxRule = api::kFirstHardRule - 1;

uint32_t find_in(const auto& names, std::string_view name)
{
    const auto found = names.find(name);
    return found == names.end() ? 0 : found->second;
}

uint32_t give(auto& names, std::string_view name, uint32_t& next, uint32_t most, bool& is_changed)
{
    if (const uint32_t id = find_in(names, name); id != 0)
        return id;
    if (next > most)
        return 0;
    is_changed = true;
    names.emplace(name, next);
    return next++;
}

Error system_error(const char* what, const std::string& path)
{
    return {fmt::format("The id map cannot be {}: {}.", what, std::strerror(errno)), path};
}

bool write_all(int fd, std::string_view text)
{
    while (!text.empty()) {
        const ssize_t written = write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        text.remove_prefix(static_cast<size_t>(written));
    }
    return true;
}

}  // namespace

api::IdentityId IdMap::identity_of(std::string_view agent)
{
    return give(identities_, agent, next_identity_, api::kMaxIdentity, is_changed_);
}

IdMap::Identities IdMap::identities_of(const std::shared_ptr<const AgentList>& list)
{
    std::erase_if(remembered_, [](const auto& entry) { return entry.first.expired(); });
    for (const auto& [known, identities] : remembered_)
        if (known.lock() == list)
            return identities;
    auto identities = std::make_shared<std::vector<api::IdentityId>>();
    identities->reserve(list->agents.size());
    for (const Agent& agent : list->agents) identities->push_back(identity_of(agent.name));
    if (list->is_bulk)
        remembered_.emplace_back(list, identities);
    return identities;
}

api::RuleId IdMap::rule_of(std::string_view grant)
{
    return give(rules_, grant, next_rule_, kMaxRule, is_changed_);
}

api::IdentityId IdMap::find_identity(std::string_view agent) const
{
    return find_in(identities_, agent);
}
api::RuleId IdMap::find_rule(std::string_view grant) const { return find_in(rules_, grant); }

std::string IdMap::to_text() const
{
    std::string text =
        fmt::format("{}\nnext-identity {}\nnext-rule {}\n", kTitle, next_identity_, next_rule_);
    const auto write_names = [&text](const char* word, const Names& names) {
        std::vector<std::pair<uint32_t, std::string_view>> rows;
        rows.reserve(names.size());
        for (const auto& [name, id] : names) rows.emplace_back(id, name);
        std::sort(rows.begin(), rows.end());
        for (const auto& [id, name] : rows)
            fmt::format_to(std::back_inserter(text), "{} {} {}\n", word, id, name);
    };
    write_names("identity", identities_);
    write_names("rule", rules_);
    return text;
}

Result<IdMap> IdMap::from_text(std::string_view text, const std::string& where)
{
    IdMap map;
    std::unordered_set<uint64_t> given;  // kind and id
    uint32_t line_number = 0;
    const auto fault = [&](const std::string& what) {
        return Error{what + " Restore the file from a backup: ids must never be given twice.",
                     place(where, {line_number, 0})};
    };
    if (text.empty() || text.back() != '\n')
        return fault("The id map ends in the middle of a line.");
    while (!text.empty()) {
        const size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end + 1);
        line_number++;
        if (line_number == 1) {
            if (line != kTitle)
                return fault(fmt::format("The id map does not start with \"{}\".", kTitle));
            continue;
        }
        const size_t space = line.find(' ');
        const std::string_view word = line.substr(0, space);
        const std::string_view rest = space == std::string_view::npos ? "" : line.substr(space + 1);
        if (line_number == 2 || line_number == 3) {
            const bool is_identity = line_number == 2;
            const auto next = parse_number(rest);
            if (word != (is_identity ? "next-identity" : "next-rule") || !next || *next < 1 ||
                *next > (is_identity ? api::kMaxIdentity : kMaxRule) + uint64_t{1})
                return fault("The id map lacks its next free ids.");
            (is_identity ? map.next_identity_ : map.next_rule_) = static_cast<uint32_t>(*next);
            continue;
        }
        const bool is_identity = word == "identity";
        const size_t gap = rest.find(' ');
        const auto id = parse_number(rest.substr(0, gap));
        if ((!is_identity && word != "rule") || gap == std::string_view::npos || !id)
            return fault("The line is neither an identity nor a rule.");
        if (*id < 1 || *id >= (is_identity ? map.next_identity_ : map.next_rule_))
            return fault("The id was never given.");
        const auto name = parse_name(rest.substr(gap + 1));
        if (!name)
            return fault(name.error().what);
        if (!given.insert(*id << 1 | (is_identity ? 1 : 0)).second)
            return fault("The id is there twice.");
        if (!(is_identity ? map.identities_ : map.rules_)
                 .emplace(*name, static_cast<uint32_t>(*id))
                 .second)
            return fault("The name is there twice.");
    }
    if (line_number < 3)
        return fault("The id map lacks its next free ids.");
    return map;
}

Result<IdMap> IdMap::load(const std::string& path)
{
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? Result<IdMap>(IdMap()) : system_error("opened", path);
    std::string text;
    char block[65536];
    ssize_t got = 0;
    while ((got = read(fd, block, sizeof block)) > 0) text.append(block, static_cast<size_t>(got));
    const int read_errno = errno;
    close(fd);
    errno = read_errno;
    if (got < 0)
        return system_error("read", path);
    return from_text(text, path);
}

Result<Done> IdMap::save(const std::string& path)
{
    const std::string temporary = path + ".new";
    const int fd =
        open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return system_error("written", temporary);
    const bool is_written = write_all(fd, to_text()) && fsync(fd) == 0;
    const int write_errno = errno;
    close(fd);
    if (!is_written || std::rename(temporary.c_str(), path.c_str()) != 0) {
        const Error error =
            (errno = is_written ? errno : write_errno, system_error("written", path));
        unlink(temporary.c_str());
        return error;
    }
    const std::string parent = std::filesystem::path(path).parent_path().string();
    const int directory =
        open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        fsync(directory);
        close(directory);
    }
    is_changed_ = false;
    return Done{};
}

}  // namespace sandgate::config
