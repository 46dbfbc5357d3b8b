// Building the indexes of one file's agents, and the lookups of the policy model.
#include "config/agent_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <tuple>

#include "config/load.h"
#include "config/parse.h"

namespace sandgate::config {

bool Prefix::contains(const api::Address& other) const
{
    const unsigned whole = length / 8, rest = length % 8;
    if (std::memcmp(address.bytes.data(), other.bytes.data(), whole) != 0)
        return false;
    return rest == 0 || ((address.bytes[whole] ^ other.bytes[whole]) >> (8 - rest)) == 0;
}

Prefix PortAddress::network() const
{
    Prefix prefix{address, static_cast<uint8_t>(address.is_v4() ? length + 96 : length)};
    for (unsigned bit = prefix.length; bit < 128; bit++)
        prefix.address.bytes[bit / 8] &= static_cast<uint8_t>(~(0x80u >> (bit % 8)));
    return prefix;
}

namespace {

template <class T>
const T* find_named(const std::vector<T>& things, const std::string& name)
{
    for (const T& thing : things)
        if (thing.name == name)
            return &thing;
    return nullptr;
}

}  // namespace

const Group* Policy::find_group(const std::string& name) const { return find_named(groups, name); }
const Host* Policy::find_host(const std::string& name) const { return find_named(hosts, name); }
const Host* Policy::find_ipset(const std::string& name) const { return find_named(ipsets, name); }
const Host* Policy::find_addresses(const Selector& selector) const
{
    if (selector.kind == SelectorKind::kHost)
        return find_host(selector.text);
    return selector.kind == SelectorKind::kIpset ? find_ipset(selector.text) : nullptr;
}
const Service* Policy::find_service(const std::string& name) const
{
    return find_named(services, name);
}

const Agent* Policy::find_agent(const std::string& name) const
{
    for (const auto& list : agent_lists)
        if (const auto found = list->by_name.find(name); found != list->by_name.end())
            return &list->agents[found->second];
    return nullptr;
}

size_t Policy::agent_count() const
{
    size_t count = 0;
    for (const auto& list : agent_lists) count += list->agents.size();
    return count;
}

Standing Policy::standing_of(const Agent& agent) const
{
    Standing standing;
    const Agent* one = &agent;
    // The bound is for policies that were not validated.
    for (unsigned generations = 0; one != nullptr && generations < 100; generations++) {
        standing.is_enabled &= one->is_enabled;
        if (one->expires_unix != 0 &&
            (standing.expires_unix == 0 || one->expires_unix < standing.expires_unix))
            standing.expires_unix = one->expires_unix;
        one = one->parent.empty() ? nullptr : find_agent(one->parent);
    }
    return standing;
}

std::string Policy::place(Where where) const
{
    return config::place(where.file < files.size() ? files[where.file] : file, where);
}

std::string Policy::place(const Agent& agent) const
{
    const std::less<const Agent*> is_before;
    for (const auto& list : agent_lists)
        if (!list->agents.empty() && !is_before(&agent, &list->agents.front()) &&
            !is_before(&list->agents.back(), &agent))
            return config::place(list->file, agent.where);
    return file;
}

std::string place(const std::string& file, Where where)
{
    if (where.line == 0)
        return file;
    if (where.column == 0)
        return fmt::format("{}:{}", file, where.line);
    return fmt::format("{}:{}:{}", file, where.line, where.column);
}

std::string AgentList::path(uint32_t agent, std::string_view field) const
{
    return is_bulk ? std::string(field) : fmt::format("agents[{}].{}", agent, field);
}

std::shared_ptr<const AgentList> build_agent_list(std::string file, bool is_bulk,
                                                  std::vector<Agent> agents)
{
    auto list = std::make_shared<AgentList>();
    list->file = std::move(file);
    list->is_bulk = is_bulk;
    list->agents = std::move(agents);
    list->by_name.reserve(list->agents.size());
    list->by_key.reserve(list->agents.size());
    list->profile_of.reserve(list->agents.size());

    const auto note_twice = [&](uint32_t agent, std::string_view field, Where where,
                                std::string what) {
        if (list->errors.size() < kMaxErrors)
            list->errors.push_back(
                {fmt::format("{}: {}", list->path(agent, field), what), place(list->file, where)});
    };
    const auto by_profile = [](const Agent* a, const Agent* b) {
        return std::tie(a->owner, a->tags, a->attributes) <
               std::tie(b->owner, b->tags, b->attributes);
    };
    std::map<const Agent*, uint32_t, decltype(by_profile)> profile_ids(by_profile);
    for (uint32_t i = 0; i < list->agents.size(); i++) {
        const Agent& agent = list->agents[i];
        const auto [named, is_new_name] = list->by_name.emplace(agent.name, i);
        if (!is_new_name)
            note_twice(i, "name", agent.where,
                       fmt::format("the agent \"{}\" is already on line {}.", agent.name,
                                   list->agents[named->second].where.line));
        const auto [keyed, is_new_key] = list->by_key.emplace(agent.public_key, i);
        if (!is_new_key)
            note_twice(i, "public_key", agent.key_where,
                       fmt::format("the agent \"{}\" has the same key.",
                                   list->agents[keyed->second].name));
        for (const AgentAddress& address : agent.addresses)
            list->claims.push_back({address.prefix, i, address.where});

        const auto [profile, is_new_profile] =
            profile_ids.try_emplace(&agent, static_cast<uint32_t>(list->profiles.size()));
        if (is_new_profile)
            list->profiles.push_back({agent.owner, agent.tags, agent.attributes, {}});
        list->profiles[profile->second].agents.push_back(i);
        list->profile_of.push_back(profile->second);
        if (!agent.parent.empty())
            list->with_parent.push_back(i);
    }

    std::stable_sort(list->claims.begin(), list->claims.end(),
                     [](const auto& a, const auto& b) { return a.prefix < b.prefix; });
    // In this order a network comes before everything inside it.
    std::vector<AgentList::Claim> kept;
    kept.reserve(list->claims.size());
    for (const AgentList::Claim& claim : list->claims) {
        if (kept.empty() || !kept.back().prefix.contains(claim.prefix)) {
            kept.push_back(claim);
            continue;
        }
        // The later line of the two is the one to complain about.
        const AgentList::Claim& other = kept.back();
        const bool is_later = std::pair(claim.where.line, claim.where.column) >
                              std::pair(other.where.line, other.where.column);
        const AgentList::Claim& late = is_later ? claim : other;
        const AgentList::Claim& early = is_later ? other : claim;
        note_twice(late.agent, "addresses", late.where,
                   fmt::format("{} overlaps {} of the agent \"{}\".", to_text(late.prefix),
                               to_text(early.prefix), list->agents[early.agent].name));
    }
    list->claims = std::move(kept);
    return list;
}

const AgentList::Claim* find_overlap(const AgentList& list, const Prefix& prefix)
{
    // The claims do not overlap one another, so only the neighbours of the place can.
    const auto next = std::lower_bound(list.claims.begin(), list.claims.end(), prefix.address,
                                       [](const AgentList::Claim& claim, const api::Address& a) {
                                           return claim.prefix.address < a;
                                       });
    if (next != list.claims.begin() && std::prev(next)->prefix.contains(prefix))
        return &*std::prev(next);
    if (next != list.claims.end() && next->prefix.overlaps(prefix))
        return &*next;
    return nullptr;
}

}  // namespace sandgate::config
