// Padding, expiry, rekeying and counters of data packets; shapes of messages.
#include <gtest/gtest.h>

#include <memory>

#include "dataplane/wireguard/data.h"

namespace sandgate::wg {

TEST(Padding, rounds_up_to_16_and_never_passes_the_mtu)
{
    const struct
    {
        uint32_t inner, mtu, padded;
    } cases[] = {
        {0, 1420, 0},       {1, 1420, 16},      {16, 1420, 16},     {17, 1420, 32},
        {1408, 1420, 1408}, {1409, 1420, 1420}, {1420, 1420, 1420}, {1280, 1280, 1280},
        {1279, 1280, 1280}, {1299, 1299, 1299}, {1297, 1299, 1299}, {1500, 1420, 1500},
    };
    for (const auto& c : cases)
        EXPECT_EQ(padded_bytes(c.inner, c.mtu), c.padded) << c.inner << " bytes at MTU " << c.mtu;
}

TEST(Messages, are_well_formed_only_with_a_known_type_and_its_length)
{
    const struct
    {
        uint8_t type;
        size_t length;
        bool is_good;
    } cases[] = {
        {1, 148, true},  {1, 147, false}, {1, 149, false}, {2, 92, true},  {2, 91, false},
        {3, 64, true},   {3, 65, false},  {4, 32, true},   {4, 31, false}, {4, 1452, true},
        {0, 148, false}, {5, 64, false},  {1, 3, false},   {1, 0, false},
    };
    uint8_t bytes[2048] = {};
    for (const auto& c : cases) {
        bytes[0] = c.type;
        EXPECT_EQ(is_well_formed(bytes, c.length), c.is_good)
            << "type " << int{c.type} << ", " << c.length;
    }
    bytes[0] = 4;
    bytes[2] = 1;
    EXPECT_FALSE(is_well_formed(bytes, 64)) << "reserved bytes must be zero";
}

class SessionAge : public testing::Test
{
  protected:
    SessionAge()
    {
        session->birth_ns = kBirth;
        session->is_confirmed = true;
    }
    static constexpr uint64_t kBirth = 50 * kSecond;
    std::unique_ptr<Session> session = std::make_unique<Session>();
};

TEST_F(SessionAge, ends_at_180_s_and_not_before)
{
    EXPECT_FALSE(is_expired(*session, kBirth + kRejectAfterTime - 1));
    EXPECT_TRUE(is_expired(*session, kBirth + kRejectAfterTime));
    EXPECT_FALSE(is_expired(*session, kBirth - 1)) << "a burst's clock may lag behind";
    EXPECT_TRUE(can_send(*session, kBirth + kRejectAfterTime - 1));
    EXPECT_FALSE(can_send(*session, kBirth + kRejectAfterTime));
    session->is_confirmed = false;
    EXPECT_FALSE(can_send(*session, kBirth));
}

TEST_F(SessionAge, asks_for_a_new_one_at_120_s_on_sending_and_165_s_on_receiving_as_initiator_only)
{
    EXPECT_FALSE(needs_rekey_on_send(*session, kBirth + 179 * kSecond));
    EXPECT_FALSE(needs_rekey_on_receive(*session, kBirth + 179 * kSecond));
    session->is_initiator = true;
    EXPECT_FALSE(needs_rekey_on_send(*session, kBirth + 120 * kSecond - 1));
    EXPECT_TRUE(needs_rekey_on_send(*session, kBirth + 120 * kSecond));
    EXPECT_FALSE(needs_rekey_on_receive(*session, kBirth + 165 * kSecond - 1));
    EXPECT_TRUE(needs_rekey_on_receive(*session, kBirth + 165 * kSecond));
}

TEST_F(SessionAge, either_side_asks_for_a_new_one_after_2_to_the_60_messages)
{
    session->send_counter = kRekeyAfterMessages;
    EXPECT_FALSE(needs_rekey_on_send(*session, kBirth));
    session->send_counter = kRekeyAfterMessages + 1;
    EXPECT_TRUE(needs_rekey_on_send(*session, kBirth));
}

TEST_F(SessionAge, counters_stop_at_reject_after_messages_and_are_never_given_twice)
{
    uint64_t first;
    EXPECT_EQ(take_counters(*session, 64, first), 64u);
    EXPECT_EQ(first, 0u);
    EXPECT_EQ(take_counters(*session, 1, first), 1u);
    EXPECT_EQ(first, 64u);
    session->send_counter = kRejectAfterMessages - 3;
    EXPECT_EQ(take_counters(*session, 64, first), 3u);
    EXPECT_EQ(first, kRejectAfterMessages - 3);
    EXPECT_EQ(take_counters(*session, 1, first), 0u);
    EXPECT_FALSE(can_send(*session, kBirth));
    static_assert(kRejectAfterMessages == UINT64_MAX - (uint64_t{1} << 13));
}

}  // namespace sandgate::wg
