// Decides whether an agent may open a flow, by the match rows of its class. The end of the function
// is the refusal: nothing matches what no row names.
#pragma once

#include "dataplane/policy/policy_view.h"

namespace sandgate::dp {

constexpr bool has_ports(uint8_t protocol)
{
    return protocol == 6 || protocol == 17 || protocol == 132 || protocol == 136;
}

// direction: who opens the flow. peer: the other end. destination_port: of the packet that opens
// it, host order.
inline api::RuleId find_rule(const PolicyView& policy, const api::AgentRow& agent,
                             api::MatchDirection direction, const api::Address& peer,
                             uint8_t protocol, uint16_t destination_port)
{
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
        return row.rule;
    }
    return api::kNoRule;
}

}  // namespace sandgate::dp
