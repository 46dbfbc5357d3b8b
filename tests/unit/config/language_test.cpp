// What the language says beyond agents and grants: users and tags, parents, ipsets, several files.
#include <map>

#include "config/parse.h"
#include "config/policy_tests.h"
#include "config/schedule.h"
#include "tests/unit/config/support.h"

namespace sandgate::config {
namespace {

#define KEY_1 "AQAAAAEAAAABAAAAAQAAAAEAAAABAAAAAQAAAAEAAAA="
#define KEY_2 "AgAAAAIAAAACAAAAAgAAAAIAAAACAAAAAgAAAAIAAAA="

std::string first_error(const std::string& text, const std::string& path = "p.yaml")
{
    BulkCache cache;
    LoadResult result = load_text(text, path, cache);
    if (result.is_ok())
        result.errors = validate(result.policy);
    return result.errors.empty() ? "" : result.errors[0].text();
}

// An agent on a line of its own, so that places are easy to count.
std::string agent(const std::string& name, unsigned number, const std::string& more = "")
{
    return "  - {name: " + name + ", public_key: " + base64_key(number) + ", addresses: [10.66.0." +
           std::to_string(number) + "]" + more + "}\n";
}

TEST(Users, are_the_only_owners_once_they_are_named)
{
    const std::string users = "users: [alice@x, bob@x]\n";
    const std::string good = "agents:\n" + agent("a", 2, ", owner: alice@x");
    EXPECT_EQ(first_error(users + good), "");
    EXPECT_EQ(first_error(users + "agents:\n" + agent("a", 2, ", owner: alcie@x")),
              "p.yaml:3:12: agents[0].owner: No user is named \"alcie@x\"; did you mean "
              "\"alice@x\"?");
    EXPECT_EQ(first_error(users + good + "groups: {g: [owner:bo@x]}\n"),
              "p.yaml:4:14: groups.g[0]: No user is named \"bo@x\"; did you mean \"bob@x\"?");
    EXPECT_EQ(first_error(users + good +
                          "grants:\n  - {name: g, src: [agent:a], dst: [10.0.0.1], ip: [icmp], "
                          "owner: eve@x}\n"),
              "p.yaml:5:67: grants[0].owner: No user is named \"eve@x\".");
    EXPECT_EQ(first_error("users: [a@x, a@x]\n"),
              "p.yaml:1:14: users[1]: The user \"a@x\" is already in p.yaml:1:9.");
}

TEST(TagOwners, say_whose_agents_may_carry_a_tag)
{
    const std::string head =
        "users: [alice@x, bob@x]\n"
        "groups: {builders: [owner:bob@x]}\n"
        "tagOwners: {ops: [owner:alice@x], ci: [group:builders], any: ['*']}\n"
        "agents:\n" +
        agent("b", 2, ", owner: bob@x, tags: [ci, any]");
    EXPECT_EQ(first_error(head + agent("a", 3, ", owner: alice@x, tags: [ops]")), "");
    EXPECT_EQ(first_error(head + agent("a", 3, ", owner: bob@x, tags: [ops]")),
              "p.yaml:6:12: agents[1].tags: An agent of bob@x may not carry the tag \"ops\": "
              "tagOwners gives it to others.");
    EXPECT_EQ(first_error(head + agent("a", 3, ", tags: [ops]")),
              "p.yaml:6:12: agents[1].tags: An agent without an owner may not carry the tag "
              "\"ops\": tagOwners gives it to others.");
    EXPECT_EQ(first_error(head + agent("a", 3, ", tags: [cii]")),
              "p.yaml:6:12: agents[1].tags: tagOwners does not know the tag \"cii\"; did you mean "
              "\"ci\"?");
    EXPECT_EQ(first_error("tagOwners: {ops: [group:o]}\n"),
              "p.yaml:1:19: tagOwners.ops[0]: No group is named \"o\".");
    EXPECT_EQ(first_error("tagOwners: {ops: [10.0.0.1]}\n"),
              "p.yaml:1:19: tagOwners.ops[0]: A tag belongs to owner:, group: and agent: names or "
              "\"*\".");
    EXPECT_EQ(first_error("tag_owners: {}\n"),
              "p.yaml:1:1: Unknown key \"tag_owners\"; did you mean \"tagOwners\"?");
}

TEST(Parent, is_not_outlived_by_its_children)
{
    const Policy policy =
        good_policy("agents:\n" + agent("grandchild", 4, ", parent: child") +
                    agent("child", 3, ", parent: parent, expires: 2030-01-01T00:00:00Z") +
                    agent("parent", 2, ", expires: 2028-01-01T00:00:00Z") +
                    agent("orphan", 5, ", parent: off") + agent("off", 6, ", enabled: false"));
    IdMap ids;
    const Compiled result = compiled(policy, ids);
    std::string error;
    const auto view = api::read_snapshot(result.bytes, error);
    ASSERT_TRUE(view) << error;
    std::map<std::string, api::AgentRow> rows;
    for (const api::AgentRow& row : view->agents) rows[result.find_agent(row.identity)->name] = row;
    const int64_t expected = *parse_time("2028-01-01T00:00:00Z");
    for (const char* name : {"parent", "child", "grandchild"})
        EXPECT_EQ(rows.at(name).expires_unix, expected) << name;
    EXPECT_EQ(rows.at("orphan").flags & api::kAgentEnabled, 0u);
    EXPECT_EQ(rows.at("child").flags & api::kAgentEnabled, 1u);
}

TEST(Parent, exists_and_is_no_descendant)
{
    EXPECT_EQ(first_error("agents:\n" + agent("worker", 2) + agent("child", 3, ", parent: wroker")),
              "p.yaml:3:12: agents[1].parent: No agent is named \"wroker\"; did you mean "
              "\"worker\"?");
    EXPECT_EQ(
        first_error("agents:\n" + agent("a", 2, ", parent: b") + agent("b", 3, ", parent: a")),
        "p.yaml:2:12: agents[0].parent: The agent \"a\" is its own ancestor.");
    std::string line = "agents:\n" + agent("a1", 1);
    for (unsigned i = 2; i < 90; i++)
        line += agent("a" + std::to_string(i), i, ", parent: a" + std::to_string(i - 1));
    EXPECT_EQ(first_error(line),
              "p.yaml:67:12: agents[65].parent: The agent \"a66\" has more than 64 ancestors.");
}

TEST(Ipset, makes_a_range_the_fewest_prefixes)
{
    const auto joined = [](const char* range) {
        const auto prefixes = parse_prefixes(range);
        if (!prefixes)
            return prefixes.error().what;
        std::string text;
        for (const Prefix& prefix : *prefixes) text += to_text(prefix) + " ";
        return text;
    };
    EXPECT_EQ(joined("10.0.0.4-10.0.0.9"), "10.0.0.4/30 10.0.0.8/31 ");
    EXPECT_EQ(joined("10.0.0.1-10.0.0.1"), "10.0.0.1 ");
    EXPECT_EQ(joined("0.0.0.0-255.255.255.255"), "0.0.0.0/0 ");
    EXPECT_EQ(joined("fd00::-fd00::ffff"), "fd00::/112 ");
    EXPECT_EQ(joined("10.0.0.255-10.0.1.0"), "10.0.0.255 10.0.1.0 ");
    EXPECT_EQ(joined("10.0.0.0/8"), "10.0.0.0/8 ");
    EXPECT_EQ(joined("10.0.0.9-10.0.0.4"), "\"10.0.0.9-10.0.0.4\" ends before it starts.");
    EXPECT_EQ(joined("10.0.0.9-fd00::1"),
              "\"10.0.0.9-fd00::1\" is no range of addresses such as 10.0.0.4-10.0.0.9.");
    EXPECT_EQ(joined("::1-ffff::"), "\"::1-ffff::\" is too wide.");
    EXPECT_EQ(joined("10.0.0.0/8-11.0.0.0/8"),
              "\"10.0.0.0/8-11.0.0.0/8\" is no range of addresses such as 10.0.0.4-10.0.0.9.");
}

TEST(Ipset, is_selected_by_name)
{
    const Policy policy =
        good_policy("ipsets: {m: [10.0.0.4-10.0.0.9, 'fd00::/64']}\nagents:\n" + agent("a", 2) +
                    "services: {s: {addresses: [ipset:m], ip: [tcp:80]}}\n"
                    "grants:\n"
                    "  - {name: g, src: [agent:a], dst: [ipset:m], ip: [tcp:1]}\n"
                    "  - {name: h, src: [agent:a], dst: [service:s]}\n");
    IdMap ids;
    const Compiled result = compiled(policy, ids);
    std::string error;
    const auto view = api::read_snapshot(result.bytes, error);
    ASSERT_TRUE(view) << error;
    const auto rule = [&](const char* peer, uint16_t port) {
        return find_rule(*view, 1, api::kEgress, *parse_address(peer), 6, port);
    };
    EXPECT_EQ(rule("10.0.0.3", 1), 0u);
    EXPECT_EQ(rule("10.0.0.4", 1), 1u);
    EXPECT_EQ(rule("10.0.0.9", 80), 2u);
    EXPECT_EQ(rule("10.0.0.10", 1), 0u);
    EXPECT_EQ(rule("fd00::5", 1), 1u);
    EXPECT_EQ(first_error("agents:\n" + agent("a", 2) +
                          "ipsets: {mirrors: 10.0.0.1}\n"
                          "grants: [{name: g, src: [agent:a], dst: [ipset:mirors], ip: [icmp]}]\n"),
              "p.yaml:4:42: grants[0].dst[0]: No ipset is named \"mirors\"; did you mean "
              "\"mirrors\"?");
}

// docs/policy.md: a packet matches a grant when it comes from any one of its src, goes to any one
// of its dst, and is any one of its ip.
TEST(Grant, needs_a_src_and_a_dst_and_an_ip_and_of_each_list_one)
{
    const Policy policy = good_policy("agents:\n" + agent("a", 2) + agent("b", 3) + agent("c", 4) +
                                      "grants:\n  - {name: g, src: [agent:a, agent:b], dst: "
                                      "[10.0.0.1, 10.0.0.2], ip: [tcp:1, udp:2]}\n");
    IdMap ids;
    const Compiled result = compiled(policy, ids);
    std::string error;
    const auto view = api::read_snapshot(result.bytes, error);
    ASSERT_TRUE(view) << error;
    for (const api::IdentityId identity : {1u, 2u, 3u})
        for (const char* peer : {"10.0.0.1", "10.0.0.2", "10.0.0.3"})
            for (const auto& [protocol, port] :
                 {std::pair<uint8_t, uint16_t>{6, 1}, {6, 2}, {17, 1}, {17, 2}}) {
                const bool is_allowed = identity != 3 && std::string(peer) != "10.0.0.3" &&
                                        (protocol == 6 ? port == 1 : port == 2);
                EXPECT_EQ(find_rule(*view, identity, api::kEgress, *parse_address(peer), protocol,
                                    port) != 0,
                          is_allowed)
                    << identity << " to " << peer << " " << int{protocol} << ":" << port;
            }
}

// Which of the agents 1 to 5 may reach 10.0.0.1 when a grant to all asks for `when`.
std::string fulfilling(const std::string& when, int64_t now_unix = 1)
{
    const Policy policy = good_policy(
        "agents:\n" + agent("a1", 1, ", attributes: {phase: install, free: x}") +
        agent("a2", 2, ", attributes: {phase: run, region: eu}") +
        agent("a3", 3, ", attributes: {phase: run, region: us}") + agent("a4", 4) +
        agent("a5", 5,
              ", attributes: {approved: {value: \"yes\", expires: 1970-01-01T00:01:40Z}}") +
        "grants: [{name: g, src: ['*'], dst: [10.0.0.1], ip: [icmp], when: " + when + "}]\n");
    IdMap ids;
    const Compiled result = compiled(policy, ids, now_unix);
    std::string error, found;
    const auto view = api::read_snapshot(result.bytes, error);
    for (api::IdentityId i = 1; view && i <= 5; i++)
        if (find_rule(*view, i, api::kEgress, *parse_address("10.0.0.1"), 1, 0) != 0)
            found += std::to_string(i);
    return found;
}

TEST(When, narrows_the_sources_to_agents_that_fulfil_every_condition)
{
    EXPECT_EQ(fulfilling("phase == run"), "23");
    EXPECT_EQ(fulfilling("phase != run"), "1");
    EXPECT_EQ(fulfilling("\"phase in [install, run]\""), "123");
    EXPECT_EQ(fulfilling("region is set"), "23");
    EXPECT_EQ(fulfilling("region is not set"), "145");
    EXPECT_EQ(fulfilling("[phase == run, region == eu]"), "2");
    EXPECT_EQ(fulfilling("phase==run"), "23");
    EXPECT_EQ(fulfilling("approved is set", 99), "5");
    EXPECT_EQ(fulfilling("approved is set", 100), "");
    EXPECT_EQ(fulfilling("approved is not set", 100), "12345");
    EXPECT_EQ(fulfilling("approved == yes", 100), "");
}

TEST(When, says_when_an_attribute_will_expire)
{
    const Policy policy =
        good_policy("agents:\n" +
                    agent("a", 2,
                          ", attributes: {x: {value: y, expires: "
                          "1970-01-01T00:01:40Z}}") +
                    "grants: [{name: g, src: ['*'], dst: [10.0.0.1], ip: [icmp], when: x == y}]\n");
    IdMap ids;
    EXPECT_EQ(compiled(policy, ids, 99).next_change_unix, 100);
    EXPECT_EQ(compiled(policy, ids, 100).next_change_unix, 0);
}

TEST(When, refuses_what_no_agent_can_fulfil)
{
    const auto error = [](const std::string& when, const std::string& src = "tag:t") {
        return first_error("agents:\n" + agent("a", 2, ", tags: [t], attributes: {phase: run}") +
                           agent("b", 3, ", attributes: {phase: idle}") + "grants:\n  - name: g\n" +
                           "    src: [" + src + "]\n    dst: [10.0.0.1]\n    ip: [icmp]\n" +
                           "    when: " + when + "\n");
    };
    const std::string at = "p.yaml:9:11: grants[0].when[0]: ";
    EXPECT_EQ(error("phase == run"), "");
    EXPECT_EQ(error("phaes == run"), at + "No agent has the attribute \"phaes\"; did you mean "
                                          "\"phase\"?");
    EXPECT_EQ(error("phase == rnu"),
              at + "No agent fulfils \"phase == rnu\"; did you mean \"run\"?");
    EXPECT_EQ(error("phase == idle"),
              "p.yaml:9:11: grants[0].when: No agent that src names fulfils it; the grant applies "
              "to nothing.");
    EXPECT_EQ(error("phase = run"),
              "p.yaml:9:11: grants[0].when: \"phase = run\" is no condition: write NAME == VALUE, "
              "NAME != VALUE, NAME in [VALUE, VALUE], NAME is set or NAME is not set.");
    for (const char* bad : {"phase", "phase is", "phase == ", "'phase in run'", "phase is sett",
                            "'phase in [run,]'", "is set", "== run", "phase is set really"})
        EXPECT_NE(error(bad).find("is no condition"), std::string::npos) << bad << error(bad);
    EXPECT_EQ(first_error("agents:\n" + agent("a", 2, ", attributes: {x: y}") +
                          "grants: [{name: g, src: [10.0.0.1], dst: [agent:a], ip: [icmp], when: x "
                          "is set}]\n"),
              "p.yaml:3:71: grants[0].when: It asks about agents, and a src is an address outside "
              "the tunnel, of which nothing is known.");
}

TEST(Attributes, are_the_same_in_bulk_files)
{
    const ScratchDirectory scratch;
    const auto line = [](const std::string& attributes) {
        return R"({"name": "a", "public_key": ")" + base64_key(1) +
               R"(", "addresses": ["10.66.0.2"], "attributes": )" + attributes + "}\n";
    };
    const auto good = load_bulk(scratch.write(
        "a", line(R"({"z": "1", "a": {"value": "yes", "expires": "1970-01-01T00:01:40Z"}})")));
    ASSERT_TRUE(good);
    ASSERT_TRUE(good->errors.empty()) << all_texts(good->errors);
    EXPECT_EQ(good->agents->agents[0].attributes,
              (std::vector<Attribute>{{"a", "yes", 100}, {"z", "1", 0}}));
    for (const char* bad :
         {"[]", "{\"a b\": \"x\"}", "{\"a\": 1}", "{\"a\": \"\"}", "{\"a\": {}}",
          "{\"a\": {\"value\": \"x\", \"until\": \"y\"}}", "{\"a\": \"x\", \"a\": \"y\"}",
          "{\"a\": {\"value\": \"x\", \"value\": \"y\"}}"}) {
        const auto bulk = load_bulk(scratch.write("a", line(bad)));
        ASSERT_TRUE(bulk);
        EXPECT_FALSE(bulk->errors.empty()) << bad;
    }
}

