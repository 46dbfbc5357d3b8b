// TCP connections through the whole path: what belongs to one, what opens one, what strangers try.
// tests/unit/dataplane/tcp_state_test.cpp has the states as a table.
#include <array>
#include <bit>

#include "tests/support/dataplane_world.h"

namespace sandgate::test {
namespace {

constexpr uint32_t kAgentIss = 1000, kHostIss = 0xfffffff0;

std::array<uint8_t, sizeof(Flow)> bytes_of(const Flow& flow)
{
    return std::bit_cast<std::array<uint8_t, sizeof(Flow)>>(flow);
}

// Agent 1 and a host of the lan on one pair of ports; numbers are relative to the initial ones.
struct Talk
{
    World& world;
    const char* agent = "10.9.1.1";
    const char* host = kLanHost;
    uint16_t agent_port = 1, host_port = 443;

    Bytes from_agent(uint8_t flags, uint32_t sequence, uint32_t acknowledged, size_t text = 0) const
    {
        return between(agent, host)
            .tcp(agent_port, host_port, flags, pattern(text), {}, kAgentIss + sequence,
                 kHostIss + acknowledged);
    }
    Bytes from_host(uint8_t flags, uint32_t sequence, uint32_t acknowledged, size_t text = 0) const
    {
        return between(host, agent)
            .tcp(host_port, agent_port, flags, pattern(text), {}, kHostIss + sequence,
                 kAgentIss + acknowledged);
    }
    // The name of the refusal, or nothing; a packet that passes is the same on the other side.
    std::string up(const Bytes& packet) const
    {
        world.sent(kLanPort);
        world.receive(kWanPort, world.sealed(1, packet));
        const auto frames = world.sent(kLanPort);
        const std::string refusal = world.refusals();
        EXPECT_EQ(frames.size(), refusal.empty() ? 1u : 0u);
        return refusal;
    }
    std::string down(const Bytes& packet) const
    {
        world.sent(kWanPort);
        world.receive(kLanPort, world.plain(packet));
        const auto frames = world.sent(kWanPort);
        const std::string refusal = world.refusals();
        EXPECT_EQ(frames.size(), refusal.empty() ? 1u : 0u);
        return refusal;
    }
    void establish() const
    {
        EXPECT_EQ(up(from_agent(kSyn, 0, 0)), "");
        EXPECT_EQ(down(from_host(kSyn | kAck, 0, 1)), "");
        EXPECT_EQ(up(from_agent(kAck, 1, 1)), "");
        EXPECT_EQ(state(), kFlowEstablished);
    }
    const Flow* flow() const
    {
        const FlowKey key{address_of(agent), address_of(host),
                          FlowKey::pack(agent_port, host_port, 1, 6)};
        return world.w().flows.find(key, world.w().flows.hash_of(key));
    }
    uint8_t state() const { return flow() == nullptr ? uint8_t{kFlowFree} : flow()->state; }
};

TEST(Tcp, a_connection_runs_from_its_syn_to_its_fins)
{
    World world;
    for (const bool is_v4 : {true, false}) {
        const Talk talk = is_v4 ? Talk{world} : Talk{world, "fd09::1:1", kLanHost6};
        talk.establish();
        EXPECT_EQ(talk.up(talk.from_agent(kAck | kPsh, 1, 1, 700)), "");
        EXPECT_EQ(talk.down(talk.from_host(kAck, 1, 701, 1300)), "");
        EXPECT_EQ(talk.down(talk.from_host(kAck | kFin, 1301, 701)), "");
        EXPECT_EQ(talk.state(), kFlowClosing);
        EXPECT_EQ(talk.up(talk.from_agent(kAck | kFin, 701, 1302)), "");
        EXPECT_EQ(talk.state(), kFlowClosed);
        EXPECT_EQ(talk.down(talk.from_host(kAck, 1302, 702)), "");
        // TIME_WAIT: the ports serve again, and the new connection has its own timeouts.
        talk.establish();
    }
    EXPECT_EQ(world.w().flows.used(), 2u);
    EXPECT_EQ(world.counters[0].flows_created.load(), 4u);
    EXPECT_EQ(world.counters[0].flows_ended.load(), 2u);
}

TEST(Tcp, a_connection_is_opened_from_one_side)
{
    World world;
    const Talk talk{world};
    talk.establish();
    // The host may not use the agent's connection to open one of its own.
    EXPECT_EQ(talk.down(talk.from_host(kSyn, 0, 0)), "tcp_out_of_state");
    EXPECT_EQ(talk.down(talk.from_host(kSyn, 5'000'000, 0)), "tcp_out_of_state");
    EXPECT_EQ(talk.state(), kFlowEstablished);
    EXPECT_TRUE(world.sent(kLanPort).empty()) << "nobody is told";
    // When it has ended, the host's SYN is a new flow and is decided as such.
    EXPECT_EQ(talk.down(talk.from_host(kRst, 1, 0)), "");
    EXPECT_EQ(talk.state(), kFlowClosed);
    EXPECT_EQ(talk.down(talk.from_host(kSyn, 9'000'000, 0)), "policy_denied");
    EXPECT_EQ(talk.state(), kFlowClosed);
    EXPECT_EQ(talk.up(talk.from_agent(kSyn, 9'000'000, 0)), "");
    EXPECT_EQ(talk.state(), kFlowOpening);
    EXPECT_EQ(talk.up(talk.from_agent(kAck, 9'000'001, 1)), "tcp_out_of_state");
    EXPECT_EQ(talk.up(talk.from_agent(kAck, 9'000'001, 1, 50)), "tcp_out_of_state");
}

TEST(Tcp, strangers_change_nothing_with_what_they_guess)
{
    World world;
    const Talk talk{world};
    talk.establish();
    const Flow before = *talk.flow();
    // From the lan, with the host's address: the number is off.
    const struct
    {
        const char* name;
        Bytes packet;
    } guesses[] = {
        {"reset", talk.from_host(kRst, 5'000'000, 0)},
        {"reset, half the space away", talk.from_host(kRst, 1u << 31, 0)},
        {"text ahead", talk.from_host(kAck, 100'000, 1, 9)},
        {"text behind", talk.from_host(kAck, 0u - 100'000, 1, 9)},
        {"acknowledges what was never sent", talk.from_host(kAck, 1, 2)},
        {"an old acknowledgement", talk.from_host(kAck, 1, 0u - 100'000)},
        {"FIN", talk.from_host(kFin | kAck, 100'000, 1)},
        {"SYN ACK", talk.from_host(kSyn | kAck, 100'000, 1)},
    };
    for (const auto& guess : guesses) {
        EXPECT_EQ(talk.down(guess.packet), "tcp_out_of_window") << guess.name;
        EXPECT_TRUE(world.sent(kLanPort).empty()) << guess.name << ": learns nothing";
        EXPECT_EQ(bytes_of(before), bytes_of(*talk.flow())) << guess.name;
    }
    // One that happens to lie in the window goes to the agent, which challenges it (RFC 5961).
    EXPECT_EQ(talk.down(talk.from_host(kRst, 1000, 0)), "");
    EXPECT_EQ(talk.state(), kFlowEstablished);
    EXPECT_EQ(talk.up(talk.from_agent(kAck, 1, 1)), "");
    EXPECT_EQ(talk.flow()->marks, before.marks) << "and the connection lives on";
    EXPECT_EQ(talk.up(talk.from_agent(kAck, 1, 1, 99)), "");
    EXPECT_EQ(talk.down(talk.from_host(kAck, 1, 100, 99)), "");
}

TEST(Tcp, a_packet_of_no_connection_is_refused_and_its_sender_told)
{
    World world;
    const Talk talk{world};
    for (const uint8_t flags : {kAck, static_cast<uint8_t>(kFin | kAck)}) {
        EXPECT_EQ(talk.up(talk.from_agent(flags, 1, 1, 5)), "flow_not_opened");
        const auto frames = world.sent(kWanPort);
        ASSERT_EQ(frames.size(), 1u);
        EXPECT_EQ(world.inner_of(frames[0], 1).at(33), kRst) << "it need not wait";
        EXPECT_EQ(talk.down(talk.from_host(flags, 1, 1, 5)), "flow_not_opened")
            << "an answer that nobody asked for";
        EXPECT_EQ(world.ip_of(world.sent(kLanPort).at(0), kLanPort).at(33), kRst);
    }
    EXPECT_EQ(talk.down(talk.from_host(kSyn | kAck, 0, 1)), "flow_not_opened");
    EXPECT_EQ(world.sent(kLanPort).size(), 1u);
    EXPECT_EQ(talk.down(talk.from_host(kRst, 0, 1)), "flow_not_opened");
    EXPECT_TRUE(world.sent(kLanPort).empty()) << "no reset for a reset";
    EXPECT_EQ(talk.up(talk.from_agent(kRst | kAck, 0, 1)), "flow_not_opened");
    EXPECT_TRUE(world.sent(kWanPort).empty());
    const Talk denied{world, "10.9.1.1", "203.0.113.5"};
    EXPECT_EQ(denied.up(denied.from_agent(kAck, 1, 1)), "policy_denied");
    EXPECT_EQ(denied.down(denied.from_host(kAck, 1, 1)), "policy_denied");
    EXPECT_EQ(world.w().flows.used(), 0u);
}

TEST(Tcp, connections_survive_a_restart_of_the_gateway)
{
    for (const bool agent_speaks_first : {true, false}) {
        World world;
        world.w().pick_up_until_ns = World::kStartNs + 1'000'000'000;
        const Talk talk{world};
        // The opener is who the policy lets open it, whoever speaks first.
        if (agent_speaks_first) {
            EXPECT_EQ(talk.up(talk.from_agent(kAck, 1, 1, 10)), "");
        } else {
            EXPECT_EQ(talk.down(talk.from_host(kAck, 1, 1, 10)), "");
        }
        ASSERT_EQ(talk.state(), kFlowPickedUp);
        EXPECT_EQ(talk.flow()->direction, api::kEgress);
        EXPECT_EQ(talk.flow()->rule, 11u);
        EXPECT_EQ(talk.down(talk.from_host(kAck, 11, 11, 10)), "");
        EXPECT_EQ(talk.up(talk.from_agent(kAck, 11, 21, 10)), "");
        EXPECT_EQ(talk.state(), kFlowEstablished);
        const Talk inward{world, "10.9.1.1", kLanHost, 22, 9};
        EXPECT_EQ(inward.up(inward.from_agent(kAck, 1, 1)), "");
        EXPECT_EQ(inward.flow()->direction, api::kIngress);
        // No grant, no connection; and what nobody is in the middle of is not picked up.
        const Talk denied{world, "10.9.1.1", "203.0.113.5"};
        EXPECT_EQ(denied.up(denied.from_agent(kAck, 1, 1)), "policy_denied");
        const Talk other{world, "10.9.1.1", kLanHost, 2};
        EXPECT_EQ(other.down(other.from_host(kSyn | kAck, 1, 1)), "flow_not_opened");
        EXPECT_EQ(other.down(other.from_host(kRst, 1, 1)), "flow_not_opened");
        // A stray packet holds no port: a SYN begins a connection with its own numbers.
        EXPECT_EQ(other.down(other.from_host(kAck, 70'000'000, 1)), "");
        EXPECT_EQ(other.state(), kFlowPickedUp);
        other.establish();
        world.pass(1'000'000'000);
        const Talk late{world, "10.9.1.1", kLanHost, 3};
        EXPECT_EQ(late.up(late.from_agent(kAck, 1, 1)), "flow_not_opened");
        EXPECT_EQ(talk.up(talk.from_agent(kAck, 21, 21)), "");
    }
}

TEST(Tcp, one_burst_may_end_a_connection_and_begin_the_next)
{
    World world;
    const Talk talk{world};
    talk.establish();
    world.receive(kWanPort, {world.sealed(1, talk.from_agent(kRst | kAck, 1, 1)),
                             world.sealed(1, talk.from_agent(kSyn, 3'000'000, 0))});
    EXPECT_EQ(world.refusals(), "");
    EXPECT_EQ(world.sent(kLanPort).size(), 2u);
    EXPECT_EQ(talk.state(), kFlowOpening);
    EXPECT_EQ(talk.down(talk.from_host(kSyn | kAck, 0, 3'000'001)), "");
}

// Both ends of the old connection are gone without a word, and its ports come up again.
TEST(Tcp, a_forgotten_connection_does_not_keep_its_ports)
{
    World world;
    const Talk talk{world};
    talk.establish();
    EXPECT_EQ(talk.up(talk.from_agent(kSyn, 50'000'000, 0)), "");
    EXPECT_EQ(talk.down(talk.from_host(kSyn | kAck, 80'000'000, 50'000'001)), "");
    EXPECT_EQ(talk.up(talk.from_agent(kAck, 50'000'001, 80'000'001)), "");
    EXPECT_EQ(talk.state(), kFlowEstablished);
    EXPECT_EQ(talk.down(talk.from_host(kAck, 80'000'001, 50'000'001, 100)), "");
}

}  // namespace
}  // namespace sandgate::test
