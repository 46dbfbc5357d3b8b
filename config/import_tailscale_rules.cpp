// Who may do what: acls and grants, and the tests of them.
#include <algorithm>
#include <initializer_list>

#include "config/tailscale_translator.h"

namespace sandgate::config::tailscale {
namespace {

const YamlNode* find(const Fields& fields, const char* key, const char* old_key)
{
    auto found = fields.find(key);
    if (found == fields.end() && old_key != nullptr)
        found = fields.find(old_key);
    return found == fields.end() ? nullptr : &found->second->value;
}

// The first key that is not known and says something. Whatever it is, it may narrow the rule.
const YamlEntry* find_other(const Fields& fields, std::initializer_list<std::string_view> known)
{
    for (const auto& [key, entry] : fields) {
        const bool is_empty = entry->value.kind == Kind::kNull ||
                              (entry->value.kind == Kind::kSequence && entry->value.items.empty());
        if (!is_empty && std::find(known.begin(), known.end(), key) == known.end())
            return entry;
    }
    return nullptr;
}

void add(Opening& opening, const Ours& ours)
{
    opening.has_agents |= ours.is_agents;
    opening.destinations.insert(opening.destinations.end(), ours.texts.begin(), ours.texts.end());
}

}  // namespace

Texts Translator::traffic(const YamlNode& node, const std::string& protocol, std::string_view ports)
{
    static const std::map<std::string, const char*> kProtocols = {
        {"icmp", "icmp"},   {"igmp", "proto:2"},  {"ipv4", "proto:4"}, {"ip-in-ip", "proto:4"},
        {"tcp", "tcp"},     {"6", "tcp"},         {"egp", "proto:8"},  {"igp", "proto:9"},
        {"udp", "udp"},     {"17", "udp"},        {"gre", "proto:47"}, {"esp", "proto:50"},
        {"ah", "proto:51"}, {"sctp", "proto:132"}};
    Texts words;
    if (protocol.empty() || protocol == "*")
        words = {"tcp", "udp"};
    else if (const auto known = kProtocols.find(protocol); known != kProtocols.end())
        words = {known->second};
    else if (parse_number(protocol) && parse_traffic("proto:" + protocol))
        words = {"proto:" + protocol};
    Texts out;
    if (words.empty()) {
        left_out(node, protocol, "it is no protocol that is known here.");
        return out;
    }
    const bool has_ports = words[0] == "tcp" || words[0] == "udp";
    while (true) {
        const size_t comma = ports.find(',');
        std::string_view piece = ports.substr(0, comma);
        while (piece.starts_with(' ')) piece.remove_prefix(1);
        while (piece.ends_with(' ')) piece.remove_suffix(1);
        const bool is_all = piece == "*" || piece == "0-65535";
        for (const std::string& word : words) {
            const std::string text = is_all ? word : fmt::format("{}:{}", word, piece);
            if ((is_all || has_ports) && parse_traffic(text))
                out.push_back(text);
            else if (&word == &words.front())
                left_out(node, piece,
                         has_ports ? "it is no port from 1 to 65535 and no range of them."
                                   : "only TCP and UDP have ports here.");
        }
        if (comma == std::string_view::npos)
            break;
        ports.remove_prefix(comma + 1);
    }
    if (words.size() == 2 && !out.empty())
        out.emplace_back("icmp");
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

bool Translator::split(const YamlNode& node, std::string& host, std::string& ports)
{
    const size_t colon = node.text.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == node.text.size()) {
        left_out(node, node.text, "it does not end with ':' and ports.");
        return false;
    }
    host = node.text.substr(0, colon);
    ports = node.text.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']'))
        host = host.substr(1, host.size() - 2);
    return true;
}

void Translator::rules(const YamlNode& node, const char* section, const char* word)
{
    size_t index = 0;
    for (const YamlNode& item : list(node, section)) {
        const std::string key_path = fmt::format("{}[{}]", section, index++);
        if (!is_too_large_)
            rule(item, key_path, fmt::format("{}-{}", word, index), word[0] == 'a');
    }
}

