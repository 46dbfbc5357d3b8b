// check_inner: is the packet well formed, and may it say that it comes from where it says? A sealed
// packet's source must map, over all agents, to the very agent whose key sealed it.
#include "dataplane/pipeline/inner_header.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/wireguard/messages.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

DropReason sealed_fault(const PolicyView& policy, Packet& packet, size_t source_start)
{
    rte_mbuf* mbuf = packet.mbuf;
    rte_pktmbuf_trim(mbuf, wg::kAuthTagBytes);
    auto* text = reinterpret_cast<uint8_t*>(rte_pktmbuf_adj(mbuf, sizeof(wg::DataHeader)));
    DropReason fault = read_inner(packet, text, rte_pktmbuf_pkt_len(mbuf));
    if (fault != DropReason::kNone)
        return fault;
    rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(rte_pktmbuf_pkt_len(mbuf) - packet.inner_bytes));
    fault = inner_address_fault(packet);
    if (fault != DropReason::kNone)
        return fault;
    // Longest match over all peers, as Linux has it: a wider prefix of this agent gives no right to
    // an address that another agent holds.
    if (policy.addresses.find(packet.source, source_start) != packet.session->identity)
        return DropReason::kInnerSourceNotOurs;
    return merge_ecn(packet);
}

// What lies where a source address would, before anything is believed of it. Every authentic text
// here is followed by a tag of 16 bytes, and every buffer has room behind it.
Address likely_source(const Packet& packet)
{
    const auto* text = rte_pktmbuf_mtod_offset(packet.mbuf, const uint8_t*, sizeof(wg::DataHeader));
    return text[0] >> 4 == 4 ? Address::v4(text + 12) : Address::v6(text + 8);
}

DropReason plain_fault(const PolicyView& policy, const Packet& packet, size_t source_start)
{
    const bool is_from_host = (packet.flags & kFromHost) != 0;
    if (policy.is_gateway_address(packet.source) != is_from_host)
        return DropReason::kSpoofedAgentSource;
    if (policy.addresses.find(packet.source, source_start) != api::kNoIdentity)
        return DropReason::kSpoofedAgentSource;
    return DropReason::kNone;
}

}  // namespace

void check_inner(Worker& w, const PolicyView& policy, Burst& burst)
{
    size_t starts[Burst::kMost];  // of the search for each source
    unsigned count = 0;
    for (const Packet* packet : burst.packets())
        starts[count++] = policy.addresses.prefetch(
            packet->kind == Kind::kSealed ? likely_source(*packet) : packet->source);
    unsigned next = 0;
    burst.keep_if(w, [&](Packet& packet) {
        const size_t start = starts[next++];
        return packet.kind == Kind::kSealed ? sealed_fault(policy, packet, start)
                                            : plain_fault(policy, packet, start);
    });
}

}  // namespace sandgate::dp
