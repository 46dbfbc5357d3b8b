// parse_outer: each refusal, and that no prefix of a frame and no random bytes are read beyond
// their end. Frames lie at the end of a page whose successor is not mapped, so one byte too far
// ends the test.
#include <sys/mman.h>

#include <random>

#include "dataplane/pipeline/inner_header.h"
#include "tests/support/dataplane_world.h"

namespace sandgate::test {
namespace {

struct Case
{
    const char* name;
    uint8_t port;
    Bytes frame;
    const char* refused_as;
};

Bytes changed(Bytes frame, size_t at, uint8_t value)
{
    frame.at(at) = value;
    return frame;
}
// With the IPv4 header's checksum made right again.
Bytes changed_v4(Bytes frame, size_t at, uint8_t value)
{
    frame.at(at) = value;
    put16(frame, 24, 0);
    put16(frame, 24, internet_checksum(part(frame, 14, (frame[14] & 15) * 4u)));
    return frame;
}
Bytes message(uint8_t type, size_t bytes)
{
    Bytes m(bytes);
    if (bytes > 0)
        m[0] = type;
    return m;
}

TEST(ParseOuter, names_each_refusal)
{
    World world;
    const Bytes inner = between("10.9.1.1", kLanHost).tcp(1000, 443, kSyn);
    const Bytes good = world.sealed(1, inner);
    const Bytes plain = world.plain(between(kLanHost, "10.9.1.1").udp(5000, 1000, pattern(20)));
    const Bytes six = world.tunnel_frame(message(4, 32), "2001:db8:1::7", 4000);
    const auto datagram = [&](const Bytes& m, const char* from = "192.0.2.11",
                              uint16_t port = 4001) { return world.tunnel_frame(m, from, port); };
    Bytes v6_fragment = between("2001:db8:1::7", "2001:db8:1::1")
                            .extension(44, {0, 0, 1, 0, 0, 0, 1})
                            .udp(4000, kListenPort, pattern(40));
    Bytes v6_hop = between("2001:db8:1::7", "2001:db8:1::1")
                       .extension(0, {0, 5, 2, 0, 0, 1, 0})
                       .udp(4000, kListenPort, pattern(40));
    const uint8_t* wan = world.shared->port_macs[kWanPort];
    const uint8_t* lan = world.shared->port_macs[kLanPort];
    const Case cases[] = {
        {"no bytes", kWanPort, {}, "frame_too_short"},
        {"13 bytes", kWanPort, part(good, 0, 13), "frame_too_short"},
        {"half an IPv4 header", kWanPort, part(good, 0, 14 + 19), "frame_too_short"},
        {"half an IPv6 header", kWanPort, part(six, 0, 14 + 39), "frame_too_short"},
        {"LLDP", kWanPort, changed(changed(good, 12, 0x88), 13, 0xcc), "unknown_ethertype"},
        {"802.1Q", kWanPort, changed(changed(good, 12, 0x81), 13, 0x00), "unknown_ethertype"},
        {"other station", kWanPort, changed(good, 5, 0x77), "not_our_mac"},
        {"lan frame by multicast", kLanPort, changed(plain, 0, 1), "not_our_mac"},
        {"IPv4 checksum", kWanPort, changed(good, 24, static_cast<uint8_t>(good[24] ^ 1)),
         "outer_bad_header"},
        {"version 5", kWanPort, changed(good, 14, 0x55), "outer_bad_header"},
        {"IPv6 with version 4", kWanPort, changed(six, 14, 0x40), "outer_bad_header"},
        {"header of 16 bytes", kWanPort, changed_v4(good, 14, 0x44), "outer_bad_header"},
        {"total longer than the frame", kWanPort, changed_v4(good, 16, 0x40),
         "outer_length_mismatch"},
        {"total shorter than the header", kWanPort, changed_v4(changed_v4(good, 16, 0), 17, 10),
         "outer_length_mismatch"},
        {"IPv6 longer than the frame", kWanPort, changed(six, 18, 0x40), "outer_length_mismatch"},
        {"UDP longer than IP", kWanPort, changed(good, 38, 0x40), "outer_length_mismatch"},
        {"UDP length 7", kWanPort, changed(changed(good, 38, 0), 39, 7), "outer_length_mismatch"},
        {"first fragment", kWanPort, changed_v4(good, 20, 0x20), "outer_fragment"},
        {"last fragment", kWanPort, changed_v4(good, 21, 5), "outer_fragment"},
        {"IPv6 fragment", kWanPort, frame_of(wan, kOtherMac, v6_fragment), "outer_fragment"},
        {"IPv6 hop-by-hop options", kWanPort, frame_of(wan, kOtherMac, v6_hop), "unknown_protocol"},
        {"another UDP port", kWanPort,
         frame_of(wan, kOtherMac,
                  between("192.0.2.9", "192.0.2.1").udp(4000, kListenPort + 1, message(4, 32))),
         "unknown_protocol"},
        {"the tunnel's UDP port on the lan side", kLanPort,
         frame_of(lan, kOtherMac,
                  between(kLanHost, "198.51.100.1").udp(4000, kListenPort, message(4, 32))),
         "unknown_protocol"},
        {"TCP to the port itself", kWanPort,
         frame_of(wan, kOtherMac, between("192.0.2.9", "192.0.2.1").tcp(1, 22, kSyn)),
         "unknown_protocol"},
        {"not for us", kWanPort,
         frame_of(wan, kOtherMac,
                  between("192.0.2.9", "192.0.2.99").udp(4000, kListenPort, message(4, 32))),
         "outer_not_for_us"},
        {"an agent's address on the wan side", kWanPort,
         frame_of(wan, kOtherMac, between("192.0.2.9", "10.9.1.1").udp(4000, 1000)),
         "outer_not_for_us"},
        {"loopback source", kWanPort, datagram(message(4, 32), "127.0.0.1"), "outer_bad_source"},
        {"unspecified source", kWanPort, datagram(message(4, 32), "0.0.0.0"), "outer_bad_source"},
        {"multicast source", kWanPort, datagram(message(4, 32), "224.0.0.5"), "outer_bad_source"},
        {"broadcast source", kWanPort, datagram(message(4, 32), "255.255.255.255"),
         "outer_bad_source"},
        {"our own source", kWanPort, datagram(message(4, 32), "192.0.2.1"), "outer_bad_source"},
        {"IPv6 loopback source", kWanPort, datagram(message(4, 32), "::1"), "outer_bad_source"},
        {"IPv6 unspecified source", kWanPort, datagram(message(4, 32), "::"), "outer_bad_source"},
        {"IPv6 multicast source", kWanPort, datagram(message(4, 32), "ff02::1"),
         "outer_bad_source"},
        {"our own IPv6 source", kWanPort, datagram(message(4, 32), "2001:db8:1::1"),
         "outer_bad_source"},
        {"source port 0", kWanPort, datagram(message(4, 32), "192.0.2.11", 0), "outer_bad_source"},
        {"empty datagram", kWanPort, datagram({}), "message_malformed"},
        {"type 0", kWanPort, datagram(message(0, 148)), "message_malformed"},
        {"type 5", kWanPort, datagram(message(5, 64)), "message_malformed"},
        {"initiation of 147", kWanPort, datagram(message(1, 147)), "message_malformed"},
        {"initiation of 149", kWanPort, datagram(message(1, 149)), "message_malformed"},
        {"response of 91", kWanPort, datagram(message(2, 91)), "message_malformed"},
        {"response of 93", kWanPort, datagram(message(2, 93)), "message_malformed"},
        {"cookie of 63", kWanPort, datagram(message(3, 63)), "message_malformed"},
        {"cookie of 65", kWanPort, datagram(message(3, 65)), "message_malformed"},
        {"data of 31", kWanPort, datagram(message(4, 31)), "message_malformed"},
        {"reserved byte set", kWanPort, datagram(changed(message(4, 64), 2, 1)),
         "message_malformed"},
        {"data of no session", kWanPort, datagram(message(4, 32)), "unknown_index"},
        {"plain IPv4 options", kLanPort,
         world.plain(between(kLanHost, "10.9.1.1").options({1, 1, 1, 1}).udp(1, 2)),
         "inner_options"},
        {"plain fragment", kLanPort,
         world.plain(between(kLanHost, "10.9.1.1").fragment_field(0x2000).udp(1, 2)),
         "inner_fragment"},
        {"plain from loopback", kLanPort, world.plain(between("127.0.0.1", "10.9.1.1").udp(1, 2)),
         "inner_bad_address"},
        {"plain to nobody", kLanPort, world.plain(between(kLanHost, "10.9.2.1").udp(1, 2)),
         "no_such_agent"},
        {"plain from an agent's address", kLanPort,
         world.plain(between("10.9.1.2", "10.9.1.1").udp(5000, 1000)), "spoofed_agent_source"},
        {"plain from the gateway's address", kLanPort,
         world.plain(between("10.9.0.1", "10.9.1.1").udp(5000, 1000)), "spoofed_agent_source"},
        {"from the host port, another source", kHostPort,
         world.from_host(between(kLanHost, "10.9.1.1").udp(5000, 1000)), "spoofed_agent_source"},
        {"host port, not ours", kHostPort,
         changed(world.from_host(between("10.9.0.1", "10.9.1.1").udp(5000, 1000)), 5, 9),
         "not_our_mac"},
        {"host port, ARP", kHostPort, changed(changed(world.from_host(pattern(28)), 12, 8), 13, 6),
         "unknown_ethertype"},
    };
    for (const Case& c : cases) {
        world.receive(c.port, c.frame);
        EXPECT_EQ(world.refusals(), c.refused_as) << c.name;
    }
    // What the table broke is otherwise good.
    world.receive(kWanPort, good);
    EXPECT_EQ(world.refusals(), "");
    EXPECT_EQ(world.sent(kLanPort).size(), 1u);
    world.receive(kLanPort, plain);
    EXPECT_EQ(world.refusals(), "");
    EXPECT_EQ(world.sent(kWanPort).size(), 1u);
}

TEST(ParseOuter, refuses_a_mapped_source_in_an_outer_ipv6_header)
{
    World world;
    Bytes frame = world.tunnel_frame(message(4, 32), "2001:db8:1::7", 4000);
    const api::Address mapped = address_of("192.0.2.1");
    std::copy_n(mapped.bytes.begin(), 16, &frame[14 + 8]);
    world.receive(kWanPort, frame);
    EXPECT_EQ(world.refusals(), "outer_bad_source");
}

TEST(ParseOuter, refuses_a_chained_buffer)
{
    World world;
    Burst burst;
    Packet& packet =
        world.add(burst, kWanPort, world.sealed(1, between("10.9.1.1", kLanHost).udp(1000, 1000)));
    ASSERT_EQ(rte_pktmbuf_chain(packet.mbuf, world.mbuf_of(pattern(10))), 0);
    run_burst(world.w(), *world.policy, burst);
    EXPECT_EQ(world.refusals(), "chained_mbuf");
}

TEST(ParseOuter, sends_messages_and_local_frames_to_their_threads)
{
    World world;
    for (const auto& [type, bytes] : {std::pair<uint8_t, size_t>{1, 148}, {2, 92}, {3, 64}}) {
        world.receive(kWanPort, world.tunnel_frame(message(type, bytes), "192.0.2.99", 999));
        const auto messages = world.take(world.shared->messages);
        ASSERT_EQ(messages.size(), 1u);
        EXPECT_EQ(messages[0], message(type, bytes)) << "the message alone, without padding";
    }
    Bytes arp = frame_of(kOtherMac, kOtherMac, Bytes(28), 0x0806);
    std::fill_n(arp.begin(), 6, uint8_t{0xff});
    world.receive(kWanPort, arp);
    world.receive(kLanPort, frame_of(world.shared->port_macs[1], kOtherMac,
                                     between(kLanHost, "198.51.100.1").icmp(8, 0, 1)));
    world.receive(
        kLanPort,
        frame_of(world.shared->port_macs[1], kOtherMac,
                 between(kLanHost6, "2001:db8:2::1").hop_limit(255).icmp(135, 0, 0, pattern(16))));
    EXPECT_EQ(world.take(world.shared->local).size(), 3u);
    EXPECT_EQ(world.refusals(), "");
}

TEST(ParseOuter, counts_a_full_queue_to_the_slow_path)
{
    World world;
    for (int i = 0; i < 255; i++)
        world.receive(kWanPort, world.tunnel_frame(message(1, 148), "192.0.2.99", 999));
    EXPECT_EQ(world.refusals(), "");
    world.receive(kWanPort, world.tunnel_frame(message(1, 148), "192.0.2.99", 999));
    EXPECT_EQ(world.refusals(), "slow_path_full");
}

TEST(ParseOuter, does_not_let_a_multicast_echo_be_answered)
{
    World world;
    Bytes frame = frame_of(world.shared->port_macs[1], kOtherMac,
                           between(kLanHost6, "ff02::1").icmp(128, 0, 1));
    frame[0] = 0x33;
    world.receive(kLanPort, frame);
    EXPECT_EQ(world.refusals(), "unknown_protocol");
    EXPECT_TRUE(world.take(world.shared->local).empty());
}

// A buffer whose last byte is the last one of a page, with an unmapped page behind.
class GuardedMbuf
{
  public:
    GuardedMbuf()
    {
        pages_ = static_cast<uint8_t*>(
            mmap(nullptr, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        mprotect(pages_ + 2 * 4096, 4096, PROT_NONE);
    }
    ~GuardedMbuf() { munmap(pages_, 3 * 4096); }
    uint8_t* put(const uint8_t* bytes, size_t count)
    {
        uint8_t* at = pages_ + 2 * 4096 - count;
        std::memcpy(at, bytes, count);
        return at;
    }

  private:
    uint8_t* pages_;
};

TEST(ReadInner, never_reads_beyond_a_prefix_of_any_packet)
{
    GuardedMbuf guarded;
    const Bytes quoted4 = between("10.9.1.1", kLanHost).tcp(1, 2, kSyn),
                quoted6 = between("fd09::1:1", kLanHost6).udp(1, 2, pattern(9));
    const Bytes packets[] = {
        between("10.9.1.1", kLanHost).tcp(1, 2, kSyn, pattern(30), {2, 4, 5, 6}),
        between("10.9.1.1", kLanHost).udp(1, 2, pattern(30)),
        between("fd09::1:1", kLanHost6)
            .extension(0, Bytes(15))
            .extension(60, Bytes(7))
            .tcp(1, 2, kSyn),
        between(kLanHost, "10.9.1.1").icmp(3, 1, 0, quoted4),
        between(kLanHost6, "fd09::1:1").icmp(1, 1, 0, quoted6),
        between("10.9.1.1", kLanHost).options({7, 4, 4, 0}).udp(1, 2),
    };
    for (const Bytes& whole : packets)
        for (size_t bytes = 0; bytes <= whole.size(); bytes++) {
            Packet packet;
            const DropReason fault =
                read_inner(packet, guarded.put(whole.data(), bytes), static_cast<uint32_t>(bytes));
            if (bytes < whole.size()) {
                EXPECT_EQ(fault, DropReason::kInnerMalformed) << bytes;
            }
        }
}

TEST(ReadInner, never_reads_beyond_random_bytes)
{
    GuardedMbuf guarded;
    std::mt19937 random(7);
    for (int i = 0; i < 200'000; i++) {
        Bytes bytes = pattern(random() % 160, random());
        for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
        if (bytes.size() >= 40) {
            bytes[0] = (i & 1) != 0 ? 0x45 : 0x60;
            put16(bytes, (i & 1) != 0 ? 2 : 4, static_cast<unsigned>(random() % 160));
            static constexpr uint8_t kProtocols[] = {0, 60, 6, 17, 1, 58, 44, 43};
            bytes[(i & 1) != 0 ? 9 : 6] = kProtocols[random() % 8];
            if ((i & 1) != 0) {
                bytes[6] = bytes[7] = 0;
                put16(bytes, 10, 0);
                put16(bytes, 10, internet_checksum(part(bytes, 0, 20)));
            }
        }
        Packet packet;
        if (read_inner(packet, guarded.put(bytes.data(), bytes.size()),
                       static_cast<uint32_t>(bytes.size())) == DropReason::kNone) {
            EXPECT_LE(packet.inner_bytes, bytes.size());
            EXPECT_LE(packet.inner_header_bytes, packet.inner_bytes);
            clamp_mss(packet, kTunnelMtu);
        }
    }
}

TEST(ParseOuter, survives_prefixes_and_random_bytes)
{
    World world;
    std::mt19937 random(3);
    const Bytes frames[] = {
        world.sealed(1, between("10.9.1.1", kLanHost).tcp(1000, 443, kSyn, pattern(50))),
        world.tunnel_frame(message(1, 148), "2001:db8:1::7", 4000),
        world.plain(between(kLanHost, "10.9.1.1").udp(5000, 1000, pattern(20))),
        frame_of(world.shared->port_macs[1], kOtherMac,
                 between(kLanHost, "198.51.100.1").icmp(8, 0, 1)),
    };
    for (const Bytes& whole : frames)
        for (size_t bytes = 0; bytes < whole.size(); bytes++)
            for (uint8_t port : {kWanPort, kLanPort, kHostPort}) {
                Bytes frame = part(whole, 0, bytes);
                if (bytes >= 6)
                    std::copy_n(world.shared->port_macs[port], 6, frame.begin());
                world.receive(port, frame);
            }
    for (int i = 0; i < 20'000; i++) {
        Bytes frame = frames[random() % 4];
        for (int change = 0; change < 3; change++)
            frame[6 + random() % (frame.size() - 6)] = static_cast<uint8_t>(random());
        world.receive(static_cast<uint8_t>(random() % 3), frame);
        if (i % 64 == 0) {
            world.sent(kWanPort);
            world.sent(kLanPort);
            world.sent(kHostPort);
            world.take(world.shared->local);
            world.take(world.shared->messages);
            world.take_events();
        }
    }
}

}  // namespace
}  // namespace sandgate::test
