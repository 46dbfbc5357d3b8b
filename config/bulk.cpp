// Bulk files. Each line is parsed by itself: a fault spoils one line, its number is exact, and an
// object cannot spill into the next line. Lines come out of one block of text that moves along the
// file.
#include "config/bulk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "config/conditions.h"
#include "config/load.h"
#include "config/parse.h"

namespace sandgate::config {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr size_t kMaxLineBytes = 64 * 1024;
constexpr size_t kBlockBytes = 1u << 20;
constexpr uint64_t kMaxFileBytes = 4ull << 30;
constexpr size_t kMaxAgents = api::kMaxIdentity;

constexpr std::string_view kKeys[] = {"name",      "owner",   "tags",     "public_key",
                                      "addresses", "expires", "psk_file", "enabled",
                                      "keepalive", "purpose", "parent",   "attributes"};

// One line to one agent.
class LineReader
{
  public:
    LineReader(const std::string& path, std::vector<Error>& errors)
        : path_(path), directory_(std::filesystem::path(path).parent_path()), errors_(errors)
    {
    }

    // `line` must have simdjson's padding behind it.
    void read(std::string_view line, uint32_t number, std::vector<Agent>& agents)
    {
        line_ = line;
        number_ = number;
        const size_t errors_before = errors_.size();
        Agent agent;
        try {
            ondemand::document document = parser_.iterate(simdjson::padded_string_view(
                line.data(), line.size(), line.size() + simdjson::SIMDJSON_PADDING));
            object(document, agent);
            if (errors_.size() == errors_before &&
                document.current_location().error() == simdjson::SUCCESS)
                fail(line.size(), "", "Something follows the object; a line holds one agent.");
        } catch (const simdjson::simdjson_error& fault) {
            fail(at_, "",
                 fmt::format("This is not a JSON object with an agent's keys: {}.", fault.what()));
        }
        if (errors_.size() == errors_before)
            agents.push_back(std::move(agent));
    }

  private:
    void fail(size_t offset, std::string_view path, const std::string& what)
    {
        errors_.push_back({path.empty() ? what : fmt::format("{}: {}", path, what),
                           place(path_, {number_, static_cast<uint32_t>(offset + 1)})});
    }

    // The value that one of parse.h's functions makes of a JSON string.
    template <class T>
    bool text(ondemand::value value, std::string_view path, Result<T> (*parse)(std::string_view),
              T& out)
    {
        auto parsed = parse(value.get_string().value());
        if (parsed)
            out = std::move(*parsed);
        else
            fail(at_, path, parsed.error().what);
        return parsed.is_ok();
    }

    size_t offset_of(ondemand::value& value) const
    {
        return static_cast<size_t>(value.current_location().value() - line_.data());
    }

    void object(ondemand::document& document, Agent& agent)
    {
        at_ = 0;
        unsigned seen = 0;
        for (auto field : document.get_object()) {
            const std::string_view key = field.unescaped_key();
            ondemand::value value = field.value();
            at_ = offset_of(value);
            const auto* known = std::find(std::begin(kKeys), std::end(kKeys), key);
            if (known == std::end(kKeys)) {
                const std::string hint = did_you_mean(key, {std::begin(kKeys), std::end(kKeys)});
                fail(at_, "",
                     fmt::format("Unknown key \"{}\"{}", key.substr(0, 60),
                                 hint.empty() ? "." : hint));
                return;
            }
            const auto index = static_cast<unsigned>(known - std::begin(kKeys));
            if ((seen >> index & 1) != 0) {
                fail(at_, "", fmt::format("The key \"{}\" is there twice.", key));
                return;
            }
            seen |= 1u << index;
            this->field(index, value, agent);
        }
        for (const unsigned required : {0u, 3u, 4u})
            if ((seen >> required & 1) == 0)
                fail(0, "", fmt::format("The key \"{}\" is missing.", kKeys[required]));
    }

