// libsodium's ChaCha20-Poly1305, one packet after another. It verifies before it decrypts and
// zeroes the text of a packet that failed. sodium_init() has run in start(), so it may use the
// CPU's vectors.
#include "crypto/kernels/sodium.h"

#include <sodium.h>

#include "crypto/kernels/nonce.h"

namespace sandgate::crypto::sodium {

void seal_batch(std::span<AeadJob> jobs)
{
    for (AeadJob& job : jobs) {
        uint8_t nonce[12];
        write_nonce(nonce, job.counter);
        crypto_aead_chacha20poly1305_ietf_encrypt_detached(job.data, job.data + job.text_bytes,
                                                           nullptr, job.data, job.text_bytes,
                                                           nullptr, 0, nullptr, nonce, job.key);
    }
}

void open_batch(std::span<AeadJob> jobs)
{
    for (AeadJob& job : jobs) {
        uint8_t nonce[12];
        write_nonce(nonce, job.counter);
        job.is_authentic = crypto_aead_chacha20poly1305_ietf_decrypt_detached(
                               job.data, nullptr, job.data, job.text_bytes,
                               job.data + job.text_bytes, nullptr, 0, nonce, job.key) == 0;
    }
}

}  // namespace sandgate::crypto::sodium
