// The policy language's shape: which keys there are, what each one holds, what is said when it does
// not. One function per section, in the order of docs/policy.md. yaml-cpp's exceptions end here.
#include "config/load.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/exceptions.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <set>

#include "config/parse.h"
#include "config/yaml_tree.h"
#include "dataplane/api/bounds.h"

namespace sandgate::config {
namespace {

using Kind = YamlNode::Kind;
using Handler = std::function<void(const YamlNode&)>;

struct Field
{
    std::string_view key;
    bool is_required;
    Handler handler;
};

constexpr bool kRequired = true;
constexpr bool kOptional = false;

class Loader
{
  public:
    Loader(const std::string& path, LoadResult& result)
        : result_(result),
          policy_(result.policy),
          directory_(std::filesystem::path(path).parent_path())
    {
        policy_.file = path;
    }

    void load(const YamlNode& root, BulkCache& cache)
    {
        std::vector<Agent> agents;
        std::vector<std::pair<std::string, Where>> bulk_files;
        map(root,
            {
                {"gateway", kOptional, [&](const YamlNode& n) { gateway(n); }},
                {"dataplane", kOptional, [&](const YamlNode& n) { dataplane(n); }},
                {"ports", kOptional,
                 [&](const YamlNode& n) { each(n, [&](const YamlNode& item) { port(item); }); }},
                {"agents", kOptional,
                 [&](const YamlNode& n) {
                     each(n, [&](const YamlNode& item) {
                         // Faulty ones stay too, so that an agent's place in the list is its place
                         // in the text.
                         agents.push_back(agent(item));
                     });
                 }},
                {"agents_from", kOptional,
                 [&](const YamlNode& n) {
                     each(n, [&](const YamlNode& item) {
                         if (const auto name = text(item))
                             bulk_files.emplace_back(*name, item.where);
                     });
                 }},
                {"groups", kOptional,
                 [&](const YamlNode& n) {
                     named(n, [&](const std::string& name, Where where, const YamlNode& v) {
                         Group group{name, {}, where};
                         selectors(v, group.members);
                         policy_.groups.push_back(std::move(group));
                     });
                 }},
                {"hosts", kOptional,
                 [&](const YamlNode& n) {
                     named(n, [&](const std::string& name, Where where, const YamlNode& v) {
                         Host host{name, {}, where};
                         one_or_more(v, [&](const YamlNode& item) {
                             if (auto prefix = parsed(item, parse_prefix))
                                 host.prefixes.push_back(*prefix);
                         });
                         policy_.hosts.push_back(std::move(host));
                     });
                 }},
                {"services", kOptional,
                 [&](const YamlNode& n) {
                     named(n, [&](const std::string& name, Where where, const YamlNode& v) {
                         service(name, where, v);
                     });
                 }},
                {"grants", kOptional,
                 [&](const YamlNode& n) { each(n, [&](const YamlNode& item) { grant(item); }); }},
                {"control", kOptional, [&](const YamlNode& n) { control(n); }},
            });
        // A list with faulty agents would bring faults of its own.
        auto list = build_agent_list(
            policy_.file, false, result_.errors.empty() ? std::move(agents) : std::vector<Agent>{});
        result_.errors.insert(result_.errors.end(), list->errors.begin(), list->errors.end());
        policy_.agent_lists.push_back(std::move(list));
        for (size_t i = 0; i < bulk_files.size(); i++)
            bulk(i, bulk_files[i].first, bulk_files[i].second, cache);
    }

  private:
    // --- The walk: kinds, keys, paths
    // -------------------------------------------------------------------------

    void fail(const YamlNode& node, const std::string& what) { fail(node.where, what); }
    void fail(Where where, const std::string& what)
    {
        if (result_.errors.size() < kMaxErrors)
            result_.errors.push_back({path_.empty() ? what : fmt::format("{}: {}", path_, what),
                                      place(policy_.file, where)});
    }

    // Runs `inside` with a longer key path.
    template <class Inside>
    void at(const std::string& step, Inside inside)
    {
        const size_t length = path_.size();
        path_ += step;
        inside();
        path_.resize(length);
    }
    std::string step(std::string_view key) const
    {
        return (path_.empty() ? "" : ".") + std::string(key);
    }

    bool is(const YamlNode& node, Kind kind, const char* wanted)
    {
        if (node.kind == kind)
            return true;
        static constexpr const char* kFound[] = {"nothing", "a single value", "a list", "a map"};
        fail(node,
             fmt::format("Expected {}, found {}.", wanted, kFound[static_cast<int>(node.kind)]));
        return false;
    }

