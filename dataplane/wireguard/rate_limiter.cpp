// See rate_limiter.h.
#include "dataplane/wireguard/rate_limiter.h"

#include <sodium.h>

#include <algorithm>
#include <bit>

namespace sandgate::wg {

RateLimiter::RateLimiter(size_t max_sources, std::span<const uint8_t, 16> key)
    : max_sources_(max_sources), buckets_(std::bit_ceil(2 * std::max<size_t>(max_sources, 1)))
{
    std::copy(key.begin(), key.end(), key_.begin());
}

bool RateLimiter::allow(const api::Address& source, uint64_t now_ns)
{
    constexpr uint64_t kFull = kBurst * kPacketCost;
    if (now_ns - swept_ns_ >= kIdle)
        forget_idle(now_ns);

    Bucket wanted{};
    wanted.is_v4 = source.is_v4();
    std::memcpy(&wanted.prefix, &source.bytes[wanted.is_v4 ? 8 : 0], sizeof(wanted.prefix));
    Bucket& bucket = *find_or_free(buckets_, wanted);
    if (!bucket.is_used) {
        if (used_ >= max_sources_)
            return false;
        bucket = wanted;
        bucket.is_used = true;
        bucket.last_ns = now_ns;
        bucket.tokens_ns = kFull - kPacketCost;
        used_++;
        return true;
    }
    const uint64_t tokens = std::min(kFull, bucket.tokens_ns + (now_ns - bucket.last_ns));
    const bool is_allowed = tokens >= kPacketCost;
    bucket.last_ns = now_ns;
    bucket.tokens_ns = static_cast<uint32_t>(is_allowed ? tokens - kPacketCost : tokens);
    return is_allowed;
}

RateLimiter::Bucket* RateLimiter::find_or_free(std::vector<Bucket>& buckets,
                                               const Bucket& wanted) const
{
    uint8_t input[9];
    std::memcpy(input, &wanted.prefix, 8);
    input[8] = wanted.is_v4;
    uint64_t hash;
    crypto_shorthash(reinterpret_cast<uint8_t*>(&hash), input, sizeof(input), key_.data());
    for (size_t i = hash;; i++) {
        Bucket& bucket = buckets[i & (buckets.size() - 1)];
        if (!bucket.is_used || (bucket.prefix == wanted.prefix && bucket.is_v4 == wanted.is_v4))
            return &bucket;
    }
}

// Open addressing cannot free one place in a chain, so the living move to a fresh table.
void RateLimiter::forget_idle(uint64_t now_ns)
{
    swept_ns_ = now_ns;
    if (used_ == 0)
        return;
    std::vector<Bucket> kept(buckets_.size());
    used_ = 0;
    for (const Bucket& bucket : buckets_) {
        if (bucket.is_used && now_ns - bucket.last_ns < kIdle) {
            *find_or_free(kept, bucket) = bucket;
            used_++;
        }
    }
    buckets_.swap(kept);
}

}  // namespace sandgate::wg
