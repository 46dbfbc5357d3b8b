// See explain.h. Sentences are for an operator who has the file open.
#include "config/explain.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "config/agent_list.h"
#include "config/parse.h"
#include "config/schedule.h"

namespace sandgate::config {
namespace {

std::string who(const Agent* agent, const api::Address& address)
{
    return agent != nullptr ? "agent:" + agent->name : to_text(address);
}

std::string with_reason(const Grant& grant)
{
    return grant.reason.empty() ? "." : fmt::format(": {}.", grant.reason);
}

api::Address last_of(const Prefix& prefix)
{
    api::Address last = prefix.address;
    for (unsigned bit = prefix.length; bit < 128; bit++)
        last.bytes[bit / 8] |= static_cast<uint8_t>(0x80u >> (bit % 8));
    return last;
}

}  // namespace

std::string to_text(const Selector& s)
{
    static constexpr const char* kWords[] = {
        "agent:", "tag:", "group:", "owner:", "host:", "ipset:", "", "service:", "", ""};
    return kWords[static_cast<size_t>(s.kind)] + s.text;
}

std::string to_text(const Traffic& t)
{
    if (t.is_icmp)
        return "icmp";
    if (t.protocol == api::kAnyProtocol)
        return "*";
    if (t.protocol != 6 && t.protocol != 17)
        return fmt::format("proto:{}", t.protocol);
    const char* name = t.protocol == 6 ? "tcp" : "udp";
    if (t.port_low == 0 && t.port_high == 0xffff)
        return name;
    return t.port_low == t.port_high ? fmt::format("{}:{}", name, t.port_low)
                                     : fmt::format("{}:{}-{}", name, t.port_low, t.port_high);
}

std::string to_text(const std::vector<Traffic>& traffic)
{
    std::string text;
    for (const Traffic& t : traffic) text += (text.empty() ? "" : ", ") + to_text(t);
    return text;
}

std::string traffic_text(uint8_t protocol, uint16_t port)
{
    if (protocol == 6 || protocol == 17)
        return fmt::format("{}:{}", protocol == 6 ? "tcp" : "udp", port);
    return protocol == 1 || protocol == 58 ? "icmp" : fmt::format("proto:{}", protocol);
}

std::string time_text(int64_t unix)
{
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(unix)));
}

Result<Target> parse_target(std::string_view text)
{
    Target target;
    target.text = text;
    const auto malformed = [&] {
        return Error{
            fmt::format("\"{}\" is no destination with traffic: write \"10.0.0.10 "
                        "tcp:443\", \"host:web icmp\", \"10.0.0.10:443\" for TCP, or "
                        "service:web.",
                        text.substr(0, 60))};
    };
    const size_t blank = text.find(' ');
    std::string_view where = text.substr(0, blank), what;
    std::string tcp;
    if (blank != std::string_view::npos) {
        what = text.substr(text.find_first_not_of(' ', blank));
    } else if (!text.starts_with("service:")) {
        const size_t colon = text.rfind(':');
        if (colon == std::string_view::npos || !parse_number(text.substr(colon + 1)))
            return malformed();
        where = text.substr(0, colon);
        if (where.size() > 2 && where.front() == '[' && where.back() == ']')
            where = where.substr(1, where.size() - 2);
        else if (where.find(':') != std::string_view::npos && parse_address(where))
            return malformed();  // an IPv6 address without brackets: which colon is the last?
        tcp = "tcp" + std::string(text.substr(colon));
        what = tcp;
    }
    auto selector = parse_selector(where);
    if (!selector)
        return selector.error();
    target.destination = std::move(*selector);
    if (target.destination.kind == SelectorKind::kAll)
        return Error{"\"*\" is no destination that could be tried; name one."};
    if (what.empty())
        return target;
    if (target.destination.kind == SelectorKind::kService)
        return Error{"A service brings its own traffic; leave the second word out."};
    auto traffic = parse_traffic(what);
    if (!traffic)
        return traffic.error();
    target.traffic = {*traffic};
    return target;
}

std::string name_of(const Policy& policy, const Grant& grant)
{
    return fmt::format("the grant \"{}\" ({})", grant.name,
                       policy.place({grant.where.line, 0, grant.where.file}));
}

