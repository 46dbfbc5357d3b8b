// The space of packets is cut along every prefix, protocol and port that either policy mentions;
// within a piece both policies say one thing, so one packet of it decides.
#include "config/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "config/agent_list.h"
#include "config/compile.h"
#include "config/explain.h"
#include "config/parse.h"

namespace sandgate::config {
namespace {

using Rows = std::vector<api::MatchRow>;

constexpr uint8_t kUnmentioned = 253;  // for experiments, RFC 3692: stands for all other protocols

// One policy, compiled.
struct Side
{
    const Policy& policy;
    Compiled compiled;
    api::SnapshotView view;
    Interpreter truth;
    std::map<std::string, Rows> rights;  // by agent

    bool allows(const Rows& rows, uint8_t direction, const api::Address& peer, uint8_t protocol,
                uint16_t port) const
    {
        if (direction == api::kEgress) {
            if (truth.is_gateway(peer) && !truth.is_declared(peer, protocol, port))
                return false;
            for (const api::MatchRow& hard : view.hard_rules)
                if (Prefix{hard.peer, hard.peer_prefix}.contains(peer))
                    return false;
        }
        for (const api::MatchRow& row : rows) {
            const bool has_ports = protocol == 6 || protocol == 17;
            if (row.direction != direction ||
                (row.protocol != api::kAnyProtocol && row.protocol != protocol) ||
                (row.protocol != api::kAnyProtocol && has_ports &&
                 (port < row.port_low || row.port_high < port)) ||
                !Prefix{row.peer, row.peer_prefix}.contains(peer))
                continue;
            if ((row.flags & api::kNotFromAgents) != 0 && truth.find_agent(peer) != nullptr)
                continue;
            return (row.flags & api::kDeny) == 0;
        }
        return false;
    }
};

Result<Side> compile_side(const Policy& policy, int64_t now_unix)
{
    IdMap ids;
    auto compiled = compile(policy, ids, now_unix);
    if (!compiled)
        return compiled.error();
    Side side{policy, std::move(*compiled), {}, Interpreter(policy, now_unix), {}};
    std::string error;
    side.view = *api::read_snapshot(side.compiled.bytes, error);
    for (size_t i = 0; i < side.view.agents.size(); i++) {
        const api::AgentRow& row = side.view.agents[i];
        const Agent& agent = *side.compiled.agents[i].agent;
        Rows& rows = side.rights[agent.name];
        if (!side.truth.standing_fault(agent).empty())
            continue;
        const api::ClassRow& rights = side.view.classes[row.policy_class];
        const auto first = side.view.matches.begin() + rights.first;
        rows.assign(first, first + rights.count);
        // Which grant a right comes from makes no difference.
        for (api::MatchRow& match : rows) match.rule = 1;
    }
    return side;
}

std::string bytes_of(const Rows& rows)
{
    return {reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof(api::MatchRow)};
}

// The pieces in which the two say different things, as text.
class Comparison
{
    using Texts = std::array<std::string, 2>;  // what is gained, what is lost

  public:
    Comparison(const Side& before, const Side& after, const Rows& old_rows, const Rows& new_rows)
        : before_(before), after_(after), old_rows_(old_rows), new_rows_(new_rows)
    {
        for (const Rows* rows : {&old_rows, &new_rows})
            for (const api::MatchRow& row : *rows) {
                protocols_.insert(row.protocol == api::kAnyProtocol ? kUnmentioned : row.protocol);
                if (row.protocol != 6 && row.protocol != 17)
                    continue;
                starts_.insert(row.port_low);
                starts_.insert(row.port_high + 1u);
            }
        protocols_.insert({1, 6, 17, 58, kUnmentioned});
        starts_.insert(0);
    }

    void run(RightsChange& change)
    {
        for (const auto direction : {api::kEgress, api::kIngress}) {
            std::map<std::string, std::vector<Prefix>> peers[2];  // by traffic; gained, lost
            std::map<std::string, std::vector<Prefix>> holes[2];  // in those peers
            std::vector<std::pair<Prefix, Texts>> around;         // the networks that we are in
            static const std::string kNothing;
            for (const auto& [prefix, peer] : pieces(direction)) {
                const Texts texts = traffic_of(direction, prefix, peer);
                while (!around.empty() && !around.back().first.contains(prefix)) around.pop_back();
                for (const int way : {0, 1}) {
                    const std::string& outer =
                        around.empty() ? kNothing : around.back().second[way];
                    if (!texts[way].empty() && outer != texts[way])
                        peers[way][texts[way]].push_back(prefix);
                    // What the network around it gains is not gained here, and was not had before.
                    if (texts[way].empty() && !outer.empty() && !is_hard(prefix) &&
                        is_shut(way == 0 ? after_ : before_, direction, peer))
                        holes[way][outer].push_back(prefix);
                }
                around.emplace_back(prefix, texts);
            }
            const char* word = direction == api::kEgress ? "to" : "from";
            for (const int way : {0, 1})
                for (const auto& [traffic, prefixes] : peers[way]) {
                    std::string line = fmt::format("{} {} {}", traffic, word,
                                                   fmt::join(names_of_peers(prefixes), ", "));
                    if (const auto found = holes[way].find(traffic); found != holes[way].end())
                        line += fmt::format(", except {}",
                                            fmt::join(names_of_peers(found->second), ", "));
                    (way == 0 ? change.gains : change.loses).push_back(std::move(line));
                }
        }
    }

