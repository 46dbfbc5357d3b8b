// note_received: what an authentic packet changes. It confirms the session it came by, moves the
// endpoint when it came from elsewhere, answers the timers and is counted; once per run of packets
// of one session where possible.
#include "dataplane/pipeline/exits.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/pipeline/sessions.h"
#include "dataplane/wireguard/data.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

// Bytes as `wg show` counts them: the WireGuard message, without IP and UDP.
void count_received(Agent& agent, uint64_t packets, uint64_t bytes)
{
    api::add(agent.rx_packets, packets);
    api::add(agent.rx_bytes, bytes);
}

void follow_endpoint(Worker& w, Agent& agent, const Packet& packet)
{
    if (agent.is_endpoint_confirmed && agent.endpoint == packet.endpoint)
        return;
    if (agent.is_endpoint_confirmed)
        api::add(w.counters.roamed, 1);
    agent.endpoint = packet.endpoint;
    agent.is_endpoint_confirmed = true;
    w.shared.events->push(
        {wg::PeerEvent::Kind::kEndpointChanged, agent.identity, nullptr, packet.endpoint});
}

void note_run(Worker& w, Packet& last, uint64_t packets, uint64_t bytes, bool has_data)
{
    Session& session = *last.session;
    Agent& agent = *last.agent;
    count_received(agent, packets, bytes);
    confirm_session(w, agent, session, last.endpoint);
    follow_endpoint(w, agent, last);

    agent.activity.unanswered_since_ns.store(0, std::memory_order_relaxed);
    agent.activity.last_traversal_ns.store(w.now_ns, std::memory_order_relaxed);
    if (has_data && agent.activity.unacknowledged_since_ns.load(std::memory_order_relaxed) == 0)
        agent.activity.unacknowledged_since_ns.store(w.now_ns, std::memory_order_relaxed);
    if (&session == agent.current && wg::needs_rekey_on_receive(session, w.now_ns))
        ask_for_session(w, agent, wg::PeerEvent::Kind::kRekeyDue);
}

}  // namespace

void note_received(Worker& w, Burst& burst)
{
    uint64_t packets = 0, bytes = 0;
    bool has_data = false;
    for (unsigned i = 0; i < burst.size(); i++) {
        Packet& packet = burst[i];
        if (packet.kind != Kind::kSealed)
            continue;
        packets++;
        bytes += rte_pktmbuf_pkt_len(packet.mbuf);
        has_data |= rte_pktmbuf_pkt_len(packet.mbuf) > 32;
        const bool ends_run = i + 1 == burst.size() || burst[i + 1].session != packet.session ||
                              !(burst[i + 1].endpoint == packet.endpoint);
        if (!ends_run)
            continue;
        note_run(w, packet, packets, bytes, has_data);
        packets = bytes = 0;
        has_data = false;
    }

    burst.keep_if(w, [&](Packet& packet) {
        if (packet.kind != Kind::kSealed || rte_pktmbuf_pkt_len(packet.mbuf) > 32)
            return DropReason::kNone;
        api::add(w.counters.keepalives_received, 1);
        return DropReason::kKeepalive;
    });
}

}  // namespace sandgate::dp
