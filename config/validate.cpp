// Cross-checks of one policy. Costs of a bulk file that did not change are two lookups per agent of
// the smaller lists: what a file can know about itself was found when it was parsed.
#include "config/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "config/agent_list.h"
#include "config/conditions.h"
#include "config/hard_rules.h"
#include "config/load.h"
#include "config/parse.h"
#include "dataplane/api/counters.h"

namespace sandgate::config {
namespace {

class Validator
{
  public:
    explicit Validator(const Policy& policy) : policy_(policy) {}

    std::vector<Error> run()
    {
        collect_profiles();
        ports();
        for (size_t i = 0; i < policy_.agent_lists.size(); i++) {
            agents(*policy_.agent_lists[i]);
            for (size_t j = 0; j < i; j++)
                two_lists(*policy_.agent_lists[j], *policy_.agent_lists[i]);
            owners(*policy_.agent_lists[i]);
            parents(*policy_.agent_lists[i]);
        }
        for (const TagOwners& tag : policy_.tag_owners.value_or(std::vector<TagOwners>{}))
            check(tag);
        for (const Group& group : policy_.groups)
            for (size_t i = 0; i < group.members.size(); i++)
                member(group.members[i], fmt::format("groups.{}[{}]", group.name, i));
        for (const Service& service : policy_.services) check(service);
        grants();
        tests();
        return std::move(errors_);
    }

  private:
    void fail(const std::string& file, Where where, const std::string& path,
              const std::string& what)
    {
        if (errors_.size() < kMaxErrors)
            errors_.push_back({fmt::format("{}: {}", path, what), place(file, where)});
    }
    void fail(Where where, const std::string& path, const std::string& what)
    {
        if (errors_.size() < kMaxErrors)
            errors_.push_back({fmt::format("{}: {}", path, what), policy_.place(where)});
    }

    // Which of the tags and owners that the policy speaks of exist.
    void collect_profiles()
    {
        const auto note = [this](const std::vector<Selector>& selectors) {
            for (const Selector& selector : selectors) {
                if (selector.kind == SelectorKind::kTag)
                    tags_.emplace(selector.text, false);
                if (selector.kind == SelectorKind::kOwner)
                    owners_.emplace(selector.text, false);
            }
        };
        for (const Group& group : policy_.groups) note(group.members);
        for (const TagOwners& tag : policy_.tag_owners.value_or(std::vector<TagOwners>{}))
            note(tag.owners);
        for (const Grant& grant : policy_.grants) {
            note(grant.sources);
            note(grant.destinations);
        }
        for (const PolicyTest& test : policy_.tests) {
            note({test.source});
            for (const Target& target : test.accept) note({target.destination});
            for (const Target& target : test.deny) note({target.destination});
        }
        if (tags_.empty() && owners_.empty())
            return;
        for (const auto& list : policy_.agent_lists) {
            for (const AgentList::Profile& profile : list->profiles) {
                if (const auto found = owners_.find(profile.owner); found != owners_.end())
                    found->second = true;
                for (const std::string& tag : profile.tags)
                    if (const auto found = tags_.find(tag); found != tags_.end())
                        found->second = true;
            }
        }
    }

    void ports()
    {
        std::set<std::string_view> names, devices;
        std::set<api::Address> addresses(policy_.gateway.tunnel_addresses.begin(),
                                         policy_.gateway.tunnel_addresses.end());
        for (size_t i = 0; i < policy_.ports.size(); i++) {
            const Port& port = policy_.ports[i];
            const std::string path = fmt::format("ports[{}]", i);
            if (!names.insert(port.name).second)
                fail(port.where, path + ".name",
                     fmt::format("The port \"{}\" is there twice.", port.name));
            if (!devices.insert(port.device).second)
                fail(port.where, path + ".device", "Two ports have this device.");
            if (port.roles == 0)
                fail(port.where, path + ".roles", "The port has no role; write wan, lan or both.");
            for (const PortAddress& own : {port.v4, port.v6}) {
                if (own.length == 0)
                    continue;
                if (!addresses.insert(own.address).second)
                    fail(port.where, path + ".addresses",
                         fmt::format("{} is already the gateway's address elsewhere.",
                                     to_text(own.address)));
                for (const api::Address& tunnel : policy_.gateway.tunnel_addresses)
                    if (own.network().contains(tunnel))
                        fail(policy_.gateway.where, "gateway.tunnel_addresses",
                             fmt::format("{} lies in the network of the port \"{}\".",
                                         to_text(tunnel), port.name));
            }
            next_hop(port, port.gateway_v4, port.v4, path);
            next_hop(port, port.gateway_v6, port.v6, path);
        }
        if (policy_.ports.size() > api::kMaxPorts - 1)
            fail(policy_.ports.back().where, "ports",
                 fmt::format("More than {} ports.", api::kMaxPorts - 1));
    }

