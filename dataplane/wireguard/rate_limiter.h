// How many handshakes a source address may ask for while we are under load: a token bucket per IPv4
// address or IPv6 /64, 20 per second with bursts of 5, as Linux has it. The table is bounded,
// allocated once, keyed by a random SipHash so that nobody can aim at a bucket, and refuses new
// sources while it is full.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/api/ids.h"

namespace sandgate::wg {

class RateLimiter
{
  public:
    static constexpr uint64_t kPacketCost = 1'000'000'000 / 20;  // nanoseconds of waiting
    static constexpr uint64_t kBurst = 5;
    static constexpr uint64_t kIdle =
        1'000'000'000;  // a source that was silent for so long is forgotten

    RateLimiter(size_t max_sources, std::span<const uint8_t, 16> key);

    bool allow(const api::Address& source, uint64_t now_ns);
    size_t sources() const { return used_; }

  private:
    struct Bucket
    {
        uint64_t prefix;  // the /64, or the IPv4 address
        uint64_t last_ns;
        uint32_t tokens_ns;
        bool is_used;
        bool is_v4;
    };
    Bucket* find_or_free(std::vector<Bucket>& buckets, const Bucket& wanted) const;
    void forget_idle(uint64_t now_ns);

    size_t max_sources_;
    size_t used_ = 0;
    uint64_t swept_ns_ = 0;
    std::array<uint8_t, 16> key_;
    std::vector<Bucket> buckets_;  // open addressing, at most half full
};

}  // namespace sandgate::wg
