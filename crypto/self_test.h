// Known answers at start: the chosen kernel and the handshake primitives. A process that fails
// refuses to run.
#pragma once

#include <string>

namespace sandgate::crypto {

// Chooses the kernel (SANDGATE_FORCE_KERNEL forces one; an unknown or unsupported name is an
// error), then runs the known answers. Must be called once, before any other thread uses
// seal_batch, open_batch or dh_batch. Returns an empty string, or the sentence that says what is
// wrong.
std::string start();

// The name of the kernel in use: "avx512", "portable", ...; "none" before start().
const char* kernel_name();
// What dh_batch uses: "x25519_avx512" or "sodium".
const char* dh_kernel_name();

}  // namespace sandgate::crypto