  private:
    // Each prefix that is mentioned with an address that lies in it and in no smaller one.
    std::vector<std::pair<Prefix, api::Address>> pieces(uint8_t direction) const
    {
        std::set<Prefix> all;
        for (const Rows* rows : {&old_rows_, &new_rows_})
            for (const api::MatchRow& row : *rows)
                if (row.direction == direction)
                    all.insert({row.peer, row.peer_prefix});
        if (!all.empty() && direction == api::kEgress)
            for (const Side* side : {&before_, &after_}) {
                for (const api::Address& own : side->policy.gateway.tunnel_addresses)
                    all.insert({own, 128});
                for (const api::MatchRow& hard : side->view.hard_rules)
                    all.insert({hard.peer, hard.peer_prefix});
            }
        std::vector<std::pair<Prefix, api::Address>> found;
        for (auto at = all.begin(); at != all.end(); ++at) {
            // Smaller ones follow their network, in order.
            api::Address free = at->address;
            bool is_full = false;
            for (auto inner = std::next(at); inner != all.end() && at->contains(*inner) && !is_full;
                 ++inner) {
                if (!inner->contains(free))
                    continue;
                free = inner->address;
                for (unsigned bit = inner->length; bit < 128; bit++)
                    free.bytes[bit / 8] |= static_cast<uint8_t>(0x80u >> (bit % 8));
                for (int byte = 15; byte >= 0 && ++free.bytes[static_cast<size_t>(byte)] == 0;
                     byte--) {
                }
                is_full = !at->contains(free) || free.is_zero();
            }
            if (!is_full)
                found.emplace_back(*at, free);
        }
        return found;
    }

    // What is gained and what is lost in a piece, as lists of traffic. Where all that no policy
    // mentions changes, the list says what does not.
    Texts traffic_of(uint8_t direction, const Prefix& prefix, const api::Address& peer) const
    {
        const auto change_of = [&](uint8_t protocol, uint16_t port) {
            const bool was = before_.allows(old_rows_, direction, peer, protocol, port);
            const bool is = after_.allows(new_rows_, direction, peer, protocol, port);
            return int{is} - int{was};
        };
        const bool has_family = prefix.length != 0;
        const int other = change_of(kUnmentioned, 0);
        Texts result;
        for (const int way : {0, 1}) {
            const int wanted = way == 0 ? 1 : -1;
            const bool is_inverted = other == wanted;
            std::vector<std::string> texts;
            for (const uint8_t protocol : protocols_) {
                if (protocol == kUnmentioned || (has_family && protocol == (peer.is_v4() ? 58 : 1)))
                    continue;
                for (const Traffic& traffic : intervals(protocol, [&](uint16_t port) {
                         return (change_of(protocol, port) == wanted) != is_inverted;
                     })) {
                    const std::string text = to_text(traffic);
                    if (std::find(texts.begin(), texts.end(), text) == texts.end())
                        texts.push_back(text);
                }
            }
            // The ICMP of both families stands last.
            std::stable_partition(texts.begin(), texts.end(),
                                  [](const std::string& text) { return text != "icmp"; });
            const std::string list = fmt::format("{}", fmt::join(texts, ", "));
            if (is_inverted)
                result[way] = texts.empty() ? "everything" : "everything but " + list;
            else
                result[way] = list;
        }
        return result;
    }

    bool is_hard(const Prefix& prefix) const
    {
        return std::any_of(after_.view.hard_rules.begin(), after_.view.hard_rules.end(),
                           [&](const api::MatchRow& hard) {
                               return Prefix{hard.peer, hard.peer_prefix}.contains(prefix);
                           });
    }

    // Whether a policy allows nothing there.
    bool is_shut(const Side& side, uint8_t direction, const api::Address& peer) const
    {
        const Rows& rows = &side == &after_ ? new_rows_ : old_rows_;
        return std::none_of(protocols_.begin(), protocols_.end(), [&](uint8_t protocol) {
            return !intervals(protocol, [&](uint16_t port) {
                        return side.allows(rows, direction, peer, protocol, port);
                    }).empty();
        });
    }

