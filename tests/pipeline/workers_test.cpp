// Two workers: every agent has one owner, and what arrives elsewhere is handed over. Agent 1
// belongs to worker 0, agent 2 to worker 1.
#include "tests/support/dataplane_world.h"

namespace sandgate::test {
namespace {

TEST(Workers, a_sealed_packet_goes_to_the_owner_that_its_index_names)
{
    World world(2);
    EXPECT_EQ(world.sessions->owner_of(world.agent(1).current->index), 0);
    EXPECT_EQ(world.sessions->owner_of(world.agent(2).current->index), 1);
    world.receive(kWanPort, world.sealed(2, between("10.9.1.2", kLanHost).udp(1, 1000, pattern(9))),
                  0);
    EXPECT_EQ(world.counters[0].handed_over.load(), 1u);
    EXPECT_EQ(world.counters[0].opened.load(), 0u);
    EXPECT_TRUE(world.sent(kLanPort, 0).empty());
    poll_handed_over(world.w(1), world.policy.get());
    EXPECT_EQ(world.sent(kLanPort, 1).size(), 1u);
    EXPECT_EQ(world.w(0).flows.used(), 0u);
    EXPECT_EQ(world.w(1).flows.used(), 1u);
    EXPECT_EQ(world.refusals(0) + world.refusals(1), "");
}

TEST(Workers, a_plain_packet_goes_to_the_owner_of_its_destination)
{
    World world(2);
    const Bytes frame = world.plain(between(kLanHost, "10.9.1.2").udp(5000, 1000, pattern(9)));
    world.receive(kLanPort, frame, 0);
    EXPECT_TRUE(world.sent(kWanPort, 0).empty());
    poll_handed_over(world.w(1), world.policy.get());
    const auto frames = world.sent(kWanPort, 1);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(part(world.inner_of(frames[0], 2), 28), pattern(9));
    world.receive(kLanPort, frame, 1);
    EXPECT_EQ(world.sent(kWanPort, 1).size(), 1u) << "its own, at once";
    EXPECT_EQ(world.refusals(0) + world.refusals(1), "");
}

TEST(Workers, agents_of_two_workers_talk_and_refusals_find_their_way_back)
{
    World world(2);
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", "10.9.1.2").tcp(1, 80, kSyn)), 0);
    EXPECT_EQ(world.w(0).flows.used(), 1u) << "egress is decided by the sender's owner";
    EXPECT_EQ(world.w(1).flows.used(), 0u);
    poll_handed_over(world.w(1), world.policy.get());
    EXPECT_EQ(world.w(1).flows.used(), 1u) << "ingress by the receiver's";
    world.inner_of(world.sent(kWanPort, 1).at(0), 2);

    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", "10.9.1.2").tcp(1, 81, kSyn)), 0);
    poll_handed_over(world.w(1), world.policy.get());
    EXPECT_EQ(world.refusals(1), "policy_denied");
    EXPECT_TRUE(world.sent(kWanPort, 1).empty()) << "worker 1 may not seal for agent 1";
    poll_handed_over(world.w(0), world.policy.get());
    const auto frames = world.sent(kWanPort, 0);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(world.inner_of(frames[0], 1).at(33), kRst | kAck);
}

TEST(Workers, a_full_ring_drops_by_name)
{
    World world(2);
    const Bytes frame = world.plain(between(kLanHost, "10.9.1.2").udp(5000, 1000));
    for (int i = 0; i < 258; i++) world.receive(kLanPort, frame, 0);
    EXPECT_EQ(world.refusals(0), "handover_full*3") << "the ring holds 255";
}

TEST(Workers, an_index_of_a_worker_that_does_not_exist_is_unknown)
{
    World world(2);
    for (uint32_t first = 0; first < 256; first++) {
        Bytes message(32);
        message[0] = 4;
        message[4] = static_cast<uint8_t>(first);
        message[7] = 0x55;
        world.receive(kWanPort, world.tunnel_frame(message, "192.0.2.66", 66), 0);
        poll_handed_over(world.w(1), world.policy.get());
    }
    EXPECT_EQ(world.drops(DropReason::kUnknownIndex, 0) + world.drops(DropReason::kUnknownIndex, 1),
              256u);
}

TEST(Workers, a_session_is_opened_by_its_owner_alone)
{
    World world(2);
    world.agent(2).current->owner = 0;  // as if the index lied
    world.receive(kWanPort, world.sealed(2, between("10.9.1.2", kLanHost).udp(1, 1000)), 1);
    EXPECT_EQ(world.refusals(1), "unknown_index");
}

}  // namespace
}  // namespace sandgate::test
