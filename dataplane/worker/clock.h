// Monotonic nanoseconds from the time-stamp counter, read once per burst.
#pragma once

#include <rte_cycles.h>

#include <cstdint>

namespace sandgate::dp {

class Clock
{
  public:
    explicit Clock(uint64_t tsc_hz)
        : ns_per_tick_(
              static_cast<uint64_t>((static_cast<unsigned __int128>(1'000'000'000) << 32) / tsc_hz))
    {
    }

    uint64_t now_ns() const { return ns_of(rte_rdtsc()); }
    uint64_t ns_of(uint64_t ticks) const
    {
        return static_cast<uint64_t>(static_cast<unsigned __int128>(ticks) * ns_per_tick_ >> 32);
    }

  private:
    uint64_t ns_per_tick_;  // in 2^-32 ns
};

}  // namespace sandgate::dp