std::string reason_of(const Policy& policy, const FlowWish& wish, const Verdict& verdict)
{
    const std::string source = who(verdict.source, wish.source);
    const std::string destination = who(verdict.destination, wish.destination);
    const auto said = [&](const Ruling& ruling) {
        std::string text = name_of(policy, *ruling.grant);
        text[0] = 'T';
        return text + (ruling.kind == Ruling::kDenied ? " denies it" : " allows it") +
               with_reason(*ruling.grant);
    };
    if (!verdict.fault.empty())
        return verdict.fault;
    if (verdict.is_allowed) {
        if (verdict.source == nullptr)
            return said(verdict.ingress);
        if (verdict.destination == nullptr || verdict.egress.grant == verdict.ingress.grant)
            return said(verdict.egress);
        return said(verdict.egress) + " To let it in, " + name_of(policy, *verdict.ingress.grant) +
               " does.";
    }
    const bool is_egress = verdict.source != nullptr && !verdict.egress.is_allowed();
    const Ruling& ruling = is_egress ? verdict.egress : verdict.ingress;
    if (ruling.kind == Ruling::kHardRule) {
        const auto rules = hard_rules(policy);
        const std::string word = relaxed_by(*find_hard_rule(rules, {wish.destination, 128}));
        return fmt::format(
            "{} is {}, which no agent reaches{}", to_text(wish.destination),
            describe(ruling.hard_rule),
            word.empty() ? "." : fmt::format("; \"relax: [{}]\" would lift that.", word));
    }
    if (ruling.kind == Ruling::kDenied)
        return said(ruling);
    if (is_egress)
        return fmt::format("No grant lets {} open it.", source);
    if (verdict.source == nullptr)
        return fmt::format("No grant lets {} in to {}.", source, destination);
    return fmt::format(
        "{} may open it by {}, but no grant names {} in its src and {} in its dst: no address "
        "opens an agent.",
        source, name_of(policy, *verdict.egress.grant), source, destination);
}

std::vector<NearMiss> near_misses(const Policy& policy, const FlowWish& wish, int64_t now_unix,
                                  size_t most)
{
    const Interpreter truth(policy, now_unix);
    const Agent* source = truth.find_agent(wish.source);
    const Agent* destination = truth.find_agent(wish.destination);
    std::vector<NearMiss> misses;
    for (const Grant& grant : policy.grants) {
        if (grant.is_deny)
            continue;
        NearMiss miss{&grant, {}};
        const bool has_source = source != nullptr ? truth.has_source(grant, *source)
                                                  : truth.has_source(grant, wish.source);
        const bool has_destination = truth.has_destination(grant, wish.destination);
        const bool has_traffic =
            truth.has_traffic_to(grant, wish.destination, wish.protocol, wish.port);
        // To have one of three in common is no neighbourhood.
        const bool has_ip =
            std::any_of(grant.traffic.begin(), grant.traffic.end(), [&](const Traffic& t) {
                return t.protocol == api::kAnyProtocol ||
                       (t.is_icmp && (wish.protocol == 1 || wish.protocol == 58)) ||
                       (t.protocol == wish.protocol && !t.is_icmp && t.port_low <= wish.port &&
                        wish.port <= t.port_high);
            });
        if (int{has_source} + int{has_destination} + int{has_traffic || has_ip} < 2)
            continue;
        if (!has_source)
            miss.differences.push_back(
                fmt::format("its src does not name {}", who(source, wish.source)));
        else if (source != nullptr && !truth.fulfils(grant, *source))
            for (const Condition& condition : grant.conditions)
                miss.differences.push_back(fmt::format("it asks for \"{}\"", condition.text));
        if (!has_destination)
            miss.differences.push_back(
                fmt::format("its dst does not name {}", who(destination, wish.destination)));
        else if (!has_traffic && !grant.traffic.empty())
            miss.differences.push_back(fmt::format("its ip is {}", to_text(grant.traffic)));
        else if (!has_traffic)
            miss.differences.push_back("its services have other traffic");
        else if (destination != nullptr && source != nullptr &&
                 std::none_of(
                     grant.destinations.begin(), grant.destinations.end(),
                     [&](const Selector& s) { return truth.selects(s, *destination, false); }))
            miss.differences.push_back(
                fmt::format("its dst holds the address of {} and not its name",
                            who(destination, wish.destination)));
        if (!has_destination && !has_ip && !grant.traffic.empty())
            miss.differences.push_back(fmt::format("its ip is {}", to_text(grant.traffic)));
        if (grant.expires_unix != 0 && grant.expires_unix <= now_unix)
            miss.differences.push_back("it expired at " + time_text(grant.expires_unix));
        else if (!is_in_force(grant, now_unix))
            miss.differences.push_back("it is outside its schedule until " +
                                       time_text(next_change_of(grant, now_unix)));
        if (!miss.differences.empty())
            misses.push_back(std::move(miss));
    }
    std::stable_sort(misses.begin(), misses.end(), [](const NearMiss& a, const NearMiss& b) {
        return a.differences.size() < b.differences.size();
    });
    if (misses.size() > most)
        misses.resize(most);
    return misses;
}

