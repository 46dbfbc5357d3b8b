// The loader and the validator: tables of a policy and the exact first error, the examples, bulk
// files.
#include <algorithm>
#include <chrono>

#include "config/dataplane_arguments.h"
#include "config/parse.h"
#include "config/policy_tests.h"
#include "tests/unit/config/support.h"

namespace sandgate::config {
namespace {

struct BadPolicy
{
    const char* name;
    const char* yaml;
    const char* error;  // the whole first error
};

#define KEY_1 "AQAAAAEAAAABAAAAAQAAAAEAAAABAAAAAQAAAAEAAAA="
#define KEY_2 "AgAAAAIAAAACAAAAAgAAAAIAAAACAAAAAgAAAAIAAAA="
#define AGENT_A \
    "  - {name: a, tags: [ci], owner: o@x, public_key: " KEY_1 ", addresses: [10.66.0.2]}\n"
#define AGENT_B "  - {name: b, public_key: " KEY_2 ", addresses: [10.66.0.3]}\n"

const BadPolicy kBadPolicies[] = {
    {"not yaml", "gateway: [", "p.yaml:1:1: This is not YAML: end of sequence flow not found."},
    {"a list at the top", "- a\n", "p.yaml:1:1: Expected a map, found a list."},
    {"unknown key at the top", "agents: []\ngrant: []\n",
     "p.yaml:2:1: Unknown key \"grant\"; did you mean \"grants\"?"},
    {"unknown key inside", "gateway:\n  listen_prot: 1\n",
     "p.yaml:2:3: gateway: Unknown key \"listen_prot\"; did you mean \"listen_port\"?"},
    {"unlike any key", "gateway: {zzzzzzzzz: 1}\n",
     "p.yaml:1:11: gateway: Unknown key \"zzzzzzzzz\"; known are listen_port, private_key_file, "
     "public_endpoint, tunnel_addresses, tunnel_mtu, dns."},
    {"key twice", "gateway:\n  listen_port: 1\n  listen_port: 2\n",
     "p.yaml:3:3: gateway: The key \"listen_port\" is already on line 2."},
    {"section twice", "agents: []\nagents: []\n",
     "p.yaml:2:1: The key \"agents\" is already on line 1."},
    {"number too large", "gateway: {listen_port: 65536}\n",
     "p.yaml:1:24: gateway.listen_port: Expected a number from 1 to 65535."},
    {"number with a sign", "gateway: {listen_port: -1}\n",
     "p.yaml:1:24: gateway.listen_port: Expected a number from 1 to 65535."},
    {"yes is no boolean", "dataplane: {hugepages: yes}\n",
     "p.yaml:1:24: dataplane.hugepages: Expected true or false."},
    {"scalar for a list", "agents: build-bot\n",
     "p.yaml:1:9: agents: Expected a list, found a single value."},
    {"anchor", "agents: &a []\n",
     "p.yaml:1:9: Anchors and aliases (& and *) are not part of the policy language; quote a text "
     "that "
     "starts with one of them."},
    {"bare star", "grants:\n  - {name: g, src: [*], dst: [\"*\"], ip: [\"*\"]}\n",
     "p.yaml:2:22: This is not YAML: alias not found after *."},
    {"tag", "agents: !foo []\n", "p.yaml:1:9: Tags (!) are not part of the policy language."},
    {"two documents", "agents: []\n---\nagents: []\n",
     "p.yaml:3:1: A second document; a policy is one document."},
    {"too deep", "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\n",
     "p.yaml:1:17: Nested deeper than 16 levels."},
    {"missing key", "agents:\n  - name: a\n    addresses: [10.66.0.2]\n",
     "p.yaml:2:5: agents[0]: The key \"public_key\" is missing."},
    {"malformed public key", "agents:\n  - {name: a, addresses: [10.66.0.2], public_key: abc}\n",
     "p.yaml:2:51: agents[0].public_key: A key is 44 characters of base64, as `wg pubkey` prints "
     "it."},
    {"host bits", "hosts: {corp: 10.0.0.1/8}\n",
     "p.yaml:1:15: hosts.corp: \"10.0.0.1/8\" has address bits behind its length; did you mean "
     "\"10.0.0.0/8\"?"},
    {"all of IPv6", "hosts: {all: \"::/0\"}\n",
     "p.yaml:1:14: hosts.all: \"::/0\" is too wide; write \"*\" for every address, 2000::/3 for "
     "global IPv6 "
     "addresses."},
    {"multicast agent", "agents:\n  - {name: a, public_key: " KEY_1 ", addresses: [224.0.0.1]}\n",
     "p.yaml:2:85: agents[0].addresses[0]: 224.0.0.1 is not the address of a host: it is "
     "unspecified, "
     "loopback, multicast or broadcast."},
    {"malformed date",
     "agents:\n  - {name: a, public_key: " KEY_1 ", addresses: [10.66.0.2], expires: tomorrow}\n",
     "p.yaml:2:106: agents[0].expires: \"tomorrow\" is not a time such as 2027-01-01T00:00:00Z "
     "(RFC 3339)."},
    {"day that is not",
     "agents:\n  - {name: a, public_key: " KEY_1
     ", addresses: [10.66.0.2], expires: 2027-02-29T00:00:00Z}\n",
     "p.yaml:2:106: agents[0].expires: \"2027-02-29T00:00:00Z\" names a day that its month does "
     "not have."},
    {"port without protocol", "services:\n  web: {addresses: [10.0.0.1], ip: [443]}\n",
     "p.yaml:2:37: services.web.ip[0]: \"443\" does not say which protocol; did you mean "
     "\"tcp:443\"?"},
    {"reversed range", "services:\n  web: {addresses: [10.0.0.1], ip: [\"tcp:9-8\"]}\n",
     "p.yaml:2:37: services.web.ip[0]: \"tcp:9-8\" ends before it starts."},
    {"no selector", "grants:\n  - {name: g, src: [tga:ci], dst: [10.0.0.1], ip: [icmp]}\n",
     "p.yaml:2:21: grants[0].src[0]: \"tga:ci\" selects nothing: write agent:, tag:, group:, "
     "owner:, host:, ipset: or "
     "service: with a name, an address, a network, gateway or \"*\"; did you mean \"tag\"?"},
    {"empty src", "grants:\n  - {name: g, src: [], dst: [10.0.0.1], ip: [icmp]}\n",
     "p.yaml:2:20: grants[0].src: Expected at least one value."},
    {"missing bulk file", "agents_from: [none.jsonl]\n",
     "p.yaml:1:15: agents_from[0]: none.jsonl: The file of agents cannot be opened: No such file "
     "or directory."},
    {"port without network",
     "ports:\n  - {name: wan, device: d, roles: wan, addresses: [192.0.2.1]}\n",
     "p.yaml:2:52: ports[0].addresses[0]: \"192.0.2.1\" needs the length of its network, as in "
     "192.0.2.1/24."},
    {"too few sessions", "dataplane: {max_sessions: 512}\n",
     "p.yaml:1:27: dataplane.max_sessions: Expected a number from 1024 to 4194304."},
    {"flow that lives for no time", "dataplane:\n  flow_timeouts: {icmp: 0}\n",
     "p.yaml:2:25: dataplane.flow_timeouts.icmp: Expected a number from 1 to 2592000."},
    {"flow that lives too long", "dataplane:\n  flow_timeouts: {tcp_pick_up: 2592001}\n",
     "p.yaml:2:32: dataplane.flow_timeouts.tcp_pick_up: Expected a number from 0 to 2592000."},
    {"timeout in the command line's words", "dataplane:\n  flow_timeouts: {tcp-opening: 60}\n",
     "p.yaml:2:19: dataplane.flow_timeouts: Unknown key \"tcp-opening\"; did you mean "
     "\"tcp_opening\"?"},
    {"timeout of no kind of flow", "dataplane:\n  flow_timeouts: {udp: 60}\n",
     "p.yaml:2:19: dataplane.flow_timeouts: Unknown key \"udp\"; known are tcp_opening, "
     "tcp_established, tcp_closing, tcp_closed, udp_opening, udp_established, icmp, other, "
     "tcp_pick_up."},
    {"too many workers",
     "dataplane:\n  workers: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]\n",
     "p.yaml:2:12: dataplane.workers: More than 16 workers."},
    {"unknown role", "ports:\n  - {name: wan, device: d, roles: [dmz]}\n",
     "p.yaml:2:36: ports[0].roles[0]: A role is wan or lan."},
    {"multicast mac",
     "ports:\n  - {name: w, device: d, roles: wan, neighbours: {192.0.2.7: "
     "\"01:00:00:00:00:07\"}}\n",
     "p.yaml:2:62: ports[0].neighbours: \"01:00:00:00:00:07\" is not the address of a single "
     "station."},
    // From here on the validator.
    {"agent twice",
     "agents:\n" AGENT_A "  - {name: a, public_key: " KEY_2 ", addresses: [10.66.0.3]}\n",
     "p.yaml:3:12: agents[1].name: the agent \"a\" is already on line 2."},
    {"key twice",
     "agents:\n" AGENT_A "  - {name: b, public_key: " KEY_1 ", addresses: [10.66.0.3]}\n",
     "p.yaml:3:27: agents[1].public_key: the agent \"a\" has the same key."},
    {"overlap",
     "agents:\n" AGENT_A "  - {name: b, public_key: " KEY_2 ", addresses: [10.66.0.0/24]}\n",
     "p.yaml:3:85: agents[1].addresses: 10.66.0.0/24 overlaps 10.66.0.2 of the agent \"a\"."},
    {"agent at the gateway's address",
     "gateway: {tunnel_addresses: [10.66.0.2]}\nagents:\n" AGENT_A,
     "p.yaml:3:109: agents[0].addresses: 10.66.0.2 of the agent \"a\" overlaps the gateway's own "
     "tunnel "
     "address 10.66.0.2."},
    {"agent in a port's network",
     "ports:\n  - {name: lan, device: d, roles: lan, addresses: [10.66.0.1/24]}\nagents:\n" AGENT_A,
     "p.yaml:4:109: agents[0].addresses: 10.66.0.2 of the agent \"a\" overlaps the network "
     "10.66.0.0/24 of "
     "the port \"lan\"."},
    {"next hop elsewhere",
     "ports:\n  - {name: wan, device: d, roles: wan, addresses: [192.0.2.1/24], gateway: "
     "198.51.100.1}\n",
     "p.yaml:2:12: ports[0].gateway: 198.51.100.1 lies in none of the port's networks."},
    {"unknown agent", "agents:\n" AGENT_A "groups: {g: [agent:aa]}\n",
     "p.yaml:3:14: groups.g[0]: No agent is named \"aa\"."},
    {"group in a group", "agents:\n" AGENT_A "groups: {g: [group:g]}\n",
     "p.yaml:3:14: groups.g[0]: A group holds agent:, tag: and owner: only."},
    {"dead tag",
     "agents:\n" AGENT_A "grants:\n  - {name: g, src: [tag:cd], dst: [10.0.0.1], ip: [icmp]}\n",
     "p.yaml:4:21: grants[0].src[0]: No agent has the tag \"cd\"; did you mean \"ci\"?"},
    {"dangling host",
     "hosts: {web: 10.0.0.1}\nagents:\n" AGENT_A
     "grants:\n  - {name: g, src: [tag:ci], dst: [host:wbe], ip: [icmp]}\n",
     "p.yaml:5:36: grants[0].dst[0]: No host is named \"wbe\"; did you mean \"web\"?"},
    {"grant without ip",
     "agents:\n" AGENT_A "grants:\n  - {name: g, src: [tag:ci], dst: [10.0.0.1]}\n",
     "p.yaml:4:12: grants[0]: The key \"ip\" is missing; only services bring their own."},
    {"idle ip",
     "services: {s: {addresses: [10.0.0.1], ip: [tcp:1]}}\nagents:\n" AGENT_A
     "grants:\n  - {name: g, src: [tag:ci], dst: [service:s], ip: [icmp]}\n",
     "p.yaml:5:53: grants[0].ip: It applies to nothing: every dst is a service, which brings its "
     "own."},
    {"outside to outside",
     "agents:\n" AGENT_A
     "grants:\n  - {name: g, src: [10.1.0.0/16], dst: [10.0.0.1], ip: [icmp]}\n",
     "p.yaml:4:12: grants[0].src: Addresses outside the tunnel may only be let in to agents, and "
     "no dst is one."},
    {"star without agents", "grants:\n  - {name: g, src: [\"*\"], dst: [10.0.0.1], ip: [icmp]}\n",
     "p.yaml:2:12: grants[0].src: \"*\" is every agent, and there is none."},
    {"grant twice",
     "agents:\n" AGENT_A "grants:\n  - {name: g, src: [tag:ci], dst: [10.0.0.1], ip: [icmp]}\n"
     "  - {name: g, src: [tag:ci], dst: [10.0.0.2], ip: [icmp]}\n",
     "p.yaml:5:12: grants[1].name: The grant \"g\" is already on line 4."},
    {"gateway service on many ports",
     "gateway: {tunnel_addresses: [10.66.0.1]}\nservices: {s: {gateway: true, ip: "
     "[\"tcp:1-2\"]}}\n",
     "p.yaml:2:36: services.s.ip[0]: A service of the gateway names one protocol and one port."},
    {"service nowhere", "services: {s: {ip: [\"tcp:1\"]}}\n",
     "p.yaml:1:12: services.s: A service has either addresses or gateway: true."},
};

TEST(Load, names_file_line_column_key_path_and_fault)
{
    for (const BadPolicy& bad : kBadPolicies) {
        BulkCache cache;
        LoadResult result = load_text(bad.yaml, "p.yaml", cache);
        if (result.is_ok())
            result.errors = validate(result.policy);
        ASSERT_FALSE(result.errors.empty()) << bad.name;
        EXPECT_EQ(result.errors[0].text(), bad.error) << bad.name;
    }
}

TEST(Load, takes_an_empty_policy_as_one_that_allows_nothing)
{
    for (const char* text : {"", "# nothing\n", "agents: []\n", "agents:\ngrants:\n", "---\n"}) {
        const Policy policy = good_policy(text);
        EXPECT_EQ(policy.agent_count(), 0u);
        IdMap ids;
        std::string error;
        const Compiled result = compiled(policy, ids);
        const auto view = api::read_snapshot(result.bytes, error);
        ASSERT_TRUE(view) << error;
        EXPECT_TRUE(view->matches.empty());
    }
}

TEST(Load, reports_several_errors_and_stops_at_a_limit)
{
    BulkCache cache;
    EXPECT_EQ(load_text("gateway: {a: 1, b: 2}\n", "p", cache).errors.size(), 2u);
    std::string text = "hosts:\n";
    for (int i = 0; i < 500; i++) text += "  h" + std::to_string(i) + ": nonsense\n";
    EXPECT_EQ(load_text(text, "p", cache).errors.size(), kMaxErrors);
    EXPECT_FALSE(load_text(std::string(17u << 20, '#'), "p", cache).is_ok());
}

TEST(Load, says_what_is_wrong_with_the_file_itself)
{
    BulkCache cache;
    const ScratchDirectory scratch;
    EXPECT_EQ(load_file(scratch.path + "/none.yaml", cache).errors.at(0).what,
              "The policy cannot be opened: No such file or directory.");
    EXPECT_EQ(load_file(scratch.path, cache).errors.at(0).what,
              "The policy is not a regular file.");
}

TEST(Load, resolves_paths_from_the_policys_folder)
{
    const Policy policy = good_policy("gateway: {private_key_file: keys/g.key}\n", "/etc/x/p.yaml");
    EXPECT_EQ(policy.gateway.private_key_file, "/etc/x/keys/g.key");
}

TEST(Load, refuses_an_agent_with_the_gateways_key)
{
    Policy policy = good_policy("agents:\n" AGENT_A);
    policy.gateway.public_key = policy.find_agent("a")->public_key;
    ASSERT_EQ(validate(policy).size(), 1u);
    EXPECT_EQ(validate(policy)[0].text(),
              "p.yaml:2:51: agents[0].public_key: The agent \"a\" has the gateway's own key.");
}

TEST(Load, loads_validates_and_compiles_every_example)
{
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(SANDGATE_EXAMPLES)) {
        if (entry.path().extension() != ".yaml")
            continue;
        count++;
        BulkCache cache;
        const LoadResult result = load_file(entry.path(), cache);
        ASSERT_TRUE(result.is_ok()) << all_texts(result.errors);
        const auto errors = validate(result.policy);
        ASSERT_TRUE(errors.empty()) << all_texts(errors);
        const auto failed = run_tests(result.policy, 1);
        ASSERT_TRUE(failed.empty()) << all_texts(failed);
        IdMap ids;
        std::string error;
        const Compiled bytes = compiled(result.policy, ids);
        EXPECT_TRUE(api::read_snapshot(bytes.bytes, error)) << entry.path() << error;
    }
    EXPECT_GE(count, 3);
}

// Every yaml block of the document is a policy that loads, so the document cannot lie about the
// language.
TEST(Load, loads_every_policy_of_the_document)
{
    std::ifstream document(SANDGATE_POLICY_DOCUMENT);
    ASSERT_TRUE(document);
    std::string line, block;
    bool is_inside = false;
    int count = 0;
    while (std::getline(document, line)) {
        if (line == "```yaml") {
            is_inside = true;
            block.clear();
        } else if (line == "```" && is_inside) {
            is_inside = false;
            count++;
            const Policy policy = good_policy(block, SANDGATE_EXAMPLES "/document.yaml");
            EXPECT_EQ(all_texts(run_tests(policy, 1)), "");
        } else if (is_inside) {
            block += line + "\n";
        }
    }
    EXPECT_GE(count, 3);
}

TEST(Bulk, names_file_line_and_column)
{
    struct Bad
    {
        const char* line;
        const char* error;
    };
    const Bad kBad[] = {
        {R"({"name": "a"})", ":2:1: The key \"public_key\" is missing."},
        {R"({"name": "a", "nmae": "b"})", ":2:23: Unknown key \"nmae\"; did you mean \"name\"?"},
        {R"({"name": "a", "name": "b"})", ":2:23: The key \"name\" is there twice."},
        {R"({"name": "a b"})",
         ":2:10: name: \"a b\" is not a name: letters, digits, '.', '_' and '-', at most "
         "63, a letter or digit first."},
        {R"({"name": "b", "public_key": ")" KEY_1 R"(", "addresses": ["10.66.0.1/8"]})",
         ":2:91: addresses: \"10.66.0.1/8\" has address bits behind its length; did you mean "
         "\"10.0.0.0/8\"?"},
        {R"({"name": "b", "public_key": ")" KEY_1 R"(", "addresses": []})",
         ":2:90: addresses: Expected at least one value."},
        {R"({"name": "good", "public_key": ")" KEY_1 R"(", "addresses": ["10.66.0.9"]})",
         ":2:10: name: the agent \"good\" is already on line 1."},
    };
    const ScratchDirectory scratch;
    for (const Bad& bad : kBad) {
        const std::string path =
            scratch.write("a.jsonl", std::string(R"({"name": "good", "public_key": ")" KEY_2
                                                 R"(", "addresses": ["10.66.1.1"]})") +
                                         "\n" + bad.line + "\n");
        const auto bulk = load_bulk(path);
        ASSERT_TRUE(bulk);
        ASSERT_FALSE(bulk->errors.empty()) << bad.line;
        EXPECT_EQ(bulk->errors[0].text(), path + bad.error);
    }
    for (const char* line :
         {"nonsense", "[]", "{", "{\"name\": 7}", "{} {}", "{\"tags\": [1]}", "\"\\"}) {
        const auto bulk = load_bulk(scratch.write("a.jsonl", line));
        ASSERT_TRUE(bulk);
        EXPECT_FALSE(bulk->errors.empty()) << line;
    }
    EXPECT_FALSE(load_bulk(scratch.path));
}

