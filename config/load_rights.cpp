// The sections that say who there is and what each may reach: agents, groups, hosts, services,
// grants.
#include <algorithm>

#include "config/conditions.h"
#include "config/explain.h"
#include "config/loader.h"
#include "config/schedule.h"

namespace sandgate::config {

void Loader::users(const YamlNode& node)
{
    each(node, [&](const YamlNode& item) {
        auto name = parsed(item, parse_owner);
        if (name && is_first(users_, "user", *name, item.where))
            policy_.users.push_back({std::move(*name), item.where});
    });
}

void Loader::tag_owners(const YamlNode& node)
{
    if (!policy_.tag_owners)
        policy_.tag_owners.emplace();
    named(node, [&](const std::string& name, Where where, const YamlNode& v) {
        TagOwners tag{name, {}, where};
        selectors(v, tag.owners);
        if (is_first(tag_owners_, "tag", name, where))
            policy_.tag_owners->push_back(std::move(tag));
    });
}

Agent Loader::agent(const YamlNode& node)
{
    Agent a;
    a.where = node.where;
    map(node,
        {
            {"name", kRequired,
             [&](const YamlNode& n) {
                 a.name = parsed(n, parse_name).value_or(std::string());
                 a.where = n.where;
             }},
            {"owner", kOptional,
             [&](const YamlNode& n) { a.owner = parsed(n, parse_owner).value_or(std::string()); }},
            {"purpose", kOptional, [&](const YamlNode& n) { remark(n, a.purpose); }},
            {"parent", kOptional,
             [&](const YamlNode& n) { a.parent = parsed(n, parse_name).value_or(std::string()); }},
            {"tags", kOptional,
             [&](const YamlNode& n) {
                 each(n, [&](const YamlNode& item) {
                     auto tag = parsed(item, parse_name);
                     if (!tag)
                         return;
                     if (std::find(a.tags.begin(), a.tags.end(), *tag) != a.tags.end())
                         fail(item, fmt::format("The tag \"{}\" is there twice.", *tag));
                     else
                         a.tags.push_back(std::move(*tag));
                 });
                 std::sort(a.tags.begin(), a.tags.end());
             }},
            {"attributes", kOptional, [&](const YamlNode& n) { attributes(n, a.attributes); }},
            {"public_key", kRequired,
             [&](const YamlNode& n) {
                 a.public_key = parsed(n, parse_key).value_or(Key{});
                 a.key_where = n.where;
             }},
            {"addresses", kRequired,
             [&](const YamlNode& n) {
                 one_or_more(n, [&](const YamlNode& item) {
                     const auto prefix = parsed(item, parse_agent_prefix);
                     if (prefix)
                         a.addresses.push_back({*prefix, item.where});
                 });
             }},
            {"psk_file", kOptional, [&](const YamlNode& n) { file_path(n, a.psk_file); }},
            {"expires", kOptional,
             [&](const YamlNode& n) { a.expires_unix = parsed(n, parse_time).value_or(0); }},
            {"enabled", kOptional, [&](const YamlNode& n) { boolean(n, a.is_enabled); }},
            {"keepalive", kOptional,
             [&](const YamlNode& n) { number(n, a.keepalive_seconds, 0, 65535); }},
        });
    return a;
}

void Loader::tests(const YamlNode& node)
{
    uint32_t index = 0;
    each(node, [&](const YamlNode& item) {
        PolicyTest test;
        test.index = index++;
        test.where = item.where;
        const auto targets = [&](std::vector<Target>& out) {
            return [&](const YamlNode& n) {
                one_or_more(n, [&](const YamlNode& one) {
                    if (auto target = parsed(one, parse_target)) {
                        target->where = target->destination.where = one.where;
                        out.push_back(std::move(*target));
                    }
                });
            };
        };
        map(item, {{"src", kRequired,
                    [&](const YamlNode& n) {
                        if (auto source = parsed(n, parse_selector)) {
                            test.source = std::move(*source);
                            test.source.where = n.where;
                        }
                    }},
                   {"accept", kOptional, targets(test.accept)},
                   {"deny", kOptional, targets(test.deny)},
                   {"at", kOptional,
                    [&](const YamlNode& n) { test.at_unix = parsed(n, parse_time).value_or(0); }}});
        if (test.accept.empty() && test.deny.empty())
            fail(item, "A test has accept or deny.");
        policy_.tests.push_back(std::move(test));
    });
}

void Loader::attributes(const YamlNode& node, std::vector<Attribute>& out)
{
    named(node, [&](const std::string& name, Where, const YamlNode& v) {
        Attribute attribute{name, {}, 0};
        const auto value = [&](const YamlNode& n) {
            attribute.value = parsed(n, parse_attribute_value).value_or(std::string());
        };
        if (v.kind == Kind::kMap)
            map(v, {{"value", kRequired, value}, {"expires", kOptional, [&](const YamlNode& n) {
                                                      attribute.expires_unix =
                                                          parsed(n, parse_time).value_or(0);
                                                  }}});
        else
            value(v);
        out.push_back(std::move(attribute));
    });
    std::sort(out.begin(), out.end());
}

void Loader::schedule(const YamlNode& node, std::optional<Schedule>& out)
{
    Schedule schedule;
    map(node,
        {{"days", kOptional,
          [&](const YamlNode& n) {
              schedule.days = 0;
              one_or_more(n, [&](const YamlNode& item) {
                  schedule.days |= parsed(item, parse_days).value_or(uint8_t{0});
              });
          }},
         {"hours", kOptional,
          [&](const YamlNode& n) { schedule.hours = parsed(n, parse_hours).value_or(Hours{}); }},
         {"zone", kOptional, [&](const YamlNode& n) {
              schedule.zone = parsed(n, parse_zone).value_or(std::string("UTC"));
          }}});
    if (node.kind == Kind::kNull || (node.kind == Kind::kMap && node.entries.empty()))
        fail(node, "A schedule has days or hours.");
    out = std::move(schedule);
}

void Loader::conditions(const YamlNode& node, std::vector<Condition>& out)
{
    one_or_more(node, [&](const YamlNode& item) {
        if (auto condition = parsed(item, parse_condition)) {
            condition->where = item.where;
            out.push_back(std::move(*condition));
        }
    });
}

void Loader::groups(const YamlNode& node)
{
    named(node, [&](const std::string& name, Where where, const YamlNode& v) {
        Group group{name, {}, where};
        selectors(v, group.members);
        if (is_first(groups_, "group", name, where))
            policy_.groups.push_back(std::move(group));
    });
}

void Loader::hosts(const YamlNode& node)
{
    named(node, [&](const std::string& name, Where where, const YamlNode& v) {
        Host host{name, {}, where};
        one_or_more(v, [&](const YamlNode& item) {
            if (auto prefix = parsed(item, parse_prefix))
                host.prefixes.push_back(*prefix);
        });
        if (is_first(hosts_, "host", name, where))
            policy_.hosts.push_back(std::move(host));
    });
}

void Loader::ipsets(const YamlNode& node)
{
    named(node, [&](const std::string& name, Where where, const YamlNode& v) {
        Host set{name, {}, where};
        one_or_more(v, [&](const YamlNode& item) {
            if (const auto prefixes = parsed(item, parse_prefixes))
                set.prefixes.insert(set.prefixes.end(), prefixes->begin(), prefixes->end());
        });
        if (is_first(ipsets_, "ipset", name, where))
            policy_.ipsets.push_back(std::move(set));
    });
}

void Loader::remark(const YamlNode& node, std::string& out)
{
    out = parsed(node, parse_remark).value_or(std::string());
}

void Loader::selectors(const YamlNode& node, std::vector<Selector>& out)
{
    one_or_more(node, [&](const YamlNode& item) {
        if (auto selector = parsed(item, parse_selector)) {
            selector->where = item.where;
            out.push_back(std::move(*selector));
        }
    });
}

void Loader::traffic(const YamlNode& node, std::vector<Traffic>& out)
{
    one_or_more(node, [&](const YamlNode& item) {
        if (auto one = parsed(item, parse_traffic)) {
            one->where = item.where;
            out.push_back(*one);
        }
    });
}

void Loader::services(const YamlNode& node)
{
    named(node, [&](const std::string& name, Where where, const YamlNode& v) {
        service(name, where, v);
    });
}

void Loader::service(const std::string& name, Where where, const YamlNode& node)
{
    Service s;
    s.name = name;
    s.where = where;
    map(node, {
                  {"addresses", kOptional, [&](const YamlNode& n) { selectors(n, s.addresses); }},
                  {"gateway", kOptional, [&](const YamlNode& n) { boolean(n, s.is_gateway); }},
                  {"ip", kRequired, [&](const YamlNode& n) { traffic(n, s.traffic); }},
              });
    if (is_first(services_, "service", name, where))
        policy_.services.push_back(std::move(s));
}

void Loader::grants(const YamlNode& node)
{
    uint32_t index = 0;
    each(node, [&](const YamlNode& item) { grant(item, index++); });
}

void Loader::grant(const YamlNode& node, uint32_t index)
{
    Grant g;
    g.index = index;
    g.where = node.where;
    map(node, {
                  {"name", kRequired,
                   [&](const YamlNode& n) {
                       g.name = parsed(n, parse_name).value_or(std::string());
                       g.where = n.where;
                   }},
                  {"src", kRequired, [&](const YamlNode& n) { selectors(n, g.sources); }},
                  {"dst", kRequired, [&](const YamlNode& n) { selectors(n, g.destinations); }},
                  {"ip", kOptional, [&](const YamlNode& n) { traffic(n, g.traffic); }},
                  {"action", kOptional,
                   [&](const YamlNode& n) {
                       if (!is(n, Kind::kScalar, "allow or deny"))
                           return;
                       if (n.text != "allow" && n.text != "deny")
                           fail(n, "An action is allow or deny.");
                       g.is_deny = n.text == "deny";
                   }},
                  {"when", kOptional, [&](const YamlNode& n) { conditions(n, g.conditions); }},
                  {"expires", kOptional,
                   [&](const YamlNode& n) { g.expires_unix = parsed(n, parse_time).value_or(0); }},
                  {"schedule", kOptional, [&](const YamlNode& n) { schedule(n, g.schedule); }},
                  {"reason", kOptional, [&](const YamlNode& n) { remark(n, g.reason); }},
                  {"owner", kOptional,
                   [&](const YamlNode& n) {
                       g.owner = parsed(n, parse_owner).value_or(std::string());
                       g.owner_where = n.where;
                   }},
              });
    policy_.grants.push_back(std::move(g));
}

}  // namespace sandgate::config
