// NeighbourService::take on what the server thread gets: frames that parse_outer calls local, and
// packets whose next hop is not known. Byte 0 chooses between them and makes the Ethernet header
// and checksums right, so that deeper code is reached; then time passes. Every frame that goes out
// must be freed here, so a leak ends the run.
#include "dataplane/slowpath/neighbour_service.h"
#include "tests/fuzz/fuzz_world.h"

using namespace sandgate;

namespace {

void repair(std::vector<uint8_t>& bytes)
{
    uint8_t* ip = &bytes[14];
    if (bytes[12] == 0x08 && bytes[13] == 0x00 && bytes.size() >= 34) {
        const size_t header = std::min<size_t>((ip[0] & 15) * 4u, bytes.size() - 14);
        test::put16(ip + 10, 0);
        test::put16(ip + 10, dp::fold_checksum(dp::sum_of(ip, header)));
        return;
    }
    const uint32_t payload = bytes.size() < 54 + 24 ? 0 : static_cast<uint32_t>(ip[4]) << 8 | ip[5];
    if (bytes[12] != 0x86 || payload < 4 || 54 + payload > bytes.size())
        return;
    ip[7] = 255;
    test::put16(ip + 42, 0);
    test::put16(ip + 42, dp::fold_checksum(dp::sum_of(ip + 8, 32) + 58 + payload +
                                           dp::sum_of(ip + 40, payload)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size < 20)
        return 0;
    test::BareGateway& gateway = fuzz::gateway();
    dp::Worker& w = gateway.worker();
    static auto* service = new dp::NeighbourService(gateway.shared, gateway.block(2));
    static uint64_t now_ns = 1'000'000'000;

    const uint8_t choice = data[0];
    std::vector<uint8_t> bytes(data + 1, data + size);
    if ((choice & 3) == 3) {
        rte_mbuf* mbuf = rte_pktmbuf_alloc(gateway.shared.pool);
        fuzz::require(mbuf != nullptr);
        std::memcpy(rte_pktmbuf_append(mbuf, 16), bytes.data(), 16);
        dp::Packet packet;
        packet.mbuf = mbuf;
        packet.egress = choice >> 2 & 3;
        packet.next_hop = (choice & 0x10) != 0 ? test::v4(test::kLanAddress + bytes[0])
                                               : api::Address::v6(bytes.data());
        *dp::parked(mbuf) = packet;
        service->take(mbuf, gateway.policy(), now_ns);
    } else {
        const auto port = static_cast<uint8_t>(choice & 1);
        const uint16_t types[4] = {0x0806, 0x0800, 0x86dd, 0x86dd};
        std::memcpy(bytes.data(), w.shared.port_macs[port], 6);
        test::put16(&bytes[12], types[choice >> 2 & 3]);
        if ((choice & 0x80) == 0)
            repair(bytes);
        // An answer may be longer than the question; what parse_outer reads ends with the frame.
        rte_mbuf* local = nullptr;
        {
            const fuzz::Frame frame(bytes.data(), bytes.size());
            dp::Burst burst;
            burst.add(frame.mbuf).port = port;
            dp::parse_outer(w, gateway.policy(), burst);
            if (!burst.is_empty() && burst[0].kind == dp::Kind::kLocal) {
                local = burst[0].mbuf;
                *dp::parked(local) = burst[0];
            } else if (!burst.is_empty()) {
                rte_pktmbuf_free(burst[0].mbuf);
            }
        }
        if (local != nullptr)
            service->take(local, gateway.policy(), now_ns);
    }
    now_ns += uint64_t{choice} * 20'000'000;
    service->on_timer(gateway.policy(), now_ns);
    fuzz::drain(gateway.shared.returns[0]);
    return 0;
}
