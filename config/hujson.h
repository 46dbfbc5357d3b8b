// HuJSON, which is JSON with comments and trailing commas, as the same plain tree with places that
// yaml_tree.h makes of YAML. Bounded: bytes, depth and number of values. Keys given twice are
// faults, since of two values one would silently win.
#pragma once

#include <string>
#include <string_view>

#include "config/result.h"
#include "config/yaml_tree.h"

namespace sandgate::config {

constexpr size_t kMaxHujsonBytes = 4u << 20;
constexpr size_t kMaxHujsonDepth = 64;
constexpr size_t kMaxHujsonValues = 500'000;

// The one object of the text. Strings, numbers, true and false are scalars. `path` is what errors
// call the text; they have line and column, counted in bytes.
Result<YamlNode> parse_hujson(std::string_view text, const std::string& path);

}  // namespace sandgate::config
