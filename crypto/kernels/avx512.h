// ChaCha20-Poly1305 of a whole burst in the lanes of AVX-512: sixteen ChaCha20 blocks of any
// packets at a time, and Poly1305 of eight packets at a time with IFMA. See docs/crypto.md.
#pragma once

#include "crypto/aead_job.h"

namespace sandgate::crypto::avx512 {

// As seal_batch and open_batch of crypto/aead.h.
void seal(AeadJob* jobs, size_t count);
void open(AeadJob* jobs, size_t count);

}  // namespace sandgate::crypto::avx512
