// Compiling, publishing and deltas: against a naive interpreter of the language, and against
// themselves.
#include <algorithm>
#include <random>
#include <set>

#include "config/agent_list.h"
#include "config/make_delta.h"
#include "config/parse.h"
#include "dataplane/api/delta_reader.h"
#include "tests/unit/config/support.h"

namespace sandgate::config {
namespace {

using Random = std::mt19937;

uint32_t below(Random& random, uint32_t n) { return static_cast<uint32_t>(random() % n); }

api::SnapshotView view_of(const std::vector<uint8_t>& bytes)
{
    std::string error;
    const auto view = api::read_snapshot(bytes, error);
    EXPECT_TRUE(view) << error;
    return *view;
}

// A small random policy: six agents at most, three tags, two owners, hosts, services, grants of
// every shape.
std::string random_policy(Random& random)
{
    std::string text = "gateway: {tunnel_addresses: [10.66.0.1, 'fd66::1']}\n";
    const uint32_t agents = 2 + below(random, 5);
    text += "agents:\n";
    for (uint32_t i = 0; i < agents; i++) {
        text += "  - {name: a" + std::to_string(i) + ", public_key: " + base64_key(i) +
                ", owner: o" + std::to_string(i % 2) + ", tags: [all";
        for (int t = 0; t < 3; t++)
            if (below(random, 3) == 0 || (i == 0))
                text += ", t" + std::to_string(t);
        text += "], addresses: [10.66.1." + std::to_string(i * 4 + below(random, 4));
        text += below(random, 2) != 0 ? ", 'fd66::1:" + std::to_string(i) + "']}\n" : "]}\n";
    }
    text +=
        "groups: {g: [agent:a1, tag:t1]}\n"
        "hosts: {h0: 10.1.0.0/16, h1: [10.2.0.1, 'fd00::/64'], h2: 10.66.0.0/15}\n"
        "services: {s0: {addresses: [host:h1, 10.3.0.0/24], ip: [tcp:80, icmp]},"
        " s1: {gateway: true, ip: [udp:53, icmp]}}\n";
    static const char* const kAgents[] = {"agent:a0", "agent:a1", "tag:t0",   "tag:t1", "tag:t2",
                                          "tag:all",  "owner:o0", "owner:o1", "group:g"};
    static const char* const kHosts[] = {"host:h0", "host:h1", "host:h2", "10.1.2.0/24",
                                         "'fd00::7'"};
    static const char* const kOthers[] = {"service:s0", "service:s1", "gateway", "'*'"};
    static const char* const kTraffic[] = {"tcp:80", "'tcp:80-90'", "udp:53", "icmp",
                                           "tcp",    "'proto:47'",  "'*'"};
    text += "grants:\n";
    const uint32_t grants = 1 + below(random, 5);
    for (uint32_t i = 0; i < grants; i++) {
        std::string src, dst;
        const bool has_agent_destination = below(random, 2) != 0;
        src += below(random, 6) == 0 ? "'*'" : kAgents[below(random, 9)];
        if (has_agent_destination && below(random, 2) != 0)
            src += std::string(", ") + kHosts[below(random, 5)];
        if (has_agent_destination)
            dst += std::string(kAgents[below(random, 9)]) + ", ";
        dst += kHosts[below(random, 5)];
        if (below(random, 2) != 0)
            dst += std::string(", ") + kOthers[below(random, 4)];
        text += "  - {name: r" + std::to_string(i) + ", src: [" + src + "], dst: [" + dst +
                "], ip: [" + kTraffic[below(random, 7)] + ", " + kTraffic[below(random, 7)] +
                "]}\n";
    }
    return text;
}

// The language as docs/policy.md tells it, without any of the compiler's means.
struct Interpreter
{
    const Policy& policy;

    bool is_in(const Agent& agent, const Selector& s, bool is_source) const
    {
        switch (s.kind) {
            case SelectorKind::kAgent:
                return agent.name == s.text;
            case SelectorKind::kOwner:
                return agent.owner == s.text;
            case SelectorKind::kTag:
                return std::count(agent.tags.begin(), agent.tags.end(), s.text) > 0;
            case SelectorKind::kAll:
                return is_source;
            case SelectorKind::kGroup:
                for (const Selector& member : policy.find_group(s.text)->members)
                    if (is_in(agent, member, is_source))
                        return true;
                return false;
            default:
                return false;
        }
    }
    bool is_in(const Agent& agent, const std::vector<Selector>& selectors, bool is_source) const
    {
        return std::any_of(selectors.begin(), selectors.end(),
                           [&](const Selector& s) { return is_in(agent, s, is_source); });
    }
    bool is_named(const api::Address& address, const Selector& s) const
    {
        if (s.kind == SelectorKind::kPrefix)
            return s.prefix.contains(address);
        if (s.kind != SelectorKind::kHost)
            return false;
        const auto& prefixes = policy.find_host(s.text)->prefixes;
        return std::any_of(prefixes.begin(), prefixes.end(),
                           [&](const Prefix& p) { return p.contains(address); });
    }
    bool is_own(const api::Address& address) const
    {
        const auto& own = policy.gateway.tunnel_addresses;
        return std::count(own.begin(), own.end(), address) > 0;
    }
    // True when an agent among those that the selectors name has the address.
    bool is_agents(const api::Address& address, const std::vector<Selector>& selectors,
                   bool is_source) const
    {
        for (const auto& list : policy.agent_lists)
            for (const Agent& agent : list->agents)
                for (const AgentAddress& own : agent.addresses)
                    if (own.prefix.contains(address) && is_in(agent, selectors, is_source))
                        return true;
        return false;
    }
    static bool is_covered(const std::vector<Traffic>& traffic, const api::Address& peer,
                           uint8_t protocol, uint16_t port)
    {
        return std::any_of(traffic.begin(), traffic.end(), [&](const Traffic& t) {
            if (t.is_icmp)
                return protocol == (peer.is_v4() ? 1 : 58);
            if (t.protocol == api::kAnyProtocol)
                return true;
            const bool has_ports = protocol == 6 || protocol == 17;
            return t.protocol == protocol &&
                   (!has_ports || (t.port_low <= port && port <= t.port_high));
        });
    }

