// The AEADs of handshakes: ChaCha20-Poly1305 with associated data (counter nonce), and
// XChaCha20-Poly1305 for cookies (24-byte nonce). Both by libsodium: they are not on the packet
// path.
#pragma once

#include <cstdint>
#include <span>

#include "crypto/blake2s.h"
#include "crypto/kdf.h"

namespace sandgate::crypto {

// AEAD(key, counter, text, ad) of the paper. out has text.size() + 16 bytes.
void aead_seal(uint8_t* out, const Key& key, uint64_t counter, Bytes text, Bytes ad);
// sealed includes the tag; out has sealed.size() - 16 bytes and is zeroed on failure. False: not
// authentic.
[[nodiscard]] bool aead_open(uint8_t* out, const Key& key, uint64_t counter, Bytes sealed,
                             Bytes ad);

// XAEAD(key, nonce, text, ad) of the paper.
void xaead_seal(uint8_t* out, Bytes key, std::span<const uint8_t, 24> nonce, Bytes text, Bytes ad);
[[nodiscard]] bool xaead_open(uint8_t* out, Bytes key, std::span<const uint8_t, 24> nonce,
                              Bytes sealed, Bytes ad);

}  // namespace sandgate::crypto
