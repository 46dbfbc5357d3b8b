// The walk's own faults: wrong kinds, unknown keys, keys given twice, values out of range.
#include "config/yaml_walk.h"

#include <algorithm>

namespace sandgate::config {

void YamlWalk::enter(uint32_t file)
{
    directory_ = std::filesystem::path(files_[file]).parent_path();
}

void YamlWalk::fail(Where where, const std::string& what)
{
    if (errors_.size() < kMaxErrors)
        errors_.push_back({path_.empty() ? what : fmt::format("{}: {}", path_, what),
                           place(files_[where.file], where)});
}

bool YamlWalk::is(const YamlNode& node, Kind kind, const char* wanted)
{
    if (node.kind == kind)
        return true;
    static constexpr const char* kFound[] = {"nothing", "a single value", "a list", "a map"};
    fail(node, fmt::format("Expected {}, found {}.", wanted, kFound[static_cast<int>(node.kind)]));
    return false;
}

void YamlWalk::map(const YamlNode& node, const std::vector<Field>& fields)
{
    if (node.kind != Kind::kNull && !is(node, Kind::kMap, "a map"))
        return;
    std::vector<std::pair<std::string_view, Where>> seen;
    for (const auto& [key, value] : node.entries) {
        const auto field = std::find_if(fields.begin(), fields.end(),
                                        [&key = key](const Field& f) { return f.key == key.text; });
        if (key.kind != Kind::kScalar) {
            fail(key, "A key must be a single word.");
        } else if (field == fields.end()) {
            std::vector<std::string_view> known;
            for (const Field& f : fields) known.push_back(f.key);
            const std::string hint = did_you_mean(key.text, known);
            fail(key,
                 fmt::format(
                     "Unknown key \"{}\"{}", key.text.substr(0, 60),
                     hint.empty() ? fmt::format("; known are {}.", fmt::join(known, ", ")) : hint));
        } else if (!is_new(seen, key)) {
            continue;
        } else {
            at(step(key.text), [&, &value = value] { field->handler(value); });
        }
    }
    for (const Field& field : fields)
        if (field.is_required && std::none_of(seen.begin(), seen.end(),
                                              [&](const auto& s) { return s.first == field.key; }))
            fail(node, fmt::format("The key \"{}\" is missing.", field.key));
}

bool YamlWalk::is_new(std::vector<std::pair<std::string_view, Where>>& seen, const YamlNode& key)
{
    for (const auto& [text, where] : seen) {
        if (text == key.text) {
            fail(key, fmt::format("The key \"{}\" is already on line {}.", key.text, where.line));
            return false;
        }
    }
    seen.emplace_back(key.text, key.where);
    return true;
}

std::optional<std::string> YamlWalk::text(const YamlNode& node)
{
    if (!is(node, Kind::kScalar, "a single value"))
        return std::nullopt;
    if (node.text.empty() || node.text.find('\0') != std::string::npos) {
        fail(node, "Expected a text that is not empty.");
        return std::nullopt;
    }
    return node.text;
}

void YamlWalk::boolean(const YamlNode& node, bool& out)
{
    if (!is(node, Kind::kScalar, "true or false"))
        return;
    if (node.text != "true" && node.text != "false")
        fail(node, "Expected true or false.");
    else
        out = node.text == "true";
}

void YamlWalk::file_path(const YamlNode& node, std::string& out)
{
    const auto name = text(node);
    if (!name)
        return;
    std::error_code ignored;
    const auto path = std::filesystem::absolute(beside(*name), ignored);
    out = path.empty() ? *name : path.lexically_normal().string();
}

void YamlWalk::socket_path(const YamlNode& node, std::string& out)
{
    file_path(node, out);
    if (out.size() > 107)
        fail(node, "The path of a socket has at most 107 bytes.");
}

}  // namespace sandgate::config
