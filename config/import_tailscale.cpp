// The frame: the sections in the order in which they need each other, and what comes out.
#include "config/import_tailscale.h"

#include <algorithm>

#include "config/hujson.h"
#include "config/tailscale_translator.h"

namespace sandgate::config {
namespace tailscale {

bool is_printable(std::string_view text)
{
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::string shown(std::string_view text)
{
    std::string out = "\"";
    for (const char c : text.substr(0, 60)) out += c >= 0x20 && c < 0x7f ? c : '?';
    return out + (text.size() > 60 ? "...\"" : "\"");
}

std::string lower(std::string_view text)
{
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::string quoted(const std::string& text)
{
    static constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@/:-";
    const auto is_word = [](char c) { return c != '.' && c != '_' && c != '-'; };
    const bool is_plain = text.find_first_not_of(kPlain) == std::string::npos && !text.empty() &&
                          is_word(text.front()) && text.front() != '@' && text.front() != '/' &&
                          std::count(text.begin(), text.end(), ':') < 2 && text.front() != ':' &&
                          text.back() != ':' && lower(text) != "null";
    if (is_plain)
        return text;
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            out += '\\';
        out += c;
    }
    return out + "\"";
}

std::string flow_list(const Texts& texts)
{
    std::string out = "[";
    for (const std::string& text : texts) out += (out.size() > 1 ? ", " : "") + quoted(text);
    return out + "]";
}

Result<Translation> Translator::run(const YamlNode& root)
{
    sections_ = fields(root, "");
    default_posture();
    section("hosts", &Translator::hosts);
    section("ipsets", &Translator::ipsets);
    section("groups", &Translator::groups);
    section("tagowners", &Translator::tag_owners);
    section("acls", &Translator::acls);
    section("grants", &Translator::grants);
    section("tests", &Translator::tests);
    for (const auto& [key, entry] : sections_)
        note(entry->key.where, fmt::format("The section {} has no counterpart and is left out.",
                                           shown(entry->key.text)));
    std::stable_sort(remarks_.begin(), remarks_.end(),
                     [](const Remark& a, const Remark& b) { return a.where.line < b.where.line; });
    Translation result{head() + body(), std::move(remarks_)};
    if (result.yaml.size() > kMaxYamlBytes)
        is_too_large_ = true;
    if (is_too_large_)
        return Error{fmt::format("The policy would be larger than {} bytes, which is more than "
                                 "a policy may have.",
                                 kMaxYamlBytes),
                     path_};
    if (error_)
        return *error_;
    return result;
}

void Translator::fail(Where where, const std::string& key_path, const std::string& what)
{
    if (!error_)
        error_ = Error{key_path.empty() ? what : key_path + ": " + what, place(path_, where)};
}

void Translator::note(Where where, std::string what)
{
    if (count(what.size()))
        remarks_.push_back({std::move(what), where});
}

bool Translator::count(size_t bytes)
{
    bytes_ += bytes;
    is_too_large_ |= bytes_ > kMaxYamlBytes;
    return !is_too_large_;
}

Fields Translator::fields(const YamlNode& node, const std::string& key_path)
{
    Fields found;
    if (node.kind != Kind::kMap)
        fail(node.where, key_path, "Expected an object.");
    for (const YamlEntry& entry : node.entries)
        if (!found.emplace(lower(entry.key.text), &entry).second)
            fail(entry.key.where, key_path,
                 fmt::format("The key {} is there twice, in capital and small letters.",
                             shown(entry.key.text)));
    return found;
}

const std::vector<YamlNode>& Translator::list(const YamlNode& node, const std::string& key_path)
{
    if (node.kind != Kind::kSequence && node.kind != Kind::kNull)
        fail(node.where, key_path, "Expected a list.");
    return node.items;
}

void Translator::section(const char* key, void (Translator::*translate)(const YamlNode&))
{
    const auto found = sections_.find(key);
    if (found == sections_.end())
        return;
    (this->*translate)(found->second->value);
    sections_.erase(found);
}

void Translator::default_posture()
{
    const auto found = sections_.find("defaultsrcposture");
    if (found == sections_.end())
        return;
    has_default_posture_ =
        found->second->value.kind != Kind::kSequence || !found->second->value.items.empty();
    note(found->second->key.where,
         "Device postures have no counterpart, and this one is asked of every grant: no grant "
         "is kept.");
    sections_.erase(found);
}

void Translator::need(const Texts& selectors)
{
    for (const std::string& selector : selectors)
        if (selector.starts_with("tag:") || selector.starts_with("owner:"))
            needed_.insert(selector);
}

void Translator::put(const char* section, const std::string& text, bool is_entry)
{
    if (!count(text.size()))
        return;
    bodies_[section] += text;
    if (is_entry)
        filled_.insert(section);
}

std::string Translator::head() const
{
    std::string out = fmt::format(
        "# Made by `sandgate policy import tailscale` from {}.\n"
        "#\n"
        "# Agents are not in a Tailscale file. Add them, or include this file where they are;\n"
        "# `sandgate policy check` refuses it until each of these has an agent, and says "
        "which\n"
        "# has none and on which line. What is not wanted any more is to be deleted.\n",
        shown(path_));
    for (const std::string& selector : needed_) out += fmt::format("#   {}\n", selector);
    out += remarks_.empty() ? "#\n# Everything in it has a counterpart.\n"
                            : "#\n# What is not as it was there, by line:\n";
    for (const Remark& remark : remarks_)
        out += fmt::format("#   {}: {}\n", remark.where.line, remark.what);
    return out;
}

std::string Translator::body() const
{
    std::string out;
    if (!users_.empty()) {
        out += "\nusers:\n";
        for (const std::string& user : users_) out += "  - " + quoted(user) + "\n";
    }
    for (const char* section : {"tagOwners", "groups", "hosts", "ipsets", "grants", "tests"}) {
        const auto found = bodies_.find(section);
        const bool is_filled = filled_.count(section) != 0;
        // Without the section, tags would be everybody's.
        if (!is_filled && (std::string_view(section) != "tagOwners" || !has_tag_owners_))
            continue;
        out += fmt::format("\n{}:{}\n", section, is_filled ? "" : " {}");
        out += found == bodies_.end() ? "" : found->second;
    }
    return out;
}

}  // namespace tailscale

Result<Translation> import_tailscale(std::string_view text, const std::string& path)
{
    const auto root = parse_hujson(text, path);
    if (!root)
        return root.error();
    return tailscale::Translator(path).run(*root);
}

}  // namespace sandgate::config
