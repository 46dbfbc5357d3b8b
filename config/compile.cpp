// Policy to snapshot. Rights are computed per grant, not per agent: each grant has rows for its
// sources (egress) and rows for its destinations (ingress), and an agent's class is the set of
// grants' sides that it is on. Agents with the same owner and tags are on the same sides, so
// 100,000 agents cost 100,000 table lookups.
#include "config/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

#include "config/agent_list.h"
#include "config/conditions.h"
#include "config/hard_rules.h"
#include "config/schedule.h"
#include "dataplane/api/delta_reader.h"

namespace sandgate::config {
namespace {

// A grant has two sides: number 2 * grant is its sources, 2 * grant + 1 its destinations.
using Sides = std::vector<uint32_t>;

auto row_order(const api::MatchRow& row)
{
    // A denial is asked first; then the grant that was named in the policy first.
    const bool is_grant = (row.flags & api::kDeny) == 0;
    return std::make_tuple(is_grant, row.rule, row.flags, row.direction, row.peer, row.peer_prefix,
                           row.protocol, row.port_low, row.port_high);
}

// The same set of addresses in the fewest prefixes, ascending.
void aggregate(std::vector<Prefix>& prefixes)
{
    // A long run is in order already, with a few more behind it.
    const auto run_end = std::is_sorted_until(prefixes.begin(), prefixes.end());
    std::sort(run_end, prefixes.end());
    std::inplace_merge(prefixes.begin(), run_end, prefixes.end());
    std::vector<Prefix> kept;
    for (const Prefix& prefix : prefixes) {
        if (!kept.empty() && kept.back().contains(prefix))
            continue;
        kept.push_back(prefix);
        // Two halves of one network become the network.
        while (kept.size() >= 2) {
            Prefix& low = kept[kept.size() - 2];
            const Prefix& high = kept.back();
            if (low.length != high.length || low.length == 0)
                break;
            Prefix whole = low;
            const unsigned bit = low.length - 1u;
            whole.length = static_cast<uint8_t>(bit);
            whole.address.bytes[bit / 8] &= static_cast<uint8_t>(~(0x80u >> (bit % 8)));
            if (whole.address != low.address || !whole.contains(high.address))
                break;
            low = whole;
            kept.pop_back();
        }
    }
    prefixes = std::move(kept);
}

class Compiler
{
  public:
    Compiler(const Policy& policy, IdMap& ids, int64_t now_unix)
        : policy_(policy), ids_(ids), now_unix_(now_unix)
    {
    }

    Result<Compiled> run()
    {
        collect_sides();
        if (!build_grant_rows() || !build_agents())
            return error_;
        build_small_tables();
        api::SnapshotView tables{};
        tables.gateway = &gateway_;
        tables.ports = ports_;
        tables.neighbours = neighbours_;
        tables.agents = agents_;
        tables.addresses = addresses_;
        tables.classes = classes_;
        tables.matches = matches_;
        tables.services = services_;
        tables.hard_rules = hard_rules_;
        compiled_.bytes = api::write_snapshot(tables, 0);
        compiled_.agent_lists = policy_.agent_lists;
        compiled_.at_unix = now_unix_;
        std::sort(compiled_.rules.begin(), compiled_.rules.end());
        return std::move(compiled_);
    }

  private:
    bool fail(std::string sentence)
    {
        error_ = {std::move(sentence), policy_.file};
        return false;
    }

    // --- Who is on which side
    // ---------------------------------------------------------------------------------

    void collect_selectors(const std::vector<Selector>& selectors, uint32_t side)
    {
        for (const Selector& s : selectors) {
            if (s.kind == SelectorKind::kTag)
                by_tag_[s.text].push_back(side);
            else if (s.kind == SelectorKind::kOwner)
                by_owner_[s.text].push_back(side);
            else if (s.kind == SelectorKind::kAgent)
                by_name_[s.text].push_back(side);
            else if (s.kind == SelectorKind::kGroup)
                collect_selectors(policy_.find_group(s.text)->members, side);
            else if (s.kind == SelectorKind::kAll && side % 2 == 0)
                of_all_.push_back(side);  // as a destination it is no agent
        }
    }

