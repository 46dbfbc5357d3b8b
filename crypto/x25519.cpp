// X25519 by libsodium (RFC 7748 section 5), which clamps and masks as section 5 asks. Batches are a
// loop.
#include "crypto/x25519.h"

#include <sodium.h>

#include "crypto/declassify.h"

namespace sandgate::crypto {

static_assert(crypto_scalarmult_BYTES == 32 && crypto_scalarmult_SCALARBYTES == 32);

void clamp(PrivateKey& key)
{
    key.data()[0] &= 248;
    key.data()[31] &= 127;
    key.data()[31] |= 64;
}

PublicKey public_key_of(const PrivateKey& key)
{
    PublicKey out;
    crypto_scalarmult_base(out.data(), key.data());
    return out;
}

bool dh(Secret<32>& shared, const PrivateKey& private_key, const PublicKey& public_key)
{
    // RFC 7748 section 6.1: the all-zero value is refused. Whether it was is public: the peer's
    // point alone decides it.
    const int status = crypto_scalarmult(shared.data(), private_key.data(), public_key.data());
    const bool is_valid = declassify(status == 0) && !declassify(shared.is_zero());
    if (!is_valid)
        shared.wipe();
    return is_valid;
}

void dh_batch(std::span<DhJob> jobs)
{
    for (DhJob& job : jobs) job.is_valid = dh(*job.shared, *job.private_key, *job.public_key);
}

}  // namespace sandgate::crypto
