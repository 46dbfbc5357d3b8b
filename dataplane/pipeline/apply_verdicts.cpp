// apply_verdicts: what was denied ends here, and its sender is told at once; what was allowed is
// counted in its flow.
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/pipeline/replies.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

constexpr uint8_t kFin = 0x01, kRst = 0x04;

void note_flow(Worker& w, const Packet& packet)
{
    Flow& flow = *packet.flow;
    const unsigned way = packet.is_from_agent() ? 0 : 1;
    flow.last_seen_ms = static_cast<uint32_t>(w.now_ns / 1'000'000);
    const bool is_answer = (flow.direction == api::kEgress) != packet.is_from_agent();
    if (is_answer && flow.state == kFlowOpening)
        flow.state = kFlowEstablished;
    if (packet.protocol == 6 && (packet.flags & kIcmpError) == 0) {
        if ((packet.tcp_flags & kFin) != 0)
            flow.fins |= static_cast<uint8_t>(1u << way);
        if ((packet.tcp_flags & kRst) != 0 || flow.fins == 3)
            flow.state = kFlowClosing;
    }
    FlowCold& cold = w.flows.cold_of(&flow);
    cold.packets[way]++;
    cold.bytes[way] += packet.inner_bytes;
    cold.tcp_flags[way] |= packet.tcp_flags;
}

}  // namespace

void apply_verdicts(Worker& w, const PolicyView& policy, Burst& burst)
{
    burst.keep_unless_exited([&](Packet& packet) {
        if (packet.verdict == DropReason::kNone) [[likely]] {
            note_flow(w, packet);
            return true;
        }
        refuse_and_tell(w, policy, packet, packet.verdict, Told::kProhibited);
        return false;
    });
}

}  // namespace sandgate::dp
