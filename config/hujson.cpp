// Comments and trailing commas become blanks of the same length, so that what simdjson finds in the
// rest stands where it stood in the text.
#include "config/hujson.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace sandgate::config {
namespace {

namespace ondemand = simdjson::ondemand;

struct Fault
{
    std::string what;
    size_t offset;
};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// One pass over the text that makes it JSON and knows its depth.
class Stripper
{
  public:
    explicit Stripper(std::string& text) : text_(text) {}

    std::optional<Fault> run()
    {
        if (text_.starts_with("\xef\xbb\xbf"))
            blank(0, 3);
        while (at_ < text_.size() && !fault_) step();
        return fault_;
    }

  private:
    static constexpr size_t kNone = std::string::npos;

    void step()
    {
        const char c = text_[at_];
        if (c == '"')
            return string();
        if (c == '/')
            return comment();
        if (c == '{' || c == '[') {
            if (++depth_ > kMaxHujsonDepth)
                fault_ = Fault{fmt::format("More than {} levels.", kMaxHujsonDepth), at_};
        } else if (c == '}' || c == ']') {
            depth_ -= depth_ > 0 ? 1 : 0;
            // A comma behind nothing stays, and is an error.
            if (comma_ != kNone && last_ == comma_ && before_comma_ != kNone &&
                std::string_view("{[,:").find(text_[before_comma_]) == std::string_view::npos)
                text_[comma_] = ' ';
        } else if (c == ',') {
            comma_ = at_;
            before_comma_ = last_;
        }
        if (!is_space(c))
            last_ = at_;
        at_++;
    }

    void string()
    {
        const size_t start = at_++;
        while (at_ < text_.size() && text_[at_] != '"') {
            if (static_cast<unsigned char>(text_[at_]) < 0x20) {
                fault_ = Fault{"A string holds a control character or does not end.", at_};
                return;
            }
            at_ += text_[at_] == '\\' ? 2 : 1;
        }
        if (at_ >= text_.size())
            fault_ = Fault{"The string does not end.", start};
        last_ = at_++;
    }

    void comment()
    {
        const size_t start = at_;
        const bool is_line = text_.compare(at_, 2, "//") == 0;
        if (!is_line && text_.compare(at_, 2, "/*") != 0) {
            fault_ = Fault{"A '/' begins a comment only before another one or '*'.", at_};
            return;
        }
        const size_t end = is_line ? text_.find('\n', at_) : text_.find("*/", at_ + 2);
        if (end == std::string::npos && !is_line) {
            fault_ = Fault{"The comment does not end.", start};
            return;
        }
        at_ = end == std::string::npos ? text_.size() : end + (is_line ? 0 : 2);
        blank(start, at_);
    }

    // Line ends stay, so that lines keep their numbers.
    void blank(size_t from, size_t to)
    {
        std::replace_if(
            text_.begin() + static_cast<std::ptrdiff_t>(from),
            text_.begin() + static_cast<std::ptrdiff_t>(to), [](char c) { return c != '\n'; }, ' ');
    }

    std::string& text_;
    std::optional<Fault> fault_;
    size_t at_ = 0, depth_ = 0;
    size_t last_ = kNone;  // the last byte that is neither blank nor in a comment
    size_t comma_ = kNone, before_comma_ = kNone;
};

// JSON to tree.
class TreeBuilder
{
  public:
    explicit TreeBuilder(std::string_view text) : text_(text)
    {
        for (size_t i = 0; i < text.size(); i++)
            if (text[i] == '\n')
                lines_.push_back(i + 1);
    }

    Where where(size_t offset) const
    {
        const auto line = std::upper_bound(lines_.begin(), lines_.end(), offset);
        return {static_cast<uint32_t>(line - lines_.begin()),
                static_cast<uint32_t>(offset - *(line - 1) + 1)};
    }