    void next_hop(const Port& port, const api::Address& hop, const PortAddress& own,
                  const std::string& path)
    {
        const bool is_link_local =
            !hop.is_v4() && hop.bytes[0] == 0xfe && (hop.bytes[1] & 0xc0) == 0x80;
        if (hop.is_zero() || is_link_local || (own.length != 0 && own.network().contains(hop)))
            return;
        fail(port.where, path + ".gateway",
             fmt::format("{} lies in none of the port's networks.", to_text(hop)));
    }

    void agents(const AgentList& list)
    {
        const auto refuse = [&](const Prefix& ours, const std::string& what) {
            if (const AgentList::Claim* claim = find_overlap(list, ours))
                fail(list.file, claim->where, list.path(claim->agent, "addresses"),
                     fmt::format("{} of the agent \"{}\" overlaps {}.", to_text(claim->prefix),
                                 list.agents[claim->agent].name, what));
        };
        for (const api::Address& tunnel : policy_.gateway.tunnel_addresses)
            refuse({tunnel, 128},
                   fmt::format("the gateway's own tunnel address {}", to_text(tunnel)));
        for (const Port& port : policy_.ports)
            for (const PortAddress& own : {port.v4, port.v6})
                if (own.length != 0)
                    refuse(own.network(), fmt::format("the network {} of the port \"{}\"",
                                                      to_text(own.network()), port.name));
        if (policy_.gateway.public_key) {
            const auto found = list.by_key.find(*policy_.gateway.public_key);
            if (found != list.by_key.end())
                fail(list.file, list.agents[found->second].key_where,
                     list.path(found->second, "public_key"),
                     fmt::format("The agent \"{}\" has the gateway's own key.",
                                 list.agents[found->second].name));
        }
    }

    // Names, keys and addresses that agents of two files claim; reported where the smaller file has
    // them.
    void two_lists(const AgentList& a, const AgentList& b)
    {
        const AgentList& few = a.agents.size() < b.agents.size() ? a : b;
        const AgentList& many = &few == &a ? b : a;
        const auto other = [&](uint32_t index) {
            const Agent& agent = many.agents[index];
            return fmt::format("the agent \"{}\" ({})", agent.name,
                               place(many.file, {agent.where.line, 0}));
        };
        for (uint32_t i = 0; i < few.agents.size(); i++) {
            const Agent& agent = few.agents[i];
            if (const auto found = many.by_name.find(agent.name); found != many.by_name.end())
                fail(few.file, agent.where, few.path(i, "name"),
                     fmt::format("The name \"{}\" belongs to {}.", agent.name,
                                 other(found->second)));
            if (const auto found = many.by_key.find(agent.public_key); found != many.by_key.end())
                fail(few.file, agent.key_where, few.path(i, "public_key"),
                     fmt::format("The key belongs to {}.", other(found->second)));
        }
        for (const AgentList::Claim& claim : few.claims)
            if (const AgentList::Claim* found = find_overlap(many, claim.prefix))
                fail(few.file, claim.where, few.path(claim.agent, "addresses"),
                     fmt::format("{} overlaps {} of {}.", to_text(claim.prefix),
                                 to_text(found->prefix), other(found->agent)));
    }

    bool is_user(const std::string& name) const
    {
        return std::any_of(policy_.users.begin(), policy_.users.end(),
                           [&](const User& user) { return user.name == name; });
    }

