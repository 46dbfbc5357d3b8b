// The timer heap against a naive model, and the load meter.
#include "dataplane/wireguard/timers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "dataplane/wireguard/load_meter.h"

namespace sandgate::wg {

TEST(TimerHeap, gives_items_in_order_of_time_whatever_was_moved_or_cancelled)
{
    struct Item : Timed
    {
        uint64_t due = kNever;
    };
    std::vector<Item> items(500);
    std::mt19937_64 random(1);
    TimerHeap heap;
    uint64_t now = 0;
    for (int step = 0; step < 20'000; step++) {
        Item& item = items[random() % items.size()];
        item.due = random() % 5 == 0 ? kNever : now + random() % 1000;
        heap.schedule(item, item.due);
        const uint64_t least =
            std::min_element(items.begin(), items.end(), [](const Item& a, const Item& b) {
                return a.due < b.due;
            })->due;
        ASSERT_EQ(heap.next_due_ns(), least);
        if (step % 3 == 0) {
            now += random() % 10;
            while (auto* due = static_cast<Item*>(heap.take_due(now))) {
                ASSERT_LE(due->due, now);
                due->due = kNever;
            }
            for (const Item& other : items) ASSERT_GT(other.due, now);
        }
    }
}

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kStart = 5 * kSecond;

TEST(LoadMeter, is_over_when_a_seconds_handshakes_cost_more_than_the_budget_and_for_a_second)
{
    LoadMeter meter(500 * kMs);
    meter.note_cost(499 * kMs, kStart);
    EXPECT_FALSE(meter.is_under_load(kStart));
    meter.note_cost(2 * kMs, kStart + 100 * kMs);
    EXPECT_TRUE(meter.is_under_load(kStart + 100 * kMs));
    EXPECT_TRUE(meter.is_under_load(kStart + 1099 * kMs));
    EXPECT_FALSE(meter.is_under_load(kStart + 1100 * kMs));
}

TEST(LoadMeter, forgets_cost_after_a_second)
{
    LoadMeter meter(500 * kMs);
    meter.note_cost(400 * kMs, kStart);
    meter.note_cost(400 * kMs, kStart + 1100 * kMs);
    EXPECT_FALSE(meter.is_under_load(kStart + 1100 * kMs));
}

TEST(LoadMeter, messages_turned_away_keep_it_over_because_they_would_have_cost)
{
    LoadMeter meter(500 * kMs);
    meter.note_cost(600 * kMs, kStart);
    for (uint64_t ms = 0; ms < 5000; ms++)
        for (int i = 0; i < 5; i++)  // 5,000 per second, each guessed at 0.15 ms
            meter.note_refused(kStart + ms * kMs);
    EXPECT_TRUE(meter.is_under_load(kStart + 5000 * kMs));
    EXPECT_FALSE(meter.is_under_load(kStart + 6100 * kMs));
}

TEST(LoadMeter, estimates_until_the_cost_is_measured)
{
    LoadMeter meter(500 * kMs);
    unsigned messages = 0;
    while (!meter.is_under_load(kStart) && messages < 100'000) {
        meter.note_accepted(kStart);
        messages++;
    }
    EXPECT_GT(messages, 1000u);
    EXPECT_LT(messages, 10'000u);

    LoadMeter measured(500 * kMs);
    for (unsigned i = 0; i < 50'000; i++) {  // 50,000 in a second, measured at 2 us each
        measured.note_accepted(kStart + i * 20'000);
        measured.note_cost(2'000, kStart + i * 20'000);
    }
    EXPECT_FALSE(measured.is_under_load(kStart + kSecond));
}

}  // namespace sandgate::wg