    // Throws Fault and simdjson_error; `at()` is near the latter.
    YamlNode build(ondemand::document& document)
    {
        YamlNode root;
        root.kind = YamlNode::Kind::kMap;
        ondemand::object object = document.get_object();
        root.where = where(at_ = text_.find('{'));
        fields(object, root);
        // Once all is read there is no location any more.
        if (document.current_location().error() == simdjson::SUCCESS)
            throw Fault{"Something follows the object.", offset_of(document.current_location())};
        return root;
    }

    size_t at() const { return at_; }

  private:
    size_t offset_of(simdjson::simdjson_result<const char*> location) const
    {
        const char* pointer = nullptr;
        if (std::move(location).get(pointer) != simdjson::SUCCESS || pointer < text_.data())
            return at_;
        return std::min(static_cast<size_t>(pointer - text_.data()), text_.size());
    }

    void fields(ondemand::object object, YamlNode& node)
    {
        std::set<std::string> keys;
        for (auto field : object) {
            YamlEntry entry;
            entry.key.kind = YamlNode::Kind::kScalar;
            at_ = static_cast<size_t>(ondemand::raw_json_string(field.key()).raw() - text_.data()) -
                  1;
            entry.key.where = where(at_);
            entry.key.text = std::string_view(field.unescaped_key());
            if (!keys.insert(entry.key.text).second)
                throw Fault{"The key is there twice.", at_};
            entry.value = value(field.value());
            node.entries.push_back(std::move(entry));
        }
    }

    YamlNode value(ondemand::value value)
    {
        if (++values_ > kMaxHujsonValues)
            throw Fault{fmt::format("More than {} values.", kMaxHujsonValues), at_};
        YamlNode node;
        node.where = where(at_ = offset_of(value.current_location()));
        node.kind = YamlNode::Kind::kScalar;
        switch (ondemand::json_type(value.type())) {
            case ondemand::json_type::object:
                node.kind = YamlNode::Kind::kMap;
                fields(value.get_object(), node);
                break;
            case ondemand::json_type::array:
                node.kind = YamlNode::Kind::kSequence;
                for (auto item : value.get_array()) node.items.push_back(this->value(item.value()));
                break;
            case ondemand::json_type::string:
                node.text = std::string_view(value.get_string());
                break;
            case ondemand::json_type::number:
                node.text = value.raw_json_token();
                node.text.erase(node.text.find_last_not_of(" \t\r\n") + 1);
                static_cast<void>(double(value.get_double()));
                break;
            case ondemand::json_type::boolean:
                node.text = bool(value.get_bool()) ? "true" : "false";
                break;
            case ondemand::json_type::null:
                if (!value.is_null())
                    throw Fault{"This is not JSON.", at_};
                node.kind = YamlNode::Kind::kNull;
        }
        return node;
    }

    std::string_view text_;
    std::vector<size_t> lines_{0};  // where each begins
    size_t at_ = 0;                 // of the last key or value
    size_t values_ = 0;
};

}  // namespace

Result<YamlNode> parse_hujson(std::string_view text, const std::string& path)
{
    if (text.size() > kMaxHujsonBytes)
        return Error{fmt::format("The file is larger than {} bytes.", kMaxHujsonBytes), path};
    std::string stripped(text);
    const std::optional<Fault> fault = Stripper(stripped).run();
    const simdjson::padded_string padded(stripped);
    TreeBuilder builder(std::string_view(padded.data(), padded.size()));
    if (fault)
        return Error{fault->what, place(path, builder.where(fault->offset))};
    ondemand::parser parser;
    try {
        ondemand::document document = parser.iterate(padded);
        return builder.build(document);
    } catch (const Fault& found) {
        return Error{found.what, place(path, builder.where(found.offset))};
    } catch (const simdjson::simdjson_error& found) {
        // Faults of the first pass over the text as a whole have no place.
        const bool has_place = builder.at() != 0;
        return Error{fmt::format("This is not an object of JSON: {}{}", found.what(),
                                 std::string_view(found.what()).ends_with('.') ? "" : "."),
                     place(path, has_place ? builder.where(builder.at()) : Where{})};
    }
}

}  // namespace sandgate::config