// The rows that the snapshot has for the first agent.
api::RuleId rule_at(const std::string& text, const char* peer)
{
    const Policy policy = good_policy(text);
    IdMap ids;
    const Compiled result = compiled(policy, ids);
    std::string error;
    const auto view = api::read_snapshot(result.bytes, error);
    EXPECT_TRUE(view) << error;
    return find_rule(*view, 1, api::kEgress, *parse_address(peer), 6, 80);
}

TEST(Deny, wins_whatever_the_order_in_the_file)
{
    const std::string head = "agents:\n" + agent("a", 2) + "grants:\n";
    const std::string allow = "  - {name: all, src: ['*'], dst: ['*'], ip: ['*']}\n";
    const std::string deny =
        "  - {name: no, action: deny, src: [agent:a], dst: [10.0.0.0/24], ip: [tcp:80]}\n";
    for (const std::string& grants : {allow + deny, deny + allow}) {
        EXPECT_EQ(rule_at(head + grants, "10.0.0.1"), api::kNoRule);
        EXPECT_NE(rule_at(head + grants, "10.0.1.1"), api::kNoRule);
    }
    EXPECT_EQ(
        first_error(head + "  - {name: g, action: dney, src: ['*'], dst: ['*'], ip: ['*']}\n"),
        "p.yaml:4:23: grants[0].action: An action is allow or deny.");
}

