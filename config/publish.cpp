// Compiled bytes to a snapshot that continues the previous one: what did not change keeps its epoch
// and its place.
#include <algorithm>
#include <iterator>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "config/compile.h"
#include "config/row_compare.h"
#include "dataplane/api/delta_reader.h"

namespace sandgate::config {
namespace {

constexpr uint32_t kNowhere = ~0u;

// A class is what its rows say.
std::string_view content_of(const api::SnapshotView& view, const api::ClassRow& row)
{
    return {reinterpret_cast<const char*>(view.matches.data() + row.first),
            row.count * sizeof(api::MatchRow)};
}

// The place of each class of `now` in the table to be. Known contents stay, new ones fill the gaps.
std::vector<uint32_t> place_classes(const api::SnapshotView& now, const api::SnapshotView* previous)
{
    std::unordered_map<std::string_view, uint32_t> known;
    if (previous != nullptr)
        for (uint32_t i = 0; i < previous->classes.size(); i++)
            known.emplace(content_of(*previous, previous->classes[i]), i);
    std::vector<uint32_t> places(now.classes.size(), kNowhere);
    std::vector<bool> is_taken(known.empty() ? 0 : previous->classes.size());
    for (size_t i = 0; i < places.size(); i++) {
        const auto found = known.find(content_of(now, now.classes[i]));
        if (found == known.end() || is_taken[found->second])
            continue;
        places[i] = found->second;
        is_taken[found->second] = true;
    }
    uint32_t next = 0;
    for (uint32_t& place : places) {
        if (place != kNowhere)
            continue;
        while (next < is_taken.size() && is_taken[next]) next++;
        place = next++;
    }
    return places;
}

// The addresses that are an agent's now and were not before, ascending and apart from each other.
std::vector<Prefix> new_agent_addresses(const api::SnapshotView& now,
                                        const api::SnapshotView* previous)
{
    std::vector<Prefix> added;
    if (previous == nullptr)
        return added;
    auto old = previous->addresses.begin();
    const auto order = [](const api::AddressRow& row) { return std::tie(row.address, row.prefix); };
    for (const api::AddressRow& row : now.addresses) {
        while (old != previous->addresses.end() && order(*old) < order(row)) ++old;
        if (old == previous->addresses.end() || order(*old) != order(row))
            added.push_back({row.address, row.prefix});
    }
    return added;
}

// Whether the class has rows that agents do not match, for addresses that have become agents': they
// mean less than before although they read the same.
bool is_narrowed(const api::SnapshotView& now, const api::ClassRow& row,
                 const std::vector<Prefix>& added)
{
    const auto rows = now.matches.subspan(row.first, row.count);
    return !added.empty() && std::any_of(rows.begin(), rows.end(), [&](const api::MatchRow& match) {
        if ((match.flags & api::kNotFromAgents) == 0)
            return false;
        const Prefix peer{match.peer, match.peer_prefix};
        const auto next = std::lower_bound(
            added.begin(), added.end(), match.peer,
            [](const Prefix& prefix, const api::Address& a) { return prefix.address < a; });
        return (next != added.end() && peer.overlaps(*next)) ||
               (next != added.begin() && std::prev(next)->contains(peer));
    });
}

}  // namespace

std::vector<uint8_t> publish(std::span<const uint8_t> compiled, const api::SnapshotView* previous,
                             api::Epoch epoch)
{
    std::string error;
    const auto now = api::read_snapshot(compiled, error);
    if (!now)
        return {};
    const std::vector<uint32_t> places = place_classes(*now, previous);
    // What the gateway itself is, offers and forbids enters every decision.
    const bool is_all_new = previous == nullptr ||
                            !is_same_row(*previous->gateway, *now->gateway) ||
                            !is_same_table(previous->ports, now->ports) ||
                            !is_same_table(previous->services, now->services) ||
                            !is_same_table(previous->hard_rules, now->hard_rules);

    const std::vector<Prefix> added = new_agent_addresses(*now, previous);
    const size_t class_count =
        places.empty() ? 0 : size_t{1} + *std::max_element(places.begin(), places.end());
    std::vector<uint32_t> class_at(class_count, kNowhere);
    for (uint32_t i = 0; i < places.size(); i++) class_at[places[i]] = i;
    std::vector<api::ClassRow> classes(class_count);
    std::vector<api::MatchRow> matches;
    matches.reserve(now->matches.size());
    for (size_t place = 0; place < class_count; place++) {
        api::ClassRow& row = classes[place];
        row = {static_cast<uint32_t>(matches.size()), 0, epoch};
        std::string_view content;  // of a gap: nothing
        bool is_changed = is_all_new;
        if (class_at[place] != kNowhere) {
            const api::ClassRow& source = now->classes[class_at[place]];
            content = content_of(*now, source);
            row.count = source.count;
            is_changed = is_changed || is_narrowed(*now, source, added);
            const auto first = now->matches.begin() + source.first;
            matches.insert(matches.end(), first, first + source.count);
        }
        if (!is_changed && place < previous->classes.size() &&
            content_of(*previous, previous->classes[place]) == content)
            row.changed_epoch = previous->classes[place].changed_epoch;
    }

    std::vector<api::AgentRow> agents(now->agents.begin(), now->agents.end());
    const IdentityBits moved = previous == nullptr
                                   ? IdentityBits()
                                   : moved_identities(previous->addresses, now->addresses);
    size_t at = 0;
    for (api::AgentRow& row : agents) {
        row.policy_class = places[row.policy_class];
        row.changed_epoch = epoch;
        if (previous == nullptr)
            continue;
        while (at < previous->agents.size() && previous->agents[at].identity < row.identity) at++;
        if (at == previous->agents.size() || previous->agents[at].identity != row.identity ||
            moved.has(row.identity))
            continue;
        row.changed_epoch = previous->agents[at].changed_epoch;
        if (!is_same_row(row, previous->agents[at]))
            row.changed_epoch = epoch;
    }

    api::SnapshotView tables = *now;
    tables.agents = agents;
    tables.classes = classes;
    tables.matches = matches;
    return api::write_snapshot(tables, epoch);
}

}  // namespace sandgate::config