TEST(Bulk, refuses_a_line_without_end)
{
    const ScratchDirectory scratch;
    const auto bulk =
        load_bulk(scratch.write("a.jsonl", "{\"name\": \"" + std::string(3u << 20, 'a')));
    ASSERT_TRUE(bulk);
    ASSERT_EQ(bulk->errors.size(), 1u);
    EXPECT_EQ(bulk->errors[0].what, "The line is longer than 64 KiB.");
}

std::string bulk_line(uint32_t i, const std::string& tag = "fleet")
{
    return "{\"name\": \"fleet-" + std::to_string(i) + "\", \"owner\": \"team" +
           std::to_string(i % 50) + "@example.com\", \"tags\": [\"" + tag +
           "\"], \"public_key\": \"" + base64_key(i + 1000) + "\", \"addresses\": [\"10." +
           std::to_string(64 + i / 65536) + "." + std::to_string(i / 256 % 256) + "." +
           std::to_string(i % 256) + "\", \"fd66::" + std::to_string(i / 1000) + ":" +
           std::to_string(i % 1000) + "\"]}\n";
}

TEST(Bulk, parses_only_files_that_changed)
{
    const ScratchDirectory scratch;
    scratch.write("a.jsonl", bulk_line(1));
    scratch.write("b.jsonl", bulk_line(2));
    const std::string policy = scratch.write("p.yaml", "agents_from: [a.jsonl, b.jsonl]\n");
    BulkCache cache;
    ASSERT_TRUE(load_file(policy, cache).is_ok());
    ASSERT_TRUE(load_file(policy, cache).is_ok());
    EXPECT_EQ(cache.parsed_files(), 2u);
    EXPECT_FALSE(load_text("agents_from: [", policy, cache).is_ok());
    scratch.write("b.jsonl", bulk_line(2) + bulk_line(3));
    const LoadResult result = load_file(policy, cache);
    EXPECT_EQ(cache.parsed_files(), 3u);
    EXPECT_EQ(result.policy.agent_count(), 3u);
}