TEST(HardRules, refuse_grants_that_name_what_they_forbid)
{
    const auto error = [](const std::string& dst, const std::string& more = "") {
        return first_error(more +
                           "ports: [{name: lan, device: d, roles: lan, addresses: [10.0.0.1/24]}]\n"
                           "agents:\n" +
                           agent("a", 2) + "grants:\n  - {name: g, src: ['*'], dst: [" + dst +
                           "], ip: ['*']}\n");
    };
    const std::string at = "p.yaml:5:33: grants[0].dst[0]: ";
    EXPECT_EQ(error("169.254.169.254"),
              at +
                  "169.254.169.254 is the metadata service of a cloud, which no grant opens unless "
                  "the file says \"relax: [metadata]\".");
    EXPECT_EQ(error("'fe80::/64'"),
              at + "fe80::/64 is a link-local address, which no grant opens.");
    EXPECT_EQ(error("10.0.0.1"),
              at + "10.0.0.1 is the gateway's own address on a port, which no grant opens.");
    EXPECT_EQ(error("224.0.0.0/8"),
              at + "224.0.0.0/8 is multicast, which the gateway does not forward.");
    for (const char* wide : {"'*'", "169.0.0.0/8", "10.0.0.0/24", "0.0.0.0/0", "'fd00::/16'"})
        EXPECT_EQ(error(wide), "") << wide;
    EXPECT_EQ(error("169.254.169.254", "relax: [metadata]\n"), "");
    EXPECT_EQ(error("169.254.7.7", "relax: [link_local]\n"), "");
    EXPECT_NE(error("169.254.7.7", "relax: [metadata]\n"), "");
    EXPECT_NE(error("169.254.169.254", "relax: [link_local]\n"), "");
    EXPECT_EQ(
        first_error("relax: [metdata]\n"),
        "p.yaml:1:9: relax[0]: Relaxable are metadata, link_local and agent_to_agent; did you "
        "mean \"metadata\"?");
    EXPECT_EQ(first_error("relax: [multicast]\n"),
              "p.yaml:1:9: relax[0]: The rule \"multicast\" cannot be relaxed: the gateway has no "
              "way for such packets.");
}