    bool may_open(const Agent& agent, const api::Address& peer, uint8_t protocol,
                  uint16_t port) const
    {
        for (const Grant& grant : policy.grants) {
            if (!is_in(agent, grant.sources, true))
                continue;
            for (const Selector& d : grant.destinations) {
                if (d.kind == SelectorKind::kService) {
                    const Service& service = *policy.find_service(d.text);
                    bool is_there = service.is_gateway && is_own(peer);
                    for (const Selector& at : service.addresses) is_there |= is_named(peer, at);
                    if (is_there && is_covered(service.traffic, peer, protocol, port))
                        return true;
                    continue;
                }
                const bool is_there = d.kind == SelectorKind::kAll || is_named(peer, d) ||
                                      (d.kind == SelectorKind::kGateway && is_own(peer)) ||
                                      is_agents(peer, {d}, false);
                // "*" has no family of its own, so its ICMP is both.
                const bool is_ping = d.kind == SelectorKind::kAll &&
                                     (protocol == 1 || protocol == 58) &&
                                     std::any_of(grant.traffic.begin(), grant.traffic.end(),
                                                 [](const Traffic& t) { return t.is_icmp; });
                if (is_there && (is_ping || is_covered(grant.traffic, peer, protocol, port)))
                    return true;
            }
        }
        return false;
    }
    bool is_open_to(const Agent& agent, const api::Address& peer, uint8_t protocol,
                    uint16_t port) const
    {
        for (const Grant& grant : policy.grants) {
            if (!is_in(agent, grant.destinations, false) ||
                !is_covered(grant.traffic, peer, protocol, port))
                continue;
            if (is_agents(peer, grant.sources, true) ||
                std::any_of(grant.sources.begin(), grant.sources.end(),
                            [&](const Selector& s) { return is_named(peer, s); }))
                return true;
        }
        return false;
    }
};

TEST(Compile, agrees_with_a_naive_interpreter_of_the_language)
{
    Random random(1);
    int allowed = 0, refused = 0;
    for (int round = 0; round < 300; round++) {
        const std::string text = random_policy(random);
        const Policy policy = good_policy(text);
        ASSERT_FALSE(HasFailure()) << text;
        IdMap ids;
        const Compiled result = compiled(policy, ids);
        const api::SnapshotView view = view_of(result.bytes);
        const Interpreter truth{policy};
        std::vector<api::Address> peers;
        for (const char* peer :
             {"10.1.2.3", "10.1.9.9", "10.2.0.1", "10.3.0.9", "10.66.0.1", "fd66::1", "fd00::7",
              "fd00::8", "192.0.2.9", "2001:db8::9", "10.66.1.200"})
            peers.push_back(*parse_address(peer));
        for (const Agent& agent : policy.agent_lists[0]->agents)
            for (const AgentAddress& address : agent.addresses)
                peers.push_back(address.prefix.address);
        for (const NamedAgent& agent : result.agents) {
            for (const api::Address& peer : peers) {
                for (const auto& [protocol, port] : {std::pair<uint8_t, uint16_t>{6, 80},
                                                     {6, 85},
                                                     {6, 91},
                                                     {17, 53},
                                                     {1, 0},
                                                     {58, 0},
                                                     {47, 0},
                                                     {132, 7}}) {
                    const bool may_open = truth.may_open(*agent.agent, peer, protocol, port);
                    const bool is_open = truth.is_open_to(*agent.agent, peer, protocol, port);
                    ASSERT_EQ(
                        find_rule(view, agent.identity, api::kEgress, peer, protocol, port) != 0,
                        may_open)
                        << text << agent.agent->name << " to " << to_text(peer) << " "
                        << int{protocol} << ":" << port;
                    ASSERT_EQ(
                        find_rule(view, agent.identity, api::kIngress, peer, protocol, port) != 0,
                        is_open)
                        << text << agent.agent->name << " from " << to_text(peer) << " "
                        << int{protocol} << ":" << port;
                    (may_open || is_open ? allowed : refused)++;
                }
            }
        }
    }
    EXPECT_GT(allowed, 10000);
    EXPECT_GT(refused, 10000);
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
         "its version is 9, this program reads 1."},
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
    };
    IdMap ids;
    const auto good = published(std::string(kTwoAgents) +
                                    "grants:\n  - {name: g, src: [agent:a], dst: [10.0.0.1], "
                                    "ip: [tcp:1]}\n",
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
