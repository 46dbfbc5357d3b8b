// The kernels, best first, and the choice among them. A new kernel is one row here, one file in
// kernels/ with its own flags in meson.build, and nothing else: tests and benchmarks walk the
// table.
#include "crypto/kernel.h"

#include <string_view>

#include "crypto/kernels/avx2.h"
#include "crypto/kernels/avx512.h"
#include "crypto/kernels/ipsec_mb.h"
#include "crypto/kernels/portable.h"
#include "crypto/kernels/sodium.h"

namespace sandgate::crypto {
namespace {

// The kernels with wide flags know no span.
template <void (*function)(AeadJob*, size_t)>
void of_span(std::span<AeadJob> jobs)
{
    function(jobs.data(), jobs.size());
}

constexpr FeatureSet kAvx512 = kBmi2 | kAvx512f | kAvx512dq | kAvx512bw | kAvx512vl | kAvx512ifma;

constexpr Kernel kTable[] = {
    {"avx512", kAvx512, 16, of_span<avx512::seal>, of_span<avx512::open>},
    {"avx2", kAvx2 | kBmi2, 8, of_span<avx2::seal>, of_span<avx2::open>},
    {"ipsec_mb", kSse42 | kPclmul | kAesni, 1, ipsec_mb::seal_batch, ipsec_mb::open_batch},
    {"portable", 0, 1, portable::seal_batch, portable::open_batch},
    {"sodium", 0, 1, sodium::seal_batch, sodium::open_batch},
};

std::string names_of(std::span<const Kernel> table)
{
    std::string names;
    for (const Kernel& kernel : table)
        names += (names.empty() ? "" : ", ") + std::string(kernel.name);
    return names;
}

}  // namespace

std::span<const Kernel> kernels() { return kTable; }

KernelChoice choose_kernel(std::span<const Kernel> table, const char* forced,
                           const CpuReport& report)
{
    const std::string_view wanted = forced != nullptr ? forced : "";
    std::string excluded;
    for (const Kernel& kernel : table) {
        if (!wanted.empty() && wanted != kernel.name)
            continue;
        const std::string fault = features_fault(kernel.needs, report);
        if (fault.empty())
            return {&kernel, {}};
        excluded += std::string(excluded.empty() ? "" : "; ") + kernel.name + ": " + fault;
    }
    if (wanted.empty())
        return {nullptr, "No encryption kernel runs on this machine (" + excluded + ")."};
    if (excluded.empty())
        return {nullptr, "SANDGATE_FORCE_KERNEL names the unknown kernel \"" + std::string(wanted) +
                             "\"; known are " + names_of(table) + "."};
    return {nullptr, "SANDGATE_FORCE_KERNEL names a kernel that cannot run here (" + excluded +
                         "); unset it or choose another of " + names_of(table) + "."};
}

}  // namespace sandgate::crypto