TEST(AgentToAgent, is_opened_by_names_and_by_networks_only_where_that_is_relaxed)
{
    const auto lets_in = [](const std::string& src, const std::string& more = "") {
        const Policy policy =
            good_policy(more + "agents:\n" + agent("a", 2) + agent("b", 3) +
                        "grants:\n  - {name: g, src: [" + src + "], dst: [agent:b], ip: ['*']}\n");
        IdMap ids;
        const Compiled result = compiled(policy, ids);
        std::string error;
        const auto view = api::read_snapshot(result.bytes, error);
        const auto& rows = view->matches;
        return std::any_of(rows.begin(), rows.end(), [](const api::MatchRow& row) {
            return row.direction == api::kIngress && (row.flags & api::kNotFromAgents) == 0;
        });
    };
    EXPECT_TRUE(lets_in("agent:a"));
    EXPECT_FALSE(lets_in("10.66.0.0/16"));
    EXPECT_TRUE(lets_in("10.66.0.0/16", "relax: [agent_to_agent]\n"));
}

Grant scheduled(const std::string& more)
{
    return good_policy("agents:\n" + agent("a", 2) +
                       "grants: [{name: g, src: ['*'], dst: [10.0.0.1], ip: [icmp], " + more +
                       "}]\n")
        .grants[0];
}

