// Tailscale's policy files as ours: what is kept means the same, what is not is told, and nothing
// becomes wider.
#include "config/import_tailscale.h"

#include <algorithm>

#include "config/hujson.h"
#include "config/interpret.h"
#include "config/parse.h"
#include "config/policy_tests.h"
#include "tests/unit/config/support.h"

namespace sandgate::config {
namespace {

Translation translated(const std::string& text)
{
    auto result = import_tailscale(text, "t.hujson");
    EXPECT_TRUE(result.is_ok()) << result.error().text();
    return result.is_ok() ? std::move(*result) : Translation{};
}

std::string refused(const std::string& text)
{
    const auto result = import_tailscale(text, "t.hujson");
    return result.is_ok() ? "" : result.error().text();
}

bool has_remark(const Translation& translation, uint32_t line, const std::string& words)
{
    return std::any_of(
        translation.remarks.begin(), translation.remarks.end(), [&](const Remark& remark) {
            return remark.where.line == line && remark.what.find(words) != std::string::npos;
        });
}

std::string all_remarks(const Translation& translation)
{
    std::string text;
    for (const Remark& remark : translation.remarks)
        text += std::to_string(remark.where.line) + ": " + remark.what + "\n";
    return text;
}

constexpr const char* kWhole = R"(// The tailnet of example.com.
{
	/* who is who */
	"groups": {
		"group:eng": ["alice@example.com", "bob@example.com",],
		"group:ops": ["carol@github"],
		"group:synced@example.com": ["alice@example.com"],
	},
	"tagOwners": {
		"tag:ci": ["group:eng", "autogroup:admin"],
		"tag:prod": ["autogroup:admin"],
		"tag:db": ["carol@github"],
	},
	"hosts": {
		"web": "10.0.0.10",
		"corp": "10.0.0.0/8",
		"laptop": "100.101.102.103",
		"meta": "169.254.169.254",
	},
	"ipsets": {
		"ipset:mirrors": ["198.51.100.10-198.51.100.20", "add 203.0.113.0/24", "host:web"],
		"ipset:holed": ["10.0.0.0/8", "remove 10.1.0.0/16"],
	},
	"acls": [
		{"action": "accept", "src": ["group:eng"], "dst": ["web:80,443", "tag:ci:22"]},
		{"action": "accept", "proto": "tcp", "src": ["tag:ci"],
		 "dst": ["ipset:mirrors:443", "[2001:db8::1]:8000-8999"]},
		{"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self:*"]},
		{"action": "accept", "src": ["*"], "dst": ["*:53"], "proto": "udp"},
		{"action": "accept", "src": ["tag:ci", "laptop"],
		 "dst": ["tag:db:5432", "meta:80", "autogroup:internet:*"], "proto": "6"},
		{"action": "accept", "src": ["tag:db"], "srcPosture": ["posture:ok"], "dst": ["*:*"]},
		{"action": "accept", "src": ["10.9.0.0/16"], "dst": ["tag:db:5432", "web:443"]},
		{"action": "accept", "src": ["tag:ci"], "proto": "gre", "dst": ["web:*", "web:1"]},
	],
	"grants": [
		{"src": ["alice@example.com"], "dst": ["tag:ci"], "ip": ["udp:60000-61000", "icmp:*"]},
		{"src": ["group:ops"], "dst": ["tag:db"], "ip": ["*"], "app": {"x.com/cap/x": [{}]}},
		{"src": ["group:ops"], "dst": ["tag:db"], "app": {"x.com/cap/x": [{}]}},
		{"src": ["tag:db"], "dst": ["10.7.0.0/16"], "ip": ["443"], "via": ["tag:router"]},
		{"src": ["tag:ci"], "dst": ["svc:api", "10.7.0.0/16"], "ip": ["444"]},
	],
	"tests": [
		{"src": "alice@example.com", "proto": "tcp", "accept": ["tag:ci:22", "web:443"]},
		{"src": "tag:ci", "accept": ["198.51.100.10:443"], "deny": ["tag:db:22", "web:25"]},
		{"src": "autogroup:member", "deny": ["tag:db:22"]},
	],
	"ssh": [{"action": "check", "src": ["autogroup:member"], "users": ["root"]}],
	"nodeAttrs": [{"target": ["*"], "attr": ["funnel"]}],
	"autoApprovers": {"routes": {"10.0.0.0/8": ["tag:ci"]}},
	"derpMap": {"Regions": {"900": {"RegionID": 900, "Nodes": [{"Name": "1"}]}}},
	"postures": {"posture:ok": ["node:os == 'linux'"]},
	"randomizeClientPort": true, // done
}
)";

