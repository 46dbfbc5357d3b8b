// ChaCha20-Poly1305 (RFC 8439) in plain C++: no intrinsics, no instruction beyond the build's
// baseline. The parts are public to crypto/ and its tests, so that each vector of the RFC is
// checked on its own. No branch and no address depends on a key, a keystream, a text or a tag;
// lengths are public.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "crypto/aead.h"
#include "crypto/blake2s.h"

namespace sandgate::crypto::portable {

using Nonce = std::span<const uint8_t, 12>;

// Section 2.4: xors the keystream that begins at block number `block` into data.
void chacha20_xor(const uint8_t* key, Nonce nonce, uint32_t block, uint8_t* data, size_t bytes);

// Section 2.5: the 16-byte tag of a message under a one-time key of 32 bytes.
void poly1305(uint8_t* tag, const uint8_t* one_time_key, Bytes message);

// Section 2.8: encrypts in place and writes the tag.
void seal(const uint8_t* key, Nonce nonce, Bytes ad, uint8_t* text, size_t bytes, uint8_t* tag);
// Verifies first. When false, the text was not touched.
bool open(const uint8_t* key, Nonce nonce, Bytes ad, uint8_t* text, size_t bytes,
          const uint8_t* tag);

void seal_batch(std::span<AeadJob> jobs);
void open_batch(std::span<AeadJob> jobs);

}  // namespace sandgate::crypto::portable
