// A DH kernel is one implementation of dh_batch. x25519.cpp lists them, best first; start() chooses
// one for the life of the process, within what the encryption kernel needs, so that a forced small
// kernel forces both. This header is for crypto/ and its tests.
#pragma once

#include <span>

#include "crypto/cpu_features.h"
#include "crypto/x25519.h"

namespace sandgate::crypto {

struct DhKernel
{
    const char* name;
    FeatureSet needs;                        // what the CPU must have
    void (*compute)(std::span<DhJob> jobs);  // as dh_batch
};

// The table, best first. The last row needs nothing.
std::span<const DhKernel> dh_kernels();

// The first row of the table whose needs are among `features`.
const DhKernel& choose_dh_kernel(std::span<const DhKernel> table, FeatureSet features);

// Makes dh_batch use this kernel. Not safe while another thread is inside it.
void use_dh_kernel(const DhKernel& kernel);
const DhKernel& dh_kernel_in_use();

}  // namespace sandgate::crypto
