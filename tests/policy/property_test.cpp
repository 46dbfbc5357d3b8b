// The compiled tables against the language: a policy compiled, published, read by the dataplane's
// reader and asked by the dataplane's classifier answers as the interpreter does.
#include <algorithm>

#include "config/diff.h"
#include "config/interpret.h"
#include "config/parse.h"
#include "dataplane/policy/rule_match.h"
#include "tests/support/random_policy.h"

namespace sandgate::config {
namespace {

std::unique_ptr<dp::PolicyView> view_of(const Compiled& compiled)
{
    std::string error;
    auto view = dp::build_policy_view(publish(compiled.bytes, nullptr, 1), 7, error);
    EXPECT_NE(view, nullptr) << error;
    return view;
}

Ruling::Kind kind_of(const api::MatchRow* row)
{
    if (row == nullptr)
        return Ruling::kNoGrant;
    if ((row->flags & api::kDeny) == 0)
        return Ruling::kGranted;
    return row->rule >= api::kFirstHardRule ? Ruling::kHardRule : Ruling::kDenied;
}

TEST(PolicyProperty, compiled_tables_say_what_the_language_says)
{
    Random random(1);
    int counts[4] = {};
    for (int round = 0; round < 600; round++) {
        const std::string text = random_policy(random);
        const Policy policy = good_policy(text);
        IdMap ids;
        // Within a schedule's hour or not, before the expiry or not.
        static constexpr int64_t kTimes[] = {30, kRandomExpiry - 1, kRandomExpiry, 86400 + 30};
        const int64_t now = kTimes[below(random, 4)];
        const Compiled compiled_policy = compiled(policy, ids, now);
        const auto view = view_of(compiled_policy);
        ASSERT_NE(view, nullptr);
        const Interpreter truth(policy, now);
        std::vector<api::Address> peers;
        for (const char* peer :
             {"10.1.2.3", "10.1.9.9", "10.1.3.1", "10.2.0.1", "10.3.0.9", "10.66.0.1", "fd66::1",
              "fd00::7", "fd00::8", "192.0.2.9", "2001:db8::9", "10.66.1.200", "169.254.169.254",
              "169.254.7.7", "169.3.3.3", "100.100.100.200", "fd00:ec2::254", "fe80::1"})
            peers.push_back(*parse_address(peer));
        for (const Agent& agent : policy.agent_lists[0]->agents)
            for (const AgentAddress& address : agent.addresses)
                peers.push_back(address.prefix.address);
        for (const NamedAgent& agent : compiled_policy.agents) {
            const api::AgentRow& row = *view->find_agent(agent.identity);
            for (const api::Address& peer : peers) {
                for (const auto& [protocol, port] : {std::pair<uint8_t, uint16_t>{6, 80},
                                                     {6, 85},
                                                     {6, 91},
                                                     {17, 53},
                                                     {1, 0},
                                                     {58, 0},
                                                     {47, 0},
                                                     {132, 7}}) {
                    for (const auto direction : {api::kEgress, api::kIngress}) {
                        const Ruling expected =
                            direction == api::kEgress
                                ? truth.may_open(*agent.agent, peer, protocol, port)
                                : truth.is_open_to(*agent.agent, peer, protocol, port);
                        const api::MatchRow* found =
                            dp::find_match(*view, row, direction, peer, protocol, port);
                        ASSERT_EQ(kind_of(found), expected.kind)
                            << text << "at " << now << ": " << agent.agent->name
                            << (direction == api::kEgress ? " to " : " from ") << to_text(peer)
                            << " " << int{protocol} << ":" << port;
                        if (expected.kind == Ruling::kHardRule) {
                            ASSERT_EQ(found->rule, expected.hard_rule);
                        }
                        counts[expected.kind]++;
                    }
                }
            }
        }
    }
    for (const int count : counts) EXPECT_GT(count, 5000);
}

TEST(PolicyProperty, where_no_difference_is_told_no_packet_is_judged_otherwise)
{
    Random random(2);
    int same = 0, different = 0;
    for (int round = 0; round < 300; round++) {
        const std::string text = random_policy(random);
        const Policy before = good_policy(text);
        // The same agents, so that addresses mean the same: only the grants may go.
        Policy after = good_policy(text);
        if (below(random, 2) == 0)
            after.grants.erase(after.grants.begin() +
                               below(random, static_cast<uint32_t>(after.grants.size())));
        std::shuffle(after.grants.begin(), after.grants.end(), random);
        const auto change = compare(before, after, 1);
        ASSERT_TRUE(change);
        const Interpreter was(before, 1), is(after, 1);
        for (const Agent& agent : before.agent_lists[0]->agents) {
            const bool is_told = std::any_of(
                change->rights.begin(), change->rights.end(), [&](const RightsChange& one) {
                    return std::count(one.agents.begin(), one.agents.end(), agent.name) > 0;
                });
            if (is_told) {
                different++;
                continue;
            }
            same++;
            for (const char* peer : {"10.1.2.3", "10.1.9.9", "10.2.0.1", "10.3.0.9", "192.0.2.9",
                                     "fd00::7", "169.3.3.3", "10.66.1.4", "10.66.1.9"})
                for (const auto& [protocol, port] :
                     {std::pair<uint8_t, uint16_t>{6, 80}, {6, 91}, {17, 53}, {1, 0}, {58, 0}}) {
                    const api::Address address = *parse_address(peer);
                    ASSERT_EQ(was.may_open(agent, address, protocol, port).is_allowed(),
                              is.may_open(agent, address, protocol, port).is_allowed())
                        << text << agent.name << " to " << peer;
                    ASSERT_EQ(was.is_open_to(agent, address, protocol, port).is_allowed(),
                              is.is_open_to(agent, address, protocol, port).is_allowed())
                        << text << agent.name << " from " << peer;
                }
        }
    }
    EXPECT_GT(same, 200);
    EXPECT_GT(different, 50);
}

}  // namespace
}  // namespace sandgate::config
