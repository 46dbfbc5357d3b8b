// The kernel of libsodium: the oracle that the other kernels are compared with.
#pragma once

#include <span>

#include "crypto/aead.h"

namespace sandgate::crypto::sodium {

void seal_batch(std::span<AeadJob> jobs);
void open_batch(std::span<AeadJob> jobs);

}  // namespace sandgate::crypto::sodium