    void field(unsigned index, ondemand::value value, Agent& agent)
    {
        const std::string_view path = kKeys[index];
        switch (index) {
            case 0:
                text(value, path, parse_name, agent.name);
                agent.where = here();
                break;
            case 1:
                text(value, path, parse_owner, agent.owner);
                break;
            case 2:
                for (auto item : value.get_array()) {
                    ondemand::value tag = item.value();
                    at_ = offset_of(tag);
                    text(tag, path, parse_name, agent.tags.emplace_back());
                }
                std::sort(agent.tags.begin(), agent.tags.end());
                if (std::adjacent_find(agent.tags.begin(), agent.tags.end()) != agent.tags.end())
                    fail(at_, path, "A tag is there twice.");
                break;
            case 3:
                text(value, path, parse_key, agent.public_key);
                agent.key_where = here();
                break;
            case 4:
                for (auto item : value.get_array()) {
                    ondemand::value address = item.value();
                    at_ = offset_of(address);
                    Prefix prefix;
                    if (text(address, path, parse_agent_prefix, prefix))
                        agent.addresses.push_back({prefix, here()});
                }
                if (agent.addresses.empty())
                    fail(at_, path, "Expected at least one value.");
                break;
            case 5:
                text(value, path, parse_time, agent.expires_unix);
                break;
            case 6: {
                const std::string_view name = value.get_string();
                if (name.empty() || name.find('\0') != std::string_view::npos)
                    fail(at_, path, "Expected a text that is not empty.");
                else
                    agent.psk_file =
                        std::filesystem::absolute(directory_ / name).lexically_normal().string();
                break;
            }
            case 7:
                agent.is_enabled = value.get_bool();
                break;
            case 9:
                text(value, path, parse_remark, agent.purpose);
                break;
            case 10:
                text(value, path, parse_name, agent.parent);
                break;
            case 11:
                attributes(value.get_object(), path, agent.attributes);
                break;
            default: {
                const uint64_t seconds = value.get_uint64();
                if (seconds > 65535)
                    fail(at_, path, "Expected a number from 0 to 65535.");
                agent.keepalive_seconds = static_cast<uint16_t>(seconds);
            }
        }
    }

    // {"phase": "install", "approved": {"value": "yes", "expires": "2027-01-01T00:00:00Z"}}
    void attributes(ondemand::object object, std::string_view path, std::vector<Attribute>& out)
    {
        for (auto field : object) {
            Attribute attribute;
            const std::string_view name = field.unescaped_key();
            ondemand::value value = field.value();
            at_ = offset_of(value);
            if (auto parsed = parse_name(name))
                attribute.name = std::move(*parsed);
            else
                fail(at_, path, parsed.error().what);
            if (value.type() == ondemand::json_type::object) {
                bool has_value = false;
                for (auto part : value.get_object()) {
                    const std::string_view key = part.unescaped_key();
                    if (key == "value" && !has_value)
                        has_value =
                            text(part.value(), path, parse_attribute_value, attribute.value);
                    else if (key == "expires" && attribute.expires_unix == 0)
                        text(part.value(), path, parse_time, attribute.expires_unix);
                    else
                        fail(at_, path, "An attribute has one value and perhaps one expires.");
                }
                if (!has_value)
                    fail(at_, path, "The key \"value\" is missing.");
            } else {
                text(value, path, parse_attribute_value, attribute.value);
            }
            out.push_back(std::move(attribute));
        }
        std::sort(out.begin(), out.end());
        if (std::adjacent_find(out.begin(), out.end(), [](const auto& a, const auto& b) {
                return a.name == b.name;
            }) != out.end())
            fail(at_, path, "An attribute is there twice.");
    }

    Where here() const { return {number_, static_cast<uint32_t>(at_ + 1)}; }

