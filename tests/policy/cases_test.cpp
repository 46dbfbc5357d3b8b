// Cases that are data alone: a policy, packets, and what becomes of each. A folder of cases/ is a
// case: policy.yaml; packets.yaml with NAME: {from, to, traffic, at}; expect.yaml with NAME:
// allowed, or the reason of the drop, or with `error` and a part of the first error of the policy.
#include <map>

#include "config/explain.h"
#include "config/parse.h"
#include "config/policy_tests.h"
#include "config/yaml_tree.h"
#include "dataplane/policy/rule_match.h"
#include "tests/unit/config/support.h"

namespace sandgate::config {
namespace {

constexpr int64_t kUsualTime = 1'795'521'600;  // 2026-11-24T12:00:00Z

YamlNode read_yaml(const std::filesystem::path& path)
{
    std::ifstream file(path);
    EXPECT_TRUE(file) << path;
    return parse_yaml(std::string(std::istreambuf_iterator<char>(file), {}), 0);
}

std::string field(const YamlNode& map, const std::string& key)
{
    for (const auto& [name, value] : map.entries)
        if (name.text == key)
            return value.text;
    return "";
}

struct Judge
{
    const Policy& policy;
    int64_t now;
    IdMap ids;
    Compiled compiled_policy = compiled(policy, ids, now);
    std::unique_ptr<dp::PolicyView> view;

    Judge(const Policy& p, int64_t at) : policy(p), now(at)
    {
        std::string error;
        view = dp::build_policy_view(publish(compiled_policy.bytes, nullptr, 1), 3, error);
    }

    // One end's word, as the dataplane's classify asks for it; empty when it agrees.
    std::string fault_of(api::IdentityId identity, api::MatchDirection direction,
                         const api::Address& peer, const FlowWish& wish) const
    {
        const api::AgentRow& row = *view->find_agent(identity);
        if (dp::find_rule(*view, row, direction, peer, wish.protocol, wish.port) != api::kNoRule)
            return "";
        return api::text_of(dp::refusal_of(*view, row, direction, peer, wish.protocol, wish.port))
            .name;
    }

    std::string judge(const FlowWish& wish) const
    {
        const api::IdentityId source = view->addresses.find(wish.source);
        const api::IdentityId destination = view->addresses.find(wish.destination);
        std::string fault;
        if (source != api::kNoIdentity) {
            if (view->is_gateway_address(wish.destination) &&
                !view->is_declared_service(wish.destination, wish.protocol, wish.port))
                return "host_service_not_declared";
            fault = fault_of(source, api::kEgress, wish.destination, wish);
        }
        if (fault.empty() && destination != api::kNoIdentity)
            fault = fault_of(destination, api::kIngress, wish.source, wish);
        return fault.empty() ? "allowed" : fault;
    }
};

std::string first_error(const LoadResult& loaded)
{
    if (!loaded.is_ok())
        return loaded.errors[0].text();
    if (const auto errors = validate(loaded.policy); !errors.empty())
        return errors[0].text();
    const auto failed = run_tests(loaded.policy, kUsualTime);
    return failed.empty() ? "" : failed[0].text();
}

void run_case(const std::filesystem::path& folder)
{
    BulkCache cache;
    const LoadResult loaded = load_file(folder / "policy.yaml", cache);
    const YamlNode packets = read_yaml(folder / "packets.yaml");
    const YamlNode expected = read_yaml(folder / "expect.yaml");
    const std::string error = first_error(loaded);
    if (const std::string part = field(expected, "error"); !part.empty()) {
        EXPECT_NE(error.find(part), std::string::npos) << folder << ": " << error;
        return;
    }
    ASSERT_EQ(error, "") << folder;
    EXPECT_EQ(packets.entries.size(), expected.entries.size()) << folder;
    for (const auto& [name, packet] : packets.entries) {
        const auto traffic = parse_traffic(field(packet, "traffic"));
        const auto source = parse_address(field(packet, "from"));
        const auto destination = parse_address(field(packet, "to"));
        ASSERT_TRUE(traffic && source && destination) << folder << ": " << name.text;
        const auto [protocol, port] = sample_packets(*traffic, source->is_v4()).front();
        const std::string at = field(packet, "at");
        const int64_t now = at.empty() ? kUsualTime : *parse_time(at);
        const FlowWish wish{*source, *destination, protocol, port};
        const std::string verdict = Judge(loaded.policy, now).judge(wish);
        EXPECT_EQ(verdict, field(expected, name.text)) << folder << ": " << name.text;
        EXPECT_EQ(Interpreter(loaded.policy, now).decide(wish).is_allowed, verdict == "allowed")
            << folder << ": " << name.text;
    }
}

TEST(PolicyCases, end_as_expected)
{
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(SANDGATE_POLICY_CASES)) {
        run_case(entry.path());
        count++;
    }
    EXPECT_GE(count, 5);
}

}  // namespace
}  // namespace sandgate::config
