// Echoes and ICMP errors: what belongs to a flow, and what only says so.
#include "tests/support/dataplane_world.h"

namespace sandgate::test {
namespace {

constexpr const char* kRouter = "203.0.113.9";

std::string up(World& world, const Bytes& packet, IdentityId identity = 1)
{
    world.sent(kLanPort);
    world.receive(kWanPort, world.sealed(identity, packet));
    const std::string refusal = world.refusals();
    EXPECT_EQ(world.sent(kLanPort).size(), refusal.empty() ? 1u : 0u);
    return refusal;
}

std::string down(World& world, const Bytes& packet)
{
    world.sent(kWanPort);
    world.receive(kLanPort, world.plain(packet));
    const std::string refusal = world.refusals();
    EXPECT_EQ(world.sent(kWanPort).size(), refusal.empty() ? 1u : 0u);
    return refusal;
}

TEST(Icmp, errors_pass_with_the_flow_that_they_quote)
{
    World world;
    const Bytes out = between("10.9.1.1", kLanHost).udp(7, 1500, pattern(30));
    const Bytes related = between(kRouter, "10.9.1.1").icmp(11, 0, 0, part(out, 0, 28));
    EXPECT_EQ(down(world, related), "icmp_unrelated") << "no flow yet";
    EXPECT_EQ(up(world, out), "");
    world.receive(kLanPort, world.plain(related));
    auto frames = world.sent(kWanPort);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(part(world.inner_of(frames[0], 1), 20), part(related, 20));

    const auto unrelated = [&](const Bytes& quoted, const char* to = "10.9.1.1") {
        EXPECT_EQ(down(world, between(kRouter, to).icmp(3, 3, 0, quoted)), "icmp_unrelated");
    };
    unrelated(between("10.9.1.1", kLanHost).udp(8, 1500));
    unrelated(between("10.9.1.1", "198.51.100.8").udp(7, 1500));
    unrelated(between("10.9.1.1", kLanHost).tcp(7, 1500, kAck));
    unrelated(out, "10.9.1.2");
    unrelated(part(out, 0, 27));
    unrelated(part(out, 0, 10));
    unrelated({});
    unrelated(between("10.9.1.1", kLanHost).fragment_field(5).udp(7, 1500));
    unrelated(related);
    // From the agent: it may speak of what it received, of its own flows alone.
    const Bytes in = between(kLanHost, "10.9.1.1").udp(1500, 7);
    const Bytes unreachable = between("10.9.1.1", kLanHost).icmp(3, 3, 0, in);
    EXPECT_EQ(up(world, unreachable), "icmp_unrelated") << "the host has sent nothing yet";
    EXPECT_EQ(down(world, in), "");
    EXPECT_EQ(up(world, unreachable), "");
    EXPECT_EQ(up(world, between("10.9.1.2", kLanHost).icmp(3, 3, 0, in), 2), "icmp_unrelated");
    // An IPv6 error, quoting a packet with an extension header.
    const Bytes six = between("fd09::1:1", kLanHost6).extension(60, Bytes(7)).udp(7, 1500);
    EXPECT_EQ(up(world, six), "");
    EXPECT_EQ(down(world, between("2001:db8:9::9", "fd09::1:1").icmp(2, 0, 1280, six)), "");
}

TEST(Icmp, errors_keep_no_flow_alive_and_answer_nothing)
{
    World world;
    const Bytes out = between("10.9.1.1", kLanHost).udp(7, 1500, pattern(30));
    EXPECT_EQ(up(world, out), "");
    const FlowKey key{address_of("10.9.1.1"), address_of(kLanHost), FlowKey::pack(7, 1500, 1, 17)};
    const Flow* flow = world.w().flows.find(key, world.w().flows.hash_of(key));
    ASSERT_NE(flow, nullptr);
    const uint32_t last_seen_ms = flow->last_seen_ms;
    world.pass(100'000'000'000);
    EXPECT_EQ(down(world, between(kRouter, "10.9.1.1").icmp(3, 1, 0, out)), "");
    EXPECT_EQ(flow->last_seen_ms, last_seen_ms);
    EXPECT_EQ(flow->state, kFlowOpening);
    EXPECT_EQ(world.w().flows.cold_of(flow).packets[1], 1u) << "it is counted";
}

// RFC 5927: addresses and ports can be guessed, the number in the window is harder.
TEST(Icmp, forged_quotes_are_refused)
{
    World world;
    const auto segment = [](uint32_t sequence, bool is_of_agent = true) {
        return (is_of_agent ? between("10.9.1.1", kLanHost) : between(kLanHost, "10.9.1.1"))
            .tcp(is_of_agent ? 1 : 443, is_of_agent ? 443 : 1, kAck, {}, {}, sequence, 0)
            .bytes();
    };
    EXPECT_EQ(up(world, between("10.9.1.1", kLanHost).tcp(1, 443, kSyn, {}, {}, 5000)), "");
    const auto of_router = [&](uint32_t sequence) {
        return down(world, between(kRouter, "10.9.1.1").icmp(3, 4, 1400, segment(sequence)));
    };
    EXPECT_EQ(of_router(5000), "");
    EXPECT_EQ(of_router(5002), "icmp_unrelated") << "not sent yet";
    EXPECT_EQ(of_router(70'000'000), "icmp_unrelated");
    EXPECT_EQ(of_router(5000 - 1'200'000'000), "icmp_unrelated") << "long ago";
    // The agent, of what the host has not sent and then has sent.
    const auto of_agent = [&](uint32_t sequence) {
        return up(world, between("10.9.1.1", kLanHost).icmp(3, 3, 0, segment(sequence, false)));
    };
    EXPECT_EQ(of_agent(9000), "icmp_unrelated");
    EXPECT_EQ(
        down(world, between(kLanHost, "10.9.1.1").tcp(443, 1, kSyn | kAck, {}, {}, 9000, 5001)),
        "");
    EXPECT_EQ(of_agent(9000), "");
    EXPECT_EQ(of_agent(9500), "icmp_unrelated");
    EXPECT_EQ(of_agent(9000 - 70'000), "icmp_unrelated");
    const FlowKey key{address_of("10.9.1.1"), address_of(kLanHost), FlowKey::pack(1, 443, 1, 6)};
    EXPECT_EQ(world.w().flows.find(key, world.w().flows.hash_of(key))->state, kFlowAnswered)
        << "no error ends a connection (RFC 5927 section 5)";
}

TEST(Icmp, a_reply_passes_for_each_request)
{
    World world;
    for (const bool is_v4 : {true, false}) {
        const char* agent = is_v4 ? "10.9.1.1" : "fd09::1:1";
        const char* host = is_v4 ? kLanHost : kLanHost6;
        const uint8_t asks = is_v4 ? 8 : 128, replies = is_v4 ? 0 : 129;
        const auto request = [&](uint32_t id) {
            return up(world, between(agent, host).icmp(asks, 0, id << 16 | 1, pattern(20)));
        };
        const auto reply = [&](uint32_t id) {
            return down(world, between(host, agent).icmp(replies, 0, id << 16 | 1, pattern(20)));
        };
        EXPECT_EQ(reply(7), "flow_not_opened") << "nobody asked";
        EXPECT_TRUE(world.sent(kLanPort).empty()) << "and nobody is told";
        EXPECT_EQ(request(7), "");
        EXPECT_EQ(reply(8), "flow_not_opened") << "not for this one";
        EXPECT_EQ(reply(7), "");
        EXPECT_EQ(reply(7), "flow_not_opened") << "one tunnel less";
        for (int i = 0; i < 3; i++) EXPECT_EQ(request(7), "");
        for (int i = 0; i < 3; i++) EXPECT_EQ(reply(7), "");
        EXPECT_EQ(reply(7), "flow_not_opened");
        // An agent does not reply unasked either, and a host of the lan may not ask over the flow
        // that the agent has opened; not even with the identifier that stands for no asker.
        EXPECT_EQ(up(world, between(agent, host).icmp(replies, 0, 7u << 16)), "flow_not_opened");
        if (!is_v4)
            continue;  // IPv6 grants this host everything
        EXPECT_EQ(down(world, between(host, agent).icmp(asks, 0, 7u << 16)), "policy_denied");
        EXPECT_EQ(request(0xffff), "");
        EXPECT_EQ(down(world, between(host, agent).icmp(asks, 0, 0xffffu << 16)),
                  "flow_not_opened");
        EXPECT_EQ(reply(0xffff), "");
    }
    // Both ask with one identifier: two flows.
    EXPECT_EQ(down(world, between(kLanHost6, "fd09::1:1").icmp(128, 0, 7u << 16)), "");
    EXPECT_EQ(up(world, between("fd09::1:1", kLanHost6).icmp(129, 0, 7u << 16)), "");
    EXPECT_EQ(up(world, between("fd09::1:1", kLanHost6).icmp(129, 0, 7u << 16)), "flow_not_opened");
    // A burst of replies is no way around.
    EXPECT_EQ(up(world, between("10.9.1.1", kLanHost).icmp(8, 0, 9u << 16)), "");
    const Bytes one = world.plain(between(kLanHost, "10.9.1.1").icmp(0, 0, 9u << 16));
    world.receive(kLanPort, {one, one, one});
    EXPECT_EQ(world.refusals(), "flow_not_opened*2");
}

TEST(Icmp, errors_of_an_echo_belong_to_who_asked)
{
    World world;
    const Bytes request = between("10.9.1.1", kLanHost).icmp(8, 0, 7u << 16, pattern(20));
    EXPECT_EQ(up(world, request), "");
    EXPECT_EQ(down(world, between(kRouter, "10.9.1.1").icmp(3, 1, 0, request)), "");
    const Bytes reply = between("10.9.1.1", kLanHost).icmp(0, 0, 7u << 16, pattern(20));
    EXPECT_EQ(down(world, between(kRouter, "10.9.1.1").icmp(3, 1, 0, reply)), "icmp_unrelated");
}

TEST(Icmp, nothing_passes_but_echoes_and_errors_of_flows)
{
    World world;
    const Bytes four = between("10.9.1.1", kLanHost).udp(7, 1500, pattern(30));
    const Bytes six = between("fd09::1:1", kLanHost6).udp(7, 1500, pattern(30));
    EXPECT_EQ(up(world, four), "");
    EXPECT_EQ(up(world, six), "");
    for (unsigned type = 0; type < 256; type++) {
        const auto number = static_cast<uint8_t>(type);
        const bool is_known4 = type == 0 || type == 8 || type == 3 || type == 11 || type == 12;
        if (!is_known4) {
            EXPECT_EQ(down(world, between(kLanHost, "10.9.1.1").icmp(number, 0, 0, four)),
                      "icmp_type_refused")
                << type;
            EXPECT_EQ(up(world, between("10.9.1.1", kLanHost).icmp(number, 0, 0, four)),
                      "icmp_type_refused")
                << type;
        }
        const bool is_known6 = type == 128 || type == 129 || (type >= 1 && type <= 4);
        if (!is_known6) {
            EXPECT_EQ(down(world, between(kLanHost6, "fd09::1:1").icmp(number, 0, 0, six)),
                      "icmp_type_refused")
                << type;
        }
    }
    EXPECT_TRUE(world.sent(kLanPort).empty());
}

}  // namespace
}  // namespace sandgate::test