    const std::string& path_;
    std::filesystem::path directory_;
    std::vector<Error>& errors_;
    ondemand::parser parser_;
    std::string_view line_;
    uint32_t number_ = 0;
    size_t at_ = 0;  // offset in the line of the value being read
};

struct Descriptor
{
    int fd;
    ~Descriptor()
    {
        if (fd >= 0)
            close(fd);
    }
};

// Calls `per_line(line, number)` for each line until it returns false; false when reading fails.
template <class PerLine>
bool read_lines(int fd, PerLine per_line)
{
    std::vector<char> block(kBlockBytes + simdjson::SIMDJSON_PADDING);
    size_t held = 0;
    uint32_t number = 0;
    bool is_end = false;
    while (!is_end) {
        const ssize_t got = ::read(fd, block.data() + held, kBlockBytes - held);
        if (got < 0)
            return false;
        is_end = got == 0;
        held += static_cast<size_t>(got);
        size_t start = 0;
        while (start < held) {
            const void* newline = std::memchr(block.data() + start, '\n', held - start);
            const size_t end =
                newline != nullptr
                    ? static_cast<size_t>(static_cast<const char*>(newline) - block.data())
                    : held;
            // An unfinished line waits for the next block, unless it is too long already.
            if (newline == nullptr && !is_end && held - start <= kMaxLineBytes)
                break;
            if (!per_line(std::string_view(block.data() + start, end - start), ++number))
                return true;
            start = std::min(end + 1, held);
        }
        held -= start;
        std::memmove(block.data(), block.data() + start, held);
    }
    return true;
}

}  // namespace

Result<BulkFile> load_bulk(const std::string& path)
{
    const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    struct stat status
    {
    };
    if (file.fd < 0 || fstat(file.fd, &status) != 0)
        return Error{fmt::format("The file of agents cannot be opened: {}.", std::strerror(errno)),
                     path};
    if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) > kMaxFileBytes)
        return Error{"The file of agents is not a regular file of at most 4 GiB.", path};

    BulkFile bulk;
    std::vector<Agent> agents;
    LineReader reader(path, bulk.errors);
    const bool is_read = read_lines(file.fd, [&](std::string_view line, uint32_t number) {
        if (!line.empty() && line.back() == '\r')
            line.remove_suffix(1);
        if (line.size() > kMaxLineBytes) {
            bulk.errors.push_back({"The line is longer than 64 KiB.", place(path, {number, 1})});
            return false;
        }
        if (line.find_first_not_of(" \t") == std::string_view::npos)
            return true;
        reader.read(line, number, agents);
        if (agents.size() > kMaxAgents)
            bulk.errors.push_back(
                {"More agents than there are identities.", place(path, {number, 1})});
        return bulk.errors.size() < kMaxErrors && agents.size() <= kMaxAgents;
    });
    if (!is_read)
        return Error{fmt::format("The file of agents cannot be read: {}.", std::strerror(errno)),
                     path};
    bulk.agents = build_agent_list(path, true, std::move(agents));
    bulk.errors.insert(bulk.errors.end(), bulk.agents->errors.begin(), bulk.agents->errors.end());
    return bulk;
}

Result<std::shared_ptr<const BulkFile>> BulkCache::get(const std::string& path)
{
    struct stat status
    {
    };
    if (stat(path.c_str(), &status) != 0)
        return Error{fmt::format("The file of agents cannot be opened: {}.", std::strerror(errno)),
                     path};
    const auto nanoseconds = [](const timespec& t) { return t.tv_sec * 1'000'000'000 + t.tv_nsec; };
    // Taken before reading: a change while we read is seen at the next call.
    const Stamp stamp{nanoseconds(status.st_mtim), nanoseconds(status.st_ctim),
                      static_cast<uint64_t>(status.st_size), status.st_ino, status.st_dev};
    if (const auto found = entries_.find(path);
        found != entries_.end() && found->second.stamp == stamp) {
        found->second.is_used = true;
        return found->second.file;
    }
    auto bulk = load_bulk(path);
    if (!bulk)
        return bulk.error();
    parsed_files_++;
    auto file = std::make_shared<const BulkFile>(std::move(*bulk));
    entries_.insert_or_assign(path, Entry{stamp, file, true});
    return file;
}

void BulkCache::retire_unused()
{
    std::erase_if(entries_, [](const auto& entry) { return !entry.second.is_used; });
    for (auto& entry : entries_) entry.second.is_used = false;
}

}  // namespace sandgate::config