    void map(const YamlNode& node, const std::vector<Field>& fields)
    {
        if (node.kind != Kind::kNull && !is(node, Kind::kMap, "a map"))
            return;
        std::vector<std::pair<std::string_view, Where>> seen;
        for (const auto& [key, value] : node.entries) {
            const auto field =
                std::find_if(fields.begin(), fields.end(),
                             [&key = key](const Field& f) { return f.key == key.text; });
            if (key.kind != Kind::kScalar) {
                fail(key, "A key must be a single word.");
            } else if (field == fields.end()) {
                std::vector<std::string_view> known;
                for (const Field& f : fields) known.push_back(f.key);
                const std::string hint = did_you_mean(key.text, known);
                fail(key, fmt::format("Unknown key \"{}\"{}", key.text.substr(0, 60),
                                      hint.empty()
                                          ? fmt::format("; known are {}.", fmt::join(known, ", "))
                                          : hint));
            } else if (!is_new(seen, key)) {
                continue;
            } else {
                at(step(key.text), [&, &value = value] { field->handler(value); });
            }
        }
        for (const Field& field : fields)
            if (field.is_required && std::none_of(seen.begin(), seen.end(), [&](const auto& s) {
                    return s.first == field.key;
                }))
                fail(node, fmt::format("The key \"{}\" is missing.", field.key));
    }

    // Notes a key; a key that is there already is an error.
    bool is_new(std::vector<std::pair<std::string_view, Where>>& seen, const YamlNode& key)
    {
        for (const auto& [text, where] : seen) {
            if (text == key.text) {
                fail(key,
                     fmt::format("The key \"{}\" is already on line {}.", key.text, where.line));
                return false;
            }
        }
        seen.emplace_back(key.text, key.where);
        return true;
    }

    template <class PerItem>
    void each(const YamlNode& node, PerItem per_item)
    {
        if (node.kind == Kind::kNull || !is(node, Kind::kSequence, "a list"))
            return;
        for (size_t i = 0; i < node.items.size(); i++)
            at(fmt::format("[{}]", i), [&] { per_item(node.items[i]); });
    }

    template <class PerItem>
    void one_or_more(const YamlNode& node, PerItem per_item)
    {
        if (node.kind == Kind::kScalar)
            per_item(node);
        else if (node.kind == Kind::kNull || (node.kind == Kind::kSequence && node.items.empty()))
            fail(node, "Expected at least one value.");
        else
            each(node, per_item);
    }

    // A map whose keys are names of the policy's own.
    template <class PerEntry>
    void named(const YamlNode& node, PerEntry per_entry)
    {
        if (node.kind == Kind::kNull || !is(node, Kind::kMap, "a map"))
            return;
        std::set<std::string_view> seen;
        for (const auto& [key, value] : node.entries) {
            const auto name = key.kind == Kind::kScalar
                                  ? parse_name(key.text)
                                  : Result<std::string>(Error{"A name is a word."});
            if (!name)
                fail(key, name.error().what);
            else if (!seen.insert(key.text).second)
                fail(key, fmt::format("\"{}\" is there twice.", key.text));
            else
                at(step(key.text),
                   [&, &key = key, &value = value] { per_entry(*name, key.where, value); });
        }
    }

    std::optional<std::string> text(const YamlNode& node)
    {
        if (!is(node, Kind::kScalar, "a single value"))
            return std::nullopt;
        if (node.text.empty() || node.text.find('\0') != std::string::npos) {
            fail(node, "Expected a text that is not empty.");
            return std::nullopt;
        }
        return node.text;
    }

    // The value that one of parse.h's functions makes of a scalar.
    template <class T>
    std::optional<T> parsed(const YamlNode& node, Result<T> (*parse)(std::string_view))
    {
        if (!is(node, Kind::kScalar, "a single value"))
            return std::nullopt;
        auto value = parse(node.text);
        if (!value) {
            fail(node, value.error().what);
            return std::nullopt;
        }
        return std::move(*value);
    }

    template <class T>
    void number(const YamlNode& node, T& out, uint64_t least, uint64_t most)
    {
        if (!is(node, Kind::kScalar, "a number"))
            return;
        const auto value = parse_number(node.text);
        if (!value || *value < least || *value > most)
            fail(node, fmt::format("Expected a number from {} to {}.", least, most));
        else
            out = static_cast<T>(*value);
    }
    template <class T>
    void number(const YamlNode& node, std::optional<T>& out, uint64_t least, uint64_t most)
    {
        T value{};
        const size_t before = result_.errors.size();
        number(node, value, least, most);
        if (result_.errors.size() == before)
            out = value;
    }

