// X25519 (RFC 7748 section 5): by libsodium, or eight at a time by the AVX-512 kernel. Both clamp
// and mask as section 5 asks.
#include "crypto/x25519.h"

#include <sodium.h>

#include <algorithm>
#include <cassert>

#include "crypto/declassify.h"
#include "crypto/dh_kernel.h"
#include "crypto/kernels/x25519_avx512.h"

namespace sandgate::crypto {

static_assert(crypto_scalarmult_BYTES == 32 && crypto_scalarmult_SCALARBYTES == 32);

namespace {

// Eight lanes cost about as much as one computation by libsodium (perf/bench_x25519), so two jobs
// are worth them, however many lanes are idle.
constexpr size_t kFewestForLanes = 2;

void one_by_one(std::span<DhJob> jobs)
{
    for (DhJob& job : jobs) job.is_valid = dh(*job.shared, *job.private_key, *job.public_key);
}

void in_lanes(std::span<DhJob> jobs)
{
    using x25519_avx512::kLanes;
    while (jobs.size() >= kFewestForLanes) {
        const auto group = jobs.first(std::min<size_t>(jobs.size(), kLanes));
        Secret<32> unwanted;
        x25519_avx512::Lanes lanes;
        for (size_t i = 0; i < kLanes; ++i) {
            const bool is_idle = i >= group.size();  // computes the first job again
            const DhJob& job = group[is_idle ? 0 : i];
            lanes.private_key[i] = job.private_key->data();
            lanes.public_key[i] = job.public_key->data();
            lanes.shared[i] = is_idle ? unwanted.data() : job.shared->data();
        }
        const uint64_t valid = x25519_avx512::multiply(lanes);
        for (size_t i = 0; i < group.size(); ++i) group[i].is_valid = (valid >> i & 1) != 0;
        jobs = jobs.subspan(group.size());
    }
    one_by_one(jobs);
}

constexpr DhKernel kTable[] = {
    {"x25519_avx512", kAvx512f | kAvx512dq | kAvx512ifma, in_lanes},
    {"sodium", 0, one_by_one},
};

// Writer: start(), before other threads exist; readers: all.
const DhKernel* in_use = &kTable[std::size(kTable) - 1];

}  // namespace

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

void dh_batch(std::span<DhJob> jobs) { in_use->compute(jobs); }

std::span<const DhKernel> dh_kernels() { return kTable; }

const DhKernel& choose_dh_kernel(std::span<const DhKernel> table, FeatureSet features)
{
    const auto found = std::find_if(table.begin(), table.end(), [&](const DhKernel& kernel) {
        return (kernel.needs & ~features) == 0;
    });
    assert(found != table.end());
    return *found;
}

void use_dh_kernel(const DhKernel& kernel) { in_use = &kernel; }
const DhKernel& dh_kernel_in_use() { return *in_use; }

}  // namespace sandgate::crypto
