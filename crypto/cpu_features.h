// What this CPU and operating system let a kernel use. A feature counts only when cpuid reports it
// and, for vector registers wider than 128 bits, when xgetbv says that the operating system saves
// them (Intel SDM volume 1, section 14.3 and 15.2). A kernel that is left out is explained in a
// sentence.
#pragma once

#include <cstdint>
#include <string>

namespace sandgate::crypto {

// Bits of a FeatureSet.
enum CpuFeature : uint32_t
{
    kSse42 = 1u << 0,
    kPclmul = 1u << 1,
    kAesni = 1u << 2,
    kAvx = 1u << 3,
    kAvx2 = 1u << 4,
    kBmi2 = 1u << 5,
    kAvx512f = 1u << 6,
    kAvx512dq = 1u << 7,
    kAvx512bw = 1u << 8,
    kAvx512vl = 1u << 9,
    kAvx512ifma = 1u << 10,
    kAvx512vbmi = 1u << 11,
};

using FeatureSet = uint32_t;

// The words that decide, as the instructions return them; plain numbers, so that tests can invent a
// CPU.
struct CpuidWords
{
    uint32_t leaf1_ecx;
    uint32_t leaf7_ebx;
    uint32_t leaf7_ecx;
    uint64_t xcr0;  // 0 without OSXSAVE
};

struct CpuReport
{
    FeatureSet by_cpu;  // cpuid reports it
    FeatureSet usable;  // and the operating system saves its registers
};

CpuidWords read_cpuid();
CpuReport report_of(const CpuidWords& words);
inline CpuReport cpu_report() { return report_of(read_cpuid()); }

// Empty when all that is needed is usable; else what is missing and whose fault it is.
std::string features_fault(FeatureSet needs, const CpuReport& report);

}  // namespace sandgate::crypto
