// The ways into libraries that no kernel of the table takes, so that ours are compared with the
// fastest: ipsec-mb by single jobs, by direct calls and with its AVX2 code, and OpenSSL with a
// context that is used again. ipsec-mb by bursts and libsodium are rows of the kernel table.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "crypto/kernel.h"

namespace sandgate::crypto {

struct Contestant
{
    std::string name;
    BatchFunction seal;  // as seal_batch
    BatchFunction open;  // as open_batch; a library's own may leave the plaintext of a forgery
    bool is_ours;
    bool is_held_back;  // a library with less than this CPU has: only for rows that say so
};

// The kernels that this CPU supports, then the libraries.
std::vector<Contestant> contestants();

}  // namespace sandgate::crypto