    void size(const YamlNode& node, std::optional<uint64_t>& out, api::Range range)
    {
        number(node, out, range.least, range.most);
    }

    void boolean(const YamlNode& node, bool& out)
    {
        if (!is(node, Kind::kScalar, "true or false"))
            return;
        if (node.text != "true" && node.text != "false")
            fail(node, "Expected true or false.");
        else
            out = node.text == "true";
    }

    void file_path(const YamlNode& node, std::string& out)
    {
        if (const auto name = text(node))
            out = absolute(*name);
    }
    std::string absolute(const std::string& name) const
    {
        std::error_code ignored;
        const auto path = std::filesystem::absolute(directory_ / name, ignored);
        return path.empty() ? name : path.lexically_normal().string();
    }

    // --- The sections
    // -----------------------------------------------------------------------------------------

    void gateway(const YamlNode& node)
    {
        Gateway& g = policy_.gateway;
        g.where = node.where;
        map(node, {
                      {"listen_port", kOptional,
                       [&](const YamlNode& n) { number(n, g.listen_port, 1, 65535); }},
                      {"private_key_file", kOptional,
                       [&](const YamlNode& n) { file_path(n, g.private_key_file); }},
                      {"public_endpoint", kOptional,
                       [&](const YamlNode& n) {
                           if (auto endpoint = parsed(n, parse_endpoint))
                               g.public_endpoint = std::move(*endpoint);
                       }},
                      {"tunnel_addresses", kOptional,
                       [&](const YamlNode& n) {
                           each(n, [&](const YamlNode& item) {
                               const auto address = parsed(item, parse_host_address);
                               if (!address)
                                   return;
                               for (const auto& other : g.tunnel_addresses)
                                   if (other.is_v4() == address->is_v4())
                                       return fail(item, "At most one IPv4 and one IPv6 address.");
                               g.tunnel_addresses.push_back(*address);
                           });
                       }},
                      {"tunnel_mtu", kOptional,
                       [&](const YamlNode& n) { number(n, g.tunnel_mtu, 1280, 9000 - 80); }},
                      {"dns", kOptional,
                       [&](const YamlNode& n) {
                           each(n, [&](const YamlNode& item) {
                               if (const auto address = parsed(item, parse_address))
                                   g.dns.push_back(*address);
                           });
                       }},
                  });
    }

    void dataplane(const YamlNode& node)
    {
        constexpr uint64_t kMaxCore = 1023;
        Dataplane& d = policy_.dataplane;
        d.where = node.where;
        map(node,
            {
                {"workers", kOptional,
                 [&](const YamlNode& n) {
                     d.workers.clear();
                     one_or_more(n, [&](const YamlNode& item) {
                         uint32_t core = ~0u;
                         number(item, core, 0, kMaxCore);
                         if (std::find(d.workers.begin(), d.workers.end(), core) != d.workers.end())
                             fail(item, fmt::format("Core {} is there twice.", core));
                         if (core != ~0u)
                             d.workers.push_back(core);
                     });
                     if (d.workers.size() > api::kMaxWorkers)
                         fail(n, fmt::format("More than {} workers.", api::kMaxWorkers));
                 }},
                {"slow_path_core", kOptional,
                 [&](const YamlNode& n) { number(n, d.slow_path_core, 0, kMaxCore); }},
                {"hugepages", kOptional, [&](const YamlNode& n) { boolean(n, d.has_hugepages); }},
                {"test_mode", kOptional, [&](const YamlNode& n) { boolean(n, d.is_test_mode); }},
                {"adaptive_idle", kOptional,
                 [&](const YamlNode& n) { boolean(n, d.has_adaptive_idle); }},
                {"host_port", kOptional, [&](const YamlNode& n) { boolean(n, d.has_host_port); }},
                {"control_socket", kOptional,
                 [&](const YamlNode& n) { socket_path(n, d.control_socket); }},
                {"max_sessions", kOptional,
                 [&](const YamlNode& n) { size(n, d.max_sessions, api::kSessionSlots); }},
                {"max_flows", kOptional,
                 [&](const YamlNode& n) { size(n, d.max_flows, api::kFlowsPerWorker); }},
                {"mbufs", kOptional,
                 [&](const YamlNode& n) { size(n, d.mbufs, api::kPacketBuffers); }},
            });
    }

    void socket_path(const YamlNode& node, std::string& out)
    {
        file_path(node, out);
        if (out.size() > 107)
            fail(node, "The path of a socket has at most 107 bytes.");
    }