    // Whether owners are users, and tags on agents of those who may give them.
    void owners(const AgentList& list)
    {
        for (size_t i = 0; i < list.profiles.size(); i++) {
            const AgentList::Profile& profile = list.profiles[i];
            const uint32_t first = profile.agents.front();
            if (!policy_.users.empty() && !profile.owner.empty() && !is_user(profile.owner))
                fail(list.file, list.agents[first].where, list.path(first, "owner"),
                     "No user is named " + quoted(profile.owner, names_of(policy_.users)));
            if (!policy_.tag_owners)
                continue;
            for (const std::string& tag : profile.tags) {
                const auto known =
                    std::find_if(policy_.tag_owners->begin(), policy_.tag_owners->end(),
                                 [&](const TagOwners& owners) { return owners.name == tag; });
                if (known == policy_.tag_owners->end()) {
                    fail(list.file, list.agents[first].where, list.path(first, "tags"),
                         "tagOwners does not know the tag " +
                             quoted(tag, names_of(*policy_.tag_owners)));
                    continue;
                }
                for (const uint32_t agent : profile.agents)
                    if (!is_among(list.agents[agent], known->owners))
                        fail(list.file, list.agents[agent].where, list.path(agent, "tags"),
                             fmt::format("{} may not carry the tag \"{}\": tagOwners gives it to "
                                         "others.",
                                         list.agents[agent].owner.empty()
                                             ? "An agent without an owner"
                                             : "An agent of " + list.agents[agent].owner,
                                         tag));
            }
        }
    }

    // Whether one of the selectors selects the agent.
    bool is_among(const Agent& agent, const std::vector<Selector>& selectors) const
    {
        return std::any_of(selectors.begin(), selectors.end(), [&](const Selector& s) {
            switch (s.kind) {
                case SelectorKind::kAll:
                    return true;
                case SelectorKind::kAgent:
                    return agent.name == s.text;
                case SelectorKind::kOwner:
                    return agent.owner == s.text;
                case SelectorKind::kTag:
                    return std::binary_search(agent.tags.begin(), agent.tags.end(), s.text);
                case SelectorKind::kGroup: {
                    const Group* group = policy_.find_group(s.text);
                    return group != nullptr && is_among(agent, group->members);
                }
                default:
                    return false;
            }
        });
    }

    void check(const TagOwners& tag)
    {
        for (size_t i = 0; i < tag.owners.size(); i++) {
            const Selector& s = tag.owners[i];
            const std::string path = fmt::format("tagOwners.{}[{}]", tag.name, i);
            if (s.kind == SelectorKind::kGroup) {
                if (policy_.find_group(s.text) == nullptr)
                    unknown(s, path, "No group is named", names_of(policy_.groups));
            } else if (s.kind == SelectorKind::kOwner && !policy_.users.empty()) {
                // A user who has no agent yet may be named here.
                if (!is_user(s.text))
                    unknown(s, path, "No user is named", names_of(policy_.users));
            } else if (s.kind == SelectorKind::kAgent || s.kind == SelectorKind::kOwner) {
                member(s, path);
            } else if (s.kind != SelectorKind::kAll) {
                fail(s.where, path, "A tag belongs to owner:, group: and agent: names or \"*\".");
            }
        }
    }

    void parents(const AgentList& list)
    {
        constexpr unsigned kMostAncestors = 64;
        for (const uint32_t i : list.with_parent) {
            const Agent& agent = list.agents[i];
            const Agent* parent = policy_.find_agent(agent.parent);
            if (parent == nullptr)
                fail(list.file, agent.where, list.path(i, "parent"),
                     "No agent is named " + quoted(agent.parent, agent_names()));
            unsigned generations = 0;
            while (parent != nullptr && parent != &agent && ++generations <= kMostAncestors)
                parent = parent->parent.empty() ? nullptr : policy_.find_agent(parent->parent);
            if (parent == &agent)
                fail(list.file, agent.where, list.path(i, "parent"),
                     fmt::format("The agent \"{}\" is its own ancestor.", agent.name));
            else if (parent != nullptr)
                fail(list.file, agent.where, list.path(i, "parent"),
                     fmt::format("The agent \"{}\" has more than {} ancestors.", agent.name,
                                 kMostAncestors));
        }
    }

    // The name, and the one that was perhaps meant.
    static std::string quoted(const std::string& name,
                              const std::vector<std::string_view>& candidates)
    {
        const std::string hint = did_you_mean(name, candidates);
        return fmt::format("\"{}\"{}", name, hint.empty() ? "." : hint);
    }

