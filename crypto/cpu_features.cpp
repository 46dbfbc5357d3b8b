// Reads cpuid leaves 1 and 7 and XCR0, and names what is missing.
#include "crypto/cpu_features.h"

#include <cpuid.h>

namespace sandgate::crypto {
namespace {

enum class Word
{
    kLeaf1Ecx,
    kLeaf7Ebx,
    kLeaf7Ecx
};

// XCR0: bit 1 SSE, 2 AVX, 5 to 7 the mask registers and the two halves of the ZMM registers.
constexpr uint64_t kSaves128 = 0;
constexpr uint64_t kSaves256 = 0x06;
constexpr uint64_t kSaves512 = 0xe6;

struct Row
{
    CpuFeature feature;
    const char* name;
    Word word;
    int bit;
    uint64_t saved;
};

constexpr Row kRows[] = {
    {kSse42, "sse4.2", Word::kLeaf1Ecx, 20, kSaves128},
    {kPclmul, "pclmulqdq", Word::kLeaf1Ecx, 1, kSaves128},
    {kAesni, "aes", Word::kLeaf1Ecx, 25, kSaves128},
    {kAvx, "avx", Word::kLeaf1Ecx, 28, kSaves256},
    {kAvx2, "avx2", Word::kLeaf7Ebx, 5, kSaves256},
    {kBmi2, "bmi2", Word::kLeaf7Ebx, 8, kSaves128},
    {kAvx512f, "avx512f", Word::kLeaf7Ebx, 16, kSaves512},
    {kAvx512dq, "avx512dq", Word::kLeaf7Ebx, 17, kSaves512},
    {kAvx512bw, "avx512bw", Word::kLeaf7Ebx, 30, kSaves512},
    {kAvx512vl, "avx512vl", Word::kLeaf7Ebx, 31, kSaves512},
    {kAvx512ifma, "avx512ifma", Word::kLeaf7Ebx, 21, kSaves512},
    {kAvx512vbmi, "avx512vbmi", Word::kLeaf7Ecx, 1, kSaves512},
};

uint32_t word_of(const CpuidWords& words, Word which)
{
    switch (which) {
        case Word::kLeaf1Ecx:
            return words.leaf1_ecx;
        case Word::kLeaf7Ebx:
            return words.leaf7_ebx;
        case Word::kLeaf7Ecx:
            return words.leaf7_ecx;
    }
    return 0;
}

std::string names_of(FeatureSet features)
{
    std::string names;
    for (const Row& row : kRows)
        if ((features & row.feature) != 0)
            names += (names.empty() ? "" : ", ") + std::string(row.name);
    return names;
}

}  // namespace

CpuidWords read_cpuid()
{
    CpuidWords words{};
    uint32_t a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) != 0)
        words.leaf1_ecx = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
        words.leaf7_ebx = b;
        words.leaf7_ecx = c;
    }
    // Without OSXSAVE the instruction itself faults.
    if ((words.leaf1_ecx & (1u << 27)) != 0) {
        uint32_t low = 0, high = 0;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        words.xcr0 = (uint64_t{high} << 32) | low;
    }
    return words;
}

CpuReport report_of(const CpuidWords& words)
{
    CpuReport report{};
    for (const Row& row : kRows) {
        if ((word_of(words, row.word) >> row.bit & 1) == 0)
            continue;
        report.by_cpu |= row.feature;
        if ((words.xcr0 & row.saved) == row.saved)
            report.usable |= row.feature;
    }
    return report;
}

std::string features_fault(FeatureSet needs, const CpuReport& report)
{
    const FeatureSet lacking = needs & ~report.by_cpu;
    if (lacking != 0)
        return "this CPU has no " + names_of(lacking);
    const FeatureSet unsaved = needs & ~report.usable;
    if (unsaved != 0)
        return "the operating system does not save the registers of " + names_of(unsaved);
    return {};
}

}  // namespace sandgate::crypto
