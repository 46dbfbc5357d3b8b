// check_inner: what may come out of a tunnel. Sources are the sealing agent's by longest match over
// all agents, padding is left behind, ECN is merged as RFC 6040 has it.
#include "tests/support/dataplane_world.h"

namespace sandgate::test {
namespace {

TEST(CheckInner, names_each_refusal)
{
    World world;
    const Bytes udp = between("10.9.1.1", kLanHost).udp(1000, 1500, pattern(9));
    const auto v4 = [](const char* from, const char* to) {
        return between(from, to).udp(1000, 1500).bytes();
    };
    Bytes bad_checksum = udp, long_total = udp, version = udp,
          mapped = between("fd09::1:1", kLanHost6).udp(1000, 1500);
    bad_checksum[10] ^= 1;
    put16(long_total, 2, 200);
    put16(long_total, 10, 0);
    put16(long_total, 10, internet_checksum(part(long_total, 0, 20)));
    version[0] = 0x75;
    const api::Address source = address_of("10.9.1.1");
    std::copy_n(source.bytes.begin(), 16, &mapped[8]);
    const auto v6 = [](uint8_t type, Bytes body) {
        return between("fd09::1:1", kLanHost6)
            .extension(type, std::move(body))
            .udp(1000, 1500)
            .bytes();
    };
    const auto tcp_of = [](size_t at, uint8_t value) {
        Bytes packet = between("10.9.1.1", kLanHost).tcp(1, 443, kSyn);
        packet[20 + at] = value;
        return packet;
    };
    const auto endless = [] {
        auto builder = between("fd09::1:1", kLanHost6);
        for (int i = 0; i < 6; i++) builder.extension(60, Bytes(7));
        return builder.udp(1000, 1500).bytes();
    };
    const struct
    {
        const char* name;
        Bytes inner;
        const char* refused_as;
    } cases[] = {
        {"good", udp, ""},
        {"good IPv6", between("fd09::1:1", kLanHost6).udp(1000, 1500), ""},
        {"within its network", v4("10.9.16.5", kLanHost), ""},
        {"another agent's", v4("10.9.1.2", kLanHost), "inner_source_not_ours"},
        {"nobody's", v4("10.9.1.77", kLanHost), "inner_source_not_ours"},
        {"the gateway's", v4("10.9.0.1", kLanHost), "inner_source_not_ours"},
        {"a lan host's", v4(kLanHost, kLanHost), "inner_source_not_ours"},
        {"in its network, but another agent holds the longer prefix", v4("10.9.17.5", kLanHost),
         "inner_source_not_ours"},
        {"another agent's IPv6", between("fd09::1:2", kLanHost6).udp(1000, 1500),
         "inner_source_not_ours"},
        {"to multicast", v4("10.9.1.1", "239.1.1.1"), "inner_bad_address"},
        {"to broadcast", v4("10.9.1.1", "255.255.255.255"), "inner_bad_address"},
        {"to nowhere", v4("10.9.1.1", "0.0.0.0"), "inner_bad_address"},
        {"to loopback", v4("10.9.1.1", "127.0.0.1"), "inner_bad_address"},
        {"from link-local", v4("169.254.1.1", kLanHost), "inner_bad_address"},
        {"from loopback", v4("127.0.0.1", kLanHost), "inner_bad_address"},
        {"to IPv6 multicast", between("fd09::1:1", "ff02::1").udp(1000, 1500), "inner_bad_address"},
        {"to IPv6 link-local", between("fd09::1:1", "fe80::1").udp(1000, 1500),
         "inner_bad_address"},
        {"to IPv6 loopback", between("fd09::1:1", "::1").udp(1000, 1500), "inner_bad_address"},
        {"from IPv6 unspecified", between("::", kLanHost6).udp(1000, 1500), "inner_bad_address"},
        {"mapped source", mapped, "inner_bad_address"},
        {"IPv4 options", between("10.9.1.1", kLanHost).options({7, 4, 4, 0}).udp(1000, 1500),
         "inner_options"},
        {"routing header", v6(43, Bytes(7)), "inner_options"},
        {"authentication header", v6(51, Bytes(7)), "inner_options"},
        {"mobility header", v6(135, Bytes(7)), "inner_options"},
        {"six extension headers", endless(), "inner_options"},
        {"hop-by-hop options pass", v6(0, Bytes(7)), ""},
        {"destination options pass", v6(60, Bytes(15 - 8)), ""},
        {"extension beyond the end",
         between("fd09::1:1", kLanHost6).extension(60, {9, 0, 0, 0, 0, 0, 0}).udp(1000, 1500),
         "inner_malformed"},
        {"first fragment",
         between("10.9.1.1", kLanHost).fragment_field(0x2000).udp(1000, 1500, pattern(40)),
         "inner_fragment"},
        {"last fragment",
         between("10.9.1.1", kLanHost).fragment_field(5).udp(1000, 1500, pattern(40)),
         "inner_fragment"},
        {"IPv6 fragment", v6(44, {0, 0, 1, 0, 0, 0, 1}), "inner_fragment"},
        {"wrong checksum", bad_checksum, "inner_malformed"},
        {"longer than the text", long_total, "inner_malformed"},
        {"IPv6 longer than the text",
         part(between("fd09::1:1", kLanHost6).udp(1, 2, pattern(20)), 0, 60), "inner_malformed"},
        {"version 7", version, "inner_malformed"},
        {"one byte", {0x45}, "inner_malformed"},
        {"19 bytes", part(udp, 0, 19), "inner_malformed"},
        {"all zero", Bytes(64), "inner_malformed"},
        {"UDP without its header", between("10.9.1.1", kLanHost).raw(17, pattern(7)),
         "inner_malformed"},
        {"TCP of 19 bytes", between("10.9.1.1", kLanHost).raw(6, pattern(19)), "inner_malformed"},
        {"TCP with options behind its end", tcp_of(12, 0x60), "inner_malformed"},
        {"TCP with a header of 16 bytes", tcp_of(12, 0x40), "inner_malformed"},
        {"TCP without flags", tcp_of(13, 0), "tcp_bad_flags"},
        {"SYN FIN", tcp_of(13, kSyn | kFin), "tcp_bad_flags"},
        {"SYN RST", tcp_of(13, kSyn | kRst), "tcp_bad_flags"},
        {"FIN without ACK", tcp_of(13, kFin), "tcp_bad_flags"},
        {"every flag", tcp_of(13, 0xff), "tcp_bad_flags"},
        {"ICMPv6 within IPv4", between("10.9.1.1", kLanHost).raw(58, pattern(16)),
         "inner_malformed"},
    };
    for (const auto& c : cases) {
        world.receive(kWanPort, world.sealed(1, c.inner));
        EXPECT_EQ(world.refusals(), c.refused_as) << c.name;
        const auto frames = world.sent(kLanPort);
        ASSERT_EQ(frames.size(), *c.refused_as == 0 ? 1u : 0u) << c.name;
        EXPECT_TRUE(world.sent(kWanPort).empty()) << c.name << ": a refusal here is silent";
    }
    EXPECT_EQ(world.drops(DropReason::kInnerMalformed), 0u);
}

TEST(CheckInner, the_longer_prefix_belongs_to_its_agent)
{
    World world;
    world.receive(kWanPort, world.sealed(2, between("10.9.17.5", kLanHost).udp(1000, 1500)));
    EXPECT_EQ(world.refusals(), "");
    world.receive(kWanPort, world.sealed(2, between("10.9.16.5", kLanHost).udp(1000, 1500)));
    EXPECT_EQ(world.refusals(), "inner_source_not_ours");
}

TEST(CheckInner, leaves_the_padding_behind)
{
    World world;
    for (const size_t padding : {0, 1, 3, 15, 40}) {
        const Bytes inner = between("10.9.1.1", kLanHost).udp(1000, 1500, pattern(17 + padding));
        Bytes padded = inner;
        padded.resize(inner.size() + padding, 0xee);
        world.receive(kWanPort, world.sealed(1, padded));
        const auto frames = world.sent(kLanPort);
        ASSERT_EQ(frames.size(), 1u);
        Bytes expected = inner;
        expected[8]--;
        put16(expected, 10, 0);
        put16(expected, 10, internet_checksum(part(expected, 0, 20)));
        EXPECT_EQ(world.ip_of(frames[0], kLanPort), expected);
    }
}

// RFC 6040 figure 4: rows by inner, columns by outer; codepoints Not-ECT 0, ECT(1) 1, ECT(0) 2, CE
// 3; -1 is a drop.
TEST(CheckInner, merges_ecn_as_rfc_6040_has_it)
{
    constexpr int kExpected[4][4] = {
        // outer: Not-ECT ECT(1) ECT(0) CE
        {0, 0, 0, -1},  // inner Not-ECT
        {1, 1, 1, 3},   // inner ECT(1)
        {2, 1, 2, 3},   // inner ECT(0)
        {3, 3, 3, 3},   // inner CE
    };
    World world;
    for (const bool is_v4 : {true, false})
        for (int inner = 0; inner < 4; inner++)
            for (int outer = 0; outer < 4; outer++) {
                constexpr uint8_t kDscp = 0xb8;
                auto packet =
                    is_v4 ? between("10.9.1.1", kLanHost) : between("fd09::1:1", kLanHost6);
                packet.traffic_class(static_cast<uint8_t>(kDscp | inner))
                    .udp(1000, 1500, pattern(9));
                world.receive(kWanPort,
                              world.sealed(1, packet, static_cast<uint8_t>(0x20 | outer)));
                const auto frames = world.sent(kLanPort);
                const std::string name = std::to_string(inner) + " in " + std::to_string(outer);
                if (kExpected[inner][outer] < 0) {
                    EXPECT_TRUE(frames.empty()) << name;
                    EXPECT_EQ(world.refusals(), "ecn_not_capable_marked") << name;
                    continue;
                }
                ASSERT_EQ(frames.size(), 1u) << name;
                const Bytes ip = world.ip_of(frames[0], kLanPort);
                const int got = is_v4 ? ip[1] : (ip[0] << 4 | ip[1] >> 4) & 0xff;
                EXPECT_EQ(got, kDscp | kExpected[inner][outer]) << name;
            }
}

}  // namespace
}  // namespace sandgate::test
