// X25519 of eight keys and eight points at once, in the 64-bit lanes of AVX-512 IFMA.
#pragma once

#include <cstdint>

namespace sandgate::crypto::x25519_avx512 {

constexpr int kLanes = 8;

// Each pointer is to 32 bytes, of any alignment; results may not overlap the inputs.
struct Lanes
{
    const uint8_t* private_key[kLanes];
    const uint8_t* public_key[kLanes];
    uint8_t* shared[kLanes];  // out
};

// RFC 7748, section 5, with its clamping and masking. Bit i of the result: lane i's secret is not
// zero, so its point was not of low order.
uint64_t multiply(const Lanes& lanes);

}  // namespace sandgate::crypto::x25519_avx512