void Translator::rule(const YamlNode& node, const std::string& key_path, const std::string& name,
                      bool is_acl)
{
    const Fields fields = this->fields(node, key_path);
    const YamlEntry* other =
        is_acl ? find_other(fields, {"action", "src", "users", "dst", "ports", "proto"})
               : find_other(fields, {"src", "dst", "ip", "app"});
    const auto leave_out = [&](Where where, const std::string& why) {
        note(where, fmt::format("{} is left out as a whole: {}", key_path, why));
    };
    if (other != nullptr)
        return leave_out(other->key.where,
                         fmt::format("{} has no counterpart, and without it more would be "
                                     "allowed.",
                                     shown(other->key.text)));
    if (has_default_posture_)
        return leave_out(node.where, "it needs the posture of defaultSrcPosture.");
    const YamlNode* source = find(fields, "src", is_acl ? "users" : nullptr);
    const YamlNode* destination = find(fields, "dst", is_acl ? "ports" : nullptr);
    if (source == nullptr || destination == nullptr)
        return fail(node.where, key_path, "The key \"src\" or \"dst\" is missing.");
    if (const YamlNode* action = find(fields, "action", nullptr);
        is_acl && (action == nullptr || action->text != "accept"))
        return fail(action == nullptr ? node.where : action->where, key_path,
                    "The action of an acl is \"accept\".");
    Texts agents, outsiders;
    strings(*source, key_path + ".src", [&](const YamlNode& item) {
        const Ours ours = selector(item, item.text, true);
        Texts& to = ours.is_agents ? agents : outsiders;
        to.insert(to.end(), ours.texts.begin(), ours.texts.end());
    });
    const std::vector<Opening> openings =
        is_acl ? acl_openings(fields, *destination, key_path)
               : grant_openings(fields, node, *destination, key_path);
    if (agents.empty() && outsiders.empty())
        return leave_out(node.where, "nothing is left of its src.");
    if (openings.empty())
        return leave_out(node.where, "nothing is left of its dst and ip.");
    put(node, name, openings, agents, outsiders, key_path);
}

void Translator::put(const YamlNode& node, const std::string& name,
                     const std::vector<Opening>& openings, const Texts& agents,
                     const Texts& outsiders, const std::string& key_path)
{
    bool has_lost_outsiders = false;
    for (size_t i = 0; i < openings.size() && !is_too_large_; i++) {
        const Opening& opening = openings[i];
        Texts sources = agents;
        if (opening.has_agents)
            sources.insert(sources.end(), outsiders.begin(), outsiders.end());
        else
            has_lost_outsiders |= !outsiders.empty();
        if (sources.empty())
            continue;
        need(sources);
        need(opening.destinations);
        put("grants",
            fmt::format("  - name: {}{}  # line {}\n    src: {}\n    dst: {}\n    ip: {}\n", name,
                        openings.size() > 1 ? fmt::format("-{}", i + 1) : "", node.where.line,
                        flow_list(sources), flow_list(opening.destinations),
                        flow_list(opening.traffic)));
    }
    if (has_lost_outsiders)
        note(node.where,
             fmt::format("{}: addresses in src are let in to agents only; the way from them to "
                         "other addresses is left out.",
                         key_path));
}

std::vector<Opening> Translator::acl_openings(const Fields& fields, const YamlNode& destination,
                                              const std::string& key_path)
{
    const YamlNode* proto = find(fields, "proto", nullptr);
    const std::string protocol = proto == nullptr ? "" : lower(proto->text);
    std::vector<Opening> openings;
    std::map<Texts, size_t> known;
    strings(destination, key_path + ".dst", [&](const YamlNode& item) {
        std::string host, ports;
        if (!split(item, host, ports))
            return;
        const Texts what = traffic(item, protocol, ports);
        const Ours ours = what.empty() ? Ours{} : selector(item, host, false);
        if (ours.texts.empty())
            return;
        const auto [found, is_new] = known.emplace(what, openings.size());
        if (is_new)
            openings.push_back({what, {}, false});
        add(openings[found->second], ours);
    });
    return openings;
}

