// find_sessions: the session that a sealed packet names, and every cheap reason to refuse it before
// cryptography. Nothing is written: a forged packet gets this far with no more than a copied index.
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/wireguard/data.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

DropReason session_fault(const Worker& w, Packet& packet)
{
    if (packet.kind != Kind::kSealed)
        return DropReason::kNone;
    Session* session = packet.session;
    if (session == nullptr || session->owner != w.id)
        return DropReason::kUnknownIndex;
    // Paper, section 6.2: nothing is received under a session older than REJECT_AFTER_TIME.
    if (wg::is_expired(*session, w.now_ns) || packet.counter >= wg::kRejectAfterMessages)
        return DropReason::kSessionExpired;
    if (session->replay.is_stale(packet.counter))
        return DropReason::kCounterStale;
    packet.agent = w.shared.agents.find(session->identity);
    const bool is_trusted_endpoint =
        packet.agent->is_endpoint_confirmed && packet.agent->endpoint == packet.endpoint;
    if (!is_trusted_endpoint && !w.open_budget.has_credit(packet.receiver_index, w.now_ns))
        return DropReason::kOpenBudgetSpent;
    return DropReason::kNone;
}

}  // namespace

// Sets packet.session to the live session of the packet's index, or to nullptr. Three loops, so
// that the misses of the whole burst overlap: slots, then what the slots name, then the questions.
void find_sessions(Worker& w, Burst& burst)
{
    for (Packet* packet : burst.packets()) {
        if (packet->kind != Kind::kSealed)
            continue;
        packet->session = w.shared.sessions->slot_of(packet->receiver_index);
        rte_prefetch0(packet->session);
    }
    for (Packet* packet : burst.packets()) {
        Session* session = packet->session;
        if (session == nullptr)
            continue;
        if (session->index.load(std::memory_order_acquire) != packet->receiver_index) {
            packet->session = nullptr;
            continue;
        }
        session->replay.prefetch(packet->counter);
        rte_prefetch0(w.shared.agents.find(session->identity));
    }
    burst.keep_if(w, [&](Packet& packet) { return session_fault(w, packet); });
}

}  // namespace sandgate::dp
