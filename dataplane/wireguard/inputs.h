// What the handshake code takes from outside instead of asking for it: time and randomness.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>

namespace sandgate::wg {

struct Time
{
    uint64_t monotonic_ns;
    uint64_t unix_ns;  // for TAI64N timestamps alone
};

using Timestamp = std::array<uint8_t, 12>;                   // TAI64N, compares as bytes
using FillRandom = std::function<void(std::span<uint8_t>)>;  // fills with unpredictable bytes

}  // namespace sandgate::wg
