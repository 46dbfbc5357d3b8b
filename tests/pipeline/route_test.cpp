// route, seal_packets and transmit: hops, sizes, fragments, padding, outer headers and neighbours.
#include "tests/support/dataplane_world.h"

namespace sandgate::test {
namespace {

Bytes to_agent(size_t total, bool is_v4 = true, bool may_not_fragment = true)
{
    auto packet = is_v4 ? between(kLanHost, "10.9.1.1") : between(kLanHost6, "fd09::1:1");
    if (is_v4 && may_not_fragment)
        packet.dont_fragment();
    return packet.udp(5000, 1000, pattern(total - (is_v4 ? 28 : 48)));
}

TEST(Route, counts_hops_and_tells_when_they_run_out)
{
    World world;
    for (const bool is_v4 : {true, false}) {
        const char* agent = is_v4 ? "10.9.1.1" : "fd09::1:1";
        const char* host = is_v4 ? kLanHost : kLanHost6;
        const size_t at = is_v4 ? 8 : 7, header = is_v4 ? 20 : 40;
        world.receive(kWanPort, world.sealed(1, between(agent, host).hop_limit(2).udp(1, 1000)));
        EXPECT_EQ(world.ip_of(world.sent(kLanPort).at(0), kLanPort).at(at), 1);
        world.receive(kLanPort, world.plain(between(host, agent).hop_limit(255).udp(1000, 1)));
        EXPECT_EQ(world.inner_of(world.sent(kWanPort).at(0), 1).at(at), 254);
        EXPECT_EQ(world.refusals(), "");
        for (const uint8_t hops : {0, 1}) {
            const Bytes packet = between(agent, host).hop_limit(hops).udp(1, 1000, pattern(20));
            world.receive(kWanPort, world.sealed(1, packet));
            EXPECT_EQ(world.refusals(), "hop_limit_exceeded");
            const Bytes error = world.inner_of(world.sent(kWanPort).at(0), 1);
            EXPECT_EQ(error[header], is_v4 ? 11 : 3);
            EXPECT_EQ(error[header + 1], 0);
            EXPECT_EQ(part(error, header + 8), packet);
            world.receive(kLanPort, world.plain(between(host, agent).hop_limit(hops).udp(1000, 1)));
            EXPECT_EQ(world.refusals(), "hop_limit_exceeded");
            EXPECT_EQ(world.ip_of(world.sent(kLanPort).at(0), kLanPort).at(header), is_v4 ? 11 : 3);
        }
    }
}

TEST(Route, says_how_large_a_packet_may_be)
{
    World world;
    for (const bool is_v4 : {true, false}) {
        const size_t header = is_v4 ? 20 : 40;
        world.receive(kLanPort, world.plain(to_agent(kTunnelMtu, is_v4)));
        EXPECT_EQ(world.refusals(), "");
        EXPECT_EQ(world.sent(kWanPort).size(), 1u);
        const Bytes packet = to_agent(kTunnelMtu + 1, is_v4);
        world.receive(kLanPort, world.plain(packet));
        EXPECT_EQ(world.refusals(), "too_big");
        const Bytes error = world.ip_of(world.sent(kLanPort).at(0), kLanPort);
        EXPECT_EQ(error[header], is_v4 ? 3 : 2);
        EXPECT_EQ(error[header + 1], is_v4 ? 4 : 0);
        EXPECT_EQ(get32(error, header + 4), kTunnelMtu);
        EXPECT_EQ(error[header + 8 + (is_v4 ? 8 : 7)], 63) << "as it was when it did not fit";
        EXPECT_EQ(error.size(), std::min<size_t>(header + 8 + packet.size(), is_v4 ? 576 : 1280));
    }
}

TEST(Route, fragments_what_allows_it_and_the_fragments_make_the_whole)
{
    for (const size_t total : {1421, 1432, 1500, 2000}) {
        World world;
        const Bytes packet =
            between(kLanHost, "10.9.1.1").id(0x1234).udp(5000, 1000, pattern(total - 28));
        world.receive(kLanPort, world.plain(packet));
        EXPECT_EQ(world.refusals(), "");
        const auto frames = world.sent(kWanPort);
        ASSERT_EQ(frames.size(), 2u) << total;
        Bytes whole = part(packet, 0, 20);
        for (size_t i = 0; i < frames.size(); i++) {
            const Bytes piece = world.inner_of(frames[i], 1);
            EXPECT_LE(piece.size(), kTunnelMtu);
            EXPECT_EQ((get16(piece, 6) & 0x1fff) * 8u, whole.size() - 20);
            EXPECT_EQ((get16(piece, 6) & 0x2000) != 0, i + 1 < frames.size());
            EXPECT_EQ(get16(piece, 4), 0x1234);
            EXPECT_EQ(piece[8], 63);
            append(whole, part(piece, 20));
        }
        EXPECT_EQ(part(whole, 20), part(packet, 20));
        EXPECT_EQ(world.counters[0].fragments_made.load(), 2u);
    }
}

TEST(Route, fragments_to_a_smaller_lan_link)
{
    World world(1, [](SnapshotBuilder& s) { s.ports[1].mtu = 1280; });
    const Bytes packet = between("10.9.1.1", kLanHost).udp(1, 1000, pattern(1372));
    world.receive(kWanPort, world.sealed(1, packet));
    const auto frames = world.sent(kLanPort);
    ASSERT_EQ(frames.size(), 2u);
    Bytes text;
    for (const Bytes& frame : frames) append(text, part(world.ip_of(frame, kLanPort), 20));
    EXPECT_EQ(text, part(packet, 20));
    world.receive(
        kWanPort,
        world.sealed(1, between("10.9.1.1", kLanHost).dont_fragment().udp(1, 1000, pattern(1372))));
    EXPECT_EQ(world.refusals(), "too_big");
    EXPECT_EQ(get16(world.inner_of(world.sent(kWanPort).at(0), 1), 26), 1280);
}

TEST(Route, without_buffers_a_packet_to_fragment_is_dropped_by_name)
{
    World world;
    std::vector<rte_mbuf*> taken;
    Burst burst;
    world.add(burst, kLanPort, world.plain(to_agent(1500, true, false)));
    while (rte_mbuf* mbuf = rte_pktmbuf_alloc(world.shared->pool)) taken.push_back(mbuf);
    run_burst(world.w(), *world.policy, burst);
    EXPECT_EQ(world.refusals(), "no_buffer");
    rte_pktmbuf_free_bulk(taken.data(), static_cast<unsigned>(taken.size()));
}

// One port may be wan and lan: tunnels end there, and what they carry leaves by it in the clear.
TEST(Route, serves_a_gateway_with_one_arm)
{
    World world(1, [](SnapshotBuilder& s) { s.ports[kWanPort].roles = api::kWan | api::kLan; });
    const char* host = "192.0.2.13";
    const Bytes request = between("10.9.1.1", host).hop_limit(64).udp(1, 1000, pattern(30));
    world.receive(kWanPort, world.sealed(1, request));
    EXPECT_EQ(world.refusals(), "");
    auto frames = world.sent(kWanPort);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(part(world.ip_of(frames[0], kWanPort), 20), part(request, 20));

    const auto from_link = [&](const Bytes& ip) {
        return frame_of(world.shared->port_macs[kWanPort], kOtherMac, ip);
    };
    const Bytes answer = between(host, "10.9.1.1").hop_limit(64).udp(1000, 1, pattern(40));
    world.receive(kWanPort, from_link(answer));
    EXPECT_EQ(world.refusals(), "");
    frames = world.sent(kWanPort);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(part(world.inner_of(frames[0], 1), 20), part(answer, 20));

    world.receive(kWanPort, from_link(between(host, "203.0.113.9").udp(1000, 1)));
    EXPECT_EQ(world.refusals(), "no_such_agent");
    world.receive(kWanPort, from_link(between("10.9.1.2", "10.9.1.1").udp(1000, 1)));
    EXPECT_EQ(world.refusals(), "spoofed_agent_source");
}

TEST(Route, refuses_what_no_port_leads_to)
{
    World world(1, [](SnapshotBuilder& s) { s.ports[1].gateway_v4 = {}; });
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", "203.0.113.5").udp(1, 1000)));
    EXPECT_EQ(world.refusals(), "no_route");
}

Bytes mss_of(const Bytes& ip)
{
    const size_t tcp = ip[0] >> 4 == 4 ? 20 : 40;
    return part(ip, tcp + 20, (ip[tcp + 12] >> 4) * 4u - 20);
}

TEST(Route, clamps_the_mss_both_ways_and_never_raises_it)
{
    World world;
    const auto mss = [](uint16_t value, int position) {
        const auto high = static_cast<uint8_t>(value >> 8), low = static_cast<uint8_t>(value);
        switch (position) {
            case 0:
                return Bytes{2, 4, high, low};
            case 1:
                return Bytes{1, 2, 4, high, low, 1, 1, 0};  // at an odd offset
            default:
                return Bytes{3, 3, 7, 2, 4, high, low, 1};
        }
    };
    for (const bool is_v4 : {true, false})
        for (const uint16_t value : {9000, 1460, 1381, 1380, 1360, 536, 0})
            for (int position = 0; position < 3; position++) {
                const char* agent = is_v4 ? "10.9.1.1" : "fd09::1:1";
                const char* host = is_v4 ? kLanHost : kLanHost6;
                const uint16_t most = is_v4 ? kTunnelMtu - 40 : kTunnelMtu - 60;
                const Bytes expected = mss(std::min(value, most), position);
                world.receive(
                    kWanPort,
                    world.sealed(1,
                                 between(agent, host).tcp(1, 443, kSyn, {}, mss(value, position))));
                EXPECT_EQ(mss_of(world.ip_of(world.sent(kLanPort).at(0), kLanPort)), expected)
                    << value;
                world.receive(kLanPort, world.plain(between(host, agent)
                                                        .tcp(443, 1, kSyn | kAck, {},
                                                             mss(value, position), 2000, 1001)));
                EXPECT_EQ(mss_of(world.inner_of(world.sent(kWanPort).at(0), 1)), expected) << value;
                // Without SYN it is no option of ours.
                world.receive(kLanPort, world.plain(between(host, agent)
                                                        .tcp(443, 1, kAck, {}, mss(value, position),
                                                             2001, 1001)));
                EXPECT_EQ(mss_of(world.inner_of(world.sent(kWanPort).at(0), 1)),
                          mss(value, position));
            }
    // Options that lie about their length change nothing.
    for (const Bytes& options :
         {Bytes{2, 40, 9, 9}, Bytes{5, 0, 2, 4}, Bytes{1, 1, 1, 2}, Bytes{0, 2, 4, 0xff}}) {
        world.receive(
            kWanPort,
            world.sealed(1, between("10.9.1.1", kLanHost).tcp(1, 443, kSyn, {}, options)));
        EXPECT_EQ(mss_of(world.ip_of(world.sent(kLanPort).at(0), kLanPort)), options);
    }
}

TEST(Seal, pads_to_16_and_never_past_the_mtu)
{
    World world;
    for (const auto& [bytes, padded] : {std::pair<size_t, size_t>{28, 32},
                                        {32, 32},
                                        {33, 48},
                                        {1300, 1312},
                                        {1408, 1408},
                                        {1409, 1420},
                                        {1419, 1420},
                                        {1420, 1420}}) {
        const Bytes packet = to_agent(bytes);
        world.receive(kLanPort, world.plain(packet));
        const auto frames = world.sent(kWanPort);
        ASSERT_EQ(frames.size(), 1u);
        EXPECT_EQ(world.opened(frames[0], 1).size(), padded) << bytes;
        EXPECT_EQ(frames[0].size(), 14 + 28 + 32 + padded);
        EXPECT_EQ(part(world.inner_of(frames[0], 1), 20), part(packet, 20));
    }
}

TEST(Seal, copies_ecn_out_and_keeps_the_dscp_inside)
{
    World world;
    for (const bool is_outer_v4 : {true, false}) {
        if (!is_outer_v4)
            world.agent(1).endpoint = {address_of("2001:db8:1::7"), 777, 0};
        for (uint8_t ecn = 0; ecn < 4; ecn++) {
            const auto traffic_class = static_cast<uint8_t>(0xb8 | ecn);
            world.receive(
                kLanPort,
                world.plain(
                    between(kLanHost, "10.9.1.1").traffic_class(traffic_class).udp(5000, 1000)));
            const auto frames = world.sent(kWanPort);
            ASSERT_EQ(frames.size(), 1u);
            const Bytes ip = world.ip_of(frames[0], kWanPort);
            EXPECT_EQ(is_outer_v4 ? ip[1] : (ip[0] << 4 | ip[1] >> 4) & 0xff, ecn);
            EXPECT_EQ(world.inner_of(frames[0], 1)[1], traffic_class);
            if (!is_outer_v4) {
                EXPECT_NE(get16(ip, 46), 0)
                    << "IPv6 needs the UDP checksum; ip_of() has verified it";
            }
        }
    }
}

TEST(Seal, notes_what_it_sent)
{
    World world;
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", kLanHost).udp(1000, 1000)));
    world.pass(1000);
    world.receive(kLanPort, {world.plain(to_agent(100)), world.plain(to_agent(100))});
    const Agent& agent = world.agent(1);
    EXPECT_EQ(agent.tx_packets.load(), 2u);
    EXPECT_EQ(agent.tx_bytes.load(), 2u * (112 + 32)) << "as wg show counts: the messages";
    EXPECT_EQ(agent.rx_packets.load(), 1u);
    EXPECT_EQ(agent.rx_bytes.load(), 28u + 32u);
    EXPECT_EQ(agent.activity.unanswered_since_ns.load(), world.w().now_ns);
    EXPECT_EQ(agent.activity.unacknowledged_since_ns.load(), 0u);
    EXPECT_EQ(agent.activity.last_traversal_ns.load(), world.w().now_ns);
}

TEST(Seal, an_endpoint_that_no_wan_port_leads_to_is_refused_by_name)
{
    World world(1, [](SnapshotBuilder& s) { s.ports[0].gateway_v4 = {}; });
    world.agent(1).endpoint = {address_of("203.0.113.5"), 777, 0};
    world.receive(kLanPort, world.plain(to_agent(100)));
    EXPECT_EQ(world.refusals(), "no_route");
}

TEST(Transmit, an_unknown_neighbour_is_the_server_threads_business)
{
    World world;
    world.receive(kWanPort,
                  world.sealed(1, between("10.9.1.1", "198.51.100.99").udp(1, 1000, pattern(5))));
    EXPECT_TRUE(world.sent(kLanPort).empty());
    void* object = nullptr;
    ASSERT_EQ(rte_ring_dequeue(world.shared->local, &object), 0);
    auto* mbuf = static_cast<rte_mbuf*>(object);
    EXPECT_EQ(parked(mbuf)->next_hop, address_of("198.51.100.99"));
    EXPECT_EQ(parked(mbuf)->egress, kLanPort);
    // When it has answered, the packet comes back and leaves.
    world.learn(kLanPort, "198.51.100.99");
    rte_ring_enqueue(world.shared->returns[0], mbuf);
    poll_handed_over(world.w(), world.policy.get());
    const auto frames = world.sent(kLanPort);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(part(world.ip_of(frames[0], kLanPort), 28), pattern(5));
    // Off the link it is the gateway that is asked for.
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", "203.0.113.5").udp(1, 1000)));
    EXPECT_EQ(world.sent(kLanPort).size(), 1u);
}

TEST(Transmit, drops_by_name_what_a_port_does_not_take)
{
    World world;
    const Bytes out = between("10.9.1.1", kLanHost).udp(1, 1000),
                host = between("10.9.1.1", "10.9.0.1").tcp(1, 8080, kSyn);
    for (int i = 0; i < 1030; i++)
        world.receive(kWanPort, {world.sealed(1, out), world.sealed(1, host)});
    flush_transmit(world.w());
    EXPECT_EQ(world.refusals(), "host_port_full*7 transmit_full*7") << "the rings hold 1,023";
    EXPECT_EQ(world.counters[0].ports[kLanPort].tx_packets.load(), 1023u);
    EXPECT_EQ(world.counters[0].ports[kLanPort].tx_bytes.load(), 1023u * 42u);
}

TEST(Worker, refuses_everything_before_the_first_policy)
{
    World world;
    for (uint8_t port : {kWanPort, kLanPort, kHostPort}) {
        rte_ring_enqueue(TestDevices::get().rx[port][0], world.mbuf_of(pattern(60)));
        poll_ports(world.w(), nullptr);
    }
    EXPECT_EQ(world.refusals(), "not_ready*3");
}

TEST(Worker, receives_from_every_port_and_sends_datagrams_of_the_handshake_thread)
{
    World world;
    rte_ring_enqueue(TestDevices::get().rx[kLanPort][0], world.mbuf_of(world.plain(to_agent(100))));
    poll_ports(world.w(), world.policy.get());
    EXPECT_EQ(world.sent(kWanPort).size(), 1u);
    EXPECT_EQ(world.counters[0].ports[kLanPort].rx_packets.load(), 1u);
    const Endpoint to{address_of("2001:db8:1::7"), 777, 0};
    world.shared->mailboxes[0]->push(
        {WorkerMessage::Kind::kSendDatagram, 0, nullptr, world.mbuf_of(pattern(148)), to, 0});
    poll_mailbox(world.w(), world.policy.get());
    const auto frames = world.sent(kWanPort);
    ASSERT_EQ(frames.size(), 1u);
    const Bytes ip = world.ip_of(frames[0], kWanPort);
    EXPECT_EQ((ip[0] << 4 | ip[1] >> 4) & 0xff, 0x88);
    EXPECT_EQ(get16(ip, 40), kListenPort);
    EXPECT_EQ(get16(ip, 42), 777);
    EXPECT_EQ(part(ip, 48), pattern(148));
    // Keepalives on request, by the agent's session.
    world.shared->mailboxes[0]->push({WorkerMessage::Kind::kKeepalive, 1, nullptr, nullptr, {}, 0});
    poll_mailbox(world.w(), world.policy.get());
    EXPECT_TRUE(world.opened(world.sent(kWanPort).at(0), 1).empty());
    // Forgetting reports every session once.
    world.take_events();
    world.shared->mailboxes[0]->push(
        {WorkerMessage::Kind::kForgetSessions, 1, nullptr, nullptr, {}, 0});
    poll_mailbox(world.w(), world.policy.get());
    EXPECT_EQ(world.take_events().size(), 1u);
    EXPECT_EQ(world.agent(1).current, nullptr);
}

}  // namespace
}  // namespace sandgate::test
