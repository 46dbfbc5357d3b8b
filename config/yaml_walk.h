// Walking a YAML tree: kinds, keys, key paths and faults. What the sections of the policy have in
// common; the sections themselves are in load_gateway.cpp and load_rights.cpp. Private to config/.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/load.h"
#include "config/parse.h"
#include "config/yaml_tree.h"
#include "dataplane/api/bounds.h"

namespace sandgate::config {

class YamlWalk
{
  protected:
    using Kind = YamlNode::Kind;

    struct Field
    {
        std::string_view key;
        bool is_required;
        std::function<void(const YamlNode&)> handler;
    };
    static constexpr bool kRequired = true;
    static constexpr bool kOptional = false;

    // `files` is what errors call the texts, by the number that places carry.
    YamlWalk(const std::vector<std::string>& files, std::vector<Error>& errors)
        : files_(files), errors_(errors)
    {
    }

    // The walk goes on in another text; relative paths are relative to its folder.
    void enter(uint32_t file);

    void fail(const YamlNode& node, const std::string& what) { fail(node.where, what); }

    void fail(Where where, const std::string& what);

    // Runs `inside` with a longer key path.
    template <class Inside>
    void at(const std::string& step, Inside inside)
    {
        const size_t length = path_.size();
        path_ += step;
        inside();
        path_.resize(length);
    }

    std::string step(std::string_view key) const
    {
        return (path_.empty() ? "" : ".") + std::string(key);
    }

    bool is(const YamlNode& node, Kind kind, const char* wanted);

    void map(const YamlNode& node, const std::vector<Field>& fields);

    // Notes a key; a key that is there already is an error.
    bool is_new(std::vector<std::pair<std::string_view, Where>>& seen, const YamlNode& key);

    template <class PerItem>
    void each(const YamlNode& node, PerItem per_item)
    {
        if (node.kind == Kind::kNull || !is(node, Kind::kSequence, "a list"))
            return;
        for (size_t i = 0; i < node.items.size(); i++)
            at(fmt::format("[{}]", i), [&] { per_item(node.items[i]); });
    }

    template <class PerItem>
    void one_or_more(const YamlNode& node, PerItem per_item)
    {
        if (node.kind == Kind::kScalar)
            per_item(node);
        else if (node.kind == Kind::kNull || (node.kind == Kind::kSequence && node.items.empty()))
            fail(node, "Expected at least one value.");
        else
            each(node, per_item);
    }

    // A map whose keys are names of the policy's own.
    template <class PerEntry>
    void named(const YamlNode& node, PerEntry per_entry)
    {
        if (node.kind == Kind::kNull || !is(node, Kind::kMap, "a map"))
            return;
        std::set<std::string_view> seen;
        for (const auto& [key, value] : node.entries) {
            const auto name = key.kind == Kind::kScalar
                                  ? parse_name(key.text)
                                  : Result<std::string>(Error{"A name is a word."});
            if (!name)
                fail(key, name.error().what);
            else if (!seen.insert(key.text).second)
                fail(key, fmt::format("\"{}\" is there twice.", key.text));
            else
                at(step(key.text),
                   [&, &key = key, &value = value] { per_entry(*name, key.where, value); });
        }
    }

    std::optional<std::string> text(const YamlNode& node);

    // The value that one of parse.h's functions makes of a scalar.
    template <class T>
    std::optional<T> parsed(const YamlNode& node, Result<T> (*parse)(std::string_view))
    {
        if (!is(node, Kind::kScalar, "a single value"))
            return std::nullopt;
        auto value = parse(node.text);
        if (!value) {
            fail(node, value.error().what);
            return std::nullopt;
        }
        return std::move(*value);
    }

    template <class T>
    void number(const YamlNode& node, T& out, uint64_t least, uint64_t most)
    {
        if (!is(node, Kind::kScalar, "a number"))
            return;
        const auto value = parse_number(node.text);
        if (!value || *value < least || *value > most)
            fail(node, fmt::format("Expected a number from {} to {}.", least, most));
        else
            out = static_cast<T>(*value);
    }

    template <class T>
    void number(const YamlNode& node, std::optional<T>& out, uint64_t least, uint64_t most)
    {
        T value{};
        const size_t before = errors_.size();
        number(node, value, least, most);
        if (errors_.size() == before)
            out = value;
    }

    void size(const YamlNode& node, std::optional<uint64_t>& out, api::Range range)
    {
        number(node, out, range.least, range.most);
    }

    void boolean(const YamlNode& node, bool& out);

    void file_path(const YamlNode& node, std::string& out);

    void socket_path(const YamlNode& node, std::string& out);

    // A path as the file that is being read means it.
    std::filesystem::path beside(const std::string& name) const { return directory_ / name; }
    std::vector<Error>& errors() { return errors_; }

  private:
    const std::vector<std::string>& files_;
    std::filesystem::path directory_;
    std::vector<Error>& errors_;
    std::string path_;  // of keys, where the walk is
};

}  // namespace sandgate::config