int64_t at(const char* time) { return *parse_time(time); }

TEST(Expiry, ends_a_grant_at_its_second)
{
    const Grant grant = scheduled("expires: 2027-01-01T00:00:00Z");
    const int64_t end = at("2027-01-01T00:00:00Z");
    EXPECT_TRUE(is_in_force(grant, end - 1));
    EXPECT_FALSE(is_in_force(grant, end));
    EXPECT_EQ(next_change_of(grant, end - 1), end);
    EXPECT_EQ(next_change_of(grant, end), 0);
}

TEST(Schedule, has_days_and_hours_in_its_zone)
{
    const Grant grant =
        scheduled("schedule: {days: [mon-fri], hours: '09:00-17:30', zone: Europe/Berlin}");
    // 2026-11-24 is a Tuesday, and Berlin an hour ahead.
    EXPECT_FALSE(is_in_force(grant, at("2026-11-24T07:59:59Z")));
    EXPECT_TRUE(is_in_force(grant, at("2026-11-24T08:00:00Z")));
    EXPECT_TRUE(is_in_force(grant, at("2026-11-24T16:29:59Z")));
    EXPECT_FALSE(is_in_force(grant, at("2026-11-24T16:30:00Z")));
    EXPECT_FALSE(is_in_force(grant, at("2026-11-28T12:00:00Z"))) << "a Saturday";
    EXPECT_EQ(next_change_of(grant, at("2026-11-24T07:00:00Z")), at("2026-11-24T08:00:00Z"));
    EXPECT_EQ(next_change_of(grant, at("2026-11-24T12:00:00Z")), at("2026-11-24T16:30:00Z"));
    EXPECT_EQ(next_change_of(grant, at("2026-11-27T17:00:00Z")), at("2026-11-30T08:00:00Z"));
    // Two hours ahead in summer.
    EXPECT_TRUE(is_in_force(grant, at("2026-07-01T07:00:00Z")));
}

