// Denials: by a grant with action: deny, and by the rules above any grant.
#include "dataplane/policy/rule_match.h"
#include "tests/support/dataplane_world.h"

namespace sandgate::test {
namespace {

// A denial at the head of the first class, as the compiler writes it.
void deny(SnapshotBuilder& s, api::MatchDirection direction, const std::string& peer,
          api::RuleId rule)
{
    SnapshotBuilder other;
    other.add_class();
    other.allow(direction, peer, api::kAnyProtocol, 0, 0xffff, rule);
    other.matches[0].flags = api::kDeny;
    s.matches.insert(s.matches.begin(), other.matches[0]);
    s.classes[0].count++;
    for (size_t i = 1; i < s.classes.size(); i++) s.classes[i].first++;
}

TEST(Deny, wins_over_a_grant_in_its_direction)
{
    World world(1, [](SnapshotBuilder& s) {
        deny(s, api::kEgress, kLanHost, 90);
        deny(s, api::kIngress, "198.51.100.8", 91);
    });
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", kLanHost).tcp(1, 443, kSyn)));
    EXPECT_EQ(world.refusals(), "explicitly_denied");
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", "198.51.100.9").tcp(1, 443, kSyn)));
    EXPECT_EQ(world.refusals(), "");
    world.receive(kLanPort, world.plain(between(kLanHost, "10.9.1.1").tcp(5, 22, kSyn)));
    EXPECT_EQ(world.refusals(), "");
    world.receive(kLanPort, world.plain(between("198.51.100.8", "10.9.1.1").tcp(5, 22, kSyn)));
    EXPECT_EQ(world.refusals(), "explicitly_denied");
}

TEST(Deny, cuts_a_live_flow)
{
    World world;
    const Bytes out = between("10.9.1.1", kLanHost).tcp(1, 443, kSyn);
    world.receive(kWanPort, world.sealed(1, out));
    EXPECT_EQ(world.refusals(), "");
    world.swap_policy([](SnapshotBuilder& s) {
        deny(s, api::kEgress, "198.51.100.0/24", 90);
        s.classes[0].changed_epoch = s.epoch;
    });
    world.receive(kWanPort, world.sealed(1, out));
    EXPECT_EQ(world.refusals(), "explicitly_denied");
}

TEST(HardRule, stands_above_a_grant_to_everywhere)
{
    World world(1, [](SnapshotBuilder& s) {
        s.matches[0] = {{}, 0, api::kEgress, api::kAnyProtocol, 0, 0, 0xffff, 11};
        s.forbid("169.254.169.254", api::kMetadataRule);
        s.forbid("2001:db8:2::7", api::kManagementRule);
    });
    world.receive(kWanPort,
                  world.sealed(1, between("10.9.1.1", "169.254.169.254").tcp(1, 80, kSyn)));
    EXPECT_EQ(world.refusals(), "hard_rule");
    world.receive(kWanPort, world.sealed(1, between("fd09::1:1", kLanHost6).udp(1, 1000)));
    EXPECT_EQ(world.refusals(), "hard_rule");
    world.receive(kWanPort, world.sealed(1, between("10.9.1.1", kLanHost).tcp(1, 80, kSyn)));
    EXPECT_EQ(world.refusals(), "");
}

// Agents 1 and 2 lie inside 10.9.0.0/16, which agent 3 lets in.
TEST(AgentToAgent, is_not_opened_by_a_network)
{
    SnapshotBuilder s = usual_snapshot();
    s.allow(api::kIngress, "10.9.0.0/16", 17, 1000, 2000, 32);
    s.matches.back().flags = api::kNotFromAgents;
    const auto view = view_of(s);
    const auto rule = [&](const char* peer) {
        return find_rule(*view, *view->find_agent(3), api::kIngress, address_of(peer), 17, 1000);
    };
    EXPECT_EQ(rule("10.9.1.1"), api::kNoRule);
    EXPECT_EQ(rule("10.9.1.2"), api::kNoRule);
    EXPECT_EQ(rule("10.9.200.1"), 32u);
}

}  // namespace
}  // namespace sandgate::test
