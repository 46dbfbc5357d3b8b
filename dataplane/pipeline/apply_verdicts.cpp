// apply_verdicts: what was denied ends here, and its sender is told at once; what was allowed is
// counted in its flow.
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/pipeline/replies.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

constexpr uint8_t kTcp = 6;

void note_flow(Worker& w, const Packet& packet)
{
    Flow& flow = *packet.flow;
    const unsigned way = packet.is_from_agent() ? 0 : 1;
    // An error passes with its flow, but is no packet of it: it answers nothing and keeps nothing
    // alive.
    if ((packet.flags & kIcmpError) == 0) [[likely]] {
        flow.last_seen_ms = static_cast<uint32_t>(w.now_ns / 1'000'000);
        const bool is_answer = (flow.direction == api::kEgress) != packet.is_from_agent();
        if (is_answer && flow.state == kFlowOpening && packet.protocol != kTcp)
            flow.state = kFlowEstablished;  // of a TCP connection, classify keeps the state
    }
    FlowCold& cold = w.flows.cold_of(&flow);
    cold.packets[way]++;
    cold.bytes[way] += packet.inner_bytes;
    cold.tcp_flags[way] |= packet.tcp_flags;
}

// Who sent what breaks the rules of TCP may be a stranger who guesses; it learns nothing.
bool is_told(const Packet& packet)
{
    switch (packet.verdict) {
        case DropReason::kTcpOutOfState:
        case DropReason::kTcpOutOfWindow:
        case DropReason::kIcmpUnrelated:
            return false;
        case DropReason::kFlowNotOpened:  // RFC 9293 section 3.10.7.1: a reset
            return packet.protocol == kTcp;
        default:
            return true;
    }
}

}  // namespace

void apply_verdicts(Worker& w, const PolicyView& policy, Burst& burst)
{
    burst.keep_unless_exited([&](Packet& packet) {
        if (packet.verdict == DropReason::kNone) [[likely]] {
            note_flow(w, packet);
            return true;
        }
        if (is_told(packet))
            refuse_and_tell(w, policy, packet, packet.verdict, Told::kProhibited);
        else
            w.drop(packet, packet.verdict);
        return false;
    });
}

}  // namespace sandgate::dp