TEST(Schedule, passes_midnight_and_belongs_to_the_day_on_which_it_begins)
{
    const Grant grant = scheduled("schedule: {days: sat, hours: '22:00-06:00'}");
    EXPECT_FALSE(is_in_force(grant, at("2026-11-28T05:00:00Z")));
    EXPECT_TRUE(is_in_force(grant, at("2026-11-28T22:00:00Z")));
    EXPECT_TRUE(is_in_force(grant, at("2026-11-29T05:59:59Z")));
    EXPECT_FALSE(is_in_force(grant, at("2026-11-29T06:00:00Z")));
    EXPECT_FALSE(is_in_force(grant, at("2026-11-29T23:00:00Z")));
}

TEST(Schedule, follows_summer_time)
{
    // 2027-03-28: 02:00 to 03:00 is skipped. 2026-10-25: 02:00 to 03:00 comes twice.
    const Grant grant = scheduled("schedule: {hours: '02:30-04:00', zone: Europe/Berlin}");
    EXPECT_FALSE(is_in_force(grant, at("2027-03-28T00:59:59Z")));
    EXPECT_TRUE(is_in_force(grant, at("2027-03-28T01:00:00Z")));
    EXPECT_FALSE(is_in_force(grant, at("2027-03-28T02:00:00Z")));
    EXPECT_FALSE(is_in_force(grant, at("2026-10-25T00:29:59Z")));
    EXPECT_TRUE(is_in_force(grant, at("2026-10-25T00:30:00Z")));
    EXPECT_TRUE(is_in_force(grant, at("2026-10-25T02:59:59Z")));
    EXPECT_FALSE(is_in_force(grant, at("2026-10-25T03:00:00Z")));
}

TEST(Schedule, of_whole_days_has_no_gaps)
{
    const Grant grant = scheduled("schedule: {days: [fri-mon]}");
    for (int64_t t = at("2026-11-27T00:00:00Z"); t < at("2026-12-01T00:00:00Z"); t += 1800)
        ASSERT_TRUE(is_in_force(grant, t));
    EXPECT_FALSE(is_in_force(grant, at("2026-12-01T00:00:00Z")));
    EXPECT_EQ(next_change_of(grant, at("2026-11-27T00:00:00Z")), at("2026-12-01T00:00:00Z"));
}

TEST(Schedule, says_what_is_wrong_with_it)
{
    const auto error = [](const std::string& schedule) {
        const std::string text = first_error("grants:\n  - schedule: " + schedule + "\n");
        return text.substr(std::min(text.find("schedule"), text.size()));
    };
    EXPECT_EQ(
        error("{days: [mno]}"),
        "schedule.days[0]: \"mno\" is no day: write mon, tue, wed, thu, fri, sat, sun or a range "
        "such as mon-fri.");
    EXPECT_EQ(error("{hours: 9-17}"),
              "schedule.hours: \"9-17\" is no range of hours such as 09:00-17:30.");
    EXPECT_EQ(error("{hours: '09:00-09:00'}"),
              "schedule.hours: \"09:00-09:00\" ends when it begins; leave hours out for the whole "
              "day.");
    EXPECT_EQ(error("{zone: Europe/Berln}"),
              "schedule.zone: No time zone is called \"Europe/Berln\"; did you mean "
              "\"Europe/Berlin\"?");
    EXPECT_EQ(error("{zone: Mars/Olympus}"),
              "schedule.zone: No time zone is called \"Mars/Olympus\"; write UTC or a name such as "
              "Europe/Berlin.");
    EXPECT_EQ(error("{}"), "schedule: A schedule has days or hours.");
    EXPECT_EQ(error("{hours: '24:00-25:00'}").find("schedule.hours: "), 0u);
}

const char* const kTested =
    "agents:\n"
    "  - {name: a, tags: [ci], public_key: " KEY_1
    ", addresses: [10.66.0.2]}\n"
    "  - {name: b, public_key: " KEY_2
    ", addresses: [10.66.0.3]}\n"
    "hosts: {web: [10.0.0.10, 10.0.0.16/28]}\n"
    "services: {s: {addresses: [host:web], ip: [tcp:80]}}\n"
    "grants:\n"
    "  - {name: ci-web, src: [tag:ci], dst: [host:web], ip: ['tcp:80-90'], reason: builds}\n"
    "  - {name: all, src: [agent:b], dst: ['*'], ip: [icmp], schedule: {days: tue}}\n"
    "  - {name: no, action: deny, src: ['*'], dst: [10.0.0.31], ip: [tcp:81]}\n"
    "tests:\n";

// 2026-11-24T12:00:00Z, a Tuesday.
constexpr int64_t kTuesday = 1'795'521'600;