const std::string kAgents =
    "agents:\n  - {name: alice-bot, owner: alice@example.com, public_key: " + base64_key(1) +
    ", addresses: [10.66.0.1, \"fd66::1\"]}\n"
    "  - {name: bob-bot, owner: bob@example.com, public_key: " +
    base64_key(2) +
    ", addresses: [10.66.0.2]}\n"
    "  - {name: carol-bot, owner: carol@github, public_key: " +
    base64_key(3) +
    ", addresses: [10.66.0.3]}\n"
    "  - {name: ci-bot, owner: bob@example.com, tags: [ci], public_key: " +
    base64_key(4) +
    ", addresses: [10.66.0.4, \"fd66::4\"]}\n"
    "  - {name: db-bot, owner: carol@github, tags: [db], public_key: " +
    base64_key(5) + ", addresses: [10.66.0.5]}\n";

TEST(ImportTailscale, gives_a_policy_that_means_the_same_once_there_are_agents)
{
    const Policy policy = good_policy(translated(kWhole).yaml + kAgents);
    EXPECT_EQ(all_texts(run_tests(policy, 1)), "");
    const Interpreter truth(policy, 1);
    struct Case
    {
        const char *source, *destination, *traffic;
        bool is_allowed;
    };
    const Case kCases[] = {
        {"10.66.0.1", "10.0.0.10", "tcp:443", true},
        {"10.66.0.1", "10.0.0.10", "udp:80", true},
        {"10.66.0.1", "10.0.0.10", "tcp:22", false},
        {"10.66.0.1", "10.66.0.4", "tcp:22", true},
        {"10.66.0.1", "10.66.0.4", "tcp:23", false},
        {"10.66.0.1", "10.66.0.4", "udp:60500", true},
        {"10.66.0.2", "10.66.0.4", "udp:60500", false},
        {"10.66.0.1", "10.66.0.5", "tcp:22", false},
        {"10.66.0.4", "198.51.100.20", "tcp:443", true},
        {"10.66.0.4", "198.51.100.21", "tcp:443", false},
        {"10.66.0.4", "203.0.113.9", "udp:443", false},
        {"fd66::4", "2001:db8::1", "tcp:8080", true},
        {"fd66::4", "2001:db8::1", "tcp:443", false},
        {"10.66.0.3", "9.9.9.9", "udp:53", true},
        {"10.66.0.3", "9.9.9.9", "tcp:53", false},
        {"10.66.0.3", "10.66.0.4", "udp:53", false},
        {"10.66.0.4", "10.66.0.5", "tcp:5432", true},
        {"10.66.0.4", "9.9.9.9", "tcp:5432", false},
        {"10.66.0.4", "169.254.169.254", "tcp:80", false},
        {"10.9.0.1", "10.66.0.5", "tcp:5432", true},
        {"10.8.0.1", "10.66.0.5", "tcp:5432", false},
        {"10.66.0.4", "10.0.0.10", "proto:47", true},
        {"10.66.0.3", "10.66.0.5", "tcp:1", true},
        {"10.66.0.5", "10.7.0.1", "tcp:443", false},
        {"10.66.0.5", "9.9.9.9", "tcp:443", false},
        {"10.66.0.4", "10.7.0.1", "udp:444", true},
        {"10.66.0.4", "10.7.0.1", "icmp", true},
        {"10.66.0.4", "10.1.0.1", "tcp:443", false},
    };
    for (const Case& c : kCases) {
        const Traffic traffic = *parse_traffic(c.traffic);
        const FlowWish wish{*parse_address(c.source), *parse_address(c.destination),
                            traffic.is_icmp ? uint8_t{1} : traffic.protocol, traffic.port_low};
        EXPECT_EQ(truth.decide(wish).is_allowed, c.is_allowed)
            << c.source << " to " << c.destination << " " << c.traffic;
    }
}