TEST(Bulk, finds_claims_across_files)
{
    const ScratchDirectory scratch;
    scratch.write("a.jsonl", bulk_line(1) + bulk_line(2) + bulk_line(3));
    const std::string path = scratch.write(
        "p.yaml", "agents_from: [a.jsonl]\nagents:\n  - name: fleet-2\n    public_key: " +
                      base64_key(1003) + "\n    addresses: [10.64.0.0/30]\n");
    BulkCache cache;
    const LoadResult result = load_file(path, cache);
    ASSERT_TRUE(result.is_ok()) << all_texts(result.errors);
    const auto errors = validate(result.policy);
    const std::string bulk = scratch.path + "/a.jsonl";
    ASSERT_EQ(errors.size(), 3u) << all_texts(errors);
    EXPECT_EQ(errors[0].text(),
              path +
                  ":3:11: agents[0].name: The name \"fleet-2\" belongs to the agent "
                  "\"fleet-2\" (" +
                  bulk + ":2).");
    EXPECT_EQ(errors[1].text(),
              path + ":4:17: agents[0].public_key: The key belongs to the agent \"fleet-3\" (" +
                  bulk + ":3).");
    EXPECT_EQ(errors[2].text(),
              path +
                  ":5:17: agents[0].addresses: 10.64.0.0/30 overlaps 10.64.0.1 of the agent "
                  "\"fleet-1\" (" +
                  bulk + ":1).");
}

