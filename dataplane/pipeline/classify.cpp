// classify: is there a grant? A known flow carries the answer with the policy epoch that gave it; a
// flow older than its agent's row is decided again, so a revoked grant cuts a live connection. What
// no rule allows is denied.
#include "dataplane/pipeline/flow_of_packet.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/policy/rule_match.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

constexpr uint8_t kTcp = 6;
constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kAck = 0x10;

api::RuleId decide(const PolicyView& policy, const Packet& packet, const FlowKey& key,
                   uint8_t direction)
{
    const uint16_t port = direction == api::kEgress ? key.peer_port() : key.agent_port();
    return find_rule(policy, *packet.row, static_cast<api::MatchDirection>(direction), key.peer,
                     packet.protocol, port);
}

DropReason refusal(const PolicyView& policy, const Packet& packet, const FlowKey& key,
                   uint8_t direction)
{
    const uint16_t port = direction == api::kEgress ? key.peer_port() : key.agent_port();
    return refusal_of(policy, *packet.row, static_cast<api::MatchDirection>(direction), key.peer,
                      packet.protocol, port);
}

bool is_current(const PolicyView& policy, const Packet& packet, const Flow& flow)
{
    const auto age = [&](api::Epoch changed) {
        return static_cast<int32_t>(flow.epoch - static_cast<uint32_t>(changed));
    };
    return age(packet.row->changed_epoch) >= 0 &&
           age(policy.rows.classes[packet.row->policy_class].changed_epoch) >= 0;
}

// The gateway offers its declared services and nothing else, whatever the grants say.
bool is_undeclared_service(const PolicyView& policy, const FlowKey& key, uint8_t protocol,
                           uint8_t direction)
{
    return direction == api::kEgress && policy.is_gateway_address(key.peer) &&
           !policy.is_declared_service(key.peer, protocol,
                                       has_ports(protocol) ? key.peer_port() : 0);
}

DropReason classify_known(Worker& w, const PolicyView& policy, Packet& packet)
{
    Flow& flow = *packet.flow;
    if (is_current(policy, packet, flow)) [[likely]] {
        packet.rule = flow.rule;
        return DropReason::kNone;
    }
    packet.rule = decide(policy, packet, flow.key, flow.direction);
    const bool is_refused = packet.rule == api::kNoRule;
    if (is_refused || is_undeclared_service(policy, flow.key, packet.protocol, flow.direction)) {
        const DropReason reason = is_refused ? refusal(policy, packet, flow.key, flow.direction)
                                             : DropReason::kPolicyDenied;
        w.flows.erase(&flow);
        api::add(w.counters.flows_ended, 1);
        packet.flow = nullptr;
        return reason;
    }
    flow.rule = packet.rule;
    flow.epoch = static_cast<uint32_t>(policy.rows.header->epoch);
    return DropReason::kNone;
}

// A bare SYN after the connection has ended is the next connection on the same ports, from
// whichever end it comes.
bool is_reopening(const Packet& packet, const Flow& flow)
{
    return flow.state == kFlowClosing && packet.protocol == kTcp &&
           (packet.flags & kIcmpError) == 0 &&
           (packet.tcp_flags & (kSyn | kAck | kRst | kFin)) == kSyn;
}

// packet.flow: nullptr, or the ended flow whose entry the new one takes over in place, since other
// packets of this burst may point to it.
DropReason classify_new(Worker& w, const PolicyView& policy, Packet& packet)
{
    const FlowKey key = key_of(packet);
    const api::MatchDirection direction = direction_of(packet);
    if (is_undeclared_service(policy, key, packet.protocol, direction))
        return DropReason::kHostServiceNotDeclared;
    packet.rule = decide(policy, packet, key, direction);
    if (packet.rule == api::kNoRule)
        return refusal(policy, packet, key, direction);
    if (packet.flow != nullptr) {
        w.flows.restart(packet.flow, w.now_ns);
        api::add(w.counters.flows_ended, 1);
    } else {
        packet.flow = w.flows.insert(key, packet.flow_hash, w.now_ns);
    }
    if (packet.flow == nullptr)
        return DropReason::kFlowTableFull;
    packet.flow->rule = packet.rule;
    packet.flow->epoch = static_cast<uint32_t>(policy.rows.header->epoch);
    packet.flow->direction = direction;
    api::add(w.counters.flows_created, 1);
    return DropReason::kNone;
}

DropReason verdict_of(Worker& w, const PolicyView& policy, Packet& packet)
{
    // An earlier packet of this burst may have opened the flow, or ended it.
    if (packet.flow == nullptr || packet.flow->state == kFlowFree ||
        packet.flow->hash != packet.flow_hash)
        packet.flow = w.flows.find(key_of(packet), packet.flow_hash);
    if (packet.flow != nullptr && !is_reopening(packet, *packet.flow))
        return classify_known(w, policy, packet);
    if ((packet.flags & kIcmpError) != 0)
        return DropReason::kIcmpUnrelated;
    return classify_new(w, policy, packet);
}

}  // namespace

void classify(Worker& w, const PolicyView& policy, Burst& burst)
{
    for (Packet* packet : burst.packets()) packet->verdict = verdict_of(w, policy, *packet);
    w.counters.flows_current.store(w.flows.used(), std::memory_order_relaxed);
}

}  // namespace sandgate::dp
