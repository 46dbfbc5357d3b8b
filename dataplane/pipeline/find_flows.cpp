// find_flows: the flow that a packet belongs to, if it is known. Look-ups of the whole burst
// overlap: while one packet's key is made, the bucket of an earlier one and the entry of one before
// that are on their way from memory.
#include <new>

#include "dataplane/pipeline/flow_of_packet.h"
#include "dataplane/pipeline/pipeline.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

// Packets between the steps of a look-up. 12: from 8 to 12 the same within the noise; 24, or whole
// bursts, cost 20 % more at a million flows (perf/bench_flow_table, Zen 4).
constexpr unsigned kAhead = 12;

}  // namespace

void find_flows(Worker& w, Burst& burst)
{
    alignas(FlowKey)
        uint8_t storage[Burst::kMost * sizeof(FlowKey)];  // written as far as the burst goes
    auto* keys = reinterpret_cast<FlowKey*>(storage);
    const unsigned count = burst.size();
    uint32_t missing = 0;
    for (unsigned i = 0; i < count + 2 * kAhead; i++) {
        if (i < count) {
            new (&keys[i]) FlowKey(key_of(burst[i]));
            burst[i].flow_hash = w.flows.hash_of(keys[i]);
            w.flows.prefetch_bucket(burst[i].flow_hash);
        }
        if (i >= kAhead && i - kAhead < count)
            w.flows.prefetch_flow(burst[i - kAhead].flow_hash);
        if (i >= 2 * kAhead) {
            Packet& packet = burst[i - 2 * kAhead];
            packet.flow = w.flows.find(keys[i - 2 * kAhead], packet.flow_hash);
            if (packet.flow == nullptr)
                w.flows.prefetch_free(missing++);
        }
    }

    burst.keep_if(w, [](const Packet& packet) {
        const bool is_unrelated = (packet.flags & kIcmpError) != 0 && packet.flow == nullptr;
        return is_unrelated ? DropReason::kIcmpUnrelated : DropReason::kNone;
    });
}

}  // namespace sandgate::dp