std::string grant_for(const Policy& policy, const FlowWish& wish, const Verdict& verdict)
{
    const bool is_missing =
        verdict.fault.empty() && !verdict.is_allowed && verdict.egress.kind != Ruling::kDenied &&
        verdict.egress.kind != Ruling::kHardRule && verdict.ingress.kind != Ruling::kDenied;
    if (!is_missing)
        return "";
    const auto quoted = [](const std::string& text) {
        return text.find(':') != std::string::npos && parse_address(text) ? "\"" + text + "\""
                                                                          : text;
    };
    const auto side = [&](const Agent* agent, const api::Address& address) {
        if (agent != nullptr)
            return "agent:" + agent->name;
        const auto& own = policy.gateway.tunnel_addresses;
        if (std::find(own.begin(), own.end(), address) != own.end())
            return std::string("gateway");
        // A host that is this address has the better name.
        for (const Host& host : policy.hosts)
            if (host.prefixes.size() == 1 && host.prefixes[0] == Prefix{address, 128})
                return "host:" + host.name;
        return quoted(to_text(address));
    };
    const std::string traffic = traffic_text(wish.protocol, wish.port);
    const auto word = [&](const Agent* agent, const api::Address& address) {
        return agent != nullptr ? agent->name : to_text(address);
    };
    std::string name = word(verdict.source, wish.source) + "-to-" +
                       word(verdict.destination, wish.destination) + "-" + traffic;
    for (char& c : name)
        if (c == ':')
            c = '-';
    return fmt::format("  - name: {}\n    src: [{}]\n    dst: [{}]\n    ip: [{}]\n",
                       name.substr(0, 63), side(verdict.source, wish.source),
                       side(verdict.destination, wish.destination), traffic);
}

std::vector<const Agent*> sample_agents(const Policy& policy, const Selector& selector)
{
    if (selector.kind == SelectorKind::kAgent) {
        const Agent* agent = policy.find_agent(selector.text);
        return agent != nullptr ? std::vector<const Agent*>{agent} : std::vector<const Agent*>{};
    }
    // Agents that differ in their name alone are the same to a grant that does not name them.
    std::set<std::string_view> named;
    const auto note = [&](const std::vector<Selector>& selectors) {
        for (const Selector& s : selectors)
            if (s.kind == SelectorKind::kAgent)
                named.insert(s.text);
    };
    for (const Group& group : policy.groups) note(group.members);
    for (const Grant& grant : policy.grants) {
        note(grant.sources);
        note(grant.destinations);
    }
    const Interpreter truth(policy, 0);
    std::vector<const Agent*> found;
    for (const auto& list : policy.agent_lists) {
        for (const AgentList::Profile& profile : list->profiles)
            for (const uint32_t i : profile.agents) {
                const Agent& agent = list->agents[i];
                if (named.count(agent.name) != 0)
                    continue;
                if (truth.selects(selector, agent, true))
                    found.push_back(&agent);
                break;
            }
        for (const std::string_view name : named)
            if (const auto at = list->by_name.find(name); at != list->by_name.end())
                if (truth.selects(selector, list->agents[at->second], true))
                    found.push_back(&list->agents[at->second]);
    }
    return found;
}

std::vector<api::Address> sample_addresses(const Policy& policy, const Selector& selector)
{
    std::vector<api::Address> addresses;
    const auto add = [&](const Prefix& prefix) {
        addresses.push_back(prefix.address);
        if (prefix.length != 128)
            addresses.push_back(last_of(prefix));
    };
    if (selector.kind == SelectorKind::kGateway)
        addresses = policy.gateway.tunnel_addresses;
    else if (selector.kind == SelectorKind::kPrefix)
        add(selector.prefix);
    else if (const Host* named = policy.find_addresses(selector))
        for (const Prefix& prefix : named->prefixes) add(prefix);
    else if (selector.kind == SelectorKind::kService) {
        const Service& service = *policy.find_service(selector.text);
        if (service.is_gateway)
            addresses = policy.gateway.tunnel_addresses;
        for (const Selector& s : service.addresses)
            for (const api::Address& address : sample_addresses(policy, s))
                addresses.push_back(address);
    } else {
        for (const Agent* agent : sample_agents(policy, selector))
            for (const AgentAddress& address : agent->addresses) add(address.prefix);
    }
    return addresses;
}

std::vector<std::pair<uint8_t, uint16_t>> sample_packets(const Traffic& traffic, bool is_v4)
{
    const auto icmp = static_cast<uint8_t>(is_v4 ? 1 : 58);
    if (traffic.is_icmp)
        return {{icmp, 0}};
    if (traffic.protocol == api::kAnyProtocol)
        return {{6, 1}, {6, 0xffff}, {17, 1}, {17, 0xffff}, {icmp, 0}, {47, 0}};
    if (traffic.protocol != 6 && traffic.protocol != 17)
        return {{traffic.protocol, 0}};
    const uint16_t low = std::max<uint16_t>(traffic.port_low, 1);
    if (low == traffic.port_high)
        return {{traffic.protocol, low}};
    return {{traffic.protocol, low}, {traffic.protocol, traffic.port_high}};
}

}  // namespace sandgate::config
