// The kernel of Intel's multi-buffer library, version 1.3 or later. One manager per thread, built
// by the thread's first batch (crypto::prepare_thread() takes that out of the packet path).
#pragma once

#include <span>

#include "crypto/aead.h"

namespace sandgate::crypto::ipsec_mb {

void seal_batch(std::span<AeadJob> jobs);
void open_batch(std::span<AeadJob> jobs);

}  // namespace sandgate::crypto::ipsec_mb
