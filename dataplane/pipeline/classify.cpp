// classify: is there a grant, and does the packet fit its flow? A known flow carries the answer
// with the policy epoch that gave it; a flow older than its agent's row is decided again, so a
// revoked grant cuts a live connection. What no rule allows is denied.
#include "dataplane/pipeline/flow_decision.h"
#include "dataplane/pipeline/flow_of_packet.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/pipeline/tcp_segment.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

constexpr uint8_t kTcp = 6, kIcmp = 1, kIcmp6 = 58;

bool is_echo(const Packet& packet)
{
    return (packet.protocol == kIcmp || packet.protocol == kIcmp6) &&
           (packet.flags & kIcmpError) == 0;
}

bool is_tcp(const Packet& packet)
{
    return packet.protocol == kTcp && (packet.flags & kIcmpError) == 0;
}

uint8_t side_of(const Packet& packet, uint8_t direction)
{
    return packet.is_from_agent() == (direction == api::kEgress) ? kOpener : kAnswerer;
}

DropReason tcp_fault(Worker& w, const Packet& packet, Flow& flow)
{
    const TcpSegment segment = segment_of(packet, side_of(packet, flow.direction));
    switch (follow_tcp(flow, w.flows.cold_of(&flow).next_syn_end, segment)) {
        case TcpFault::kNone:
            return DropReason::kNone;
        case TcpFault::kOutOfState:
            return DropReason::kTcpOutOfState;
        case TcpFault::kOutOfWindow:
            return DropReason::kTcpOutOfWindow;
    }
    return DropReason::kTcpOutOfState;
}

// Each request lets one reply pass, so that an agent who asks once is not open to all that calls
// itself a reply.
DropReason echo_fault(const Packet& packet, Flow& flow)
{
    const bool is_request = (packet.flags & kIsIcmpEchoRequest) != 0;
    if (is_request != (side_of(packet, flow.direction) == kOpener))
        return DropReason::kFlowNotOpened;
    if (is_request) {
        flow.unanswered++;
        return DropReason::kNone;
    }
    if (flow.unanswered == 0)
        return DropReason::kFlowNotOpened;
    flow.unanswered--;
    return DropReason::kNone;
}

// Whoever knows the addresses and ports can quote a packet that never was. It must be one that its
// sender can have sent (RFC 5927 section 4.1).
DropReason error_fault(const Packet& packet, const Flow& flow)
{
    const unsigned quoted_side = 1u - side_of(packet, flow.direction);
    if (packet.protocol == kTcp) {
        const uint32_t sequence = read_tcp_number(packet.inner + packet.quoted_transport + 4);
        return is_recent_sequence(flow, quoted_side, sequence) ? DropReason::kNone
                                                               : DropReason::kIcmpUnrelated;
    }
    const bool has_sent = quoted_side == kOpener || flow.state != kFlowOpening;
    return has_sent ? DropReason::kNone : DropReason::kIcmpUnrelated;
}

// Whether the packet fits the flow that its addresses and ports name.
DropReason flow_fault(Worker& w, const Packet& packet, Flow& flow)
{
    if ((packet.flags & kIcmpError) != 0) [[unlikely]]
        return error_fault(packet, flow);
    if (packet.protocol == kTcp)
        return tcp_fault(w, packet, flow);
    return is_echo(packet) ? echo_fault(packet, flow) : DropReason::kNone;
}

DropReason classify_known(Worker& w, const PolicyView& policy, Packet& packet)
{
    Flow& flow = *packet.flow;
    if (!is_decision_current(policy, *packet.row, flow.epoch)) [[unlikely]] {
        const api::RuleId rule = find_flow_rule(policy, *packet.row, flow.key, flow.direction);
        if (rule == api::kNoRule || is_undeclared_service(policy, flow.key, flow.direction)) {
            const DropReason reason =
                rule == api::kNoRule ? flow_refusal(policy, *packet.row, flow.key, flow.direction)
                                     : DropReason::kPolicyDenied;
            w.flows.erase(&flow);
            api::add(w.counters.flows_ended, 1);
            api::add(w.counters.flows_revoked, 1);
            packet.flow = nullptr;
            return reason;
        }
        flow.rule = rule;
        flow.epoch = static_cast<uint32_t>(policy.rows.header->epoch);
    }
    packet.rule = flow.rule;
    return flow_fault(w, packet, flow);
}

