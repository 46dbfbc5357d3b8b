// open_packets: one call to the AEAD for the whole burst. A packet that fails is counted and gone;
// its neighbours are not touched by it.
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/wireguard/messages.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

void open_packets(Worker& w, Burst& burst)
{
    unsigned count = 0;
    for (const Packet* packet : burst.packets()) {
        if (packet->kind != Kind::kSealed)
            continue;
        auto* message = rte_pktmbuf_mtod(packet->mbuf, uint8_t*);
        w.jobs[count++] = {packet->session->receive_key.data(), packet->counter, message + 16,
                           rte_pktmbuf_pkt_len(packet->mbuf) - 32, false};
    }
    if (count == 0)
        return;
    crypto::open_batch({w.jobs, count});
    api::add(w.counters.opened, count);

    unsigned next = 0;
    burst.keep_if(w, [&](Packet& packet) {
        if (packet.kind != Kind::kSealed || w.jobs[next++].is_authentic)
            return DropReason::kNone;
        w.open_budget.note_forgery(packet.receiver_index, w.now_ns);
        return DropReason::kTagMismatch;
    });
}

}  // namespace sandgate::dp
