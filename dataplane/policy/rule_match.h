// Decides whether an agent may open a flow: by the hard rules first, then by the match rows of its
// class, in which denials come before permissions. The end of the function is the refusal: nothing
// matches what no row names.
#pragma once

#include "dataplane/api/drop_reason.h"
#include "dataplane/policy/policy_view.h"

namespace sandgate::dp {

constexpr bool has_ports(uint8_t protocol)
{
    return protocol == 6 || protocol == 17 || protocol == 132 || protocol == 136;
}

// The row that decides; nullptr when none does. direction: who opens the flow. peer: the other end.
// destination_port: of the packet that opens it, host order.
inline const api::MatchRow* find_match(const PolicyView& policy, const api::AgentRow& agent,
                                       api::MatchDirection direction, const api::Address& peer,
                                       uint8_t protocol, uint16_t destination_port)
{
    if (direction == api::kEgress)
        for (const api::MatchRow& row : policy.rows.hard_rules)
            if (is_within(peer, row.peer, row.peer_prefix))
                return &row;
    const api::ClassRow& rights = policy.rows.classes[agent.policy_class];
    for (const api::MatchRow& row : policy.rows.matches.subspan(rights.first, rights.count)) {
        if (row.direction != direction)
            continue;
        if (row.protocol != api::kAnyProtocol && row.protocol != protocol)
            continue;
        if (row.protocol != api::kAnyProtocol && has_ports(protocol) &&
            (destination_port < row.port_low || destination_port > row.port_high))
            continue;
        if (!is_within(peer, row.peer, row.peer_prefix))
            continue;
        // A network lets outsiders in. Agents must be named (decision 0020).
        if ((row.flags & api::kNotFromAgents) != 0 &&
            policy.addresses.find(peer) != api::kNoIdentity)
            continue;
        return &row;
    }
    return nullptr;
}

// The rule that permits the flow; kNoRule when it is refused.
inline api::RuleId find_rule(const PolicyView& policy, const api::AgentRow& agent,
                             api::MatchDirection direction, const api::Address& peer,
                             uint8_t protocol, uint16_t destination_port)
{
    const api::MatchRow* row =
        find_match(policy, agent, direction, peer, protocol, destination_port);
    return row == nullptr || (row->flags & api::kDeny) != 0 ? api::kNoRule : row->rule;
}

// Why find_rule() found none.
inline api::DropReason refusal_of(const PolicyView& policy, const api::AgentRow& agent,
                                  api::MatchDirection direction, const api::Address& peer,
                                  uint8_t protocol, uint16_t destination_port)
{
    const api::MatchRow* row =
        find_match(policy, agent, direction, peer, protocol, destination_port);
    if (row == nullptr)
        return api::DropReason::kPolicyDenied;
    return row->rule >= api::kFirstHardRule ? api::DropReason::kHardRule
                                            : api::DropReason::kExplicitlyDenied;
}

}  // namespace sandgate::dp
