// The frame of every test that walks the table of kernels: one case per kernel, and a kernel that
// this machine cannot run is skipped with a line that says why. Random numbers come from one seed;
// SANDGATE_TEST_SEED replaces it, for longer hunts.
#pragma once

#include <gtest/gtest.h>
#include <sodium.h>

#include "tests/unit/crypto/support.h"

namespace sandgate::crypto::test {

inline uint64_t base_seed()
{
    const char* given = std::getenv("SANDGATE_TEST_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 0) : 20240601;
}

inline std::string fault_of(const Kernel& kernel)
{
    return features_fault(kernel.needs, cpu_report());
}

inline std::vector<const Kernel*> all_kernels()
{
    std::vector<const Kernel*> out;
    for (const Kernel& kernel : kernels()) out.push_back(&kernel);
    return out;
}

inline std::vector<const Kernel*> supported_kernels()
{
    std::vector<const Kernel*> out;
    for (const Kernel& kernel : kernels())
        if (fault_of(kernel).empty())
            out.push_back(&kernel);
    return out;
}

inline std::string name_of_case(const testing::TestParamInfo<const Kernel*>& row)
{
    return row.param->name;
}

class KernelCase : public testing::TestWithParam<const Kernel*>
{
  protected:
    void SetUp() override
    {
        ASSERT_GE(sodium_init(), 0);
        const std::string fault = fault_of(kernel());
        if (!fault.empty())
            GTEST_SKIP() << "kernel " << kernel().name << " was not tested: " << fault;
    }

    static const Kernel& kernel() { return *GetParam(); }

    std::mt19937_64 random_{base_seed()};
};

}  // namespace sandgate::crypto::test
