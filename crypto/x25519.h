// X25519 (RFC 7748), constant time.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "crypto/secret.h"

namespace sandgate::crypto {

using PublicKey = std::array<uint8_t, 32>;
using PrivateKey = Secret<32>;

// Clears and sets the bits that RFC 7748 section 5 asks for.
void clamp(PrivateKey& key);

// The public key that belongs to a private key.
PublicKey public_key_of(const PrivateKey& key);

// One Diffie-Hellman computation of a batch.
struct DhJob
{
    const PrivateKey* private_key;
    const PublicKey* public_key;
    Secret<32>* shared;  // out
    bool is_valid;       // out: false when the result is zero (a low-order point)
};

// Computes each job, several at once where the CPU can; results are independent. A job that is not
// valid leaves its shared secret zero. No output may be an input. Before start(): by libsodium.
void dh_batch(std::span<DhJob> jobs);

// One computation, by libsodium; false for a low-order point.
bool dh(Secret<32>& shared, const PrivateKey& private_key, const PublicKey& public_key);

}  // namespace sandgate::crypto
