// ChaCha20-Poly1305 as WireGuard uses it: no associated data, a nonce of 4 zero bytes and a 64-bit
// little-endian counter (RFC 8439, WireGuard paper section 5.4.6). A whole burst goes in one call,
// so that a kernel may fill its vector lanes with the blocks of several packets.
#pragma once

#include <cstdint>
#include <span>

namespace sandgate::crypto {

constexpr uint32_t kTagBytes = 16;
constexpr uint32_t kKeyBytes = 32;
constexpr uint32_t kMaxTextBytes = 65519;

// One packet. The caller owns key and data; both must stay valid for the call. Keys, lengths and
// addresses may all differ within a batch; data needs no alignment.
struct AeadJob
{
    const uint8_t* key;   // 32 bytes
    uint64_t counter;     // the nonce
    uint8_t* data;        // in place: text_bytes of text, then the 16 bytes of the tag
    uint32_t text_bytes;  // 0 to kMaxTextBytes, without the tag
    bool is_authentic;    // out, open_batch only
};

// Encrypts each text in place and writes its tag behind it.
void seal_batch(std::span<AeadJob> jobs);

// Checks each tag and decrypts in place what passed. Verdicts are independent. A text that failed
// is left as ciphertext or zeroed, never as unauthenticated plaintext.
void open_batch(std::span<AeadJob> jobs);

// Builds what the kernel keeps per thread (ipsec_mb: its manager, which allocates). Optional: a
// worker calls it once before its loop, so that its first batch does not allocate. After start().
void prepare_thread();

}  // namespace sandgate::crypto
