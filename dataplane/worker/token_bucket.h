// A token bucket with an external clock: `rate` tokens per second, at most `burst` saved.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sandgate::dp {

class TokenBucket
{
  public:
    TokenBucket(uint64_t rate, uint64_t burst) : rate_(rate), burst_(burst), tokens_(burst) {}

    bool take(uint64_t now_ns)
    {
        if (now_ns > last_ns_) {
            const uint64_t gained =
                std::min<uint64_t>(now_ns - last_ns_, 1'000'000'000) * rate_ / 1'000'000'000;
            if (gained > 0) {
                tokens_ = std::min(burst_, tokens_ + gained);
                last_ns_ = now_ns;
            }
        }
        if (tokens_ == 0)
            return false;
        tokens_--;
        return true;
    }

  private:
    uint64_t rate_, burst_, tokens_;
    uint64_t last_ns_ = 0;
};

}  // namespace sandgate::dp
