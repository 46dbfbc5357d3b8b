// The translator of import_tailscale.h from the inside: import_tailscale.cpp has its frame and what
// the result looks like, import_tailscale_names.cpp the sections that name things and the selectors
// that use the names, import_tailscale_rules.cpp acls, grants and tests.
#pragma once

#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/import_tailscale.h"
#include "config/parse.h"
#include "config/yaml_tree.h"

namespace sandgate::config::tailscale {

using Kind = YamlNode::Kind;
using Texts = std::vector<std::string>;

// Whether a text is ASCII without blanks and control bytes.
bool is_printable(std::string_view text);
// A text as a remark shows it, on one line of ASCII whatever it holds.
std::string shown(std::string_view text);
// Tailscale reads keys and protocols without regard to case.
std::string lower(std::string_view text);
// A printable text as YAML takes it for one word, in quotes where it needs them.
std::string quoted(const std::string& text);
std::string flow_list(const Texts& texts);

// What one of Tailscale's selectors is here.
struct Ours
{
    Texts texts;
    bool is_agents = false;  // as opposed to addresses
};

// The fields of an object by their keys in small letters.
using Fields = std::map<std::string, const YamlEntry*>;

// What a rule opens with one kind of traffic.
struct Opening
{
    Texts traffic, destinations;
    bool has_agents = false;
};

// Translates one text. A fault of the text as a whole ends in run(); what has no counterpart is a
// remark and goes on.
class Translator
{
  public:
    explicit Translator(const std::string& path) : path_(path) {}

    Result<Translation> run(const YamlNode& root);

  private:
    // The first fault is the one that is told.
    void fail(Where where, const std::string& key_path, const std::string& what);
    void note(Where where, std::string what);

    // Whether there is room for so many bytes more of the result. A small file can say "all of
    // these to all of those" often.
    bool count(size_t bytes);

    Fields fields(const YamlNode& node, const std::string& key_path);
    const std::vector<YamlNode>& list(const YamlNode& node, const std::string& key_path);

    // Items of a list of strings.
    template <class Each>
    void strings(const YamlNode& node, const std::string& key_path, Each each)
    {
        for (const YamlNode& item : list(node, key_path)) {
            if (item.kind != Kind::kScalar)
                fail(item.where, key_path, "Expected a list of strings.");
            else if (!is_too_large_)
                each(item);
        }
    }

    void section(const char* key, void (Translator::*translate)(const YamlNode&));

    // Each entry of a section that gives names: NAME with PREFIX, in the language of parse_name().
    template <class Each>
    void named(const YamlNode& node, const char* section, std::string_view prefix, Each each)
    {
        if (node.kind != Kind::kMap && node.kind != Kind::kNull)
            fail(node.where, section, "Expected an object.");
        for (const YamlEntry& entry : node.entries) {
            const std::string_view text = entry.key.text;
            const bool has_prefix = text.starts_with(prefix);
            const auto name = parse_name(text.substr(has_prefix ? prefix.size() : 0));
            if (has_prefix && name)
                each(*name, entry, fmt::format("{}.{}", section, *name));
            else
                note(entry.key.where,
                     fmt::format("{} is left out: it is not \"{}\" and a name of letters, digits, "
                                 "'.', '_' and '-'.",
                                 shown(text), prefix));
        }
    }

    // A posture that every grant needs is a condition on all of them.
    void default_posture();

    void hosts(const YamlNode& node);
    void ipsets(const YamlNode& node);
    void put_host(std::map<std::string, std::vector<Prefix>>& known, const char* section,
                  const std::string& name, const std::vector<Prefix>& prefixes);

    // An address, a network or a range.
    std::optional<std::vector<Prefix>> addresses(const YamlNode& node, std::string_view text);

    void groups(const YamlNode& node);
    void tag_owners(const YamlNode& node);

    // A user's name, kept for the section users; nothing when the text is not one.
    std::optional<std::string> user(const std::string& text);

    void left_out(const YamlNode& node, std::string_view text, const char* why);

    // Tells why when nothing is left of it.
    Ours selector(const YamlNode& node, const std::string& text, bool is_source);

    // A tag takes the place of its device's user with Tailscale, and does not here.
    void note_owners(const YamlNode& node);

    // Whether a grant may name the addresses, and means what the file meant.
    bool is_usable(const YamlNode& node, const std::string& text,
                   const std::vector<Prefix>& prefixes, bool is_source);

    // Ports of a protocol; without a protocol those of TCP and UDP, and ICMP, as Tailscale has it.
    // What cannot be said exactly is left out.
    Texts traffic(const YamlNode& node, const std::string& protocol, std::string_view ports);

    // "HOST:PORTS" in two; "[fd00::1]:22" without its brackets. False and told: it is not that.
    bool split(const YamlNode& node, std::string& host, std::string& ports);

    void acls(const YamlNode& node) { rules(node, "acls", "acl"); }
    void grants(const YamlNode& node) { rules(node, "grants", "grant"); }

    void rules(const YamlNode& node, const char* section, const char* word);

    void rule(const YamlNode& node, const std::string& key_path, const std::string& name,
              bool is_acl);

    // Writes the grants that a rule comes to.
    void put(const YamlNode& node, const std::string& name, const std::vector<Opening>& openings,
             const Texts& agents, const Texts& outsiders, const std::string& key_path);

    std::vector<Opening> acl_openings(const Fields& fields, const YamlNode& destination,
                                      const std::string& key_path);

    std::vector<Opening> grant_openings(const Fields& fields, const YamlNode& node,
                                        const YamlNode& destination, const std::string& key_path);

    void tests(const YamlNode& node);
    void test(const YamlNode& node, const std::string& key_path);

    // Without a protocol TCP and UDP are tried. ICMP is not, which a test of a port does not mean.
    Texts targets(const YamlNode* node, const std::string& key_path, const std::string& protocol);

    // Notes the tags and owners that validate() will want agents for.
    void need(const Texts& selectors);

    void put(const char* section, const std::string& text, bool is_entry = true);

    // Why the file is refused as it is, and what to do about it.
    std::string head() const;
    std::string body() const;

    const std::string& path_;
    Fields sections_;
    std::optional<Error> error_;  // the first
    std::vector<Remark> remarks_;
    std::map<std::string, std::string> bodies_;  // of our sections
    std::set<std::string> filled_;               // those that are more than comments
    std::map<std::string, std::vector<Prefix>> hosts_, ipsets_;
    std::set<std::string> groups_, users_;
    std::set<std::string> needed_;  // selectors of agents
    bool has_tag_owners_ = false, has_default_posture_ = false, has_noted_owners_ = false;
    size_t bytes_ = 0;
    bool is_too_large_ = false;
};

}  // namespace sandgate::config::tailscale
