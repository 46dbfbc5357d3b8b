// Compiling, publishing and deltas. tests/policy holds the compiled tables against the language.
#include <algorithm>
#include <random>
#include <set>

#include "config/agent_list.h"
#include "config/make_delta.h"
#include "config/parse.h"
#include "dataplane/api/delta_reader.h"
#include "tests/support/random_policy.h"
#include "tests/unit/config/support.h"

namespace sandgate::config {
namespace {

api::SnapshotView view_of(const std::vector<uint8_t>& bytes)
{
    std::string error;
    const auto view = api::read_snapshot(bytes, error);
    EXPECT_TRUE(view) << error;
    return *view;
}

TEST(Compile, gives_the_same_bytes_for_the_same_text_and_ids_and_for_grants_in_another_order)
{
    Random random(2);
    for (int round = 0; round < 50; round++) {
        Policy policy = good_policy(random_policy(random));
        IdMap ids;
        const auto first = compiled(policy, ids).bytes;
        EXPECT_EQ(compiled(policy, ids).bytes, first);
        std::shuffle(policy.grants.begin(), policy.grants.end(), random);
        EXPECT_EQ(compiled(policy, ids).bytes, first);
    }
}

constexpr const char* kTwoAgents =
    "agents:\n"
    "  - {name: a, public_key: AQAAAAEAAAABAAAAAQAAAAEAAAABAAAAAQAAAAEAAAA=, addresses: "
    "[10.66.0.2]}\n"
    "  - {name: b, public_key: AgAAAAIAAAACAAAAAgAAAAIAAAACAAAAAgAAAAIAAAA=, addresses: "
    "[10.66.0.3]}\n";

TEST(Compile, opens_no_agent_by_an_address)
{
    for (const char* destination : {"'*'", "10.66.0.0/16", "10.66.0.3"}) {
        IdMap ids;
        const Policy policy =
            good_policy(std::string(kTwoAgents) + "grants:\n  - {name: g, src: [agent:a], dst: [" +
                        destination + "], ip: ['*']}\n");
        const Compiled result = compiled(policy, ids);
        const api::SnapshotView view = view_of(result.bytes);
        EXPECT_NE(find_rule(view, 1, api::kEgress, *parse_address("10.66.0.3"), 6, 1),
                  api::kNoRule);
        EXPECT_EQ(find_rule(view, 2, api::kIngress, *parse_address("10.66.0.2"), 6, 1),
                  api::kNoRule);
    }
}

TEST(Compile, shares_classes_and_joins_addresses)
{
    std::string text = "agents:\n";
    for (uint32_t i = 0; i < 256; i++)
        text += "  - {name: a" + std::to_string(i) + ", tags: [t" + std::to_string(i % 2) +
                ", all], public_key: " + base64_key(i) + ", addresses: [10.66.0." +
                std::to_string(i) + "]}\n";
    text += "grants:\n  - {name: g, src: ['*'], dst: [tag:t0], ip: [tcp:1]}\n";
    IdMap ids;
    const Compiled result = compiled(good_policy(text), ids);
    const api::SnapshotView view = view_of(result.bytes);
    EXPECT_EQ(view.agents.size(), 256u);
    EXPECT_EQ(view.classes.size(), 2u);
    // Egress to 128 agents from each class; ingress to half of them from one /24.
    EXPECT_EQ(view.matches.size(), 2 * 128u + 1u);
}

std::vector<uint8_t> published(const std::string& text, IdMap& ids,
                               const api::SnapshotView* previous, uint64_t epoch)
{
    return publish(compiled(good_policy(text), ids).bytes, previous, epoch);
}

TEST(Publish, changes_the_epoch_of_what_changed_alone)
{
    IdMap ids;
    const std::string grant =
        "grants:\n  - {name: g, src: [agent:a], dst: [10.0.0.1], ip: [tcp:1]}\n";
    const auto first = published(kTwoAgents + grant, ids, nullptr, 7);
    const auto first_view = view_of(first);
    const auto second = published(
        kTwoAgents + grant + "  - {name: h, src: [agent:b], dst: [10.0.0.2], ip: [tcp:1]}\n", ids,
        &first_view, 8);
    const auto view = view_of(second);
    const auto changed = [&](const api::SnapshotView& v, size_t agent) {
        return std::max(v.agents[agent].changed_epoch,
                        v.classes[v.agents[agent].policy_class].changed_epoch);
    };
    EXPECT_EQ(view.header->epoch, 8u);
    EXPECT_EQ(changed(view, 0), 7u);
    EXPECT_EQ(changed(view, 1), 8u);
    // A grant that goes: its agent is decided again, the other is not.
    const auto third = published(std::string(kTwoAgents) +
                                     "grants:\n  - {name: h, src: [agent:b], dst: [10.0.0.2], "
                                     "ip: [tcp:1]}\n",
                                 ids, &view, 9);
    EXPECT_EQ(changed(view_of(third), 0), 9u);
    EXPECT_EQ(changed(view_of(third), 1), 8u);
    // The gateway's own services enter every decision.
    const auto third_view = view_of(third);
    const auto fourth =
        published(std::string("gateway: {tunnel_addresses: [10.66.0.1]}\n") + kTwoAgents +
                      "grants:\n  - {name: h, src: [agent:b], dst: [10.0.0.2], ip: [tcp:1]}\n",
                  ids, &third_view, 10);
    EXPECT_EQ(changed(view_of(fourth), 0), 10u);
    EXPECT_EQ(changed(view_of(fourth), 1), 10u);
}

// The epoch at which this agent's flows are decided again: agent `a` of three, whose policy turns
// from the first text into the second.
uint64_t epoch_of_a_after(const std::string& first_text, const std::string& second_text)
{
    IdMap ids;
    const auto first = published(first_text, ids, nullptr, 7);
    const auto first_view = view_of(first);
    const auto second = published(second_text, ids, &first_view, 8);
    const auto view = view_of(second);
    const api::AgentRow& a =
        *std::find_if(view.agents.begin(), view.agents.end(),
                      [&](const auto& row) { return row.identity == ids.identity_of("a"); });
    return std::max(a.changed_epoch, view.classes[a.policy_class].changed_epoch);
}

std::string three_agents(const std::string& b, const std::string& address_of_b)
{
    const auto agent = [](const char* name, uint32_t key, const std::string& more) {
        return std::string("  - {name: ") + name + ", public_key: " + base64_key(key) + more +
               "}\n";
    };
    return "agents:\n" + agent("a", 1, ", addresses: [10.66.0.2]") +
           agent("b", 2, b + ", addresses: [" + address_of_b + "]") +
           agent("c", 3, ", tags: [t], addresses: [10.66.0.9]");
}

// A flow between agents is decided at both ends, each by its own row and class: what changes at one
// end must reach the other's.
TEST(Publish, decides_flows_between_agents_again_when_the_other_end_changes)
{
    for (const char* grant :
         {"grants:\n  - {name: g, src: [agent:a], dst: [tag:t], ip: [tcp:1]}\n",
          "grants:\n  - {name: g, src: [tag:t], dst: [agent:a], ip: [tcp:1]}\n",
          "grants:\n  - {name: g, src: [agent:a], dst: [tag:t], ip: [tcp:1], action: deny}\n"}) {
        const auto before = three_agents(", tags: [t]", "10.66.0.3") + grant;
        EXPECT_EQ(epoch_of_a_after(before, before), 7u) << grant;
        EXPECT_EQ(epoch_of_a_after(before, three_agents(", tags: [t]", "10.66.0.4") + grant), 8u)
            << "the address, " << grant;
        EXPECT_EQ(epoch_of_a_after(before, three_agents("", "10.66.0.3") + grant), 8u)
            << "the tags, " << grant;
        EXPECT_EQ(epoch_of_a_after(before, three_agents(", tags: [t, u]", "10.66.0.3") + grant), 7u)
            << "another tag, " << grant;
    }
}

// A network in src lets no agent in, so its rows mean less when an address in it becomes an
// agent's, although they read the same.
TEST(Publish, decides_again_what_a_network_let_in_when_an_agent_gets_an_address_there)
{
    const std::string grant =
        "grants:\n  - {name: g, src: [10.66.1.0/24], dst: [agent:a], ip: [tcp:1]}\n";
    const auto before = three_agents("", "10.66.0.3") + grant;
    EXPECT_EQ(epoch_of_a_after(before, three_agents("", "10.66.1.3") + grant), 8u);
    EXPECT_EQ(epoch_of_a_after(before, three_agents("", "10.66.0.0/31") + grant), 7u);
    EXPECT_EQ(epoch_of_a_after(before, three_agents("", "10.66.2.0") + grant), 7u);
    // Around the network, and back out of it.
    EXPECT_EQ(epoch_of_a_after(before, three_agents("", "10.66.1.0/24") + grant), 8u);
    EXPECT_EQ(epoch_of_a_after(three_agents("", "10.66.1.3") + grant, before), 7u);
    // Agents that the network lets in are no exception from it.
    EXPECT_EQ(epoch_of_a_after("relax: [agent_to_agent]\n" + before,
                               "relax: [agent_to_agent]\n" + three_agents("", "10.66.1.3") + grant),
              7u);
}

// What the dataplane relies on to keep a flow: an answer may differ only where an epoch says so.
TEST(Publish, marks_every_agent_whose_rights_changed)
{
    Random random(3);
    IdMap ids;
    auto before = published(random_policy(random), ids, nullptr, 1);
    for (uint64_t epoch = 2; epoch < 200; epoch++) {
        const auto old_view = view_of(before);
        auto after = published(random_policy(random), ids, &old_view, epoch);
        const auto new_view = view_of(after);
        for (const api::AgentRow& row : new_view.agents) {
            const api::ClassRow& now = new_view.classes[row.policy_class];
            if (std::max(row.changed_epoch, now.changed_epoch) == epoch)
                continue;
            const auto old_row =
                std::find_if(old_view.agents.begin(), old_view.agents.end(),
                             [&](const auto& r) { return r.identity == row.identity; });
            ASSERT_NE(old_row, old_view.agents.end());
            EXPECT_EQ(std::memcmp(&*old_row, &row, sizeof row), 0);
            const api::ClassRow& was = old_view.classes[old_row->policy_class];
            ASSERT_EQ(was.count, now.count);
            if (now.count > 0) {
                EXPECT_EQ(std::memcmp(&old_view.matches[was.first], &new_view.matches[now.first],
                                      now.count * sizeof(api::MatchRow)),
                          0);
            }
        }
        before = std::move(after);
    }
}

TEST(Delta, leads_from_any_snapshot_to_any_other_byte_for_byte)
{
    Random random(4);
    IdMap ids;
    auto before = published(random_policy(random), ids, nullptr, 1);
    for (uint64_t epoch = 2; epoch < 200; epoch++) {
        const auto base = view_of(before);
        const auto after =
            published(random_policy(random), ids, epoch % 3 == 0 ? nullptr : &base, epoch);
        const auto delta = make_delta(before, after);
        ASSERT_TRUE(delta);
        std::string error;
        const auto view = api::read_delta(*delta, error);
        ASSERT_TRUE(view) << error;
        EXPECT_EQ(api::apply_delta(base, *view, error), after) << error;
        EXPECT_TRUE(api::apply_delta(view_of(after), *view, error).empty());
        before = after;
    }
}

TEST(Delta, of_one_agent_is_small)
{
    IdMap ids;
    std::string text = "agents:\n";
    for (uint32_t i = 0; i < 200; i++)
        text += "  - {name: a" + std::to_string(i) + ", tags: [t], public_key: " + base64_key(i) +
                ", addresses: [10.66.0." + std::to_string(i) + "]}\n";
    const std::string grants =
        "grants:\n  - {name: g, src: [tag:t], dst: [10.0.0.1], ip: [tcp:1]}\n";
    const auto before = published(text + grants, ids, nullptr, 1);
    const auto base = view_of(before);
    const auto after =
        published(text + "  - {name: new, tags: [t], public_key: " + base64_key(900) +
                      ", addresses: [10.66.1.1]}\n" + grants,
                  ids, &base, 2);
    const auto delta = make_delta(base, view_of(after));
    std::string error;
    const auto view = api::read_delta(delta, error);
    ASSERT_TRUE(view) << error;
    EXPECT_EQ(view->agents.size(), 1u);
    EXPECT_EQ(view->addresses.size(), 1u);
    EXPECT_EQ(view->header->replaced, 0u);
}

template <class Read>
void refuse_every_corruption(const std::vector<uint8_t>& good, Read read)
{
    ASSERT_TRUE(read(good));
    for (size_t i = 0; i < good.size(); i++) {
        for (const uint8_t flip : {0x01, 0x80, 0xff}) {
            auto bad = good;
            bad[i] ^= flip;
            ASSERT_FALSE(read(bad)) << "byte " << i;
        }
    }
    for (size_t size = 0; size < good.size(); size++)
        ASSERT_FALSE(
            read(std::vector<uint8_t>(good.begin(), good.begin() + static_cast<ptrdiff_t>(size))));
    auto longer = good;
    longer.resize(good.size() + 8);
    ASSERT_FALSE(read(longer));
}

TEST(SnapshotReader, refuses_every_changed_byte_and_every_truncation)
{
    IdMap ids;
    Random random(5);
    std::string error;
    refuse_every_corruption(
        published(random_policy(random), ids, nullptr, 3),
        [&](const auto& bytes) { return api::read_snapshot(bytes, error).has_value(); });
}

TEST(DeltaReader, refuses_every_changed_byte_and_every_truncation)
{
    IdMap ids;
    Random random(6);
    const auto a = published(random_policy(random), ids, nullptr, 3);
    const auto b = published(random_policy(random), ids, nullptr, 4);
    std::string error;
    refuse_every_corruption(*make_delta(a, b), [&](const auto& bytes) {
        return api::read_delta(bytes, error).has_value();
    });
}

// With the checksum made right again, only the checks of meaning are left; they must hold or the
// rows be sound.
TEST(SnapshotReader, keeps_indexes_in_bounds_when_the_checksum_is_forged)
{
    IdMap ids;
    Random random(7);
    const auto good = published(random_policy(random), ids, nullptr, 3);
    std::string error;
    int refused = 0;
    for (int round = 0; round < 20000; round++) {
        auto bytes = good;
        const uint32_t changes = 1 + below(random, 3);
        for (uint32_t i = 0; i < changes; i++)
            bytes[below(random, static_cast<uint32_t>(bytes.size()))] =
                static_cast<uint8_t>(random());
        const uint64_t sum = api::snapshot_checksum(bytes);
        std::memcpy(bytes.data() + offsetof(api::SnapshotHeader, checksum), &sum, 8);
        const auto view = api::read_snapshot(bytes, error);
        refused += view ? 0 : 1;
        if (!view)
            continue;
        std::set<api::IdentityId> identities;
        for (const auto& row : view->agents) {
            ASSERT_LT(row.policy_class, view->classes.size());
            ASSERT_TRUE(identities.insert(row.identity).second);
        }
        for (const auto& row : view->addresses) ASSERT_EQ(identities.count(row.identity), 1u);
        for (const auto& row : view->classes)
            ASSERT_LE(uint64_t{row.first} + row.count, view->matches.size());
        for (const auto& row : view->neighbours) ASSERT_LT(row.port, view->ports.size());
    }
    EXPECT_GT(refused, 5000);
}

struct Fault
{
    const char* name;
    void (*spoil)(std::vector<uint8_t>&);
    const char* error;
};

template <class Row>
Row& row_at(std::vector<uint8_t>& bytes, const api::Table api::SnapshotHeader::*table, size_t index)
{
    const auto& header = *reinterpret_cast<const api::SnapshotHeader*>(bytes.data());
    return reinterpret_cast<Row*>(bytes.data() + (header.*table).offset)[index];
}

TEST(SnapshotReader, names_the_first_fault)
{
    using Bytes = std::vector<uint8_t>;
    using H = api::SnapshotHeader;
    const Fault kFaults[] = {
        {"magic", [](Bytes& b) { b[0]++; }, "it does not start with the snapshot's magic number."},
        {"version", [](Bytes& b) { reinterpret_cast<H*>(b.data())->version = 9; },
         "its version is 9, this program reads 2."},
        {"offset", [](Bytes& b) { reinterpret_cast<H*>(b.data())->agents.offset += 4; },
         "the table of agents does not lie within the bytes."},
        {"count", [](Bytes& b) { reinterpret_cast<H*>(b.data())->matches.count = ~0ull; },
         "the table of matches does not lie within the bytes."},
        {"no gateway", [](Bytes& b) { reinterpret_cast<H*>(b.data())->gateway.count = 0; },
         "it has no gateway row."},
        {"listen port",
         [](Bytes& b) { row_at<api::GatewayRow>(b, &H::gateway, 0).listen_port = 0; },
         "row 0 of gateway has no listen port."},
        {"identity order", [](Bytes& b) { row_at<api::AgentRow>(b, &H::agents, 1).identity = 1; },
         "row 1 of agents is out of order or has an impossible identity."},
        {"class", [](Bytes& b) { row_at<api::AgentRow>(b, &H::agents, 0).policy_class = 99; },
         "row 0 of agents names a policy class that does not exist."},
        {"changed epoch",
         [](Bytes& b) { row_at<api::AgentRow>(b, &H::agents, 0).changed_epoch = 99; },
         "row 0 of agents changed after the snapshot was made."},
        {"flags", [](Bytes& b) { row_at<api::AgentRow>(b, &H::agents, 0).flags = 4; },
         "row 0 of agents has flags that this version does not know."},
        {"address's owner",
         [](Bytes& b) { row_at<api::AddressRow>(b, &H::addresses, 0).identity = 3; },
         "row 0 of addresses belongs to no agent."},
        {"address order",
         [](Bytes& b) { row_at<api::AddressRow>(b, &H::addresses, 0).address.bytes[15] = 0xff; },
         "row 1 of addresses is out of order or there twice."},
        {"host bits", [](Bytes& b) { row_at<api::AddressRow>(b, &H::addresses, 0).prefix = 100; },
         "row 0 of addresses has address bits behind its prefix."},
        {"class range", [](Bytes& b) { row_at<api::ClassRow>(b, &H::classes, 0).count = 99; },
         "row 0 of classes points behind the end of the match rows."},
        {"direction", [](Bytes& b) { row_at<api::MatchRow>(b, &H::matches, 0).direction = 3; },
         "row 0 of matches has no known direction."},
        {"port range", [](Bytes& b) { row_at<api::MatchRow>(b, &H::matches, 0).port_high = 0; },
         "row 0 of matches has a range of ports that ends before it starts."},
        {"rule", [](Bytes& b) { row_at<api::MatchRow>(b, &H::matches, 0).rule = 0; },
         "row 0 of matches belongs to no rule."},
        {"hard rule's id",
         [](Bytes& b) { row_at<api::MatchRow>(b, &H::matches, 0).rule = api::kFirstHardRule; },
         "row 0 of matches belongs to no rule."},
        {"match flags", [](Bytes& b) { row_at<api::MatchRow>(b, &H::matches, 0).flags = 4; },
         "row 0 of matches has flags that this version does not know."},
        {"late denial",
         [](Bytes& b) { row_at<api::MatchRow>(b, &H::matches, 1).flags = api::kDeny; },
         "row 0 of classes has a denial behind a permission."},
        {"hard rule's flags",
         [](Bytes& b) { row_at<api::MatchRow>(b, &H::hard_rules, 0).flags = 0; },
         "row 0 of hard rules denies less than everything to its address."},
        {"hard rule's id below",
         [](Bytes& b) { row_at<api::MatchRow>(b, &H::hard_rules, 1).rule = 1; },
         "row 1 of hard rules denies less than everything to its address."},
    };
    IdMap ids;
    const auto good = published(std::string(kTwoAgents) +
                                    "grants:\n  - {name: g, src: [agent:a], dst: [10.0.0.1], "
                                    "ip: [tcp:1, tcp:3]}\n",
                                ids, nullptr, 3);
    for (const Fault& fault : kFaults) {
        auto bytes = good;
        fault.spoil(bytes);
        const uint64_t sum = api::snapshot_checksum(bytes);
        std::memcpy(bytes.data() + offsetof(H, checksum), &sum, 8);
        std::string error;
        EXPECT_FALSE(api::read_snapshot(bytes, error)) << fault.name;
        EXPECT_EQ(error, std::string("The snapshot is refused: ") + fault.error) << fault.name;
    }
}

}  // namespace
}  // namespace sandgate::config