    // The longest runs of a protocol's ports that the question is true for.
    template <class Question>
    std::vector<Traffic> intervals(uint8_t protocol, Question question) const
    {
        const bool has_ports = protocol == 6 || protocol == 17;
        std::vector<Traffic> runs;
        for (auto start = starts_.begin(); start != starts_.end(); ++start) {
            if (*start > 0xffff || (!has_ports && *start != 0))
                break;
            if (!question(static_cast<uint16_t>(*start)))
                continue;
            const auto next = std::next(start);
            const uint32_t end = next == starts_.end() || !has_ports ? 0xffff : *next - 1;
            if (!runs.empty() && runs.back().port_high + 1u == *start) {
                runs.back().port_high = static_cast<uint16_t>(end);
                continue;
            }
            Traffic traffic;
            traffic.protocol = protocol;
            traffic.is_icmp = protocol == 1 || protocol == 58;
            traffic.port_low = static_cast<uint16_t>(*start);
            traffic.port_high = static_cast<uint16_t>(end);
            runs.push_back(traffic);
        }
        for (Traffic& traffic : runs)
            if (traffic.port_low == 0 && traffic.port_high != 0xffff)
                traffic.port_low = 1;
        return runs;
    }

    // With the names that the policies have for addresses, where they have some.
    std::vector<std::string> names_of_peers(std::vector<Prefix> prefixes) const
    {
        std::vector<std::string> names;
        const auto take = [&](const std::string& name, const std::vector<Prefix>& whole) {
            const bool is_whole =
                !whole.empty() && std::all_of(whole.begin(), whole.end(), [&](const Prefix& one) {
                    return std::find(prefixes.begin(), prefixes.end(), one) != prefixes.end();
                });
            if (!is_whole)
                return;
            names.push_back(name);
            std::erase_if(prefixes, [&](const Prefix& one) {
                return std::find(whole.begin(), whole.end(), one) != whole.end();
            });
        };
        take("everywhere", {Prefix{}});
        for (const Side* side : {&after_, &before_}) {
            std::vector<Prefix> own;
            for (const api::Address& address : side->policy.gateway.tunnel_addresses)
                own.push_back({address, 128});
            take("the gateway", own);
            for (const Host& host : side->policy.hosts) take("host:" + host.name, host.prefixes);
            for (const Host& set : side->policy.ipsets) take("ipset:" + set.name, set.prefixes);
        }
        for (const Prefix& prefix : prefixes) {
            const std::string name = name_of_peer(prefix);
            if (std::find(names.begin(), names.end(), name) == names.end())
                names.push_back(name);
        }
        return names;
    }

    std::string name_of_peer(const Prefix& prefix) const
    {
        for (const Side* side : {&after_, &before_}) {
            if (prefix.length == 128 && side->truth.is_gateway(prefix.address))
                return fmt::format("the gateway ({})", to_text(prefix));
            const Agent* agent = side->truth.find_agent(prefix.address);
            if (agent != nullptr &&
                std::any_of(agent->addresses.begin(), agent->addresses.end(),
                            [&](const AgentAddress& own) { return own.prefix == prefix; }))
                return "agent:" + agent->name;
        }
        return to_text(prefix);
    }

    const Side& before_;
    const Side& after_;
    const Rows& old_rows_;
    const Rows& new_rows_;
    std::set<uint8_t> protocols_;
    std::set<uint32_t> starts_;  // of the intervals of ports
};

}  // namespace

Result<PolicyChange> compare(const Policy& before, const Policy& after, int64_t now_unix)
{
    const auto old_side = compile_side(before, now_unix);
    if (!old_side)
        return old_side.error();
    const auto new_side = compile_side(after, now_unix);
    if (!new_side)
        return new_side.error();
    PolicyChange change;
    std::set<std::string> names;
    for (const Side* side : {&*old_side, &*new_side})
        for (const auto& [name, rows] : side->rights) names.insert(name);
    // Agents with the same rights before and after share an answer.
    std::map<std::pair<std::string, std::string>, std::vector<std::string>> groups;
    static const Rows kNone;
    const auto rows_of = [](const Side& side, const std::string& name) -> const Rows& {
        const auto found = side.rights.find(name);
        return found == side.rights.end() ? kNone : found->second;
    };
    for (const std::string& name : names) {
        const Agent* was = before.find_agent(name);
        const Agent* is = after.find_agent(name);
        if (was == nullptr)
            change.new_agents.push_back(name);
        if (is == nullptr)
            change.gone_agents.push_back(name);
        if (was != nullptr && is != nullptr) {
            if (was->public_key != is->public_key)
                change.rekeyed_agents.push_back(name);
            if (!std::equal(was->addresses.begin(), was->addresses.end(), is->addresses.begin(),
                            is->addresses.end(), [](const AgentAddress& a, const AgentAddress& b) {
                                return a.prefix == b.prefix;
                            }))
                change.moved_agents.push_back(name);
        }
        groups[{bytes_of(rows_of(*old_side, name)), bytes_of(rows_of(*new_side, name))}].push_back(
            name);
    }
    for (auto& [key, agents] : groups) {
        RightsChange rights;
        Comparison(*old_side, *new_side, rows_of(*old_side, agents[0]),
                   rows_of(*new_side, agents[0]))
            .run(rights);
        if (rights.gains.empty() && rights.loses.empty())
            continue;
        rights.agents = std::move(agents);
        change.rights.push_back(std::move(rights));
    }
    std::sort(change.rights.begin(), change.rights.end(),
              [](const RightsChange& a, const RightsChange& b) { return a.agents < b.agents; });
    return change;
}

}  // namespace sandgate::config