std::string failing(const std::string& test, int64_t now_unix = kTuesday)
{
    std::string text;
    for (const Error& error : run_tests(good_policy(kTested + test), now_unix))
        text += error.text() + "\n";
    return text;
}

TEST(PolicyTests, pass_in_silence)
{
    EXPECT_EQ(failing("  - {src: tag:ci, accept: ['host:web tcp:80', 'service:s', '10.0.0.10:90'], "
                      "deny: ['host:web tcp:91', 'agent:b icmp', '10.0.0.31:81']}\n"),
              "");
    EXPECT_EQ(failing("  - {src: agent:b, accept: 192.0.2.1 icmp}\n"), "");
    EXPECT_EQ(failing("  - {src: 10.0.0.1, deny: [\"agent:a tcp:22\"]}\n"), "");
}

TEST(PolicyTests, name_the_line_and_what_happened_instead)
{
    EXPECT_EQ(failing("  - {src: agent:a, deny: ['host:web tcp:85']}\n"),
              "p.yaml:11:27: tests[0].deny[0]: agent:a to 10.0.0.10 tcp:85 must be refused and is "
              "accepted. The grant \"ci-web\" (p.yaml:7) allows it: builds.\n");
    EXPECT_EQ(
        failing("  - {src: agent:a, accept: ['host:web tcp:443']}\n"),
        "p.yaml:11:29: tests[0].accept[0]: agent:a to 10.0.0.10 tcp:443 must be accepted and is "
        "refused. No grant lets agent:a open it. Nearest is the grant \"ci-web\" (p.yaml:7), "
        "but its ip is tcp:80-90.\n");
    EXPECT_EQ(
        failing("  - {src: tag:ci, accept: ['host:web tcp:81']}\n"),
        "p.yaml:11:28: tests[0].accept[0]: agent:a to 10.0.0.31 tcp:81 must be accepted and is "
        "refused. The grant \"no\" (p.yaml:9) denies it.\n");
    EXPECT_EQ(
        failing("  - {src: agent:b, accept: ['agent:a icmp']}\n"),
        "p.yaml:11:29: tests[0].accept[0]: agent:b to agent:a icmp must be accepted and is "
        "refused. agent:b may open it by the grant \"all\" (p.yaml:8), but no grant names "
        "agent:b in its src and agent:a in its dst: no address opens an agent. Nearest is the "
        "grant \"all\" (p.yaml:8), but its dst holds the address of agent:a and not its name.\n");
    EXPECT_EQ(failing("  - {src: agent:a, accept: ['fd00::1 icmp']}\n"),
              "p.yaml:11:29: tests[0].accept[0]: Nothing was tried: agent:a and fd00::1 have no "
              "addresses of the same kind.\n");
}

TEST(PolicyTests, are_about_their_own_time_or_the_moment_of_loading)
{
    const std::string test = "  - {src: agent:b, accept: 192.0.2.1 icmp";
    EXPECT_EQ(failing(test + "}\n", kTuesday), "");
    EXPECT_EQ(
        failing(test + "}\n", kTuesday + 86400),
        "p.yaml:11:28: tests[0].accept[0]: agent:b to 192.0.2.1 icmp must be accepted and is "
        "refused. No grant lets agent:b open it. Nearest is the grant \"all\" (p.yaml:8), but "
        "it is outside its schedule until 2026-12-01T00:00:00Z.\n");
    EXPECT_EQ(failing(test + ", at: 2026-11-24T12:00:00Z}\n", kTuesday + 86400), "");
}

TEST(PolicyTests, refuse_what_they_cannot_try)
{
    const auto error = [](const std::string& test) { return first_error(kTested + test); };
    EXPECT_EQ(error("  - {src: agent:a}\n"), "p.yaml:11:5: tests[0]: A test has accept or deny.");
    EXPECT_EQ(error("  - {src: agent:c, deny: 10.0.0.1:1}\n"),
              "p.yaml:11:11: tests[0].src: No agent is named \"c\".");
    EXPECT_EQ(error("  - {src: agent:a, deny: host:wbe icmp}\n"),
              "p.yaml:11:26: tests[0].deny[0]: No host is named \"wbe\"; did you mean \"web\"?");
    EXPECT_EQ(
        error("  - {src: agent:a, deny: '* icmp'}\n"),
        "p.yaml:11:26: tests[0].deny: \"*\" is no destination that could be tried; name one.");
    EXPECT_EQ(
        error("  - {src: agent:a, deny: service:s icmp}\n"),
        "p.yaml:11:26: tests[0].deny: A service brings its own traffic; leave the second word "
        "out.");
    EXPECT_EQ(error("  - {src: agent:a, deny: 'fd00::1:443'}\n").substr(0, 60),
              "p.yaml:11:26: tests[0].deny: \"fd00::1:443\" is no destination");
}

