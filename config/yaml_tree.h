// A YAML document as a plain tree with places, built from yaml-cpp's events rather than its nodes:
// keys given twice stay visible, and limits act while the text is read, not afterwards. Anchors,
// aliases and tags are refused, so a tree is never larger than its text.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/policy.h"

namespace sandgate::config {

constexpr size_t kMaxYamlBytes = 16u << 20;
constexpr size_t kMaxYamlDepth = 16;
constexpr size_t kMaxYamlNodes = 2'000'000;

struct YamlEntry;

struct YamlNode
{
    enum class Kind
    {
        kNull,
        kScalar,
        kSequence,
        kMap
    };

    Kind kind = Kind::kNull;
    Where where;
    std::string text;  // of a scalar
    std::vector<YamlNode> items;
    std::vector<YamlEntry> entries;  // in the text's order
};

struct YamlEntry
{
    YamlNode key, value;
};

// A limit that was passed or a construct that the policy language does not have.
struct YamlFault
{
    std::string what;
    Where where;
};

// The one document of the text; a null node when it is empty. `file` is what its places say. Throws
// YamlFault and what yaml-cpp throws: of the programs only load.cpp calls this, and catches both.
YamlNode parse_yaml(std::string_view text, uint32_t file);

}  // namespace sandgate::config