TEST(DataplaneArguments, say_what_the_program_needs_at_start)
{
    BulkCache cache;
    const LoadResult result = load_file(SANDGATE_EXAMPLES "/demo.yaml", cache);
    ASSERT_TRUE(result.is_ok()) << all_texts(result.errors);
    const std::vector<std::string> expected = {"--control-socket",
                                               "/run/sandgate/dataplane.sock",
                                               "--worker-core",
                                               "1",
                                               "--slow-core",
                                               "0",
                                               "--port",
                                               "wan=wan=net_af_xdp0,iface=sg-wan",
                                               "--port",
                                               "lan=lan=net_af_xdp1,iface=sg-lan",
                                               "--no-huge",
                                               "--test-mode",
                                               "--adaptive-idle",
                                               "--host-port",
                                               "--host-v4",
                                               "10.66.0.1",
                                               "--host-v6",
                                               "fd66::1",
                                               "--mtu",
                                               "1500"};
    EXPECT_EQ(dataplane_arguments(result.policy), expected);
}

TEST(DataplaneArguments, name_each_timeout_of_flows_that_the_policy_sets)
{
    for (const api::FlowTimeoutName& name : api::kFlowTimeoutNames) {
        const std::string yaml =
            std::string("dataplane: {workers: 1, flow_timeouts: {") + name.key + ": 77}}\n";
        BulkCache cache;
        const LoadResult result = load_text(yaml, "p.yaml", cache);
        ASSERT_TRUE(result.is_ok()) << all_texts(result.errors);
        const std::vector<std::string> got = dataplane_arguments(result.policy);
        const auto option = std::find(got.begin(), got.end(), "--flow-timeout");
        ASSERT_NE(option, got.end()) << name.key;
        EXPECT_EQ(option[1], std::string(name.option) + "=77");
        EXPECT_EQ(std::count(got.begin(), got.end(), "--flow-timeout"), 1);
    }
}