TEST(ImportTailscale, tells_what_it_leaves_out_with_its_line)
{
    const Translation made = translated(kWhole);
    const std::pair<uint32_t, const char*> kExpected[] = {
        {7, "\"group:synced@example.com\" is left out"},
        {10, "\"autogroup:admin\" is left out"},
        {11, "Nobody is left who may give the tag \"prod\""},
        {22, "The ipset \"holed\" is left out"},
        {25, "Users and groups mean all agents of an owner here"},
        {28, "acls[2] is left out as a whole: nothing is left of its src."},
        {29, "\"*\" as dst opens no agent here"},
        {30, "\"laptop\" is left out: 100.101.102.103 is of Tailscale's devices"},
        {31, "169.254.169.254 is the metadata service of a cloud"},
        {31, "\"autogroup:internet\" is left out"},
        {32, "acls[5] is left out as a whole: \"srcPosture\" has no counterpart"},
        {33, "acls[6]: addresses in src are let in to agents only"},
        {34, "\"1\" is left out: only TCP and UDP have ports here."},
        {38, "grants[1].app: Application capabilities"},
        {39, "grants[2] is left out as a whole: nothing is left of its dst and ip."},
        {40, "grants[3] is left out as a whole: \"via\" has no counterpart"},
        {41, "\"svc:api\" is left out"},
        {46, "tests[2] is left out as a whole"},
        {48, "The section \"ssh\""},
        {49, "The section \"nodeAttrs\""},
        {50, "The section \"autoApprovers\""},
        {51, "The section \"derpMap\""},
        {52, "The section \"postures\""},
        {53, "The section \"randomizeClientPort\""},
    };
    for (const auto& [line, words] : kExpected)
        EXPECT_TRUE(has_remark(made, line, words)) << line << " " << words << "\n"
                                                   << all_remarks(made);
    for (const Remark& remark : made.remarks)
        EXPECT_NE(made.yaml.find("#   " + std::to_string(remark.where.line) + ": " + remark.what),
                  std::string::npos);
}

TEST(ImportTailscale, is_refused_until_every_tag_and_owner_has_an_agent)
{
    const Translation made = translated(kWhole);
    EXPECT_NE(made.yaml.find("#   tag:db\n"), std::string::npos);
    EXPECT_EQ(made.yaml.find("#   tag:prod\n"), std::string::npos) << "no grant uses it";
    BulkCache cache;
    const LoadResult loaded = load_text(made.yaml, "p.yaml", cache);
    ASSERT_TRUE(loaded.is_ok()) << all_texts(loaded.errors);
    const std::string errors = all_texts(validate(loaded.policy));
    EXPECT_NE(errors.find("No agent has the tag \"db\"."), std::string::npos) << errors;
    EXPECT_NE(errors.find("No agent has the owner \"alice@example.com\"."), std::string::npos);
}

