// The replay window against the 34 vectors and the fills of the Linux selftest
// (selftest/counter.c), and against a naive model.
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <set>

#include "dataplane/wireguard/replay_window.h"

namespace sandgate::wg {

constexpr uint64_t kWindow = ReplayWindow::kUsable;

class ReplayWindowTest : public testing::Test
{
  protected:
    ReplayWindow window;
};

TEST_F(ReplayWindowTest, agrees_with_the_34_vectors_of_linux)
{
    constexpr uint64_t kLimit = kWindow + 1;
    constexpr uint64_t kReject = kRejectAfterMessages;
    const struct
    {
        uint64_t counter;
        bool is_accepted;
    } vectors[] = {
        {0, true},
        {1, true},
        {1, false},
        {9, true},
        {8, true},
        {7, true},
        {7, false},
        {kLimit, true},
        {kLimit - 1, true},
        {kLimit - 1, false},
        {kLimit - 2, true},
        {2, true},
        {2, false},
        {kLimit + 16, true},
        {3, false},
        {kLimit + 16, false},
        {kLimit * 4, true},
        {kLimit * 4 - (kLimit - 1), true},
        {10, false},
        {kLimit * 4 - kLimit, false},
        {kLimit * 4 - (kLimit + 1), false},
        {kLimit * 4 - (kLimit - 2), true},
        {kLimit * 4 + 1 - kLimit, false},
        {0, false},
        {kReject, false},
        {kReject - 1, true},
        {kReject, false},
        {kReject - 1, false},
        {kReject - 2, true},
        {kReject + 1, false},
        {kReject + 2, false},
        {kReject - 2, false},
        {kReject - 3, true},
        {0, false},
    };
    unsigned number = 1;
    for (const auto& vector : vectors)
        EXPECT_EQ(window.accept(vector.counter), vector.is_accepted) << "vector " << number++;
    EXPECT_EQ(std::size(vectors), 34u);
}

TEST_F(ReplayWindowTest, holds_a_full_window_filled_upwards_and_its_oldest_once)
{
    for (uint64_t i = 1; i <= kWindow; i++) ASSERT_TRUE(window.accept(i));
    EXPECT_TRUE(window.accept(0));
    EXPECT_FALSE(window.accept(0));
}

TEST_F(ReplayWindowTest, refuses_what_is_one_left_of_the_window)
{
    for (uint64_t i = 2; i <= kWindow + 1; i++) ASSERT_TRUE(window.accept(i));
    EXPECT_TRUE(window.accept(1));
    EXPECT_FALSE(window.accept(0));
}

TEST_F(ReplayWindowTest, holds_a_full_window_filled_downwards)
{
    for (uint64_t i = kWindow + 1; i-- > 0;) ASSERT_TRUE(window.accept(i));
    window.reset();
    for (uint64_t i = kWindow + 2; i-- > 1;) ASSERT_TRUE(window.accept(i));
    EXPECT_FALSE(window.accept(0));
}

TEST_F(ReplayWindowTest, moves_by_one_after_a_full_window)
{
    for (uint64_t i = kWindow + 1; i-- > 1;) ASSERT_TRUE(window.accept(i));
    EXPECT_TRUE(window.accept(kWindow + 1));
    EXPECT_FALSE(window.accept(0));
    window.reset();
    for (uint64_t i = kWindow + 1; i-- > 1;) ASSERT_TRUE(window.accept(i));
    EXPECT_TRUE(window.accept(0));
    EXPECT_TRUE(window.accept(kWindow + 1));
}

TEST_F(ReplayWindowTest, accepts_each_counter_once_like_a_set_would)
{
    std::mt19937_64 random(3);
    std::set<uint64_t> seen;
    uint64_t greatest = 0;
    for (int i = 0; i < 200'000; i++) {
        uint64_t jump = random() % 4 == 0 ? random() % 20'000 : random() % 64;
        const uint64_t counter =
            random() % 2 ? greatest + jump : greatest - std::min(greatest, jump);
        const bool is_new = counter + kWindow >= greatest && !seen.contains(counter);
        ASSERT_EQ(window.is_stale(counter), !is_new) << counter << " after " << greatest;
        ASSERT_EQ(window.accept(counter), is_new) << counter << " after " << greatest;
        if (is_new) {
            seen.insert(counter);
            greatest = std::max(greatest, counter);
        }
    }
}

}  // namespace sandgate::wg
