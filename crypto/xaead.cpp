// The AEADs of handshakes and cookies, by libsodium. Sizes are the caller's promise: keys have 32
// bytes.
#include "crypto/xaead.h"

#include <sodium.h>

#include <cassert>
#include <cstring>

#include "crypto/aead.h"
#include "crypto/kernels/nonce.h"

namespace sandgate::crypto {

void aead_seal(uint8_t* out, const Key& key, uint64_t counter, Bytes text, Bytes ad)
{
    uint8_t nonce[12];
    write_nonce(nonce, counter);
    crypto_aead_chacha20poly1305_ietf_encrypt(out, nullptr, text.data(), text.size(), ad.data(),
                                              ad.size(), nullptr, nonce, key.data());
}

bool aead_open(uint8_t* out, const Key& key, uint64_t counter, Bytes sealed, Bytes ad)
{
    if (sealed.size() < kTagBytes)
        return false;
    uint8_t nonce[12];
    write_nonce(nonce, counter);
    const bool is_authentic = crypto_aead_chacha20poly1305_ietf_decrypt(
                                  out, nullptr, nullptr, sealed.data(), sealed.size(), ad.data(),
                                  ad.size(), nonce, key.data()) == 0;
    if (!is_authentic)
        wipe(out, sealed.size() - kTagBytes);
    return is_authentic;
}

void xaead_seal(uint8_t* out, Bytes key, std::span<const uint8_t, 24> nonce, Bytes text, Bytes ad)
{
    assert(key.size() == kKeyBytes);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out, nullptr, text.data(), text.size(), ad.data(),
                                               ad.size(), nullptr, nonce.data(), key.data());
}

bool xaead_open(uint8_t* out, Bytes key, std::span<const uint8_t, 24> nonce, Bytes sealed, Bytes ad)
{
    assert(key.size() == kKeyBytes);
    if (sealed.size() < kTagBytes)
        return false;
    const bool is_authentic = crypto_aead_xchacha20poly1305_ietf_decrypt(
                                  out, nullptr, nullptr, sealed.data(), sealed.size(), ad.data(),
                                  ad.size(), nonce.data(), key.data()) == 0;
    if (!is_authentic)
        wipe(out, sealed.size() - kTagBytes);
    return is_authentic;
}

}  // namespace sandgate::crypto