TEST(ImportTailscale, lets_nobody_give_a_tag_that_only_admins_gave)
{
    const std::string made = translated(R"({"tagOwners": {"tag:prod": ["autogroup:admin"]}})").yaml;
    EXPECT_NE(made.find("tagOwners: {}\n"), std::string::npos) << made;
    BulkCache cache;
    const LoadResult loaded =
        load_text(made + "agents:\n  - {name: a, tags: [prod], public_key: " + base64_key(1) +
                      ", addresses: [10.66.0.1]}\n",
                  "p.yaml", cache);
    ASSERT_TRUE(loaded.is_ok()) << all_texts(loaded.errors);
    EXPECT_NE(all_texts(validate(loaded.policy)).find("tagOwners does not know the tag \"prod\""),
              std::string::npos);
}

TEST(ImportTailscale, keeps_no_grant_when_every_one_needs_a_posture)
{
    const Translation made = translated(
        "{\"defaultSrcPosture\": [\"posture:ok\"],\n"
        "\"acls\": [{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"*:*\"]}],\n"
        "\"grants\": [{\"src\": [\"*\"], \"dst\": [\"*\"], \"ip\": [\"*\"]}]}");
    EXPECT_EQ(made.yaml.find("grants:"), std::string::npos) << made.yaml;
    EXPECT_TRUE(has_remark(made, 1, "no grant is kept"));
    EXPECT_TRUE(has_remark(made, 3, "grants[0] is left out as a whole"));
}

TEST(ImportTailscale, leaves_out_a_grant_with_a_key_that_it_does_not_know)
{
    const Translation made = translated(
        R"({"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"], "onlyOnMondays": true}]})");
    EXPECT_EQ(made.yaml.find("\ngrants:"), std::string::npos) << made.yaml;
}

TEST(ImportTailscale, reads_keys_in_any_case_and_the_old_names)
{
    const Translation made = translated(R"({
        "ACLs": [{"Action": "accept", "Users": ["tag:a"], "Ports": ["10.0.0.1:22"]}],
        "Hosts": {"h": "10.0.0.2"},
        "Tests": [{"User": "tag:a", "Allow": ["10.0.0.1:22"]}]})");
    EXPECT_EQ(all_remarks(made), "");
    const Policy policy =
        good_policy(made.yaml + "agents:\n  - {name: a, tags: [a], public_key: " + base64_key(1) +
                    ", addresses: [10.66.0.1]}\n");
    EXPECT_EQ(policy.grants.size(), 1u);
    EXPECT_EQ(all_texts(run_tests(policy, 1)), "");
}

TEST(ImportTailscale, writes_no_line_that_a_name_could_break_out_of)
{
    const Translation made = translated(
        "{\"groups\": {\"group:g\": [\"a\\\"]\\\\@x\", \"b\\n- evil@x\", \"c: d@x\", \"e#@x\"]},\n"
        "\"hosts\": {\"a\\nb\": \"10.0.0.1\", \"null\": \"10.0.0.2\", \"h\": \"x\\ny\"},\n"
        "\"\\nrelax: [metadata]\": 1}");
    BulkCache cache;
    const LoadResult loaded = load_text(made.yaml, "p.yaml", cache);
    ASSERT_TRUE(loaded.is_ok()) << all_texts(loaded.errors) << made.yaml;
    ASSERT_EQ(loaded.policy.users.size(), 2u);
    EXPECT_EQ(loaded.policy.users[0].name, "a\"]\\@x");
    EXPECT_EQ(loaded.policy.users[1].name, "e#@x");
    ASSERT_EQ(loaded.policy.hosts.size(), 1u);
    EXPECT_EQ(loaded.policy.hosts[0].name, "null");
    EXPECT_EQ(loaded.policy.relaxed, 0);
    EXPECT_EQ(
        all_texts(
            load_text(import_tailscale("{}", "a\nrelax: [metadata]")->yaml, "p", cache).errors),
        "");
}

