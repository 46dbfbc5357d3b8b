// The language, word by word.
#include "config/interpret.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/agent_list.h"
#include "config/conditions.h"
#include "config/parse.h"
#include "config/schedule.h"

namespace sandgate::config {
namespace {

bool is_covered(const std::vector<Traffic>& traffic, bool is_v4, uint8_t protocol, uint16_t port)
{
    return std::any_of(traffic.begin(), traffic.end(), [&](const Traffic& t) {
        if (t.is_icmp)
            return protocol == (is_v4 ? 1 : 58);
        if (t.protocol == api::kAnyProtocol)
            return true;
        const bool has_ports = protocol == 6 || protocol == 17;
        return t.protocol == protocol &&
               (!has_ports || (t.port_low <= port && port <= t.port_high));
    });
}

}  // namespace

Interpreter::Interpreter(const Policy& policy, int64_t now_unix)
    : policy_(policy), now_unix_(now_unix), hard_rules_(hard_rules(policy))
{
}

const Agent* Interpreter::find_agent(const api::Address& address) const
{
    for (const auto& list : policy_.agent_lists)
        if (const AgentList::Claim* claim = find_overlap(*list, {address, 128}))
            return &list->agents[claim->agent];
    return nullptr;
}

bool Interpreter::is_gateway(const api::Address& address) const
{
    const auto& own = policy_.gateway.tunnel_addresses;
    return std::find(own.begin(), own.end(), address) != own.end();
}

bool Interpreter::is_declared(const api::Address& address, uint8_t protocol, uint16_t port) const
{
    return std::any_of(policy_.services.begin(), policy_.services.end(),
                       [&](const Service& service) {
                           return service.is_gateway && policy_.dataplane.has_host_port &&
                                  is_covered(service.traffic, address.is_v4(), protocol, port);
                       });
}

bool Interpreter::selects(const Selector& s, const Agent& agent, bool is_source) const
{
    switch (s.kind) {
        case SelectorKind::kAgent:
            return agent.name == s.text;
        case SelectorKind::kOwner:
            return agent.owner == s.text;
        case SelectorKind::kTag:
            return std::find(agent.tags.begin(), agent.tags.end(), s.text) != agent.tags.end();
        case SelectorKind::kAll:
            return is_source;
        case SelectorKind::kGroup: {
            const auto& members = policy_.find_group(s.text)->members;
            return std::any_of(members.begin(), members.end(), [&](const Selector& member) {
                return selects(member, agent, is_source);
            });
        }
        default:
            return false;
    }
}

bool Interpreter::is_named(const Selector& s, const api::Address& address) const
{
    if (s.kind == SelectorKind::kPrefix)
        return s.prefix.contains(address);
    const Host* named = policy_.find_addresses(s);
    return named != nullptr &&
           std::any_of(named->prefixes.begin(), named->prefixes.end(),
                       [&](const Prefix& prefix) { return prefix.contains(address); });
}

bool Interpreter::has_source(const Grant& grant, const Agent& agent) const
{
    return std::any_of(grant.sources.begin(), grant.sources.end(),
                       [&](const Selector& s) { return selects(s, agent, true); });
}

bool Interpreter::fulfils(const Grant& grant, const Agent& agent) const
{
    return holds_all(grant.conditions, agent.attributes, now_unix_);
}

bool Interpreter::has_source(const Grant& grant, const api::Address& peer) const
{
    const Agent* agent = find_agent(peer);
    if (agent != nullptr && has_source(grant, *agent) && fulfils(grant, *agent))
        return true;
    // A network lets outsiders in, and a denial shuts out everybody.
    return (agent == nullptr || grant.is_deny || policy_.is_relaxed(kRelaxAgentToAgent)) &&
           std::any_of(grant.sources.begin(), grant.sources.end(),
                       [&](const Selector& s) { return is_named(s, peer); });
}

bool Interpreter::is_destination(const Selector& s, const api::Address& peer) const
{
    if (s.kind == SelectorKind::kAll)
        return true;
    if (s.kind == SelectorKind::kGateway)
        return is_gateway(peer);
    if (s.kind == SelectorKind::kService) {
        const Service& service = *policy_.find_service(s.text);
        if (service.is_gateway)
            return is_gateway(peer);
        return std::any_of(service.addresses.begin(), service.addresses.end(),
                           [&](const Selector& at) { return is_named(at, peer); });
    }
    const Agent* agent = find_agent(peer);
    return is_named(s, peer) || (agent != nullptr && selects(s, *agent, false));
}

bool Interpreter::has_destination(const Grant& grant, const api::Address& peer) const
{
    return std::any_of(grant.destinations.begin(), grant.destinations.end(),
                       [&](const Selector& s) { return is_destination(s, peer); });
}

bool Interpreter::has_traffic_to(const Grant& grant, const api::Address& peer, uint8_t protocol,
                                 uint16_t port) const
{
    return std::any_of(grant.destinations.begin(), grant.destinations.end(),
                       [&](const Selector& s) {
                           if (!is_destination(s, peer))
                               return false;
                           const auto& traffic = s.kind == SelectorKind::kService
                                                     ? policy_.find_service(s.text)->traffic
                                                     : grant.traffic;
                           // "*" has no family of its own, so its ICMP is both.
                           return is_covered(traffic, peer.is_v4(), protocol, port) ||
                                  (s.kind == SelectorKind::kAll &&
                                   is_covered(traffic, !peer.is_v4(), protocol, port));
                       });
}

Ruling Interpreter::may_open(const Agent& agent, const api::Address& peer, uint8_t protocol,
                             uint16_t port) const
{
    if (const HardPrefix* rule = find_hard_rule(hard_rules_, {peer, 128}))
        return {Ruling::kHardRule, nullptr, rule->rule};
    Ruling ruling;
    for (const Grant& grant : policy_.grants) {
        if (!is_in_force(grant, now_unix_) || !has_source(grant, agent) || !fulfils(grant, agent) ||
            !has_traffic_to(grant, peer, protocol, port))
            continue;
        if (grant.is_deny)
            return {Ruling::kDenied, &grant, api::kNoRule};
        if (!ruling.is_allowed())
            ruling = {Ruling::kGranted, &grant, api::kNoRule};
    }
    return ruling;
}

Ruling Interpreter::is_open_to(const Agent& agent, const api::Address& peer, uint8_t protocol,
                               uint16_t port) const
{
    Ruling ruling;
    for (const Grant& grant : policy_.grants) {
        if (!is_in_force(grant, now_unix_))
            continue;
        const bool is_named =
            std::any_of(grant.destinations.begin(), grant.destinations.end(),
                        [&](const Selector& s) { return selects(s, agent, false); });
        if (!is_named || !is_covered(grant.traffic, peer.is_v4(), protocol, port) ||
            !has_source(grant, peer))
            continue;
        if (grant.is_deny)
            return {Ruling::kDenied, &grant, api::kNoRule};
        if (!ruling.is_allowed())
            ruling = {Ruling::kGranted, &grant, api::kNoRule};
    }
    return ruling;
}

std::string Interpreter::standing_fault(const Agent& agent) const
{
    const Standing standing = policy_.standing_of(agent);
    const bool has_expired = standing.expires_unix != 0 && standing.expires_unix <= now_unix_;
    if (standing.is_enabled && !has_expired)
        return "";
    return fmt::format("The agent \"{}\" {}.", agent.name,
                       standing.is_enabled ? "has expired" : "is disabled");
}

Verdict Interpreter::decide(const FlowWish& wish, bool only_rights) const
{
    Verdict verdict;
    verdict.source = find_agent(wish.source);
    verdict.destination = find_agent(wish.destination);
    if (verdict.source == nullptr && verdict.destination == nullptr) {
        verdict.fault = fmt::format(
            "Neither {} nor {} belongs to an agent, and the gateway carries only agents' traffic.",
            to_text(wish.source), to_text(wish.destination));
        return verdict;
    }
    for (const Agent* agent : {verdict.source, verdict.destination})
        if (agent != nullptr && verdict.fault.empty() && !only_rights)
            verdict.fault = standing_fault(*agent);
    if (!verdict.fault.empty())
        return verdict;
    if (verdict.source != nullptr) {
        // The gateway offers its declared services and nothing else, whatever is granted.
        if (is_gateway(wish.destination) &&
            !is_declared(wish.destination, wish.protocol, wish.port)) {
            verdict.fault =
                "The gateway offers no such service; services with \"gateway: true\" declare them.";
            return verdict;
        }
        verdict.egress = may_open(*verdict.source, wish.destination, wish.protocol, wish.port);
        if (!verdict.egress.is_allowed())
            return verdict;
    }
    if (verdict.destination != nullptr) {
        verdict.ingress = is_open_to(*verdict.destination, wish.source, wish.protocol, wish.port);
        if (!verdict.ingress.is_allowed())
            return verdict;
    }
    verdict.is_allowed = true;
    return verdict;
}

}  // namespace sandgate::config
