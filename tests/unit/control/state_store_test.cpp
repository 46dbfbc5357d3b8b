// The journal of timestamps and endpoints: what it keeps, and what a crash may do to it.
#include "control/daemon/state_store.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/control/temp_dir.h"

namespace sandgate::test {

using control::StateStore;

namespace {

api::SeedBody seed(uint32_t identity, uint8_t time, uint16_t port = 0)
{
    api::SeedBody s{};
    s.identity = identity;
    s.timestamp[0] = 0x40;
    s.timestamp[11] = time;
    s.endpoint.port = port;
    return s;
}

struct StateStoreTest : testing::Test
{
    TempDir dir;
    std::string path = dir / "agents.state";
    uint8_t time_of(uint32_t identity)
    {
        StateStore store(path);
        EXPECT_EQ(store.open(), "");
        const auto* found = store.find(identity);
        return found == nullptr ? 0 : found->timestamp[11];
    }
};

TEST_F(StateStoreTest, remembers_over_a_restart)
{
    {
        StateStore store(path);
        ASSERT_EQ(store.open(), "");
        store.note(seed(1, 10, 5000));
        store.note(seed(2, 20));
        store.note_epoch(7);
        ASSERT_EQ(store.flush(), "");
        store.note(seed(1, 11));
        ASSERT_EQ(store.flush(), "");
        EXPECT_FALSE(store.has_unsaved());
    }
    StateStore store(path);
    ASSERT_EQ(store.open(), "");
    EXPECT_EQ(store.epoch(), 7u);
    ASSERT_NE(store.find(1), nullptr);
    EXPECT_EQ(store.find(1)->timestamp[11], 11);
    EXPECT_EQ(store.find(1)->endpoint.port, 5000) << "a note without endpoint forgot the known one";
    EXPECT_EQ(store.find(2)->timestamp[11], 20);
    EXPECT_EQ(store.all().size(), 2u);
}

TEST_F(StateStoreTest, never_takes_an_older_timestamp)
{
    StateStore store(path);
    ASSERT_EQ(store.open(), "");
    store.note(seed(1, 10));
    ASSERT_EQ(store.flush(), "");
    store.note(seed(1, 9));
    EXPECT_EQ(store.find(1)->timestamp[11], 10);
    EXPECT_FALSE(store.has_unsaved()) << "nothing changed, nothing is to be written";
}

TEST_F(StateStoreTest, survives_a_torn_write_at_every_length)
{
    {
        StateStore store(path);
        ASSERT_EQ(store.open(), "");
        store.note(seed(1, 10));
        ASSERT_EQ(store.flush(), "");
        store.note(seed(1, 11));
        ASSERT_EQ(store.flush(), "");
    }
    const auto whole = std::filesystem::file_size(path);
    const std::string content = dir.read("agents.state");
    for (uint64_t length = whole / 2; length <= whole; length++) {
        dir.write("agents.state", content.substr(0, length));
        EXPECT_EQ(time_of(1), length == whole ? 11 : 10) << "torn after " << length << " bytes";
        EXPECT_EQ(std::filesystem::file_size(path), length == whole ? whole : whole / 2)
            << "the tail must go, or it hides what is appended behind it";
    }
}

TEST_F(StateStoreTest, goes_on_after_a_damaged_tail)
{
    {
        StateStore store(path);
        ASSERT_EQ(store.open(), "");
        store.note(seed(1, 10));
        ASSERT_EQ(store.flush(), "");
    }
    dir.write("agents.state", dir.read("agents.state") + std::string(100, 'x'));
    {
        StateStore store(path);
        ASSERT_EQ(store.open(), "");
        EXPECT_EQ(store.discarded_bytes(), 100u);
        store.note(seed(2, 30));
        ASSERT_EQ(store.flush(), "");
    }
    EXPECT_EQ(time_of(1), 10);
    EXPECT_EQ(time_of(2), 30);
}

TEST_F(StateStoreTest, is_rewritten_when_it_outgrows_its_agents)
{
    StateStore store(path);
    ASSERT_EQ(store.open(), "");
    for (unsigned round = 1; round <= 3000; round++) {
        api::SeedBody s = seed(1 + round % 3, 0);
        s.timestamp[10] = static_cast<uint8_t>(round >> 8);
        s.timestamp[11] = static_cast<uint8_t>(round);
        store.note(s);
        if (round % 2 == 0) {
            ASSERT_EQ(store.flush(), "");
        }
    }
    EXPECT_LT(store.records_on_disk(), 1100u);
    StateStore again(path);
    ASSERT_EQ(again.open(), "");
    EXPECT_EQ(again.all().size(), 3u);
    EXPECT_EQ(again.find(1)->timestamp[11], static_cast<uint8_t>(3000));
    EXPECT_EQ(again.find(1)->timestamp[10], 3000 >> 8);
}

TEST_F(StateStoreTest, says_which_file_cannot_be_opened)
{
    StateStore store(dir / "missing/agents.state");
    EXPECT_NE(store.open().find("missing/agents.state"), std::string::npos);
}

TEST_F(StateStoreTest, refuses_identities_that_cannot_exist)
{
    StateStore store(path);
    ASSERT_EQ(store.open(), "");
    store.note(seed(0, 1));
    store.note(seed(api::kMaxIdentity + 1, 1));
    EXPECT_TRUE(store.all().empty());
}

}  // namespace
}  // namespace sandgate::test
