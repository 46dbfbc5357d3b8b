// The limiter of handshakes per source: the behaviours of Linux' selftest/ratelimiter.c.
#include <gtest/gtest.h>

#include "dataplane/wireguard/messages.h"
#include "dataplane/wireguard/rate_limiter.h"
#include "tests/support/joined_gateways.h"

namespace sandgate::test {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kStart = 100 * kSecond;

class RateLimiterTest : public testing::Test
{
  protected:
    static constexpr std::array<uint8_t, 16> kKey = {1, 2, 3};
    // Five pass, the sixth fails, one after 50 ms, two after 100 ms more.
    void expect_bucket(const api::Address& source, uint64_t from)
    {
        const struct
        {
            bool is_allowed;
            uint64_t wait_ms;
        } steps[] = {{true, 0},  {true, 0},  {true, 0},   {true, 0}, {true, 0}, {false, 0},
                     {true, 50}, {false, 0}, {true, 100}, {true, 0}, {false, 0}};
        uint64_t now = from;
        for (const auto& step : steps) {
            now += step.wait_ms * kMs;
            ASSERT_EQ(limiter.allow(source, now), step.is_allowed) << (now - from) / kMs << " ms";
        }
    }
    RateLimiter limiter{64, kKey};
};

TEST_F(RateLimiterTest, allows_a_burst_of_5_and_20_per_second)
{
    expect_bucket(endpoint_v4(1, 0).address, kStart);
}

TEST_F(RateLimiterTest, a_neighbouring_ipv4_address_has_its_own_bucket)
{
    expect_bucket(endpoint_v4(1, 0).address, kStart);
    expect_bucket(endpoint_v4(2, 0).address, kStart);
}

TEST_F(RateLimiterTest, an_ipv6_network_of_64_shares_a_bucket_and_its_neighbour_does_not)
{
    for (uint8_t i = 0; i < 5; i++) EXPECT_TRUE(limiter.allow(endpoint_v6(i, 0).address, kStart));
    EXPECT_FALSE(limiter.allow(endpoint_v6(99, 0).address, kStart));
    EXPECT_TRUE(limiter.allow(endpoint_v6(99, 0, 1).address, kStart));
}

TEST_F(RateLimiterTest, a_full_table_refuses_new_sources_until_others_were_silent_for_a_second)
{
    for (uint8_t i = 0; i < 64; i++) ASSERT_TRUE(limiter.allow(endpoint_v4(i, 0).address, kStart));
    EXPECT_FALSE(limiter.allow(endpoint_v4(200, 0).address, kStart));
    EXPECT_TRUE(limiter.allow(endpoint_v4(3, 0).address, kStart)) << "known sources go on";
    EXPECT_EQ(limiter.sources(), 64u);
    EXPECT_TRUE(limiter.allow(endpoint_v4(200, 0).address, kStart + 2 * kSecond));
    EXPECT_EQ(limiter.sources(), 1u);
}

TEST_F(RateLimiterTest, forgetting_the_idle_keeps_the_busy)
{
    for (uint8_t i = 0; i < 5; i++)
        ASSERT_TRUE(limiter.allow(endpoint_v4(1, 0).address, kStart + kSecond - kMs));
    EXPECT_FALSE(limiter.allow(endpoint_v4(1, 0).address, kStart + kSecond + kMs));
}

}  // namespace sandgate::test