    void port(const YamlNode& node)
    {
        Port p;
        p.where = node.where;
        map(node,
            {
                {"name", kRequired,
                 [&](const YamlNode& n) {
                     if (auto name = parsed(n, parse_name)) {
                         p.name = std::move(*name);
                         if (p.name.size() > 31)
                             fail(n, "The name of a port has at most 31 bytes.");
                         p.where = n.where;
                     }
                 }},
                {"device", kRequired,
                 [&](const YamlNode& n) { p.device = text(n).value_or(std::string()); }},
                {"roles", kRequired,
                 [&](const YamlNode& n) {
                     one_or_more(n, [&](const YamlNode& item) {
                         if (!is(item, Kind::kScalar, "wan or lan"))
                             return;
                         if (item.text == "wan")
                             p.roles |= api::kWan;
                         else if (item.text == "lan")
                             p.roles |= api::kLan;
                         else
                             fail(item, "A role is wan or lan.");
                     });
                 }},
                {"addresses", kOptional,
                 [&](const YamlNode& n) {
                     each(n, [&](const YamlNode& item) {
                         const auto address = parsed(item, parse_port_address);
                         if (!address)
                             return;
                         PortAddress& own = address->address.is_v4() ? p.v4 : p.v6;
                         if (own.length != 0)
                             return fail(item, "At most one IPv4 and one IPv6 address.");
                         own = *address;
                     });
                 }},
                {"gateway", kOptional,
                 [&](const YamlNode& n) {
                     one_or_more(n, [&](const YamlNode& item) {
                         const auto address = parsed(item, parse_host_address);
                         if (!address)
                             return;
                         api::Address& next_hop = address->is_v4() ? p.gateway_v4 : p.gateway_v6;
                         if (!next_hop.is_zero())
                             return fail(item, "At most one IPv4 and one IPv6 address.");
                         next_hop = *address;
                     });
                 }},
                {"mtu", kOptional, [&](const YamlNode& n) { number(n, p.mtu, 1280, 9000); }},
                {"neighbours", kOptional,
                 [&](const YamlNode& n) {
                     if (n.kind == Kind::kNull ||
                         !is(n, Kind::kMap, "a map of addresses to MAC addresses"))
                         return;
                     for (const auto& [key, value] : n.entries) {
                         const auto address = parsed(key, parse_host_address);
                         if (!address)
                             continue;
                         if (std::any_of(
                                 p.neighbours.begin(), p.neighbours.end(),
                                 [&](const auto& other) { return other.address == *address; }))
                             fail(key, fmt::format("{} is there twice.", to_text(*address)));
                         else if (const auto mac = parsed(value, parse_mac))
                             p.neighbours.push_back({*address, *mac, key.where});
                     }
                 }},
            });
        policy_.ports.push_back(std::move(p));
    }

    Agent agent(const YamlNode& node)
    {
        Agent a;
        a.where = node.where;
        map(node,
            {
                {"name", kRequired,
                 [&](const YamlNode& n) {
                     a.name = parsed(n, parse_name).value_or(std::string());
                     a.where = n.where;
                 }},
                {"owner", kOptional,
                 [&](const YamlNode& n) {
                     a.owner = parsed(n, parse_owner).value_or(std::string());
                 }},
                {"tags", kOptional,
                 [&](const YamlNode& n) {
                     each(n, [&](const YamlNode& item) {
                         auto tag = parsed(item, parse_name);
                         if (!tag)
                             return;
                         if (std::find(a.tags.begin(), a.tags.end(), *tag) != a.tags.end())
                             fail(item, fmt::format("The tag \"{}\" is there twice.", *tag));
                         else
                             a.tags.push_back(std::move(*tag));
                     });
                     std::sort(a.tags.begin(), a.tags.end());
                 }},
                {"public_key", kRequired,
                 [&](const YamlNode& n) {
                     a.public_key = parsed(n, parse_key).value_or(Key{});
                     a.key_where = n.where;
                 }},
                {"addresses", kRequired,
                 [&](const YamlNode& n) {
                     one_or_more(n, [&](const YamlNode& item) {
                         const auto prefix = parsed(item, parse_agent_prefix);
                         if (prefix)
                             a.addresses.push_back({*prefix, item.where});
                     });
                 }},
                {"psk_file", kOptional, [&](const YamlNode& n) { file_path(n, a.psk_file); }},
                {"expires", kOptional,
                 [&](const YamlNode& n) { a.expires_unix = parsed(n, parse_time).value_or(0); }},
                {"enabled", kOptional, [&](const YamlNode& n) { boolean(n, a.is_enabled); }},
                {"keepalive", kOptional,
                 [&](const YamlNode& n) { number(n, a.keepalive_seconds, 0, 65535); }},
            });
        return a;
    }

