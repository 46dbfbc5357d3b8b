// The parts of start(), with everything they test passed in, so that a test can pass something
// broken and see it refused. This header is for crypto/ and its tests.
#pragma once

#include <string>

#include "crypto/dh_kernel.h"
#include "crypto/kdf.h"
#include "crypto/kernel.h"
#include "crypto/x25519.h"
#include "crypto/xaead.h"

namespace sandgate::crypto {

// What handshakes are made of.
struct Primitives
{
    Hash (*hash)(Bytes a, Bytes b) = crypto::hash;
    std::array<uint8_t, 16> (*mac)(Bytes key, Bytes input) = crypto::mac;
    void (*hmac)(Bytes key, Bytes input, uint8_t* out) = crypto::hmac;
    void (*kdf3)(Key&, Key&, Key&, Bytes key, Bytes input) = crypto::kdf3;
    PublicKey (*public_key_of)(const PrivateKey&) = crypto::public_key_of;
    bool (*dh)(Secret<32>&, const PrivateKey&, const PublicKey&) = crypto::dh;
    decltype(&crypto::aead_seal) aead_seal = crypto::aead_seal;
    decltype(&crypto::aead_open) aead_open = crypto::aead_open;
    decltype(&crypto::xaead_seal) xaead_seal = crypto::xaead_seal;
    decltype(&crypto::xaead_open) xaead_open = crypto::xaead_open;
};

// Each returns an empty string, or the sentence that says which answer is wrong.
std::string kernel_fault(const Kernel& kernel);
std::string dh_kernel_fault(const DhKernel& kernel);
std::string primitives_fault(const Primitives& primitives);

// start() with its surroundings passed in. Leaves the kernels in use as they were when it returns a
// fault.
std::string start_with(std::span<const Kernel> table, const char* forced, const CpuReport& report,
                       const Primitives& primitives,
                       std::span<const DhKernel> dh_table = dh_kernels());

}  // namespace sandgate::crypto
