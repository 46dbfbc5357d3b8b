// What config keeps on disk: the id map and key files.
#include "config/id_map.h"
#include "config/key_file.h"
#include "tests/unit/config/support.h"

namespace sandgate::config {
namespace {

TEST(IdMap, never_gives_an_id_again)
{
    const ScratchDirectory scratch;
    const std::string path = scratch.path + "/ids";
    for (uint32_t round = 0; round < 4; round++) {
        auto ids = IdMap::load(path);
        ASSERT_TRUE(ids) << ids.error().text();
        EXPECT_EQ(ids->identity_of("a"), 1u);
        EXPECT_EQ(ids->identity_of("agent" + std::to_string(round)), round + 2);
        EXPECT_EQ(ids->rule_of("a"), 1u);
        EXPECT_TRUE(ids->is_changed());
        ASSERT_TRUE(ids->save(path));
        EXPECT_FALSE(ids->is_changed());
    }
    EXPECT_EQ(IdMap::load(path)->find_identity("agent9"), api::kNoIdentity);
    EXPECT_EQ(IdMap::load(path)->find_identity("agent2"), 4u);
    EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST(IdMap, keeps_the_id_of_a_name_that_left_and_returns)
{
    const auto agent = [](const std::string& name, uint32_t key) {
        return "  - {name: " + name + ", public_key: " + base64_key(key) +
               ", addresses: [10.66.0." + std::to_string(key + 1) + "]}\n";
    };
    IdMap ids;
    compiled(good_policy("agents:\n" + agent("a", 1) + agent("b", 2)), ids);
    compiled(good_policy("agents:\n" + agent("a", 1)), ids);
    compiled(good_policy("agents:\n" + agent("c", 3)), ids);
    const Compiled last = compiled(good_policy("agents:\n" + agent("d", 4) + agent("b", 2)), ids);
    EXPECT_EQ(last.agents.at(0).identity, 2u);
    EXPECT_EQ(last.find_agent(2)->name, "b");
    EXPECT_EQ(last.find_agent(4)->name, "d");
    EXPECT_EQ(last.find_agent(3), nullptr);
}

TEST(IdMap, runs_out_instead_of_starting_again)
{
    auto ids = IdMap::from_text("sandgate-id-map 1\nnext-identity 16777215\nnext-rule 1\n", "ids");
    ASSERT_TRUE(ids);
    EXPECT_EQ(ids->identity_of("a"), api::kMaxIdentity);
    EXPECT_EQ(ids->identity_of("b"), api::kNoIdentity);
    const auto again = IdMap::from_text(ids->to_text(), "ids");
    ASSERT_TRUE(again);
    EXPECT_EQ(again->to_text(), ids->to_text());
}

TEST(IdMap, refuses_a_damaged_file)
{
    const std::string head = "sandgate-id-map 1\nnext-identity 3\nnext-rule 2\n";
    const std::pair<std::string, std::string> kBad[] = {
        {"", "The id map ends in the middle of a line."},
        {"sandgate-id-map 2\n", "does not start with"},
        {"sandgate-id-map 1\n", "lacks its next free ids"},
        {"sandgate-id-map 1\nnext-identity 0\nnext-rule 1\n", "lacks its next free ids"},
        {head + "identity 1 a", "middle of a line"},
        {head + "identity 3 a\n", "never given"},
        {head + "identity 0 a\n", "never given"},
        {head + "identity 1 a\nidentity 1 b\n", "id is there twice"},
        {head + "identity 1 a\nidentity 2 a\n", "name is there twice"},
        {head + "identity 1 a b\n", "is not a name"},
        {head + "id 1 a\n", "neither an identity nor a rule"},
    };
    for (const auto& [text, error] : kBad) {
        const auto ids = IdMap::from_text(text, "ids");
        ASSERT_FALSE(ids) << text;
        EXPECT_NE(ids.error().what.find(error), std::string::npos) << ids.error().text();
    }
    EXPECT_EQ(IdMap::from_text(head + "identity 1 a\nbad\n", "ids").error().where, "ids:5");
}

TEST(KeyFile, takes_a_private_file_alone)
{
    const ScratchDirectory scratch;
    const std::string path = scratch.write("k", base64_key(6) + "\n");
    chmod(path.c_str(), 0600);
    const auto key = load_key_file(path);
    ASSERT_TRUE(key) << key.error().text();
    EXPECT_EQ(key->data()[0], 7);

    for (const mode_t mode : {0640, 0604, 0620, 0610}) {
        chmod(path.c_str(), mode);
        ASSERT_FALSE(load_key_file(path));
        EXPECT_NE(load_key_file(path).error().what.find("run: chmod 600 " + path),
                  std::string::npos);
    }
    chmod(path.c_str(), 0600);
    ASSERT_EQ(symlink(path.c_str(), (scratch.path + "/link").c_str()), 0);
    EXPECT_EQ(load_key_file(scratch.path + "/link").error().what,
              "The key file is a symbolic link; name the file itself.");
    EXPECT_EQ(load_key_file(scratch.path).error().what, "The key file is not a regular file.");
    EXPECT_EQ(load_key_file(scratch.path + "/none").error().what,
              "The key file cannot be opened: No such file or directory.");
    if (geteuid() == 0 && chown(path.c_str(), 12345, 0) == 0) {
        EXPECT_NE(load_key_file(path).error().what.find("belongs to somebody else (user 12345)"),
                  std::string::npos);
    }
}

TEST(KeyFile, takes_32_bytes_of_base64_alone)
{
    const ScratchDirectory scratch;
    for (const std::string& text :
         {std::string(), std::string("AAAA\n"), base64_key(6) + base64_key(6),
          base64_key(6).substr(0, 43), base64_key(6) + "\nx",
          std::string("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), std::string(100, '\0')}) {
        const std::string path = scratch.write("k", text);
        chmod(path.c_str(), 0600);
        EXPECT_FALSE(load_key_file(path)) << text;
    }
}

}  // namespace
}  // namespace sandgate::config
