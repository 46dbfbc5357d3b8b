// The sliding window of received counters (RFC 6479): 8,192 bits, of which 8,128 behind the
// greatest counter are usable because one word is always being cleared. Checked before decryption
// only to refuse what can never be accepted; updated only for authentic packets. Not safe for
// concurrent use: its owner is the session's worker.
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/wireguard/messages.h"

namespace sandgate::wg {

class ReplayWindow
{
  public:
    static constexpr uint64_t kBits = 8192;
    static constexpr uint64_t kUsable = kBits - 64;

    // True when no later event can make this counter acceptable: past REJECT_AFTER_MESSAGES, left
    // of the window or already received.
    bool is_stale(uint64_t counter) const
    {
        if (counter >= kRejectAfterMessages || counter + kUsable + 1 < next_)
            return true;
        return counter < next_ && (word(counter) >> (counter & 63) & 1) != 0;
    }

    // Records an authentic counter; false when it was received before or is left of the window.
    bool accept(uint64_t counter)
    {
        if (is_stale(counter))
            return false;
        if (counter >= next_) {
            const uint64_t newest = counter / 64;
            const uint64_t previous = next_ == 0 ? ~uint64_t{0} : (next_ - 1) / 64;
            const uint64_t steps = newest - previous;  // wraps to newest + 1 for the first counter
            if (steps >= kWords)
                std::memset(words_, 0, sizeof(words_));
            else
                for (uint64_t i = 1; i <= steps; i++) words_[(previous + i) % kWords] = 0;
            next_ = counter + 1;
        }
        word(counter) |= uint64_t{1} << (counter & 63);
        return true;
    }

    void prefetch(uint64_t counter) const
    {
        __builtin_prefetch(&next_);
        __builtin_prefetch(&word(counter));
    }

    void reset() { *this = ReplayWindow{}; }

  private:
    static constexpr uint64_t kWords = kBits / 64;
    uint64_t& word(uint64_t counter) { return words_[counter / 64 % kWords]; }
    const uint64_t& word(uint64_t counter) const { return words_[counter / 64 % kWords]; }

    uint64_t next_ = 0;  // one past the greatest counter received
    uint64_t words_[kWords] = {};
};

}  // namespace sandgate::wg