    void collect_sides()
    {
        for (uint32_t g = 0; g < policy_.grants.size(); g++) {
            collect_selectors(policy_.grants[g].sources, 2 * g);
            collect_selectors(policy_.grants[g].destinations, 2 * g + 1);
        }
        for (const auto& list : policy_.agent_lists) {
            std::vector<Sides>& of_list = profile_sides_.emplace_back();
            of_list.reserve(list->profiles.size());
            for (const AgentList::Profile& profile : list->profiles) {
                Sides sides = of_all_;
                if (const auto found = by_owner_.find(profile.owner); found != by_owner_.end())
                    sides.insert(sides.end(), found->second.begin(), found->second.end());
                for (const std::string& tag : profile.tags)
                    if (const auto found = by_tag_.find(tag); found != by_tag_.end())
                        sides.insert(sides.end(), found->second.begin(), found->second.end());
                drop_unfulfilled(sides, profile.attributes);
                of_list.push_back(unique(std::move(sides)));
            }
        }
        for (auto& [name, sides] : by_name_)
            drop_unfulfilled(sides, policy_.find_agent(std::string(name))->attributes);
    }

    // Leaves out grants whose conditions the agent in their src does not fulfil.
    void drop_unfulfilled(Sides& sides, const std::vector<Attribute>& attributes)
    {
        std::erase_if(sides, [&](uint32_t side) {
            const Grant& grant = policy_.grants[side / 2];
            return side % 2 == 0 && !grant.conditions.empty() &&
                   !holds_all(grant.conditions, attributes, now_unix_);
        });
        for (const Attribute& attribute : attributes) note_change(attribute.expires_unix);
    }

    // A time at which the policy means something else than before.
    void note_change(int64_t at_unix)
    {
        int64_t& next = compiled_.next_change_unix;
        if (at_unix > now_unix_ && (next == 0 || at_unix < next))
            next = at_unix;
    }

    static Sides unique(Sides sides)
    {
        std::sort(sides.begin(), sides.end());
        sides.erase(std::unique(sides.begin(), sides.end()), sides.end());
        return sides;
    }

    // --- What each side may do
    // --------------------------------------------------------------------------------

    static bool has_agents(const std::vector<Selector>& selectors)
    {
        return std::any_of(selectors.begin(), selectors.end(), [](const Selector& s) {
            return s.kind == SelectorKind::kAgent || s.kind == SelectorKind::kTag ||
                   s.kind == SelectorKind::kOwner || s.kind == SelectorKind::kGroup;
        });
    }

    // The addresses of the agents on the sides where they are somebody's peer.
    std::vector<std::vector<Prefix>> collect_agent_peers() const
    {
        std::vector<std::vector<Prefix>> peers(2 * policy_.grants.size());
        std::vector<bool> is_wanted(peers.size());
        for (size_t g = 0; g < policy_.grants.size(); g++)
            is_wanted[2 * g] = is_wanted[2 * g + 1] = has_agents(policy_.grants[g].destinations);
        for (size_t l = 0; l < policy_.agent_lists.size(); l++) {
            const AgentList& list = *policy_.agent_lists[l];
            std::vector<Sides> wanted = profile_sides_[l];
            bool is_any = false;
            for (Sides& sides : wanted) {
                std::erase_if(sides, [&](uint32_t side) { return !is_wanted[side]; });
                is_any |= !sides.empty();
            }
            if (!is_any)
                continue;
            // In the claims' order, so that there is little left to sort.
            for (const AgentList::Claim& claim : list.claims)
                for (const uint32_t side : wanted[list.profile_of[claim.agent]])
                    peers[side].push_back(claim.prefix);
        }
        for (const auto& [name, sides] : by_name_)
            for (const uint32_t side : sides)
                if (is_wanted[side])
                    for (const AgentAddress& address :
                         policy_.find_agent(std::string(name))->addresses)
                        peers[side].push_back(address.prefix);
        return peers;
    }

    void add_hosts(const std::vector<Selector>& selectors, std::vector<Prefix>& peers) const
    {
        for (const Selector& s : selectors) {
            if (s.kind == SelectorKind::kPrefix)
                peers.push_back(s.prefix);
            if (const Host* named = policy_.find_addresses(s))
                peers.insert(peers.end(), named->prefixes.begin(), named->prefixes.end());
        }
    }

    std::vector<Prefix> gateway_prefixes() const
    {
        std::vector<Prefix> prefixes;
        for (const api::Address& address : policy_.gateway.tunnel_addresses)
            prefixes.push_back({address, 128});
        return prefixes;
    }

    // What the rows of one side of a grant have in common.
    struct RowKind
    {
        api::RuleId rule;
        api::MatchDirection direction;
        uint8_t flags;
    };