    std::vector<std::string_view> agent_names() const
    {
        std::vector<std::string_view> names;
        for (const auto& list : policy_.agent_lists)
            for (const Agent& agent : list->agents) names.push_back(agent.name);
        return names;
    }
    std::vector<std::string_view> profile_words(bool is_tag) const
    {
        std::set<std::string_view> words;
        for (const auto& list : policy_.agent_lists)
            for (const AgentList::Profile& profile : list->profiles) {
                if (is_tag)
                    words.insert(profile.tags.begin(), profile.tags.end());
                else if (!profile.owner.empty())
                    words.insert(profile.owner);
            }
        return {words.begin(), words.end()};
    }
    template <class T>
    static std::vector<std::string_view> names_of(const std::vector<T>& things)
    {
        std::vector<std::string_view> names;
        for (const T& thing : things) names.push_back(thing.name);
        return names;
    }

    void unknown(const Selector& selector, const std::string& path, const char* sentence,
                 const std::vector<std::string_view>& candidates)
    {
        fail(selector.where, path,
             fmt::format("{} {}", sentence, quoted(selector.text, candidates)));
    }

    // agent:, tag: and owner:, which groups and grants share.
    void member(const Selector& selector, const std::string& path)
    {
        switch (selector.kind) {
            case SelectorKind::kAgent:
                if (policy_.find_agent(selector.text) == nullptr)
                    unknown(selector, path, "No agent is named", agent_names());
                break;
            case SelectorKind::kTag:
                if (!tags_.at(selector.text))
                    unknown(selector, path, "No agent has the tag", profile_words(true));
                break;
            case SelectorKind::kOwner:
                if (!policy_.users.empty() && !is_user(selector.text))
                    unknown(selector, path, "No user is named", names_of(policy_.users));
                else if (!owners_.at(selector.text))
                    unknown(selector, path, "No agent has the owner", profile_words(false));
                break;
            default:
                fail(selector.where, path, "A group holds agent:, tag: and owner: only.");
        }
    }

    bool has_addresses(const Selector& selector, const std::string& path)
    {
        if (policy_.find_addresses(selector) != nullptr)
            return true;
        if (selector.kind == SelectorKind::kHost)
            unknown(selector, path, "No host is named", names_of(policy_.hosts));
        else
            unknown(selector, path, "No ipset is named", names_of(policy_.ipsets));
        return false;
    }

    void check(const Service& service)
    {
        const std::string path = "services." + service.name;
        if (service.is_gateway != service.addresses.empty())
            fail(service.where, path, "A service has either addresses or gateway: true.");
        for (size_t i = 0; i < service.addresses.size(); i++) {
            const Selector& selector = service.addresses[i];
            const std::string at = fmt::format("{}.addresses[{}]", path, i);
            if (selector.kind == SelectorKind::kHost || selector.kind == SelectorKind::kIpset)
                has_addresses(selector, at);
            else if (selector.kind != SelectorKind::kPrefix)
                fail(selector.where, at,
                     "A service is at host: and ipset: names, addresses and networks only.");
            reachable(selector, at);
        }
        if (!service.is_gateway)
            return;
        if (policy_.gateway.tunnel_addresses.empty() || !policy_.dataplane.has_host_port)
            fail(service.where, path,
                 "The gateway offers services only with gateway.tunnel_addresses and a host port.");
        for (size_t i = 0; i < service.traffic.size(); i++) {
            const Traffic& traffic = service.traffic[i];
            const bool has_ports = traffic.protocol == 6 || traffic.protocol == 17;
            if (traffic.protocol == api::kAnyProtocol ||
                (has_ports && traffic.port_low != traffic.port_high))
                fail(traffic.where, fmt::format("{}.ip[{}]", path, i),
                     "A service of the gateway names one protocol and one port.");
        }
    }

    // What a hard rule forbids cannot be granted; networks around it can.
    void reachable(const Selector& s, const std::string& path)
    {
        static const std::vector<Prefix> kMulticast = {*parse_prefix("224.0.0.0/4"),
                                                       *parse_prefix("ff00::/8")};
        std::vector<Prefix> prefixes;
        if (s.kind == SelectorKind::kPrefix)
            prefixes.push_back(s.prefix);
        if (const Host* named = policy_.find_addresses(s))
            prefixes = named->prefixes;
        for (const Prefix& prefix : prefixes) {
            for (const Prefix& multicast : kMulticast)
                if (multicast.contains(prefix))
                    return fail(s.where, path,
                                fmt::format("{} is multicast, which the gateway does not forward.",
                                            to_text(prefix)));
            const HardPrefix* rule = find_hard_rule(hard_rules_, prefix);
            if (rule == nullptr)
                continue;
            const std::string word = relaxed_by(*rule);
            return fail(s.where, path,
                        fmt::format("{} is {}, which no grant opens{}", to_text(prefix),
                                    describe(rule->rule),
                                    word.empty() ? "."
                                                 : fmt::format(" unless the file says \"relax: "
                                                               "[{}]\".",
                                                               word)));
        }
    }