// Whether a flow may be opened in this direction; then packet.rule is set.
DropReason grant_fault(const PolicyView& policy, Packet& packet, const FlowKey& key,
                       api::MatchDirection direction)
{
    if (is_undeclared_service(policy, key, direction))
        return DropReason::kHostServiceNotDeclared;
    packet.rule = find_flow_rule(policy, *packet.row, key, direction);
    return packet.rule == api::kNoRule ? flow_refusal(policy, *packet.row, key, direction)
                                       : DropReason::kNone;
}

bool is_opening(const Packet& packet)
{
    if (packet.protocol == kTcp)
        return is_bare_syn(packet.tcp_flags);
    return !is_echo(packet) || (packet.flags & kIsIcmpEchoRequest) != 0;
}

// Connections outlive a restart of the gateway, so for a while it takes them up in their middle.
bool is_pick_up(const Worker& w, const Packet& packet)
{
    return w.now_ns < w.pick_up_until_ns && packet.protocol == kTcp &&
           (packet.tcp_flags & (kSyn | kRst)) == 0;
}

// packet.flow: nullptr, or the ended flow whose entry the new one takes over in place, since other
// packets of this burst may point to it.
DropReason classify_new(Worker& w, const PolicyView& policy, Packet& packet)
{
    const FlowKey key = key_of(packet);
    const bool opens = is_opening(packet);
    api::MatchDirection direction = direction_of(packet);
    DropReason fault = grant_fault(policy, packet, key, direction);
    if (fault != DropReason::kNone && !opens) {
        // What does not open a flow may be an answer: then the other end has opened it.
        direction = direction == api::kEgress ? api::kIngress : api::kEgress;
        if (grant_fault(policy, packet, key, direction) == DropReason::kNone)
            fault = DropReason::kNone;
    }
    if (fault != DropReason::kNone)
        return fault;
    if (!opens && !is_pick_up(w, packet))
        return DropReason::kFlowNotOpened;
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
    if (packet.protocol == kTcp)
        open_tcp(*packet.flow, segment_of(packet, side_of(packet, direction)));
    else if (is_echo(packet))
        packet.flow->unanswered = 1;
    api::add(w.counters.flows_created, 1);
    return DropReason::kNone;
}

DropReason verdict_of(Worker& w, const PolicyView& policy, Packet& packet)
{
    if (packet.flow != nullptr) [[likely]] {
        // The next connection on the same ports, from whichever end it comes.
        const bool is_reopening =
            is_tcp(packet) && is_bare_syn(packet.tcp_flags) && is_over_for_syn(*packet.flow);
        return is_reopening ? classify_new(w, policy, packet) : classify_known(w, policy, packet);
    }
    if ((packet.flags & kIcmpError) != 0)
        return DropReason::kIcmpUnrelated;
    return classify_new(w, policy, packet);
}

}  // namespace

void classify(Worker& w, const PolicyView& policy, Burst& burst)
{
    const uint64_t erased = w.flows.erased();
    for (Packet* packet : burst.packets()) {
        // An earlier packet of this burst may have opened the flow, or ended it.
        if (packet->flow == nullptr || w.flows.erased() != erased)
            packet->flow = w.flows.find(key_of(*packet), packet->flow_hash);
        if (packet->flow != nullptr)
            w.flows.prefetch_cold(packet->flow);  // apply_verdicts counts there
        packet->verdict = verdict_of(w, policy, *packet);
    }
    w.counters.flows_current.store(w.flows.used(), std::memory_order_relaxed);
}

}  // namespace sandgate::dp
