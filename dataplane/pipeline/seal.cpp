// seal_packets: what goes to an agent is padded, numbered and sealed by the agent's current
// session, the whole burst in one call; then it gets its outer headers. Packets without a session
// wait for one.
#include "dataplane/pipeline/exits.h"
#include "dataplane/pipeline/inner_header.h"
#include "dataplane/pipeline/outer_header.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/wireguard/data.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

constexpr uint16_t kMostBehind = wg::kPaddingMultiple - 1 + wg::kAuthTagBytes;
constexpr uint16_t kMostBefore = sizeof(wg::DataHeader) + 8 + 40 + 14;

// Gives the packet a session and room around its text.
DropReason prepare(const PolicyView& policy, Packet& packet)
{
    rte_mbuf* mbuf = packet.mbuf;
    if (rte_pktmbuf_headroom(mbuf) < kMostBefore || rte_pktmbuf_tailroom(mbuf) < kMostBehind)
        return DropReason::kNoBuffer;
    packet.session = packet.to->current;
    uint64_t first;
    if (wg::take_counters(*packet.session, 1, first) == 0)
        return DropReason::kSessionExpired;
    packet.counter = first;
    // RFC 6040 normal mode: the inner ECN field is copied out; the DSCP stays inside.
    packet.outer_ecn = packet.inner_bytes == 0 ? uint8_t{0} : traffic_class_of(packet.inner) & 3;

    const uint32_t text = wg::padded_bytes(packet.inner_bytes, policy.rows.gateway->tunnel_mtu);
    const uint32_t padding = text - packet.inner_bytes;  // 15 at most
    auto* behind = reinterpret_cast<uint8_t*>(
        rte_pktmbuf_append(mbuf, static_cast<uint16_t>(padding + wg::kAuthTagBytes)));
    std::memset(behind, 0, wg::kPaddingMultiple);  // the tag overwrites what is too much
    auto* header =
        reinterpret_cast<wg::DataHeader*>(rte_pktmbuf_prepend(mbuf, sizeof(wg::DataHeader)));
    header->type.set(wg::kData);
    header->receiver_index.set(packet.session->remote_index);
    header->counter.set(packet.counter);
    return DropReason::kNone;
}

void note_sent(Worker& w, Agent& agent, uint64_t packets, uint64_t bytes, bool has_data)
{
    api::add(agent.tx_packets, packets);
    api::add(agent.tx_bytes, bytes);
    wg::Activity& activity = agent.activity;
    activity.unacknowledged_since_ns.store(0, std::memory_order_relaxed);
    activity.last_traversal_ns.store(w.now_ns, std::memory_order_relaxed);
    if (has_data && activity.unanswered_since_ns.load(std::memory_order_relaxed) == 0)
        activity.unanswered_since_ns.store(w.now_ns, std::memory_order_relaxed);
    if (wg::needs_rekey_on_send(*agent.current, w.now_ns))
        ask_for_session(w, agent, wg::PeerEvent::Kind::kRekeyDue);
}

// Activity once per run of packets to the same agent.
void note_runs(Worker& w, Burst& burst)
{
    uint64_t packets = 0, bytes = 0;
    bool has_data = false;
    for (unsigned i = 0; i < burst.size(); i++) {
        const Packet& packet = burst[i];
        if (packet.to == nullptr)
            continue;
        packets++;
        bytes += rte_pktmbuf_pkt_len(packet.mbuf);
        has_data |= packet.inner_bytes != 0;
        if (i + 1 < burst.size() && burst[i + 1].to == packet.to)
            continue;
        note_sent(w, *packet.to, packets, bytes, has_data);
        packets = bytes = 0;
        has_data = false;
    }
}

}  // namespace

void seal_packets(Worker& w, const PolicyView& policy, Burst& burst)
{
    burst.keep_unless_exited([&](Packet& packet) {
        if (packet.to == nullptr)
            return true;
        const Session* session = packet.to->current;
        if (session != nullptr && packet.to->endpoint.is_known() &&
            wg::can_send(*session, w.now_ns)) [[likely]]
            return true;
        stage_packet(w, *packet.to, packet);
        return false;
    });
    burst.keep_if(w, [&](Packet& packet) {
        return packet.to == nullptr ? DropReason::kNone : prepare(policy, packet);
    });

    unsigned count = 0;
    for (const Packet* packet : burst.packets()) {
        if (packet->to == nullptr)
            continue;
        auto* message = rte_pktmbuf_mtod(packet->mbuf, uint8_t*);
        w.jobs[count++] = {
            packet->session->send_key.data(), packet->counter, message + sizeof(wg::DataHeader),
            rte_pktmbuf_pkt_len(packet->mbuf) - static_cast<uint32_t>(wg::kMinDataBytes), true};
    }
    if (count == 0)
        return;
    crypto::seal_batch({w.jobs, count});
    api::add(w.counters.sealed, count);
    note_runs(w, burst);

    OuterWay way;
    burst.keep_if(w, [&](Packet& packet) {
        if (packet.to == nullptr)
            return DropReason::kNone;
        if (!way.is_known || !(way.destination == packet.to->endpoint))
            way = find_outer_way(policy, packet.to->endpoint);
        if (!way.is_known)
            return DropReason::kNoRoute;
        packet.egress = way.port;
        packet.next_hop = way.next_hop;
        return prepend_outer(packet.mbuf, way, packet.outer_ecn, w.next_ip_id++)
                   ? DropReason::kNone
                   : DropReason::kNoBuffer;
    });
}

}  // namespace sandgate::dp
