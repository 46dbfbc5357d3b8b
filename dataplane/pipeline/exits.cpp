// Moving packets out of a burst: the Packet is parked in its mbuf, the mbuf goes into a ring.
#include "dataplane/pipeline/exits.h"

#include "dataplane/wireguard/messages.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

void park(Packet& packet, Stage resume)
{
    packet.resume = resume;
    *parked(packet.mbuf) = packet;
}

}  // namespace

void hand_over(Worker& w, Packet& packet, WorkerId to, Stage resume)
{
    park(packet, resume);
    if (rte_ring_sp_enqueue(w.shared.handover[w.id][to], packet.mbuf) != 0)
        w.drop(packet, DropReason::kHandoverFull);
    else
        api::add(w.counters.handed_over, 1);
}

void exit_to_handshakes(Worker& w, Packet& packet)
{
    park(packet, Stage::kFindSessions);
    if (rte_ring_mp_enqueue(w.shared.messages, packet.mbuf) != 0)
        w.drop(packet, DropReason::kSlowPathFull);
}

void exit_to_server(Worker& w, Packet& packet)
{
    park(packet, Stage::kTransmit);
    if (rte_ring_mp_enqueue(w.shared.local, packet.mbuf) != 0)
        w.drop(packet, DropReason::kSlowPathFull);
}

void stage_packet(Worker& w, Agent& agent, Packet& packet)
{
    if (agent.staged_count == wg::kMaxStagedPackets) {
        rte_mbuf* oldest = agent.staged_first;
        agent.staged_first = parked(oldest)->next_staged;
        agent.staged_count--;
        w.drop(oldest, DropReason::kStagingOverflow);
    }
    packet.next_staged = nullptr;
    park(packet, Stage::kSeal);
    if (agent.staged_count == 0)
        agent.staged_first = packet.mbuf;
    else
        parked(agent.staged_last)->next_staged = packet.mbuf;
    agent.staged_last = packet.mbuf;
    agent.staged_count++;
    api::add(w.counters.staged, 1);
    ask_for_session(w, agent, wg::PeerEvent::Kind::kNeedSession);
}

void ask_for_session(Worker& w, Agent& agent, wg::PeerEvent::Kind why)
{
    constexpr uint64_t kAtMostEveryNs = 100'000'000;
    if (agent.asked_session_ns != 0 && w.now_ns - agent.asked_session_ns < kAtMostEveryNs)
        return;
    if (w.shared.events->push_repeatable({why, agent.identity, nullptr, {}}))
        agent.asked_session_ns = w.now_ns;
}

}  // namespace sandgate::dp