    // What the selectors of one side of a grant come to.
    struct Side
    {
        bool has_agents = false, has_addresses = false, has_services = false, has_gateway = false;
        bool has_all = false;
    };

    void selector(const Selector& s, const std::string& path, bool is_source, Side& side)
    {
        switch (s.kind) {
            case SelectorKind::kAll:
                side.has_all = true;
                side.has_agents |= is_source;
                break;
            case SelectorKind::kPrefix:
                side.has_addresses = true;
                break;
            case SelectorKind::kHost:
            case SelectorKind::kIpset:
                side.has_addresses |= has_addresses(s, path);
                break;
            case SelectorKind::kGroup: {
                side.has_agents = true;
                const Group* group = policy_.find_group(s.text);
                if (group == nullptr)
                    unknown(s, path, "No group is named", names_of(policy_.groups));
                break;
            }
            case SelectorKind::kService:
                side.has_services = true;
                if (is_source)
                    fail(s.where, path, "A service opens no flows; it cannot be a src.");
                else if (policy_.find_service(s.text) == nullptr)
                    unknown(s, path, "No service is named", names_of(policy_.services));
                break;
            case SelectorKind::kGateway:
                side.has_gateway = true;
                if (is_source)
                    fail(s.where, path, "The gateway opens no flows; it cannot be a src.");
                else if (policy_.gateway.tunnel_addresses.empty())
                    fail(s.where, path, "The gateway has no tunnel_addresses.");
                break;
            default:
                side.has_agents = true;
                member(s, path);
        }
    }

    void grants()
    {
        std::map<std::string_view, Where> names;
        for (const Grant& grant : policy_.grants) {
            const std::string path = fmt::format("grants[{}]", grant.index);
            const auto [named, is_new] = names.emplace(grant.name, grant.where);
            if (!is_new && named->second.file == grant.where.file)
                fail(grant.where, path + ".name",
                     fmt::format("The grant \"{}\" is already on line {}.", grant.name,
                                 named->second.line));
            else if (!is_new)
                fail(grant.where, path + ".name",
                     fmt::format("The grant \"{}\" is already in {}.", grant.name,
                                 policy_.place(named->second)));
            if (!grant.owner.empty() && !policy_.users.empty() && !is_user(grant.owner))
                fail(grant.owner_where, path + ".owner",
                     "No user is named " + quoted(grant.owner, names_of(policy_.users)));
            const size_t errors_before = errors_.size();
            Side source, destination;
            for (size_t j = 0; j < grant.sources.size(); j++)
                selector(grant.sources[j], fmt::format("{}.src[{}]", path, j), true, source);
            for (size_t j = 0; j < grant.destinations.size(); j++)
                selector(grant.destinations[j], fmt::format("{}.dst[{}]", path, j), false,
                         destination);
            if (!grant.is_deny)
                for (size_t j = 0; j < grant.destinations.size(); j++)
                    reachable(grant.destinations[j], fmt::format("{}.dst[{}]", path, j));
            if (errors_.size() == errors_before)
                combination(grant, path, source, destination);
        }
    }

