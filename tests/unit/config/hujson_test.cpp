// HuJSON as a tree. What its importer refuses is in import_tailscale_test.cpp.
#include "config/hujson.h"

#include <gtest/gtest.h>

namespace sandgate::config {
namespace {

TEST(Hujson, keeps_the_places_of_what_follows_comments)
{
    const auto root = parse_hujson(
        "\xef\xbb\xbf{ // one \"two\n  /* {\n */ \"a//b\": [ \"/*\", 1.5e3 , ], \"c\": null, }",
        "f");
    ASSERT_TRUE(root) << root.error().text();
    ASSERT_EQ(root->entries.size(), 2u);
    EXPECT_EQ(root->entries[0].key.text, "a//b");
    EXPECT_EQ(root->entries[0].key.where.line, 3u);
    EXPECT_EQ(root->entries[0].key.where.column, 5u);
    ASSERT_EQ(root->entries[0].value.items.size(), 2u);
    EXPECT_EQ(root->entries[0].value.items[0].text, "/*");
    EXPECT_EQ(root->entries[0].value.items[1].text, "1.5e3");
    EXPECT_EQ(root->entries[0].value.items[1].where.column, 21u);
    EXPECT_EQ(root->entries[1].value.kind, YamlNode::Kind::kNull);
}

TEST(Hujson, refuses_what_is_no_object_with_its_place)
{
    EXPECT_EQ(parse_hujson("{\n /* \n}", "f").error().text(), "f:2:2: The comment does not end.");
    EXPECT_EQ(parse_hujson("{\"a\": 1,\n\"a\": 2}", "f").error().text(),
              "f:2:1: The key is there twice.");
    EXPECT_EQ(parse_hujson("{\"a\":" + std::string(100'000, '['), "f").error().text(),
              "f:1:69: More than 64 levels.");
    for (const char* text : {"", "[]", "1", "{,}", "{\"a\": [,]}", "{\"a\": [1,,]}", "{} {}"})
        EXPECT_FALSE(parse_hujson(text, "f")) << text;
}

}  // namespace
}  // namespace sandgate::config
