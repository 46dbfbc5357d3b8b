// What happens to the bytes that an agent's authentic packet carries: read, its ECN field merged,
// its MSS clamped, its hop limit lowered, and answered by a reset or an ICMP error. Byte 0 chooses
// the outer ECN field, the answer and whether the IPv4 checksum is made right. IPv4 headers must
// have a right checksum after every change.
#include "dataplane/pipeline/replies.h"
#include "tests/fuzz/fuzz_world.h"

using namespace sandgate;

namespace {

bool has_right_checksum(const uint8_t* ip)
{
    return ip[0] >> 4 != 4 || dp::fold_checksum(dp::sum_of(ip, (ip[0] & 15) * 4u)) == 0;
}

void answer(dp::Packet& packet, dp::Told told)
{
    dp::Worker& w = fuzz::gateway().worker();
    w.now_ns += 10'000'000;  // the budget of answers refills
    packet.flags |= dp::kFromAgent;
    dp::refuse_and_tell(w, fuzz::gateway().policy(), packet, api::DropReason::kPolicyDenied, told,
                        1280);
    if (w.made->is_empty())
        return;  // nobody is told, and the packet is freed
    const dp::Packet& reply = (*w.made)[0];
    fuzz::require(reply.inner == rte_pktmbuf_mtod(reply.mbuf, uint8_t*));
    fuzz::require(reply.inner_bytes == rte_pktmbuf_pkt_len(reply.mbuf) &&
                  has_right_checksum(reply.inner));
    dp::Packet read;
    fuzz::require(dp::read_inner(read, reply.inner, reply.inner_bytes) !=
                  api::DropReason::kInnerMalformed);
    fuzz::require(read.destination == reply.destination && read.inner_bytes == reply.inner_bytes);
    rte_pktmbuf_free(reply.mbuf);
    w.made->clear();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size < 2)
        return 0;
    const uint8_t choice = data[0];
    std::vector<uint8_t> bytes(data + 1, data + size);
    if ((choice & 0x80) == 0 && bytes.size() >= 20 && bytes[0] >> 4 == 4) {
        const size_t header = std::min<size_t>((bytes[0] & 15) * 4u, bytes.size());
        test::put16(&bytes[10], 0);
        test::put16(&bytes[10], dp::fold_checksum(dp::sum_of(bytes.data(), header)));
    }
    const fuzz::Frame frame(bytes.data(), bytes.size());
    dp::Packet packet;
    packet.mbuf = frame.mbuf;
    packet.kind = dp::Kind::kSealed;
    packet.outer_ecn = choice & 3;
    auto* text = rte_pktmbuf_mtod(frame.mbuf, uint8_t*);
    const uint32_t available = rte_pktmbuf_pkt_len(frame.mbuf);
    if (dp::read_inner(packet, text, available) != api::DropReason::kNone) {
        rte_pktmbuf_free(frame.mbuf);
        return 0;
    }
    fuzz::require(packet.inner == text && packet.inner_bytes <= available);
    fuzz::require(packet.inner_header_bytes <= packet.inner_bytes);
    rte_pktmbuf_trim(frame.mbuf, static_cast<uint16_t>(available - packet.inner_bytes));
    if (dp::inner_address_fault(packet) != api::DropReason::kNone ||
        dp::merge_ecn(packet) != api::DropReason::kNone) {
        rte_pktmbuf_free(frame.mbuf);
        return 0;
    }
    fuzz::require(has_right_checksum(packet.inner));
    dp::clamp_mss(packet, 1280);
    if (dp::hop_limit_of(packet.inner) > 0)
        dp::decrement_hop_limit(packet.inner);
    fuzz::require(has_right_checksum(packet.inner));
    answer(packet, static_cast<dp::Told>(choice >> 2 & 3));
    return 0;
}
