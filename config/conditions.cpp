// Reading conditions and asking them.
#include "config/conditions.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/parse.h"

namespace sandgate::config {
namespace {

std::string_view trimmed(std::string_view text)
{
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

// Takes a word from the front when it stands there alone.
bool take(std::string_view& text, std::string_view word)
{
    if (!text.starts_with(word) ||
        (text.size() > word.size() && text[word.size()] != ' ' && word.back() != '='))
        return false;
    text = trimmed(text.substr(word.size()));
    return true;
}

Error malformed(std::string_view text)
{
    return Error{fmt::format(
        "\"{}\" is no condition: write NAME == VALUE, NAME != VALUE, NAME in [VALUE, VALUE], NAME "
        "is set or NAME is not set.",
        text.substr(0, 60))};
}

}  // namespace

Result<std::string> parse_attribute_value(std::string_view text)
{
    auto value = parse_remark(text);
    if (!value || value->size() > 100 || trimmed(*value) != *value)
        return Error{"A value is one line of 1 to 100 characters without a blank at its ends."};
    return value;
}

Result<Condition> parse_condition(std::string_view text)
{
    Condition condition;
    condition.text = trimmed(text);
    std::string_view rest = condition.text;
    const size_t name_end = rest.find_first_of(" =!");
    auto name = parse_name(rest.substr(0, name_end));
    if (name_end == std::string_view::npos || !name)
        return malformed(text);
    condition.attribute = std::move(*name);
    rest = trimmed(rest.substr(name_end));
    std::vector<std::string_view> values;
    if (take(rest, "is not set")) {
        condition.is = Condition::kNotSet;
    } else if (take(rest, "is set")) {
        condition.is = Condition::kSet;
    } else if (take(rest, "==") || take(rest, "!=")) {
        const size_t at = condition.text.find_first_of("=!");
        condition.is = condition.text[at] == '=' ? Condition::kEqual : Condition::kNotEqual;
        values.push_back(rest);
        rest = {};
    } else if (take(rest, "in") && rest.size() >= 2 && rest.front() == '[' && rest.back() == ']') {
        condition.is = Condition::kIn;
        rest = rest.substr(1, rest.size() - 2);
        for (size_t comma = 0; comma != std::string_view::npos;) {
            comma = rest.find(',');
            values.push_back(trimmed(rest.substr(0, comma)));
            if (comma != std::string_view::npos)
                rest.remove_prefix(comma + 1);
        }
        rest = {};
    } else {
        return malformed(text);
    }
    if (!rest.empty())
        return malformed(text);
    for (const std::string_view one : values) {
        auto value = parse_attribute_value(one);
        if (!value)
            return malformed(text);
        condition.values.push_back(std::move(*value));
    }
    return condition;
}

bool holds(const Condition& condition, std::span<const Attribute> attributes, int64_t now_unix)
{
    const auto found = std::find_if(
        attributes.begin(), attributes.end(),
        [&](const Attribute& attribute) { return attribute.name == condition.attribute; });
    const bool is_set =
        found != attributes.end() && (found->expires_unix == 0 || found->expires_unix > now_unix);
    if (condition.is == Condition::kSet || condition.is == Condition::kNotSet)
        return is_set == (condition.is == Condition::kSet);
    if (!is_set)
        return false;
    const bool is_there = std::find(condition.values.begin(), condition.values.end(),
                                    found->value) != condition.values.end();
    return is_there == (condition.is != Condition::kNotEqual);
}

bool holds_all(std::span<const Condition> conditions, std::span<const Attribute> attributes,
               int64_t now_unix)
{
    return std::all_of(conditions.begin(), conditions.end(), [&](const Condition& condition) {
        return holds(condition, attributes, now_unix);
    });
}

}  // namespace sandgate::config
