// The nonce of WireGuard: 4 zero bytes, then the counter, little-endian (paper section 5.4.6).
#pragma once

#include <cstdint>
#include <cstring>

namespace sandgate::crypto {

// x86-64 is little-endian, as is everything in ChaCha20 and Poly1305, so words are copied as they
// are.
inline void write_nonce(uint8_t* nonce, uint64_t counter)
{
    std::memset(nonce, 0, 4);
    std::memcpy(nonce + 4, &counter, 8);
}

}  // namespace sandgate::crypto
