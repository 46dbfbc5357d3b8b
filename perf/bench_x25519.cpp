// What one X25519 secret costs each DH kernel, in batches of 1 to 64, against libsodium one by one.
// Every kernel's secrets are compared with libsodium's before anything is timed; both take turns in
// each round.
//
// Usage: bench_x25519
#include <sodium.h>

#include <cstdio>
#include <string>
#include <vector>

#include "crypto/dh_kernel.h"
#include "perf/aead_burst.h"
#include "perf/table.h"

namespace sandgate::crypto {
namespace {

constexpr size_t kRounds = 15;
constexpr size_t kSecretsPerRound = 320;
constexpr size_t kBatches[] = {1, 2, 3, 4, 6, 8, 9, 16, 64};
constexpr double kTarget = 4.0;  // from full lanes on
constexpr size_t kTargetFrom = 8;

class Batch
{
  public:
    explicit Batch(size_t count) : private_(count), public_(count), shared_(count)
    {
        for (size_t i = 0; i < count; ++i) {
            randombytes_buf(private_[i].data(), 32);
            randombytes_buf(public_[i].data(), 32);
            jobs_.push_back({&private_[i], &public_[i], &shared_[i], false});
        }
    }

    // TSC cycles per secret.
    double time(const DhKernel& kernel)
    {
        const size_t repeats = (kSecretsPerRound + jobs_.size() - 1) / jobs_.size();
        std::vector<double> samples;
        for (size_t i = 0; i < repeats; ++i) {
            const uint64_t begin = read_tsc();
            kernel.compute(jobs_);
            samples.push_back(static_cast<double>(read_tsc() - begin) /
                              static_cast<double>(jobs_.size()));
        }
        return perf::median(samples);
    }

    bool agrees(const DhKernel& kernel)
    {
        kernel.compute(jobs_);
        std::vector<Secret<32>> theirs = std::move(shared_);
        shared_ = std::vector<Secret<32>>(jobs_.size());
        for (size_t i = 0; i < jobs_.size(); ++i) jobs_[i].shared = &shared_[i];
        dh_kernels().back().compute(jobs_);
        for (size_t i = 0; i < jobs_.size(); ++i)
            if (!(theirs[i] == shared_[i]))
                return false;
        return true;
    }

  private:
    std::vector<PrivateKey> private_;
    std::vector<PublicKey> public_;
    std::vector<Secret<32>> shared_;
    std::vector<DhJob> jobs_;
};

int print_table(const DhKernel& kernel)
{
    std::printf("\n%s against libsodium\n%6s %12s %12s %8s  %-17s  %s\n", kernel.name, "batch",
                "libsodium", "ours", "cycles", "ratio  p10-p90", "target");
    const DhKernel& sodium = dh_kernels().back();
    for (const size_t count : kBatches) {
        Batch batch(count);
        if (!batch.agrees(kernel)) {
            std::printf("%s computes other secrets than libsodium\n", kernel.name);
            return 1;
        }
        (void)batch.time(kernel);
        (void)batch.time(sodium);
        std::vector<double> ours, theirs, ratios;
        for (size_t round = 0; round < kRounds; ++round) {
            ours.push_back(batch.time(kernel));
            theirs.push_back(batch.time(sodium));
            ratios.push_back(theirs.back() / ours.back());
        }
        std::printf("%6zu %9.1f us %9.1f us %8.0f  %-17s", count,
                    perf::median(theirs) / tsc_per_ns() / 1000,
                    perf::median(ours) / tsc_per_ns() / 1000, perf::median(ours),
                    perf::spread_of(ratios).c_str());
        if (count % kTargetFrom == 0)
            std::printf("  %5.2f %s", kTarget, perf::mark(perf::median(ratios) >= kTarget));
        std::printf("\n");
    }
    return 0;
}

}  // namespace
}  // namespace sandgate::crypto

int main()
{
    using namespace sandgate;
    if (sodium_init() < 0)
        return 1;
    const crypto::DhKernel& best =
        crypto::choose_dh_kernel(crypto::dh_kernels(), crypto::cpu_report().usable);
    perf::print_machine(best.name,
                        "15 rounds in which both take turns, the median of each; per secret");
    return crypto::print_table(best);
}
