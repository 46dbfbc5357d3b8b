// Receiver indices: a keyed permutation that steers by owner; slots reused first-in first-out with
// a generation; wiped on release.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "dataplane/wireguard/session_table.h"

namespace sandgate::wg {

constexpr std::array<uint8_t, 16> kKey = {9, 8, 7, 6, 5, 4, 3, 2, 1};

TEST(SessionTable, finds_what_is_published_under_its_index_and_nothing_else)
{
    SessionTable table(1000, kKey);
    SessionIndex index;
    Session* session = table.allocate(3, index);
    ASSERT_NE(session, nullptr);
    EXPECT_EQ(table.find(index), nullptr) << "not published yet";
    EXPECT_EQ(table.slot_of(index), session);
    table.publish(session, index);
    EXPECT_EQ(table.find(index), session);
    for (unsigned bit = 0; bit < 32; bit++)
        EXPECT_EQ(table.find(index ^ 1u << bit), nullptr) << "bit " << bit;
    table.unpublish(session);
    EXPECT_EQ(table.find(index), nullptr);
    EXPECT_EQ(table.find(0), nullptr);
}

TEST(SessionTable, the_first_byte_on_the_wire_names_the_owner_under_a_constant_of_the_boot)
{
    SessionTable table(1 << 16, kKey);
    std::set<uint8_t> constants;
    for (unsigned i = 0; i < 4096; i++) {
        const auto worker = static_cast<WorkerId>(i % 16);
        SessionIndex index;
        ASSERT_NE(table.allocate(worker, index), nullptr);
        ASSERT_EQ(table.owner_of(index), worker);
        constants.insert(static_cast<uint8_t>((index & 0xff) >> 4 ^ worker));
    }
    EXPECT_EQ(constants.size(), 1u) << "a two-instruction dispatcher must be able to steer";
}

TEST(SessionTable, indices_are_a_permutation_and_do_not_run_in_order)
{
    SessionTable table(1 << 18, kKey);
    std::vector<SessionIndex> indices;
    SessionIndex index, last = 0;
    unsigned successors = 0;
    for (uint32_t i = 0; i < 1 << 18; i++) {
        Session* session = table.allocate(0, index);
        ASSERT_EQ(table.slot_of(index), session) << "inverse of the permutation";
        successors += (index >> 8) - (last >> 8) == 1;
        indices.push_back(last = index);
    }
    std::sort(indices.begin(), indices.end());
    EXPECT_EQ(std::adjacent_find(indices.begin(), indices.end()), indices.end())
        << "two slots, one index";
    EXPECT_LT(successors, 16u) << "sequential indices leak the number of peers";
    EXPECT_EQ(table.allocate(0, index), nullptr) << "full";
    EXPECT_EQ(table.used(), size_t{1} << 18);
}

TEST(SessionTable, another_key_gives_other_indices)
{
    SessionTable one(64, kKey), two(64, std::array<uint8_t, 16>{1});
    unsigned equal = 0;
    for (unsigned i = 0; i < 64; i++) {
        SessionIndex a, b;
        one.allocate(0, a);
        two.allocate(0, b);
        equal += a == b;
    }
    EXPECT_LT(equal, 4u);
}

TEST(SessionTable, reuses_slots_first_in_first_out_with_a_new_index_each_time)
{
    SessionTable table(4, kKey);
    Session* sessions[4];
    SessionIndex old[4], index;
    for (unsigned i = 0; i < 4; i++) {
        sessions[i] = table.allocate(1, old[i]);
        table.publish(sessions[i], old[i]);
    }
    EXPECT_EQ(table.allocate(1, index), nullptr);
    for (unsigned i : {2, 0, 3}) {
        table.unpublish(sessions[i]);
        table.release(sessions[i]);
    }
    for (unsigned i : {2, 0, 3}) {
        ASSERT_EQ(table.allocate(1, index), sessions[i]);
        EXPECT_NE(index, old[i]);
        table.publish(sessions[i], index);
        EXPECT_EQ(table.find(old[i]), nullptr) << "a stale index meets its slot again";
        EXPECT_EQ(table.find(index), sessions[i]);
    }
    EXPECT_EQ(table.find(old[1]), sessions[1]);
}

TEST(SessionTable, an_index_comes_back_only_after_64_lives_of_its_slot)
{
    SessionTable table(1, kKey);
    std::set<SessionIndex> seen;
    SessionIndex index;
    for (unsigned i = 0; i < 63; i++) {  // one of the 64 may be 0, which is skipped
        Session* session = table.allocate(0, index);
        EXPECT_NE(index, 0u);
        EXPECT_TRUE(seen.insert(index).second) << "life " << i;
        table.release(session);
    }
}

TEST(SessionTable, a_released_session_holds_no_secret_and_no_trace)
{
    SessionTable table(1, kKey);
    SessionIndex index;
    Session* session = table.allocate(0, index);
    session->receive_key.span()[5] = 77;
    session->send_key.span()[6] = 78;
    session->identity = 12;
    session->remote_index = 13;
    session->send_counter = 14;
    session->is_initiator = session->is_confirmed = true;
    session->replay.accept(99);
    table.publish(session, index);
    table.unpublish(session);
    table.release(session);
    ASSERT_EQ(table.allocate(0, index), session);
    EXPECT_TRUE(session->receive_key.is_zero());
    EXPECT_TRUE(session->send_key.is_zero());
    EXPECT_EQ(session->identity, 0u);
    EXPECT_EQ(session->remote_index, 0u);
    EXPECT_EQ(session->send_counter.load(), 0u);
    EXPECT_FALSE(session->is_initiator || session->is_confirmed);
    EXPECT_TRUE(session->replay.accept(99));
}

}  // namespace sandgate::wg
