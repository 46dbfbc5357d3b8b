// ChaCha20-Poly1305 of a whole burst in the lanes of AVX2: eight ChaCha20 blocks of any packets at
// a time, and Poly1305 of four packets at a time. See docs/crypto.md.
#pragma once

#include "crypto/aead_job.h"

namespace sandgate::crypto::avx2 {

// As seal_batch and open_batch of crypto/aead.h.
void seal(AeadJob* jobs, size_t count);
void open(AeadJob* jobs, size_t count);

}  // namespace sandgate::crypto::avx2
