// Sections that give names, and the selectors that use them.
#include <algorithm>

#include "config/hard_rules.h"
#include "config/tailscale_translator.h"

namespace sandgate::config::tailscale {

void Translator::hosts(const YamlNode& node)
{
    named(node, "hosts", "",
          [&](const std::string& name, const YamlEntry& entry, const std::string& key_path) {
              if (entry.value.kind != Kind::kScalar)
                  return fail(entry.value.where, key_path, "Expected an address or a network.");
              if (const auto prefixes = addresses(entry.value, entry.value.text))
                  put_host(hosts_, "hosts", name, *prefixes);
          });
}

void Translator::ipsets(const YamlNode& node)
{
    named(node, "ipsets", "ipset:",
          [&](const std::string& name, const YamlEntry& entry, const std::string& key_path) {
              std::vector<Prefix> all;
              bool has_removal = false;
              strings(entry.value, key_path, [&](const YamlNode& item) {
                  std::string_view text = item.text;
                  has_removal |= text.starts_with("remove ");
                  if (text.starts_with("add "))
                      text.remove_prefix(4);
                  if (has_removal)
                      return;
                  const auto host =
                      hosts_.find(std::string(text.substr(text.starts_with("host:") ? 5 : 0)));
                  std::optional<std::vector<Prefix>> found;
                  if (host != hosts_.end())
                      found = host->second;
                  else
                      found = addresses(item, text);
                  if (found)
                      all.insert(all.end(), found->begin(), found->end());
              });
              if (has_removal)
                  note(entry.key.where, fmt::format("The ipset {} is left out: a set cannot remove "
                                                    "anything from itself here.",
                                                    shown(name)));
              else if (all.empty())
                  note(entry.key.where,
                       fmt::format("The ipset {} is left out: it is empty.", shown(name)));
              else
                  put_host(ipsets_, "ipsets", name, all);
          });
}

void Translator::put_host(std::map<std::string, std::vector<Prefix>>& known, const char* section,
                          const std::string& name, const std::vector<Prefix>& prefixes)
{
    Texts texts;
    for (const Prefix& prefix : prefixes) texts.push_back(to_text(prefix));
    put(section, fmt::format("  {}: {}\n", quoted(name), flow_list(texts)));
    known.emplace(name, prefixes);
}

std::optional<std::vector<Prefix>> Translator::addresses(const YamlNode& node,
                                                         std::string_view text)
{
    auto prefixes = parse_prefixes(text);
    if (prefixes)
        return std::move(*prefixes);
    note(node.where,
         fmt::format("{} is left out: {}", shown(text),
                     is_printable(text) ? prefixes.error().what : "it is not an IP address."));
    return std::nullopt;
}

void Translator::groups(const YamlNode& node)
{
    named(node, "groups", "group:",
          [&](const std::string& name, const YamlEntry& entry, const std::string& key_path) {
              Texts members;
              strings(entry.value, key_path, [&](const YamlNode& item) {
                  if (const auto owner = user(item.text)) {
                      members.push_back("owner:" + *owner);
                  } else {
                      left_out(item, item.text, "a group has users only.");
                  }
              });
              if (members.empty())
                  return note(
                      entry.key.where,
                      fmt::format("The group {} is left out: nobody is in it.", shown(name)));
              need(members);
              put("groups", fmt::format("  {}: {}\n", quoted(name), flow_list(members)));
              groups_.insert(name);
          });
}

void Translator::tag_owners(const YamlNode& node)
{
    has_tag_owners_ = true;
    named(
        node, "tagOwners",
        "tag:", [&](const std::string& name, const YamlEntry& entry, const std::string& key_path) {
            Texts owners;
            strings(entry.value, key_path, [&](const YamlNode& item) {
                if (const auto owner = user(item.text))
                    owners.push_back("owner:" + *owner);
                else if (item.text.starts_with("group:") && groups_.count(item.text.substr(6)) != 0)
                    owners.push_back(item.text);
                else
                    left_out(item, item.text, "tags belong to users and groups of this file here.");
            });
            if (!owners.empty())
                return put("tagOwners", fmt::format("  {}: {}\n", quoted(name), flow_list(owners)));
            put("tagOwners", fmt::format("  # {}: []  # write who may give it\n", name), false);
            note(entry.key.where,
                 fmt::format("Nobody is left who may give the tag {}: no agent may carry it until "
                             "tagOwners says who.",
                             shown(name)));
        });
}

std::optional<std::string> Translator::user(const std::string& text)
{
    const bool is_user = text.find('@') != std::string::npos && text.front() != '@' &&
                         text.find_first_of(":*") == std::string::npos && is_printable(text) &&
                         parse_owner(text).is_ok();
    if (!is_user)
        return std::nullopt;
    if (users_.insert(text).second)
        static_cast<void>(count(text.size() + 8));
    return text;
}

void Translator::left_out(const YamlNode& node, std::string_view text, const char* why)
{
    note(node.where, fmt::format("{} is left out: {}", shown(text), why));
}

Ours Translator::selector(const YamlNode& node, const std::string& text, bool is_source)
{
    if (text == "*") {
        if (!is_source)
            note(node.where,
                 "\"*\" as dst opens no agent here, only what is outside the tunnel; name the "
                 "agents, too, where they are meant.");
        return {{"*"}, is_source};
    }
    if (text.starts_with("tag:") && parse_name(text.substr(4)))
        return {{text}, true};
    if (text.starts_with("group:") && groups_.count(text.substr(6)) != 0) {
        note_owners(node);
        return {{text}, true};
    }
    if (const auto owner = user(text)) {
        note_owners(node);
        return {{"owner:" + *owner}, true};
    }
    const bool is_ipset = text.starts_with("ipset:");
    const auto& known = is_ipset ? ipsets_ : hosts_;
    const std::string name = is_ipset                    ? text.substr(6)
                             : text.starts_with("host:") ? text.substr(5)
                                                         : text;
    if (const auto found = known.find(name); found != known.end()) {
        if (!is_usable(node, text, found->second, is_source))
            return {};
        return {{(is_ipset ? "ipset:" : "host:") + name}, false};
    }
    if (const auto prefixes = parse_prefixes(text)) {
        Ours ours;
        if (is_usable(node, text, *prefixes, is_source))
            for (const Prefix& prefix : *prefixes) ours.texts.push_back(to_text(prefix));
        return ours;
    }
    if (text.starts_with("autogroup:"))
        left_out(node, text, "autogroups have no counterpart.");
    else if (text.starts_with("group:") || is_ipset)
        left_out(node, text, "nothing of this name is kept of this file.");
    else
        left_out(node, text, "it has no counterpart.");
    return {};
}

void Translator::note_owners(const YamlNode& node)
{
    if (!has_noted_owners_)
        note(node.where,
             "Users and groups mean all agents of an owner here, those with tags included, "
             "which Tailscale does not count as the user's: give tagged agents another owner "
             "or none.");
    has_noted_owners_ = true;
}

bool Translator::is_usable(const YamlNode& node, const std::string& text,
                           const std::vector<Prefix>& prefixes, bool is_source)
{
    static const Prefix kTailnets[] = {*parse_prefix("100.64.0.0/10"),
                                       *parse_prefix("fd7a:115c:a1e0::/48")};
    static const Prefix kMulticast[] = {*parse_prefix("224.0.0.0/4"), *parse_prefix("ff00::/8")};
    static const std::vector<HardPrefix> kHardRules = hard_rules(Policy{});
    const auto is_in = [](const Prefix& prefix, const auto& networks) {
        return std::any_of(std::begin(networks), std::end(networks),
                           [&](const Prefix& network) { return network.contains(prefix); });
    };
    for (const Prefix& prefix : prefixes) {
        const HardPrefix* rule = is_source ? nullptr : find_hard_rule(kHardRules, prefix);
        if (rule != nullptr || (!is_source && is_in(prefix, kMulticast))) {
            note(node.where, fmt::format("{} is left out: {} is {}, which no grant opens.",
                                         shown(text), to_text(prefix),
                                         rule != nullptr ? describe(rule->rule) : "multicast"));
            return false;
        }
        if (is_in(prefix, kTailnets)) {
            note(node.where,
                 fmt::format("{} is left out: {} is of Tailscale's devices; name the agent "
                             "that takes its place.",
                             shown(text), to_text(prefix)));
            return false;
        }
    }
    return true;
}

}  // namespace sandgate::config::tailscale
