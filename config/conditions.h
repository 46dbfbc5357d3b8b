// Attributes of agents and the conditions on them that grants make: `when: ["phase == install"]`.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/policy.h"

namespace sandgate::config {

// "NAME == VALUE", "NAME != VALUE", "NAME in [VALUE, VALUE]", "NAME is set", "NAME is not set".
Result<Condition> parse_condition(std::string_view text);
// A value of an attribute: one line, at most 100 bytes, no blank at its ends.
Result<std::string> parse_attribute_value(std::string_view text);

// Whether the condition holds at a time. What has expired is not set, and a comparison with what is
// not set does not hold, `!=` included.
bool holds(const Condition& condition, std::span<const Attribute> attributes, int64_t now_unix);
bool holds_all(std::span<const Condition> conditions, std::span<const Attribute> attributes,
               int64_t now_unix);

}  // namespace sandgate::config
