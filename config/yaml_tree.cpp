// yaml-cpp's events to a tree.
#include "config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <sstream>

namespace sandgate::config {
namespace {

using Kind = YamlNode::Kind;

Where where_of(const YAML::Mark& mark)
{
    if (mark.is_null())
        return {};
    return {static_cast<uint32_t>(mark.line + 1), static_cast<uint32_t>(mark.column + 1)};
}

class TreeBuilder : public YAML::EventHandler
{
  public:
    explicit TreeBuilder(uint32_t file) : file_(file) {}
    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnAnchor(const YAML::Mark& mark, const std::string&) override { refuse_anchor(mark); }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark); }
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        leaf(mark, "", anchor, {});
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override
    {
        // "?" is the tag of a plain scalar; "~" and "null" then mean nothing, as an empty value
        // does.
        const bool is_null = tag != "!" && (value.empty() || value == "~" || value == "null");
        leaf(mark, tag, anchor, is_null ? std::nullopt : std::optional(value));
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override
    {
        open(mark, tag, anchor, Kind::kSequence);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override
    {
        open(mark, tag, anchor, Kind::kMap);
    }
    void OnMapEnd() override { close(); }

    YamlNode take() { return std::move(root_); }

  private:
    struct Level
    {
        YamlNode node;
        YamlNode key;
        bool has_key = false;
    };

    [[noreturn]] static void refuse_anchor(const YAML::Mark& mark)
    {
        throw YamlFault{
            "Anchors and aliases (& and *) are not part of the policy language; quote a text "
            "that starts with one of them.",
            where_of(mark)};
    }

    Where place_of(const YAML::Mark& mark) const
    {
        Where where = where_of(mark);
        where.file = file_;
        return where;
    }

    void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor)
    {
        if (anchor != 0)
            refuse_anchor(mark);
        if (!tag.empty() && tag != "?" && tag != "!")
            throw YamlFault{"Tags (!) are not part of the policy language.", where_of(mark)};
        if (++nodes_ > kMaxYamlNodes)
            throw YamlFault{
                fmt::format("More than {} values; put agents into a file of agents_from.",
                            kMaxYamlNodes),
                where_of(mark)};
    }

    void leaf(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
              std::optional<std::string> text)
    {
        check(mark, tag, anchor);
        YamlNode node;
        node.where = place_of(mark);
        if (text) {
            node.kind = Kind::kScalar;
            node.text = std::move(*text);
        }
        place_node(std::move(node));
    }

    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Kind kind)
    {
        check(mark, tag, anchor);
        if (levels_.size() >= kMaxYamlDepth)
            throw YamlFault{fmt::format("Nested deeper than {} levels.", kMaxYamlDepth),
                            where_of(mark)};
        levels_.emplace_back();
        levels_.back().node.kind = kind;
        levels_.back().node.where = place_of(mark);
    }

    void close()
    {
        YamlNode node = std::move(levels_.back().node);
        levels_.pop_back();
        place_node(std::move(node));
    }

    void place_node(YamlNode node)
    {
        if (levels_.empty()) {
            root_ = std::move(node);
            return;
        }
        Level& level = levels_.back();
        if (level.node.kind == Kind::kSequence) {
            level.node.items.push_back(std::move(node));
        } else if (!level.has_key) {
            level.key = std::move(node);
            level.has_key = true;
        } else {
            level.node.entries.push_back({std::move(level.key), std::move(node)});
            level.has_key = false;
        }
    }

    uint32_t file_;
    YamlNode root_;
    std::vector<Level> levels_;
    size_t nodes_ = 0;
};

}  // namespace

YamlNode parse_yaml(std::string_view text, uint32_t file)
{
    if (text.size() > kMaxYamlBytes)
        throw YamlFault{
            fmt::format("The file is larger than {} MiB; put agents into a file of agents_from.",
                        kMaxYamlBytes >> 20),
            {}};
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(file);
    if (!parser.HandleNextDocument(builder))
        return {};
    YamlNode root = builder.take();
    TreeBuilder second(file);
    if (parser.HandleNextDocument(second))
        throw YamlFault{"A second document; a policy is one document.", second.take().where};
    return root;
}

}  // namespace sandgate::config