    void selectors(const YamlNode& node, std::vector<Selector>& out)
    {
        one_or_more(node, [&](const YamlNode& item) {
            if (auto selector = parsed(item, parse_selector)) {
                selector->where = item.where;
                out.push_back(std::move(*selector));
            }
        });
    }

    void traffic(const YamlNode& node, std::vector<Traffic>& out)
    {
        one_or_more(node, [&](const YamlNode& item) {
            if (auto one = parsed(item, parse_traffic)) {
                one->where = item.where;
                out.push_back(*one);
            }
        });
    }

    void service(const std::string& name, Where where, const YamlNode& node)
    {
        Service s;
        s.name = name;
        s.where = where;
        map(node,
            {
                {"addresses", kOptional, [&](const YamlNode& n) { selectors(n, s.addresses); }},
                {"gateway", kOptional, [&](const YamlNode& n) { boolean(n, s.is_gateway); }},
                {"ip", kRequired, [&](const YamlNode& n) { traffic(n, s.traffic); }},
            });
        policy_.services.push_back(std::move(s));
    }

    void grant(const YamlNode& node)
    {
        Grant g;
        g.where = node.where;
        map(node, {
                      {"name", kRequired,
                       [&](const YamlNode& n) {
                           g.name = parsed(n, parse_name).value_or(std::string());
                           g.where = n.where;
                       }},
                      {"src", kRequired, [&](const YamlNode& n) { selectors(n, g.sources); }},
                      {"dst", kRequired, [&](const YamlNode& n) { selectors(n, g.destinations); }},
                      {"ip", kOptional, [&](const YamlNode& n) { traffic(n, g.traffic); }},
                  });
        policy_.grants.push_back(std::move(g));
    }

    void control(const YamlNode& node)
    {
        map(node, {
                      {"state_dir", kOptional,
                       [&](const YamlNode& n) { file_path(n, policy_.control.state_dir); }},
                      {"socket", kOptional,
                       [&](const YamlNode& n) { socket_path(n, policy_.control.socket); }},
                  });
    }

    void bulk(size_t index, const std::string& name, Where where, BulkCache& cache)
    {
        at(fmt::format("agents_from[{}]", index), [&] {
            const std::string path = (directory_ / name).lexically_normal().string();
            for (const auto& list : policy_.agent_lists)
                if (list->is_bulk && list->file == path)
                    return fail(where, fmt::format("{} is there twice.", path));
            auto file = cache.get(path);
            if (!file)
                return fail(where, file.error().text());
            for (const Error& error : (*file)->errors)
                if (result_.errors.size() < kMaxErrors)
                    result_.errors.push_back(error);
            policy_.agent_lists.push_back((*file)->agents);
        });
    }

    LoadResult& result_;
    Policy& policy_;
    std::filesystem::path directory_;
    std::string path_;  // of keys, where the walk is
};

Result<std::string> read_file(const std::string& path)
{
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return Error{fmt::format("The policy cannot be opened: {}.", std::strerror(errno)), path};
    struct stat status
    {
    };
    std::string text;
    Result<std::string> result = std::string();
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        result = Error{"The policy is not a regular file.", path};
    } else {
        char block[65536];
        ssize_t got = 0;
        // One byte more than allowed, so that the parser says that it is too much.
        while (text.size() <= kMaxYamlBytes && (got = read(fd, block, sizeof block)) > 0)
            text.append(block, static_cast<size_t>(got));
        if (got < 0)
            result =
                Error{fmt::format("The policy cannot be read: {}.", std::strerror(errno)), path};
        else
            result = std::move(text);
    }
    close(fd);
    return result;
}

}  // namespace

LoadResult load_text(std::string_view text, const std::string& path, BulkCache& cache)
{
    LoadResult result;
    YamlNode root;
    try {
        root = parse_yaml(text);
    } catch (const YamlFault& fault) {
        result.errors.push_back({fault.what, place(path, fault.where)});
    } catch (const YAML::Exception& fault) {
        Where where;
        if (!fault.mark.is_null())
            where = {static_cast<uint32_t>(fault.mark.line + 1),
                     static_cast<uint32_t>(fault.mark.column + 1)};
        result.errors.push_back(
            {fmt::format("This is not YAML: {}.", fault.msg), place(path, where)});
    }
    if (result.is_ok())
        Loader(path, result).load(root, cache);
    if (result.is_ok())
        cache.retire_unused();
    return result;
}

LoadResult load_file(const std::string& path, BulkCache& cache)
{
    const auto text = read_file(path);
    if (text)
        return load_text(*text, path, cache);
    LoadResult result;
    result.errors.push_back(text.error());
    return result;
}

}  // namespace sandgate::config