struct Split
{
    ScratchDirectory scratch;
    std::string main = scratch.path + "/p.yaml";
    std::string part = scratch.path + "/parts/a.yaml";

    Split() { std::filesystem::create_directory(scratch.path + "/parts"); }
    std::string error(const std::string& text, const std::string& of_part) const
    {
        scratch.write("parts/a.yaml", of_part);
        return first_error("include: [parts/a.yaml]\n" + text, main);
    }
};

TEST(Include, reads_the_sections_of_all_files_as_one_policy)
{
    const Split split;
    split.scratch.write("parts/a.yaml",
                        "agents:\n" + agent("b", 3, ", psk_file: b.psk") +
                            "agents_from: [more.jsonl]\n"
                            "hosts: {web: 10.0.0.1}\n"
                            "grants: [{name: h, src: [agent:a], dst: [host:web], ip: [icmp]}]\n");
    split.scratch.write("parts/more.jsonl", R"({"name": "c", "public_key": ")" + base64_key(4) +
                                                R"(", "addresses": ["10.66.0.4"], )"
                                                R"("parent": "a", "purpose": "counts"})"
                                                "\n");
    const Policy policy = good_policy(
        "include: [parts/a.yaml]\nagents:\n" + agent("a", 2) +
            "grants: [{name: g, src: [agent:b, agent:c], dst: [host:web], ip: [icmp]}]\n",
        split.main);
    EXPECT_EQ(policy.agent_count(), 3u);
    EXPECT_EQ(policy.grants.size(), 2u);
    EXPECT_EQ(policy.files, (std::vector<std::string>{split.main, split.part}));
    EXPECT_EQ(policy.find_agent("b")->psk_file, split.scratch.path + "/parts/b.psk");
    EXPECT_EQ(policy.find_agent("c")->purpose, "counts");
    EXPECT_EQ(policy.place(*policy.find_agent("b")), split.part + ":2:12");
    EXPECT_EQ(policy.place(*policy.find_agent("c")), split.scratch.path + "/parts/more.jsonl:1:10");
}

TEST(Include, names_the_file_of_each_error)
{
    const Split split;
    EXPECT_EQ(split.error("", "agents: ["),
              split.part + ":1:1: This is not YAML: end of sequence flow not found.");
    EXPECT_EQ(split.error("", "hosts: {web: 10.0.0.300}\n"),
              split.part + ":1:14: hosts.web: \"10.0.0.300\" is not an IP address.");
    EXPECT_EQ(split.error("agents:\n" + agent("a", 2),
                          "grants: [{name: g, src: [tag:x], dst: [10.0.0.1], ip: [icmp]}]\n"),
              split.part + ":1:26: grants[0].src[0]: No agent has the tag \"x\".");
    EXPECT_EQ(split.error("", "gateway: {}\n"), split.part +
                                                    ":1:10: gateway: This section belongs into " +
                                                    split.main + ", which includes this file.");
    EXPECT_EQ(split.error("", "include: [b.yaml]\n"),
              split.part + ":1:10: include: This section belongs into " + split.main +
                  ", which includes this file.");
    EXPECT_EQ(first_error("include: [none.yaml]\n", split.main),
              split.main + ":1:11: include: " + split.scratch.path +
                  "/none.yaml: The policy cannot be opened: No such file or directory.");
    EXPECT_EQ(first_error("include: [parts/a.yaml, parts/a.yaml]\n", split.main),
              split.part + ":1:10: include: This section belongs into " + split.main +
                  ", which includes this file.");
}

TEST(Include, refuses_names_that_two_files_have)
{
    const Split split;
    EXPECT_EQ(
        split.error("hosts: {web: 10.0.0.1}\n", "hosts: {web: 10.0.0.2}\n"),
        split.part + ":1:9: hosts.web: The host \"web\" is already in " + split.main + ":2:9.");
    EXPECT_EQ(split.error("agents:\n" + agent("a", 2), "agents:\n" + agent("a", 3)),
              split.part + ":2:12: agents[0].name: The name \"a\" belongs to the agent \"a\" (" +
                  split.main + ":3).");
    const std::string grant = "grants: [{name: g, src: [agent:a], dst: [10.0.0.1], ip: [icmp]}]\n";
    EXPECT_EQ(split.error("agents:\n" + agent("a", 2) + grant, grant),
              split.part + ":1:17: grants[0].name: The grant \"g\" is already in " + split.main +
                  ":4:17.");
    split.scratch.write("parts/a.yaml", "");
    EXPECT_EQ(first_error("include: [parts/a.yaml, ./parts/a.yaml]\n", split.main),
              split.main + ":1:25: include: " + split.part + " is there twice.");
}

}  // namespace
}  // namespace sandgate::config