std::vector<Opening> Translator::grant_openings(const Fields& fields, const YamlNode& node,
                                                const YamlNode& destination,
                                                const std::string& key_path)
{
    Opening opening;
    if (const auto app = fields.find("app"); app != fields.end())
        note(app->second->key.where,
             fmt::format("{}.app: Application capabilities have no counterpart and are left "
                         "out.",
                         key_path));
    if (const YamlNode* ip = find(fields, "ip", nullptr))
        strings(*ip, key_path + ".ip", [&](const YamlNode& item) {
            const size_t colon = item.text.rfind(':');
            const bool has_protocol = colon != std::string::npos;
            const std::string protocol =
                has_protocol ? lower(std::string_view(item.text).substr(0, colon)) : "";
            const Texts one = traffic(
                item, protocol, std::string_view(item.text).substr(has_protocol ? colon + 1 : 0));
            opening.traffic.insert(opening.traffic.end(), one.begin(), one.end());
        });
    else if (fields.count("app") == 0)
        fail(node.where, key_path, "A grant has \"ip\" or \"app\".");
    std::sort(opening.traffic.begin(), opening.traffic.end());
    opening.traffic.erase(std::unique(opening.traffic.begin(), opening.traffic.end()),
                          opening.traffic.end());
    strings(destination, key_path + ".dst",
            [&](const YamlNode& item) { add(opening, selector(item, item.text, false)); });
    if (opening.traffic.empty() || opening.destinations.empty())
        return {};
    return {opening};
}

void Translator::tests(const YamlNode& node)
{
    size_t index = 0;
    for (const YamlNode& item : list(node, "tests"))
        if (!is_too_large_)
            test(item, fmt::format("tests[{}]", index++));
}

void Translator::test(const YamlNode& node, const std::string& key_path)
{
    const Fields fields = this->fields(node, key_path);
    const auto leave_out = [&](Where where, const std::string& why) {
        note(where, fmt::format("{} is left out as a whole: {}", key_path, why));
    };
    if (const YamlEntry* other =
            find_other(fields, {"src", "user", "accept", "allow", "deny", "proto"}))
        return leave_out(other->key.where,
                         fmt::format("{} has no counterpart.", shown(other->key.text)));
    const YamlNode* source = find(fields, "src", "user");
    if (source == nullptr || source->kind != Kind::kScalar)
        return fail(node.where, key_path, "A test has one src.");
    const YamlNode* proto = find(fields, "proto", nullptr);
    const std::string protocol = proto == nullptr ? "" : lower(proto->text);
    const Ours from = selector(*source, source->text, true);
    const Texts accept = targets(find(fields, "accept", "allow"), key_path + ".accept",
                                 protocol.empty() ? "tcp" : protocol);
    const Texts deny = targets(find(fields, "deny", nullptr), key_path + ".deny", protocol);
    if (from.texts.empty() || (accept.empty() && deny.empty()))
        return leave_out(node.where, "nothing is left to try.");
    need(from.texts);
    for (const Texts& list : {accept, deny})
        for (const std::string& target : list) need({target.substr(0, target.find(' '))});
    for (const std::string& one : from.texts)
        put("tests", fmt::format("  - src: {}  # line {}\n{}{}", quoted(one), node.where.line,
                                 accept.empty() ? "" : "    accept: " + flow_list(accept) + "\n",
                                 deny.empty() ? "" : "    deny: " + flow_list(deny) + "\n"));
}

Texts Translator::targets(const YamlNode* node, const std::string& key_path,
                          const std::string& protocol)
{
    Texts out;
    if (node == nullptr)
        return out;
    strings(*node, key_path, [&](const YamlNode& item) {
        std::string host, ports;
        if (!split(item, host, ports))
            return;
        if (host == "*")
            return left_out(item, item.text, "a test names what it tries.");
        for (const std::string& to : selector(item, host, false).texts)
            for (const std::string& what : traffic(item, protocol, ports))
                if (!protocol.empty() || what != "icmp")
                    out.push_back(to + " " + what);
    });
    return out;
}

}  // namespace sandgate::config::tailscale