    bool add_rows(std::vector<api::MatchRow>& rows, const RowKind& kind, std::vector<Prefix> peers,
                  const std::vector<Traffic>& traffic)
    {
        aggregate(peers);
        if (rows.size() + 2 * peers.size() * traffic.size() > kMaxMatchRows)
            return fail(
                fmt::format("A grant needs more than {} rows; select networks instead of agents.",
                            kMaxMatchRows));
        for (const Prefix& peer : peers) {
            for (const Traffic& t : traffic) {
                api::MatchRow row{};
                row.peer = peer.address;
                row.peer_prefix = peer.length;
                row.direction = kind.direction;
                row.flags = kind.flags;
                row.protocol = t.protocol;
                row.port_low = t.port_low;
                row.port_high = t.port_high;
                row.rule = kind.rule;
                const bool is_v4 = peer.length >= 96 && peer.address.is_v4();
                if (!t.is_icmp) {
                    rows.push_back(row);
                    continue;
                }
                row.protocol = 1;
                if (is_v4 || peer.length == 0)
                    rows.push_back(row);
                row.protocol = 58;
                if (!is_v4)
                    rows.push_back(row);
            }
        }
        return true;
    }

    bool build_grant_rows()
    {
        std::vector<std::vector<Prefix>> agent_peers = collect_agent_peers();
        side_rows_.resize(2 * policy_.grants.size());
        for (size_t g = 0; g < policy_.grants.size(); g++) {
            const Grant& grant = policy_.grants[g];
            const api::RuleId rule = ids_.rule_of(grant.name);
            if (rule == api::kNoRule)
                return fail("The id map has no rule ids left.");
            compiled_.rules.emplace_back(rule, grant.name);
            note_change(next_change_of(grant, now_unix_));
            if (!is_in_force(grant, now_unix_))
                continue;

            const auto action = static_cast<uint8_t>(grant.is_deny ? api::kDeny : 0);
            const RowKind out{rule, api::kEgress, action};
            std::vector<api::MatchRow>& egress = side_rows_[2 * g];
            std::vector<Prefix> peers = std::move(agent_peers[2 * g + 1]);
            add_hosts(grant.destinations, peers);
            for (const Selector& s : grant.destinations) {
                if (s.kind == SelectorKind::kAll)
                    peers.push_back({});
                if (s.kind == SelectorKind::kGateway)
                    for (const Prefix& own : gateway_prefixes()) peers.push_back(own);
                if (s.kind != SelectorKind::kService)
                    continue;
                const Service& service = *policy_.find_service(s.text);
                std::vector<Prefix> at =
                    service.is_gateway ? gateway_prefixes() : std::vector<Prefix>();
                add_hosts(service.addresses, at);
                if (!add_rows(egress, out, std::move(at), service.traffic))
                    return false;
            }
            if (!add_rows(egress, out, std::move(peers), grant.traffic))
                return false;

            if (has_agents(grant.destinations)) {
                // Agents by their addresses, outsiders by theirs: a network names no agent.
                const bool is_by_name = !grant.is_deny && !policy_.is_relaxed(kRelaxAgentToAgent);
                const RowKind in{rule, api::kIngress, action};
                const RowKind in_outsiders{
                    rule, api::kIngress,
                    static_cast<uint8_t>(action | (is_by_name ? api::kNotFromAgents : 0))};
                std::vector<Prefix> outsiders;
                add_hosts(grant.sources, outsiders);
                auto& ingress = side_rows_[2 * g + 1];
                if (!add_rows(ingress, in, std::move(agent_peers[2 * g]), grant.traffic) ||
                    !add_rows(ingress, in_outsiders, std::move(outsiders), grant.traffic))
                    return false;
            }
            for (const size_t side : {2 * g, 2 * g + 1}) {
                auto& rows = side_rows_[side];
                std::sort(rows.begin(), rows.end(),
                          [](const auto& a, const auto& b) { return row_order(a) < row_order(b); });
                rows.erase(std::unique(rows.begin(), rows.end(),
                                       [](const auto& a, const auto& b) {
                                           return row_order(a) == row_order(b);
                                       }),
                           rows.end());
            }
        }
        return true;
    }

    // --- Agents, addresses, classes
    // ---------------------------------------------------------------------------

    static constexpr uint32_t kNoClass = ~0u;