    // Each condition of a grant must be one that an agent can fulfil, and one agent among the
    // grant's own must fulfil them all. What expires counts as if it never did.
    void conditions(const Grant& grant, const std::string& path)
    {
        for (size_t i = 0; i < grant.conditions.size(); i++) {
            const Condition& condition = grant.conditions[i];
            std::set<std::string_view> names, values;
            bool is_fulfilled = condition.is == Condition::kNotSet;
            for (const auto& list : policy_.agent_lists)
                for (const AgentList::Profile& profile : list->profiles) {
                    is_fulfilled |= holds(condition, profile.attributes, 0);
                    for (const Attribute& attribute : profile.attributes) {
                        names.insert(attribute.name);
                        if (attribute.name == condition.attribute)
                            values.insert(attribute.value);
                    }
                }
            const std::string at = fmt::format("{}.when[{}]", path, i);
            if (names.count(condition.attribute) == 0) {
                fail(condition.where, at,
                     "No agent has the attribute " +
                         quoted(condition.attribute, {names.begin(), names.end()}));
                return;
            }
            if (!is_fulfilled) {
                const std::string hint =
                    condition.values.empty()
                        ? ""
                        : did_you_mean(condition.values[0], {values.begin(), values.end()});
                fail(condition.where, at,
                     fmt::format("No agent fulfils \"{}\"{}", condition.text,
                                 hint.empty() ? "." : hint));
                return;
            }
        }
        if (!grant.conditions.empty() && !has_fulfilling_source(grant))
            fail(grant.conditions[0].where, path + ".when",
                 "No agent that src names fulfils it; the grant applies to nothing.");
    }

    bool has_fulfilling_source(const Grant& grant) const
    {
        const auto fulfils = [&](const std::vector<Attribute>& attributes) {
            return std::all_of(
                grant.conditions.begin(), grant.conditions.end(), [&](const Condition& condition) {
                    return condition.is == Condition::kNotSet || holds(condition, attributes, 0);
                });
        };
        const auto is_named = [&](const std::vector<Selector>& selectors) {
            return std::any_of(selectors.begin(), selectors.end(), [&](const Selector& s) {
                const Agent* agent =
                    s.kind == SelectorKind::kAgent ? policy_.find_agent(s.text) : nullptr;
                return agent != nullptr && fulfils(agent->attributes);
            });
        };
        if (is_named(grant.sources))
            return true;
        for (const Selector& s : grant.sources)
            if (s.kind == SelectorKind::kGroup && is_named(policy_.find_group(s.text)->members))
                return true;
        // Agents with one profile differ in nothing that the other selectors see.
        for (const auto& list : policy_.agent_lists)
            for (const AgentList::Profile& profile : list->profiles)
                if (fulfils(profile.attributes) &&
                    is_among(list->agents[profile.agents.front()], grant.sources))
                    return true;
        return false;
    }

    void tests()
    {
        for (const PolicyTest& test : policy_.tests) {
            const std::string path = fmt::format("tests[{}]", test.index);
            Side side;
            selector(test.source, path + ".src", true, side);
            const auto targets = [&](const std::vector<Target>& list, const char* name) {
                for (size_t i = 0; i < list.size(); i++)
                    selector(list[i].destination, fmt::format("{}.{}[{}]", path, name, i), false,
                             side);
            };
            targets(test.accept, "accept");
            targets(test.deny, "deny");
        }
    }

    // A grant that applies to nothing, or a part of one, is a mistake and says so.
    void combination(const Grant& grant, const std::string& path, const Side& source,
                     const Side& destination)
    {
        const bool needs_traffic = destination.has_agents || destination.has_addresses ||
                                   destination.has_gateway || destination.has_all;
        if (needs_traffic && grant.traffic.empty())
            fail(grant.where, path, "The key \"ip\" is missing; only services bring their own.");
        if (!needs_traffic && !grant.traffic.empty())
            fail(grant.traffic[0].where, path + ".ip",
                 "It applies to nothing: every dst is a service, which brings its own.");
        if (source.has_addresses && !destination.has_agents)
            fail(grant.where, path + ".src",
                 "Addresses outside the tunnel may only be let in to agents, and no dst is one.");
        if (source.has_addresses && !grant.conditions.empty())
            fail(grant.conditions[0].where, path + ".when",
                 "It asks about agents, and a src is an address outside the tunnel, of which "
                 "nothing "
                 "is known.");
        else
            conditions(grant, path);
        if (source.has_all && policy_.agent_count() == 0)
            fail(grant.where, path + ".src", "\"*\" is every agent, and there is none.");
    }

    const Policy& policy_;
    std::vector<HardPrefix> hard_rules_ = hard_rules(policy_);
    std::vector<Error> errors_;
    std::map<std::string, bool, std::less<>> tags_, owners_;  // known to be some agent's
};

}  // namespace

std::vector<Error> validate(const Policy& policy) { return Validator(policy).run(); }

}  // namespace sandgate::config