TEST(ImportTailscale, refuses_bad_input_with_its_place)
{
    const std::pair<std::string, std::string> kBad[] = {
        {"{\n  /* \"acls\": []}", "t.hujson:2:3: The comment does not end."},
        {"{\n \"acls\": [] / }",
         "t.hujson:2:13: A '/' begins a comment only before another one or '*'."},
        {"{\n \"acls", "t.hujson:2:2: The string does not end."},
        {"{\"a\nb\": 1}", "t.hujson:1:4: A string holds a control character or does not end."},
        {"{\"acls\": [],\n \"acls\": []}", "t.hujson:2:2: The key is there twice."},
        {"{\"acls\": [],\n \"ACLs\": []}",
         "t.hujson:2:2: The key \"ACLs\" is there twice, in capital and small letters."},
        {"{\"hosts\": {\"a\": \"10.0.0.1\",\n\"a\": \"10.0.0.2\"}}",
         "t.hujson:2:1: The key is there twice."},
        {"{} // good\n {}", "t.hujson:2:2: Something follows the object."},
        {"{\"acls\": {}}", "t.hujson:1:10: acls: Expected a list."},
        {"{\"acls\": [{\"action\": \"accept\", \"src\": \"*\", \"dst\": []}]}",
         "t.hujson:1:39: acls[0].src: Expected a list."},
        {"{\"acls\": [{\"action\": \"drop\", \"src\": [\"*\"], \"dst\": [\"*:*\"]}]}",
         "t.hujson:1:22: acls[0]: The action of an acl is \"accept\"."},
        {"{\"acls\": [{\"action\": \"accept\", \"src\": [\"*\"]}]}",
         "t.hujson:1:11: acls[0]: The key \"src\" or \"dst\" is missing."},
        {"{\"acls\": [1]}", "t.hujson:1:11: acls[0]: Expected an object."},
        {"{\"groups\": {\"group:a\": [[]]}}",
         "t.hujson:1:25: groups.a: Expected a list of strings."},
        {"{\"tests\": [{\"src\": [\"tag:a\"], \"deny\": []}]}",
         "t.hujson:1:12: tests[0]: A test has one src."},
    };
    for (const auto& [text, error] : kBad) EXPECT_EQ(refused(text), error) << text;
    for (const char* text : {"", "// nothing", "[]", "1", "{\"a\": [,]}", "{,}", "{\"a\": [1,,]}",
                             "{\"a\": 1 \"b\": 2}", "{\"a\": [1 2]}", "{\"a\": tru}", "{\"a\": 01}",
                             "{\"a\": \"\\x\"}", "{\"a\": \"\xff\"}", "{\"a\": [}", "{\"a\",}",
                             "{\"a\":,}", "{\"a\": 1}}", "{\"a\": nul}", "{\"a\": \"\\ud800\"}"})
        EXPECT_NE(refused(text), "") << text;
}

TEST(ImportTailscale, is_bounded_in_depth_size_and_result)
{
    const std::string deep(100'000, '[');
    EXPECT_EQ(refused("{\"a\":" + deep), "t.hujson:1:69: More than 64 levels.");
    EXPECT_EQ(refused("{\"a\": \"" + std::string(kMaxHujsonBytes, 'x') + "\"}"),
              "t.hujson: The file is larger than 4194304 bytes.");
    std::string many = "{\"a\": [";
    for (size_t i = 0; i <= kMaxHujsonValues; i++) many += "1,";
    EXPECT_NE(refused(many + "]}").find("More than 500000 values."), std::string::npos);
    // All of many sources to each of many ports.
    std::string sources, destinations;
    for (int i = 0; i < 20000; i++) {
        sources += "\"tag:t" + std::to_string(i) + "\",";
        destinations += "\"10.0.0.1:" + std::to_string(i + 1) + "\",";
    }
    EXPECT_EQ(refused("{\"acls\": [{\"action\": \"accept\", \"src\": [" + sources +
                      "], \"dst\": [" + destinations + "]}]}"),
              "t.hujson: The policy would be larger than 16777216 bytes, which is more than a "
              "policy may have.");
}

}  // namespace
}  // namespace sandgate::config
