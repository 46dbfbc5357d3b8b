// The time stamp counter, read so that nothing moves across.
#pragma once

#include <x86intrin.h>

#include <cstdint>

namespace sandgate::perf {

inline uint64_t read_tsc()
{
    unsigned core;
    _mm_lfence();
    const uint64_t now = __rdtscp(&core);
    _mm_lfence();
    return now;
}

}  // namespace sandgate::perf
