// Who may talk to whom: grants, flows and their end, and what the sender of a refused packet is
// told.
#include "tests/support/dataplane_world.h"

namespace sandgate::test {
namespace {

TEST(Classify, allows_what_a_grant_names_and_nothing_else)
{
    World world;
    const struct
    {
        const char* name;
        uint8_t port;
        Bytes ip;
        const char* refused_as;
    } cases[] = {
        {"TCP by its port", kWanPort, between("10.9.1.1", kLanHost).tcp(1, 443, kSyn), ""},
        {"another TCP port", kWanPort, between("10.9.1.1", kLanHost).tcp(1, 444, kSyn),
         "policy_denied"},
        {"the right port of another protocol", kWanPort, between("10.9.1.1", kLanHost).udp(1, 443),
         "policy_denied"},
        {"outside the prefix", kWanPort, between("10.9.1.1", "203.0.113.5").tcp(1, 443, kSyn),
         "policy_denied"},
        {"lowest port of a range", kWanPort, between("10.9.1.1", kLanHost).udp(1, 1000), ""},
        {"highest port of a range", kWanPort, between("10.9.1.1", kLanHost).udp(1, 2000), ""},
        {"below the range", kWanPort, between("10.9.1.1", kLanHost).udp(1, 999), "policy_denied"},
        {"above the range", kWanPort, between("10.9.1.1", kLanHost).udp(1, 2001), "policy_denied"},
        {"the source port is no destination port", kWanPort,
         between("10.9.1.1", kLanHost).tcp(443, 1, kSyn), "policy_denied"},
        {"echo", kWanPort, between("10.9.1.1", kLanHost).icmp(8, 0, 0x10001), ""},
        {"any protocol", kWanPort, between("fd09::1:1", kLanHost6).raw(99, pattern(4)), ""},
        {"another protocol", kWanPort, between("10.9.1.1", kLanHost).raw(47, pattern(8)),
         "policy_denied"},
        {"ingress by its port", kLanPort, between(kLanHost, "10.9.1.1").tcp(5, 22, kSyn), ""},
        {"another ingress port", kLanPort, between(kLanHost, "10.9.1.1").tcp(5, 23, kSyn),
         "policy_denied"},
        {"an egress grant is none for ingress", kLanPort,
         between(kLanHost, "10.9.1.1").tcp(5, 443, kSyn), "policy_denied"},
        {"answer to an open flow", kLanPort,
         between(kLanHost, "10.9.1.1").tcp(443, 1, kSyn | kAck, {}, {}, 2000, 1001), ""},
        {"answer from where an answer could come from", kLanPort,
         between("198.51.100.8", "10.9.1.1").tcp(443, 1, kSyn | kAck), "flow_not_opened"},
        {"answer from where none could come from", kLanPort,
         between("203.0.113.5", "10.9.1.1").tcp(443, 1, kSyn | kAck), "policy_denied"},
        {"echo reply", kLanPort, between(kLanHost, "10.9.1.1").icmp(0, 0, 0x10001), ""},
        {"echo reply to another identifier", kLanPort,
         between(kLanHost, "10.9.1.1").icmp(0, 0, 0x20001), "flow_not_opened"},
    };
    for (const auto& c : cases) {
        world.receive(c.port, c.port == kWanPort ? world.sealed(1, c.ip) : world.plain(c.ip));
        EXPECT_EQ(world.refusals(), c.refused_as) << c.name;
        world.sent(kWanPort);
        world.sent(kLanPort);
    }
    EXPECT_EQ(world.counters[0].flows_created.load(), world.w().flows.used());
}

TEST(Classify, a_flow_knows_its_rule_and_epoch)
{
    World world;
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", kLanHost).tcp(1, 443, kSyn)));
    FlowKey key{address_of("10.9.1.1"), address_of(kLanHost), FlowKey::pack(1, 443, 1, 6)};
    const Flow* flow = world.w().flows.find(key, world.w().flows.hash_of(key));
    ASSERT_NE(flow, nullptr);
    EXPECT_EQ(flow->rule, 11u);
    EXPECT_EQ(flow->epoch, 1u);
    EXPECT_EQ(flow->state, kFlowOpening);
    world.receive(
        kLanPort,
        world.plain(between(kLanHost, "10.9.1.1").tcp(443, 1, kSyn | kAck, {}, {}, 2000, 1001)));
    EXPECT_EQ(flow->state, kFlowAnswered);
    const FlowCold& cold = world.w().flows.cold_of(flow);
    EXPECT_EQ(cold.packets[0], 1u);
    EXPECT_EQ(cold.packets[1], 1u);
    EXPECT_EQ(cold.bytes[0], 40u);
    EXPECT_EQ(cold.tcp_flags[0], kSyn);
    EXPECT_EQ(cold.tcp_flags[1], kSyn | kAck);
    EXPECT_EQ(cold.start_s, World::kStartNs / 1'000'000'000);
}

TEST(Classify, a_revoked_grant_cuts_a_live_flow)
{
    World world;
    const Bytes out = between("10.9.1.1", kLanHost).tcp(1, 443, kAck, {}, {}, 1001, 2001),
                in = between(kLanHost, "10.9.1.1").tcp(443, 1, kAck, {}, {}, 2001, 1001);
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", kLanHost).tcp(1, 443, kSyn)));
    world.receive(
        kLanPort,
        world.plain(between(kLanHost, "10.9.1.1").tcp(443, 1, kSyn | kAck, {}, {}, 2000, 1001)));
    world.receive(kWanPort, world.sealed(1, out));
    world.receive(kLanPort, world.plain(in));
    EXPECT_EQ(world.refusals(), "");
    // A swap that keeps the grant costs nothing; the flow is decided again when its row changed.
    world.swap_policy([](SnapshotBuilder& s) { s.agent(1).changed_epoch = s.epoch; });
    world.receive(kLanPort, world.plain(in));
    EXPECT_EQ(world.refusals(), "");
    world.swap_policy(
        [](SnapshotBuilder& s) { s.matches[0].port_low = 444, s.matches[0].port_high = 444; });
    world.receive(kLanPort, world.plain(in));
    EXPECT_EQ(world.refusals(), "") << "no row says that it changed";
    world.swap_policy([](SnapshotBuilder& s) { s.classes[0].changed_epoch = s.epoch; });
    world.sent(kWanPort);
    world.receive(kLanPort, {world.plain(in), world.plain(in)});
    EXPECT_EQ(world.refusals(), "policy_denied*2");
    world.receive(kWanPort, world.sealed(1, out));
    EXPECT_EQ(world.refusals(), "policy_denied");
    EXPECT_EQ(world.w().flows.used(), 0u);
}

TEST(Classify, disabled_and_expired_agents_are_refused_both_ways)
{
    World world;
    const Bytes out = between("10.9.1.1", kLanHost).udp(1, 1000),
                in = between(kLanHost, "10.9.1.1").udp(1000, 1);
    world.receive(kWanPort, world.sealed(1, out));
    world.receive(kLanPort, world.plain(in));
    EXPECT_EQ(world.refusals(), "");
    const auto refuses = [&](const char* why) {
        world.receive(kWanPort, world.sealed(1, out));
        world.receive(kLanPort, world.plain(in));
        EXPECT_EQ(world.refusals(), "agent_disabled*2") << why;
    };
    world.swap_policy([](SnapshotBuilder& s) { s.agent(1).flags = 0; });
    refuses("disabled");
    const auto now = static_cast<int64_t>(world.w().unix_seconds);
    world.swap_policy([&](SnapshotBuilder& s) {
        s.agent(1).flags = api::kAgentEnabled, s.agent(1).expires_unix = now + 1;
    });
    world.receive(kWanPort, world.sealed(1, out));
    EXPECT_EQ(world.refusals(), "");
    world.w().unix_seconds++;
    refuses("expired");
}

TEST(Classify, a_row_that_is_gone_ends_its_agent)
{
    World world;
    const Bytes frame = world.sealed(1, between("10.9.1.1", kLanHost).udp(1, 1000));
    world.swap_policy([](SnapshotBuilder& s) {
        s.agents.erase(s.agents.begin());
        std::erase_if(s.addresses, [](const auto& row) { return row.identity == 1; });
    });
    world.receive(kWanPort, frame);
    EXPECT_EQ(world.refusals(), "inner_source_not_ours");
    world.receive(kLanPort, world.plain(between(kLanHost, "10.9.1.1").udp(1000, 1000)));
    EXPECT_EQ(world.refusals(), "no_such_agent");
}

// What a refused packet's sender gets back, by its kind.
TEST(Replies, a_refused_tcp_packet_gets_a_reset_that_its_sender_accepts)
{
    World world;
    for (const bool is_v4 : {true, false}) {
        const char* agent = is_v4 ? "10.9.1.2" : "fd09::1:2";
        const char* host = is_v4 ? kLanHost : kLanHost6;
        const size_t header = is_v4 ? 20 : 40;
        // A SYN: sequence 0, acknowledges the SYN.
        world.receive(
            kWanPort,
            world.sealed(2, between(agent, host).tcp(4321, 443, kSyn, {}, {}, 0xfffffff0)));
        EXPECT_EQ(world.refusals(), "policy_denied");
        auto frames = world.sent(kWanPort);
        ASSERT_EQ(frames.size(), 1u);
        Bytes reset = world.inner_of(frames[0], 2);
        ASSERT_EQ(reset.size(), header + 20);
        EXPECT_EQ(part(reset, header - (is_v4 ? 8 : 32), header == 20 ? 4 : 16),
                  part(between(host, agent).udp(1, 1), is_v4 ? 12 : 8, is_v4 ? 4 : 16))
            << "from the packet's destination";
        EXPECT_EQ(get16(reset, header), 443);
        EXPECT_EQ(get16(reset, header + 2), 4321);
        EXPECT_EQ(get32(reset, header + 4), 0u);
        EXPECT_EQ(get32(reset, header + 8), 0xfffffff1);
        EXPECT_EQ(reset[header + 13], kRst | kAck);
        // A segment with ACK: the sequence that it acknowledges.
        world.receive(
            kWanPort,
            world.sealed(
                2, between(agent, host).tcp(4321, 443, kAck | kPsh, pattern(30), {}, 5, 777)));
        frames = world.sent(kWanPort);
        ASSERT_EQ(frames.size(), 1u);
        reset = world.inner_of(frames[0], 2);
        EXPECT_EQ(get32(reset, header + 4), 777u);
        EXPECT_EQ(reset[header + 13], kRst);
        // A SYN with text (RFC 7413): all of it is acknowledged.
        world.receive(
            kWanPort,
            world.sealed(2, between(agent, host).tcp(4321, 443, kSyn, pattern(30), {}, 100)));
        frames = world.sent(kWanPort);
        ASSERT_EQ(frames.size(), 1u);
        reset = world.inner_of(frames[0], 2);
        EXPECT_EQ(get32(reset, header + 8), 131u);
        world.refusals();
    }
    // Towards the lan side, in the clear.
    world.receive(kLanPort, world.plain(between(kLanHost, "10.9.1.2").tcp(9, 22, kSyn)));
    const auto frames = world.sent(kLanPort);
    ASSERT_EQ(frames.size(), 1u);
    const Bytes reset = world.ip_of(frames[0], kLanPort);
    EXPECT_EQ(part(reset, 12, 8), part(between("10.9.1.2", kLanHost).udp(1, 1), 12, 8));
}

TEST(Replies, everything_else_gets_administratively_prohibited)
{
    World world;
    for (const bool is_v4 : {true, false})
        for (const size_t payload : {0, 100, 1300}) {
            const char* agent = is_v4 ? "10.9.1.2" : "fd09::1:2";
            const Bytes packet = between(agent, is_v4 ? kLanHost : kLanHost6)
                                     .hop_limit(9)
                                     .udp(1, 1, pattern(payload));
            world.receive(kWanPort, world.sealed(2, packet));
            EXPECT_EQ(world.refusals(), "policy_denied");
            const auto frames = world.sent(kWanPort);
            ASSERT_EQ(frames.size(), 1u);
            const Bytes error = world.inner_of(frames[0], 2);
            const size_t header = is_v4 ? 20 : 40;
            EXPECT_EQ(part(error, 0, header)[is_v4 ? 9 : 6], is_v4 ? 1 : 58);
            EXPECT_EQ(part(error, is_v4 ? 12 : 8, is_v4 ? 8 : 32),
                      part(between(is_v4 ? "10.9.0.1" : "fd09::1", agent).udp(1, 1), is_v4 ? 12 : 8,
                           is_v4 ? 8 : 32));
            EXPECT_EQ(error[header], is_v4 ? 3 : 1);
            EXPECT_EQ(error[header + 1], is_v4 ? 13 : 1);
            EXPECT_EQ(get32(error, header + 4), 0u);
            EXPECT_EQ(part(error, header + 8), part(packet, 0, (is_v4 ? 576 : 1280) - header - 8))
                << "quotes the packet";
        }
}

TEST(Replies, nobody_is_told_of_errors_and_resets)
{
    World world;
    const Bytes quoted = between(kLanHost, "10.9.1.2").udp(1, 1, pattern(8));
    const Bytes silent[] = {
        between("10.9.1.2", kLanHost).tcp(1, 443, kRst),
        between("10.9.1.2", kLanHost).tcp(1, 443, kRst | kAck),
        between("10.9.1.2", kLanHost).icmp(3, 3, 0, quoted),
        between("10.9.1.2", kLanHost).icmp(11, 0, 0, quoted),
    };
    for (const Bytes& packet : silent) world.receive(kWanPort, world.sealed(2, packet));
    EXPECT_TRUE(world.sent(kWanPort).empty());
    EXPECT_EQ(world.refusals(), "policy_denied*2 icmp_unrelated*2");
}

TEST(Replies, are_limited_to_a_thousand_a_second)
{
    World world;
    const Bytes frame = world.plain(between(kLanHost, "10.9.1.2").udp(1, 1));
    unsigned told = 0;
    for (int i = 0; i < 1100; i++) {
        world.receive(kLanPort, frame);
        told += static_cast<unsigned>(world.sent(kLanPort).size());
    }
    EXPECT_EQ(told, 1000u);
    world.pass(10'000'000);
    for (int i = 0; i < 20; i++) world.receive(kLanPort, frame);
    EXPECT_EQ(world.sent(kLanPort).size(), 10u);
}

TEST(Classify, the_gateway_serves_what_it_declares)
{
    World world;
    world.receive(kWanPort,
                  world.sealed(1, between("10.9.1.1", "10.9.0.1").hop_limit(1).tcp(1, 8080, kSyn)));
    EXPECT_EQ(world.refusals(), "");
    auto frames = world.sent(kHostPort);
    ASSERT_EQ(frames.size(), 1u);
    const Bytes ip = world.ip_of(frames[0], kHostPort);
    EXPECT_EQ(ip[8], 1) << "the gateway is the last hop";
    // Granted but not declared; declared but not granted.
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", "10.9.0.1").tcp(1, 8081, kSyn)));
    EXPECT_EQ(world.refusals(), "host_service_not_declared");
    world.receive(kWanPort, world.sealed(2, between("10.9.1.2", "10.9.0.1").tcp(1, 8080, kSyn)));
    EXPECT_EQ(world.refusals(), "policy_denied");
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", "10.9.0.1").icmp(8, 0, 1)));
    EXPECT_EQ(world.refusals(), "host_service_not_declared");
    EXPECT_TRUE(world.sent(kHostPort).empty());
    EXPECT_EQ(world.sent(kWanPort).size(), 3u) << "each sender was told";
    // The answer, and a flow that the host opens.
    world.receive(
        kHostPort,
        world.from_host(
            between("10.9.0.1", "10.9.1.1").tcp(8080, 1, kSyn | kAck, {}, {}, 2000, 1001)));
    EXPECT_EQ(world.refusals(), "");
    world.receive(kHostPort, world.from_host(between("10.9.0.1", "10.9.1.1").udp(53, 4444)));
    EXPECT_EQ(world.refusals(), "");
    EXPECT_EQ(world.sent(kWanPort).size(), 2u);
    world.receive(kHostPort, world.from_host(between("10.9.0.1", "10.9.1.2").udp(53, 4444)));
    EXPECT_EQ(world.refusals(), "policy_denied");
    EXPECT_EQ(world.sent(kHostPort).size(), 1u) << "the host is told, at its own port";
}

TEST(Classify, without_a_host_port_nothing_is_delivered_to_it)
{
    World world;
    world.shared->has_host_port = false;
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", "10.9.0.1").tcp(1, 8080, kSyn)));
    EXPECT_EQ(world.refusals(), "host_service_not_declared");
}

TEST(Classify, a_full_flow_table_refuses_new_flows_and_keeps_known_ones)
{
    World world(1, {}, 16);
    for (uint16_t i = 0; i < 16; i++)
        world.receive(
            kWanPort,
            world.sealed(1, between("10.9.1.1", kLanHost).udp(static_cast<uint16_t>(i + 1), 1000)));
    EXPECT_EQ(world.refusals(), "");
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", kLanHost).udp(99, 1000)));
    EXPECT_EQ(world.refusals(), "flow_table_full");
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", kLanHost).udp(3, 1000)));
    EXPECT_EQ(world.refusals(), "");
}

TEST(Classify, agents_talk_when_both_ends_allow_it)
{
    World world;
    const auto pass_on = [&] { poll_handed_over(world.w(), world.policy.get()); };
    // Allowed by both.
    world.receive(kWanPort,
                  world.sealed(1, between("10.9.1.1", "10.9.1.2").hop_limit(9).tcp(1, 80, kSyn)));
    pass_on();
    EXPECT_EQ(world.refusals(), "");
    auto frames = world.sent(kWanPort);
    ASSERT_EQ(frames.size(), 1u);
    Bytes inner = world.inner_of(frames[0], 2);
    EXPECT_EQ(inner[8], 8) << "one hop";
    EXPECT_EQ(world.w().flows.used(), 2u) << "one flow for each end";
    // The answer runs back through both flows.
    world.receive(
        kWanPort,
        world.sealed(2,
                     between("10.9.1.2", "10.9.1.1").tcp(80, 1, kSyn | kAck, {}, {}, 2000, 1001)));
    pass_on();
    EXPECT_EQ(world.refusals(), "");
    frames = world.sent(kWanPort);
    ASSERT_EQ(frames.size(), 1u);
    world.inner_of(frames[0], 1);
    // Allowed by the sender alone: the receiver's end refuses, the sender is told through its
    // tunnel.
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", "10.9.1.2").tcp(1, 81, kSyn)));
    EXPECT_EQ(world.refusals(), "");
    pass_on();
    EXPECT_EQ(world.refusals(), "policy_denied");
    frames = world.sent(kWanPort);
    ASSERT_EQ(frames.size(), 1u);
    inner = world.inner_of(frames[0], 1);
    EXPECT_EQ(inner[33], kRst | kAck);
    // Allowed by the receiver alone, or by none.
    world.receive(kWanPort, world.sealed(2, between("10.9.1.2", "10.9.1.1").udp(1, 500)));
    EXPECT_EQ(world.refusals(), "policy_denied");
    // To one that was never heard of.
    world.sent(kWanPort);
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", "10.9.1.3").udp(1, 1000)));
    EXPECT_EQ(world.refusals(), "no_session");
    frames = world.sent(kWanPort);
    ASSERT_EQ(frames.size(), 1u);
    inner = world.inner_of(frames[0], 1);
    EXPECT_EQ(inner[20], 3);
    EXPECT_EQ(inner[21], 1) << "host unreachable";
}

TEST(Classify, an_agent_never_heard_of_is_unreachable_from_outside)
{
    World world;
    world.receive(kLanPort, world.plain(between(kLanHost, "10.9.1.3").udp(1, 1000)));
    EXPECT_EQ(world.refusals(), "no_session");
    const auto frames = world.sent(kLanPort);
    ASSERT_EQ(frames.size(), 1u);
    const Bytes error = world.ip_of(frames[0], kLanPort);
    EXPECT_EQ(error[20], 3);
    EXPECT_EQ(error[21], 1);
    EXPECT_EQ(part(error, 12, 4), part(between("198.51.100.1", kLanHost).udp(1, 1), 12, 4))
        << "from the port's address";
}

}  // namespace
}  // namespace sandgate::test