    uint32_t class_of(Sides sides)
    {
        std::erase_if(sides, [this](uint32_t side) { return side_rows_[side].empty(); });
        const auto [found, is_new] = class_ids_.emplace(std::move(sides), classes_.size());
        if (!is_new)
            return found->second;
        const size_t first = matches_.size();
        size_t count = 0;
        for (const uint32_t side : found->first) count += side_rows_[side].size();
        if (first + count > kMaxMatchRows) {
            fail(fmt::format(
                "The grants need more than {} rows; give more agents the same tags, or select "
                "networks instead of agents.",
                kMaxMatchRows));
            return kNoClass;
        }
        for (const uint32_t side : found->first)
            matches_.insert(matches_.end(), side_rows_[side].begin(), side_rows_[side].end());
        // By rule, so that the order of grants in the file means nothing.
        std::sort(matches_.begin() + static_cast<ptrdiff_t>(first), matches_.end(),
                  [](const auto& a, const auto& b) { return row_order(a) < row_order(b); });
        classes_.push_back({static_cast<uint32_t>(first), static_cast<uint32_t>(count), 0});
        return found->second;
    }

    bool build_agents()
    {
        const size_t count = policy_.agent_count();
        agents_.reserve(count);
        compiled_.agents.reserve(count);
        std::vector<size_t> list_ends;
        for (size_t l = 0; l < policy_.agent_lists.size(); l++) {
            const AgentList& list = *policy_.agent_lists[l];
            std::vector<uint32_t> classes(list.profiles.size(), kNoClass);
            std::map<uint32_t, const Sides*> named;  // by agent
            for (const auto& [name, sides] : by_name_)
                if (const auto found = list.by_name.find(name); found != list.by_name.end())
                    named.emplace(found->second, &sides);
            const size_t first_of_list = agents_.size();
            const IdMap::Identities identities = ids_.identities_of(policy_.agent_lists[l]);
            for (uint32_t i = 0; i < list.agents.size(); i++) {
                const Agent& agent = list.agents[i];
                const uint32_t profile = list.profile_of[i];
                uint32_t policy_class;
                if (const auto found = named.find(i); found != named.end()) {
                    Sides sides = profile_sides_[l][profile];
                    sides.insert(sides.end(), found->second->begin(), found->second->end());
                    policy_class = class_of(unique(std::move(sides)));
                } else {
                    if (classes[profile] == kNoClass)
                        classes[profile] = class_of(profile_sides_[l][profile]);
                    policy_class = classes[profile];
                }
                if (policy_class == kNoClass)
                    return false;
                api::AgentRow row{};
                row.identity = (*identities)[i];
                if (row.identity == api::kNoIdentity)
                    return fail("The id map has no identities left.");
                const Standing standing = agent.parent.empty()
                                              ? Standing{agent.is_enabled, agent.expires_unix}
                                              : policy_.standing_of(agent);
                row.flags = (standing.is_enabled ? api::kAgentEnabled : 0u) |
                            (agent.psk_file.empty() ? 0u : api::kAgentHasPsk);
                std::memcpy(row.public_key, agent.public_key.data(), 32);
                row.expires_unix = standing.expires_unix;
                row.policy_class = policy_class;
                row.keepalive_seconds = agent.keepalive_seconds;
                agents_.push_back(row);
                compiled_.agents.push_back({row.identity, &agent});
            }
            add_addresses(list, first_of_list);
            list_ends.push_back(agents_.size());
        }
        const auto by_identity = [](const auto& a, const auto& b) {
            return a.identity < b.identity;
        };
        // Lists come in the order in which their ids were given, except where a policy changed;
        // merge, not sort.
        const auto order = [&by_identity](auto& rows, const std::vector<size_t>& ends) {
            for (size_t l = 0; l < ends.size(); l++) {
                const auto first = rows.begin() + static_cast<ptrdiff_t>(l == 0 ? 0 : ends[l - 1]);
                const auto last = rows.begin() + static_cast<ptrdiff_t>(ends[l]);
                if (!std::is_sorted(first, last, by_identity))
                    std::sort(first, last, by_identity);
                std::inplace_merge(rows.begin(), first, last, by_identity);
            }
        };
        order(agents_, list_ends);
        order(compiled_.agents, list_ends);
        return true;
    }

