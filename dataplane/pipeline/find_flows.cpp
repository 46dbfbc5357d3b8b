// find_flows: the flow that a packet belongs to, if it is known. Look-ups of the whole burst
// overlap: buckets, then entries are prefetched.
#include <new>

#include "dataplane/pipeline/flow_of_packet.h"
#include "dataplane/pipeline/pipeline.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

void find_flows(Worker& w, Burst& burst)
{
    alignas(FlowKey)
        uint8_t storage[Burst::kMost * sizeof(FlowKey)];  // written as far as the burst goes
    auto* keys = reinterpret_cast<FlowKey*>(storage);
    for (unsigned i = 0; i < burst.size(); i++) {
        new (&keys[i]) FlowKey(key_of(burst[i]));
        burst[i].flow_hash = w.flows.hash_of(keys[i]);
        w.flows.prefetch_bucket(burst[i].flow_hash);
    }
    for (unsigned i = 0; i < burst.size(); i++) w.flows.prefetch_flow(burst[i].flow_hash);
    for (unsigned i = 0; i < burst.size(); i++)
        burst[i].flow = w.flows.find(keys[i], burst[i].flow_hash);

    burst.keep_if(w, [](const Packet& packet) {
        const bool is_unrelated = (packet.flags & kIcmpError) != 0 && packet.flow == nullptr;
        return is_unrelated ? DropReason::kIcmpUnrelated : DropReason::kNone;
    });
}

}  // namespace sandgate::dp
