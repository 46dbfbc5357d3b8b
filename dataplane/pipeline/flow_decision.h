// What the policy says of a flow: asked when a flow is opened, at its first packet after the policy
// changed, and by the sweep that ends silent ones.
#pragma once

#include "dataplane/flow/flow_table.h"
#include "dataplane/policy/rule_match.h"

namespace sandgate::dp {

// Whether the policy lets this agent do anything at all.
inline bool is_agent_in_force(const api::AgentRow& row, uint64_t unix_seconds)
{
    const bool is_expired =
        row.expires_unix != 0 && static_cast<int64_t>(unix_seconds) >= row.expires_unix;
    return (row.flags & api::kAgentEnabled) != 0 && !is_expired;
}

// Whether a decision of this epoch (its low bits) was given at or after the last change of the
// agent's row and of its class.
inline bool is_decision_current(const PolicyView& policy, const api::AgentRow& row, uint32_t epoch)
{
    const auto is_since = [&](api::Epoch changed) {
        return static_cast<int32_t>(epoch - static_cast<uint32_t>(changed)) >= 0;
    };
    return is_since(row.changed_epoch) &&
           is_since(policy.rows.classes[row.policy_class].changed_epoch);
}

// The gateway offers its declared services and nothing else, whatever the grants say.
inline bool is_undeclared_service(const PolicyView& policy, const FlowKey& key, uint8_t direction)
{
    const uint8_t protocol = key.protocol();
    return direction == api::kEgress && policy.is_gateway_address(key.peer) &&
           !policy.is_declared_service(key.peer, protocol,
                                       has_ports(protocol) ? key.peer_port() : 0);
}

// The rule by which a flow of this key may be opened in this direction, or kNoRule.
inline api::RuleId find_flow_rule(const PolicyView& policy, const api::AgentRow& row,
                                  const FlowKey& key, uint8_t direction)
{
    const uint16_t port = direction == api::kEgress ? key.peer_port() : key.agent_port();
    return find_rule(policy, row, static_cast<api::MatchDirection>(direction), key.peer,
                     key.protocol(), port);
}

// Why no rule allows it: a denial, a hard rule, or no grant.
inline api::DropReason flow_refusal(const PolicyView& policy, const api::AgentRow& row,
                                    const FlowKey& key, uint8_t direction)
{
    const uint16_t port = direction == api::kEgress ? key.peer_port() : key.agent_port();
    return refusal_of(policy, row, static_cast<api::MatchDirection>(direction), key.peer,
                      key.protocol(), port);
}

}  // namespace sandgate::dp
