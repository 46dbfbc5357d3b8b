// ChaCha20-Poly1305 as WireGuard uses it: no associated data, a nonce of 4 zero bytes and a 64-bit
// little-endian counter (RFC 8439, WireGuard paper section 5.4.6). A whole burst goes in one call,
// so that a kernel may fill its vector lanes with the blocks of several packets.
#pragma once

#include <span>

#include "crypto/aead_job.h"

namespace sandgate::crypto {

// Encrypts each text in place and writes its tag behind it.
void seal_batch(std::span<AeadJob> jobs);

// Checks each tag and decrypts in place what passed. Verdicts are independent. A text that failed
// is left as ciphertext or zeroed, never as unauthenticated plaintext.
void open_batch(std::span<AeadJob> jobs);

// Builds what the kernel keeps per thread (ipsec_mb: its manager, which allocates). Optional: a
// worker calls it once before its loop, so that its first batch does not allocate. After start().
void prepare_thread();

}  // namespace sandgate::crypto
