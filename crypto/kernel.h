// A kernel is one implementation of seal_batch and open_batch. kernel_table.cpp lists them, best
// first; start() chooses one for the life of the process. A kernel gets jobs of any length, key and
// alignment, an empty span included, and keeps the contract of aead.h. This header is for crypto/
// and its tests.
#pragma once

#include <span>
#include <string>

#include "crypto/aead.h"
#include "crypto/cpu_features.h"

namespace sandgate::crypto {

using BatchFunction = void (*)(std::span<AeadJob>);

struct Kernel
{
    const char* name;    // what SANDGATE_FORCE_KERNEL says
    FeatureSet needs;    // what the CPU must have
    uint32_t lanes;      // packets that share one vector pass; 1: one packet after another
    BatchFunction seal;  // as seal_batch
    BatchFunction open;  // as open_batch
};

// The table, best first. The last row needs nothing beyond the x86-64-v2 of the whole build.
std::span<const Kernel> kernels();

// Either a kernel or the sentence that says why there is none.
struct KernelChoice
{
    const Kernel* kernel;
    std::string fault;
};

// The first row of the table that the CPU supports, or the row called `forced` (null or empty:
// none).
KernelChoice choose_kernel(std::span<const Kernel> table, const char* forced,
                           const CpuReport& report);

// Makes seal_batch and open_batch use this kernel. Not safe while another thread is inside them.
void use_kernel(const Kernel& kernel);
const Kernel& kernel_in_use();

}  // namespace sandgate::crypto
