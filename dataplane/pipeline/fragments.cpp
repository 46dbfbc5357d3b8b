// Each fragment is a copy in a buffer of its own: mbufs stay linear.
#include "dataplane/pipeline/fragments.h"

#include "dataplane/pipeline/inner_header.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

void fragment(Worker& w, Packet& packet, uint16_t mtu)
{
    constexpr uint32_t kHeader = 20;  // options were refused before
    const uint32_t payload = packet.inner_bytes - kHeader;
    const uint32_t step = (mtu - kHeader) & ~7u;
    const uint32_t pieces = (payload + step - 1) / step;

    rte_mbuf* mbufs[8];
    if (pieces > 8 || pieces > w.made->places_left() ||
        rte_pktmbuf_alloc_bulk(w.shared.pool, mbufs, pieces) != 0) {
        w.drop(packet, DropReason::kNoBuffer);
        return;
    }
    for (uint32_t i = 0; i < pieces; i++) {
        const uint32_t offset = i * step;
        const uint32_t bytes = std::min(step, payload - offset);
        auto* out = reinterpret_cast<uint8_t*>(
            rte_pktmbuf_append(mbufs[i], static_cast<uint16_t>(kHeader + bytes)));
        std::memcpy(out, packet.inner, kHeader);
        std::memcpy(out + kHeader, packet.inner + kHeader + offset, bytes);
        const uint32_t total = kHeader + bytes;
        out[2] = static_cast<uint8_t>(total >> 8);
        out[3] = static_cast<uint8_t>(total);
        const uint32_t field = offset / 8 | (i + 1 < pieces ? 0x2000u : 0);
        out[6] = static_cast<uint8_t>(field >> 8);
        out[7] = static_cast<uint8_t>(field);
        out[10] = out[11] = 0;
        const uint16_t checksum = fold_checksum(sum_of(out, kHeader));
        out[10] = static_cast<uint8_t>(checksum >> 8);
        out[11] = static_cast<uint8_t>(checksum);

        Packet& piece = w.made->add(mbufs[i]);
        piece.kind = packet.kind;
        piece.resume = Stage::kSeal;
        piece.agent = packet.agent;
        piece.to = packet.to;
        piece.egress = packet.egress;
        piece.next_hop = packet.next_hop;
        piece.inner = out;
        piece.inner_bytes = static_cast<uint16_t>(total);
    }
    api::add(w.counters.fragments_made, pieces);
    rte_pktmbuf_free(packet.mbuf);
}

}  // namespace sandgate::dp