    // A list's claims are in order already; one merge puts them in their places.
    void add_addresses(const AgentList& list, size_t first_of_list)
    {
        const auto middle = static_cast<ptrdiff_t>(addresses_.size());
        for (const AgentList::Claim& claim : list.claims) {
            api::AddressRow row{};
            row.address = claim.prefix.address;
            row.identity = agents_[first_of_list + claim.agent].identity;
            row.prefix = claim.prefix.length;
            addresses_.push_back(row);
        }
        std::inplace_merge(addresses_.begin(), addresses_.begin() + middle, addresses_.end(),
                           [](const api::AddressRow& a, const api::AddressRow& b) {
                               return std::tie(a.address, a.prefix) < std::tie(b.address, b.prefix);
                           });
    }

    // --- The gateway itself
    // -----------------------------------------------------------------------------------

    void build_small_tables()
    {
        gateway_.listen_port = policy_.gateway.listen_port;
        gateway_.tunnel_mtu = policy_.gateway.tunnel_mtu;
        for (const HardPrefix& hard : hard_rules(policy_))
            hard_rules_.push_back({hard.prefix.address, hard.prefix.length, api::kEgress,
                                   api::kAnyProtocol, api::kDeny, 0, 0xffff, hard.rule});
        if (policy_.dataplane.has_host_port)
            for (const api::Address& address : policy_.gateway.tunnel_addresses)
                (address.is_v4() ? gateway_.host_v4 : gateway_.host_v6) = address;
        for (size_t i = 0; i < policy_.ports.size(); i++) {
            const Port& port = policy_.ports[i];
            api::PortRow row{};
            row.roles = port.roles;
            row.v4_prefix = port.v4.length;
            row.v6_prefix = port.v6.length;
            row.mtu = port.mtu;
            row.v4 = port.v4.address;
            row.v6 = port.v6.address;
            row.gateway_v4 = port.gateway_v4;
            row.gateway_v6 = port.gateway_v6;
            ports_.push_back(row);
            for (const StaticNeighbour& neighbour : port.neighbours) {
                api::StaticNeighbourRow n{};
                n.address = neighbour.address;
                std::memcpy(n.mac, neighbour.mac.data(), 6);
                n.port = static_cast<uint8_t>(i);
                neighbours_.push_back(n);
            }
        }
        for (const Service& service : policy_.services)
            if (service.is_gateway)
                for (const api::Address& address : policy_.gateway.tunnel_addresses)
                    for (const Traffic& t : service.traffic) add_service(address, t);
    }

    void add_service(const api::Address& address, const Traffic& traffic)
    {
        api::ServiceRow row{};
        row.address = address;
        row.protocol = traffic.is_icmp ? (address.is_v4() ? 1 : 58) : traffic.protocol;
        row.port = row.protocol == 6 || row.protocol == 17 ? traffic.port_low : 0;
        const auto is_same = [&row](const api::ServiceRow& other) {
            return other.address == row.address && other.protocol == row.protocol &&
                   other.port == row.port;
        };
        if (std::none_of(services_.begin(), services_.end(), is_same))
            services_.push_back(row);
    }

    const Policy& policy_;
    IdMap& ids_;
    int64_t now_unix_;
    Compiled compiled_;
    Error error_;

    std::map<std::string_view, Sides> by_tag_, by_owner_, by_name_;
    Sides of_all_;
    std::vector<std::vector<Sides>> profile_sides_;      // by list and profile
    std::vector<std::vector<api::MatchRow>> side_rows_;  // by side
    std::map<Sides, uint32_t> class_ids_;

    api::GatewayRow gateway_{};
    std::vector<api::PortRow> ports_;
    std::vector<api::StaticNeighbourRow> neighbours_;
    std::vector<api::AgentRow> agents_;
    std::vector<api::AddressRow> addresses_;
    std::vector<api::ClassRow> classes_;
    std::vector<api::MatchRow> matches_;
    std::vector<api::ServiceRow> services_;
    std::vector<api::MatchRow> hard_rules_;
};

}  // namespace

const Agent* Compiled::find_agent(api::IdentityId identity) const
{
    const auto found =
        std::lower_bound(agents.begin(), agents.end(), NamedAgent{identity, nullptr});
    return found == agents.end() || found->identity != identity ? nullptr : found->agent;
}

const std::string* Compiled::find_rule(api::RuleId rule) const
{
    const auto found = std::lower_bound(rules.begin(), rules.end(), std::pair(rule, std::string()));
    return found == rules.end() || found->first != rule ? nullptr : &found->second;
}

Result<Compiled> compile(const Policy& policy, IdMap& ids, int64_t now_unix)
{
    return Compiler(policy, ids, now_unix).run();
}

}  // namespace sandgate::config
