// Revocation without a packet: the walk over the flow table after a change of the policy.
#include "tests/support/dataplane_world.h"

namespace sandgate::test {
namespace {

void open_flows(World& world, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const auto port = static_cast<uint16_t>(1 + i);
        world.receive(kWanPort, world.sealed(1, between("10.9.1.1", kLanHost).udp(port, 1000)));
        world.receive(kWanPort,
                      world.sealed(1, between("10.9.1.1", kLanHost).tcp(port, 443, kSyn)));
        world.receive(kWanPort, world.sealed(2, between("10.9.1.2", kLanHost).udp(port, 1000)));
        world.sent(kLanPort);
    }
    ASSERT_EQ(world.refusals(), "");
}

unsigned polls_until_quiet(World& world)
{
    unsigned polls = 0;
    do {
        sweep_flows(world.w(), *world.policy);
        polls++;
    } while (world.w().flow_review.left != 0);
    return polls;
}

// Agent 1 may no longer use TCP port 443.
void revoke_https(SnapshotBuilder& s)
{
    s.matches[0].port_low = s.matches[0].port_high = 444;
    s.classes[0].changed_epoch = s.epoch;
}

TEST(Sweep, ends_silent_flows_that_no_rule_allows_any_more_and_no_others)
{
    World world;
    open_flows(world, 100);
    polls_until_quiet(world);
    EXPECT_EQ(world.w().flows.used(), 300u) << "nothing has changed";
    world.swap_policy(revoke_https);
    EXPECT_EQ(polls_until_quiet(world), 5u) << "64 entries at a time";
    EXPECT_EQ(world.w().flows.used(), 200u);
    EXPECT_EQ(world.counters[0].flows_revoked.load(), 100u);
    EXPECT_EQ(world.counters[0].flows_ended.load(), 100u);
    EXPECT_EQ(world.counters[0].flows_current.load(), 200u);
    // What stays was decided by the policy in force, and is not decided again.
    for (const Flow& flow : world.w().flows.walk(300)) {
        EXPECT_TRUE(flow.state == kFlowFree || flow.epoch == 2u);
    }
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", kLanHost).udp(1, 1000)));
    EXPECT_EQ(world.refusals(), "");
}

TEST(Sweep, gives_a_flow_the_rule_that_allows_it_now)
{
    World world;
    open_flows(world, 1);
    world.swap_policy([](SnapshotBuilder& s) {
        s.matches[0].rule = 77;
        s.classes[0].changed_epoch = s.epoch;
    });
    polls_until_quiet(world);
    const FlowKey key{address_of("10.9.1.1"), address_of(kLanHost), FlowKey::pack(1, 443, 1, 6)};
    const Flow* flow = world.w().flows.find(key, world.w().flows.hash_of(key));
    ASSERT_NE(flow, nullptr);
    EXPECT_EQ(flow->rule, 77u);
}

TEST(Sweep, ends_the_flows_of_agents_that_are_gone_disabled_or_expired)
{
    const std::function<void(World&)> ways[] = {
        [](World& world) {
            world.swap_policy([](SnapshotBuilder& s) {
                s.agents.erase(s.agents.begin());
                std::erase_if(s.addresses, [](const auto& row) { return row.identity == 1; });
            });
        },
        [](World& world) { world.swap_policy([](SnapshotBuilder& s) { s.agent(1).flags = 0; }); },
        // Nothing comes from control: the agent's time is over.
        [](World& world) {
            world.w().unix_seconds += 5;
            world.pass(10'000'000'000);
        },
    };
    for (const auto& way : ways) {
        World world(1, [](SnapshotBuilder& s) { s.agent(1).expires_unix = 1'700'000'005; });
        open_flows(world, 50);
        polls_until_quiet(world);
        ASSERT_EQ(world.w().flows.used(), 150u);
        way(world);
        polls_until_quiet(world);
        EXPECT_EQ(world.w().flows.used(), 50u) << "agent 2's stay";
        EXPECT_EQ(world.counters[0].flows_revoked.load(), 100u);
    }
}

TEST(Sweep, looks_at_every_flow_wherever_it_was_when_the_policy_changed)
{
    for (const unsigned before : {0, 1, 2, 3, 4, 7}) {
        World world;
        open_flows(world, 100);
        for (unsigned i = 0; i < before; i++) sweep_flows(world.w(), *world.policy);
        world.swap_policy([](SnapshotBuilder& s) { s.agent(2).changed_epoch = s.epoch; });
        sweep_flows(world.w(), *world.policy);
        // A change while the pass for the last one runs.
        world.swap_policy(revoke_https);
        polls_until_quiet(world);
        EXPECT_EQ(world.w().flows.used(), 200u) << before;
    }
}

TEST(Sweep, ends_what_was_silent_too_long)
{
    World world;
    open_flows(world, 30);
    world.pass(121'000'000'000);
    polls_until_quiet(world);
    EXPECT_EQ(world.w().flows.used(), 30u) << "UDP is over, SYNs wait longer";
    world.pass(120'000'000'000);
    polls_until_quiet(world);
    EXPECT_EQ(world.w().flows.used(), 0u);
    EXPECT_EQ(world.counters[0].flows_ended.load(), 90u);
    EXPECT_EQ(world.counters[0].flows_revoked.load(), 0u);
}

}  // namespace
}  // namespace sandgate::test