TEST(DataplaneArguments, name_timeouts_in_one_order)
{
    BulkCache cache;
    const auto arguments_of = [&](const char* timeouts) {
        return dataplane_arguments(
            load_text(std::string("dataplane: {flow_timeouts: ") + timeouts + "}\n", "p.yaml",
                      cache)
                .policy);
    };
    // Else an order of no meaning would ask for a restart.
    EXPECT_EQ(arguments_of("{udp_opening: 60, tcp_pick_up: 0}"),
              arguments_of("{tcp_pick_up: 0, udp_opening: 60}"));
    EXPECT_EQ(arguments_of("{}"), arguments_of(""));
}

TEST(Parse, reads_times_in_every_zone)
{
    EXPECT_EQ(*parse_time("2000-03-01T00:00:00Z"), 951868800);
    EXPECT_EQ(*parse_time("2027-01-01T00:00:00Z"), 1798761600);
    EXPECT_EQ(*parse_time("2027-01-01T02:00:00+02:00"), 1798761600);
    EXPECT_EQ(*parse_time("2024-02-29T23:59:59Z"), 1709251199);
    for (const char* text :
         {"", "2027-01-01", "2027-01-01T00:00:00", "2027-13-01T00:00:00Z", "1969-12-31T23:59:59Z",
          "2027-01-01T24:00:00Z", "2027-01-01T00:00:00+2:00"})
        EXPECT_FALSE(parse_time(text)) << text;
}

TEST(Parse, suggests_only_what_is_near)
{
    EXPECT_EQ(did_you_mean("prots", {"ports", "agents"}), "; did you mean \"ports\"?");
    EXPECT_EQ(did_you_mean("x", {"ports", "agents"}), "");
    EXPECT_EQ(did_you_mean("wholly", {"ports", "agents"}), "");
}

}  // namespace
}  // namespace sandgate::config
