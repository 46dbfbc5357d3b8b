// parse_outer on any frame by any port. The first byte chooses the port and whether the Ethernet
// addresses are made right, so that most inputs get past them. What is kept must lie within the
// bytes that came.
#include "tests/fuzz/fuzz_world.h"

using namespace sandgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size < 1)
        return 0;
    const uint8_t choice = data[0];
    std::vector<uint8_t> bytes(data + 1, data + size);
    dp::Worker& w = fuzz::gateway().worker();
    w.shared.has_host_port = true;
    const auto port = static_cast<uint8_t>(choice % 3);  // wan, lan, host
    if ((choice & 0x80) == 0 && bytes.size() >= 14) {
        std::memcpy(bytes.data(), w.shared.port_macs[port], 6);
        test::put16(&bytes[12], (choice & 0x40) != 0 ? 0x86dd : 0x0800);
    }
    if ((choice & 0x20) != 0 && bytes.size() >= 34 && bytes[14] >> 4 == 4) {
        const size_t header = std::min<size_t>((bytes[14] & 15) * 4u, bytes.size() - 14);
        test::put16(&bytes[24], 0);
        test::put16(&bytes[24], dp::fold_checksum(dp::sum_of(&bytes[14], header)));
    }
    const fuzz::Frame frame(bytes.data(), bytes.size());
    const uint8_t* begin = rte_pktmbuf_mtod(frame.mbuf, const uint8_t*);
    const uint8_t* end = begin + rte_pktmbuf_pkt_len(frame.mbuf);
    dp::Burst burst;
    burst.add(frame.mbuf).port = port;
    dp::parse_outer(w, fuzz::gateway().policy(), burst);
    if (burst.is_empty())
        return 0;  // refused, and freed
    const dp::Packet& packet = burst[0];
    const uint8_t* at = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
    fuzz::require(at >= begin && at + rte_pktmbuf_pkt_len(packet.mbuf) <= end);
    if (packet.kind == dp::Kind::kPlain) {
        fuzz::require(packet.inner == at && packet.inner_bytes == rte_pktmbuf_pkt_len(packet.mbuf));
        fuzz::require(packet.inner_header_bytes <= packet.inner_bytes);
    }
    if (packet.kind == dp::Kind::kSealed || packet.kind == dp::Kind::kMessage)
        fuzz::require(wg::is_well_formed(at, rte_pktmbuf_pkt_len(packet.mbuf)) &&
                      packet.endpoint.is_known());
    rte_pktmbuf_free(packet.mbuf);
    return 0;
}
