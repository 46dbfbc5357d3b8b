// What one packet costs each kernel, sealed, opened and refused: batches of 64 packets with a key
// and a counter each, in TSC cycles. Every kernel's output is compared with libsodium's before
// anything is timed. At the end: a line per kernel and direction, cycles per packet as a + b *
// bytes (least squares over the medians of the sizes). Figures are of one core with its data in the
// cache, not of a network.
// Google Benchmark's own time column shows TSC cycles per burst as if they were nanoseconds.
//
// Usage: bench_aead [--benchmark_filter=ipsec_mb/open] [--benchmark_repetitions=5] ...
#include <benchmark/benchmark.h>
#include <sodium.h>
#include <x86intrin.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "crypto/kernel.h"

namespace sandgate::crypto {
namespace {

constexpr size_t kBurst = 64;
constexpr uint32_t kSizes[] = {64, 128, 256, 512, 1420, 1424};

enum class Action
{
    kSeal,
    kOpen,
    kRefuse
};

const char* name_of(Action action)
{
    switch (action) {
        case Action::kSeal:
            return "seal";
        case Action::kOpen:
            return "open";
        case Action::kRefuse:
            return "refuse";
    }
    return "";
}

uint64_t read_tsc()
{
    unsigned core;
    _mm_lfence();
    const uint64_t now = __rdtscp(&core);
    _mm_lfence();
    return now;
}

// 64 packets of one length in one block of memory, each 64-byte aligned.
class Burst
{
  public:
    explicit Burst(uint32_t text_bytes)
        : stride_((text_bytes + kTagBytes + 63) / 64 * 64), memory_(kBurst * stride_ + 64)
    {
        uint8_t* start = memory_.data();
        start += (64 - reinterpret_cast<uintptr_t>(start) % 64) % 64;
        for (size_t i = 0; i < kBurst; ++i) {
            for (size_t k = 0; k < kKeyBytes; ++k)
                keys_[i][k] = static_cast<uint8_t>(i * 37 + k * 11 + 1);
            jobs_.push_back({keys_[i], 1000 + i, start + i * stride_, text_bytes, false});
            for (size_t b = 0; b < text_bytes; ++b)
                jobs_[i].data[b] = static_cast<uint8_t>(b * 5 + i);
        }
    }

    std::span<AeadJob> jobs() { return jobs_; }
    const uint8_t* bytes() const { return jobs_[0].data; }
    size_t size() const { return (kBurst - 1) * stride_ + jobs_[0].text_bytes + kTagBytes; }
    void load(const std::vector<uint8_t>& from)
    {
        std::memcpy(jobs_[0].data, from.data(), from.size());
    }
    std::vector<uint8_t> copy() const { return {bytes(), bytes() + size()}; }
    void forge()
    {
        for (AeadJob& job : jobs_) job.data[job.text_bytes] ^= 1;
    }

  private:
    size_t stride_;
    std::vector<uint8_t> memory_;
    uint8_t keys_[kBurst][kKeyBytes];
    std::vector<AeadJob> jobs_;
};

const Kernel& oracle()
{
    for (const Kernel& kernel : kernels())
        if (std::string(kernel.name) == "sodium")
            return kernel;
    std::abort();
}

// Empty when the kernel seals as the oracle, opens what it sealed and refuses what was changed.
std::string fault_of(const Kernel& kernel, uint32_t text_bytes)
{
    Burst ours(text_bytes), theirs(text_bytes);
    const auto plain = ours.copy();
    kernel.seal(ours.jobs());
    oracle().seal(theirs.jobs());
    if (ours.copy() != theirs.copy())
        return "seals differently from libsodium";
    kernel.open(ours.jobs());
    for (size_t i = 0; i < kBurst; ++i) {
        const AeadJob& job = ours.jobs()[i];
        const uint8_t* text = plain.data() + (job.data - ours.bytes());
        if (!job.is_authentic || std::memcmp(job.data, text, text_bytes) != 0)
            return "does not open what it sealed";
    }
    theirs.forge();
    kernel.open(theirs.jobs());
    for (const AeadJob& job : theirs.jobs())
        if (job.is_authentic)
            return "accepts a forged packet";
    return {};
}

struct Point
{
    uint32_t bytes;
    double cycles;
};
// Key: kernel and action. One point per size and repetition.
std::map<std::string, std::vector<Point>> points;

void run(benchmark::State& state, const Kernel& kernel, Action action, uint32_t text_bytes)
{
    const std::string fault = fault_of(kernel, text_bytes);
    if (!fault.empty()) {
        state.SkipWithError((std::string(kernel.name) + " " + fault).c_str());
        return;
    }
    Burst burst(text_bytes);
    if (action != Action::kSeal)
        oracle().seal(burst.jobs());
    if (action == Action::kRefuse)
        burst.forge();
    const auto input = burst.copy();
    const auto call = action == Action::kSeal ? kernel.seal : kernel.open;

    std::vector<double> samples;
    for (auto _ : state) {
        burst.load(input);
        const uint64_t begin = read_tsc();
        call(burst.jobs());
        const uint64_t end = read_tsc();
        samples.push_back(static_cast<double>(end - begin) / kBurst);
        state.SetIterationTime(static_cast<double>(end - begin) * 1e-9);
    }
    std::sort(samples.begin(), samples.end());
    const auto at = [&](size_t percent) { return samples[(samples.size() - 1) * percent / 100]; };
    state.counters["cycles/packet"] = at(50);
    state.counters["p10"] = at(10);
    state.counters["p90"] = at(90);
    points[std::string(kernel.name) + " " + name_of(action)].push_back({text_bytes, at(50)});
}

void print_slopes()
{
    std::printf("\nTSC cycles per packet as a + b * bytes, bursts of %zu, a key each\n", kBurst);
    for (const auto& [name, list] : points) {
        double n = 0, x = 0, y = 0, xx = 0, xy = 0;
        for (const Point& point : list) {
            n += 1;
            x += point.bytes;
            y += point.cycles;
            xx += double{1} * point.bytes * point.bytes;
            xy += point.bytes * point.cycles;
        }
        if (n * xx == x * x)
            continue;  // one size only
        const double slope = (n * xy - x * y) / (n * xx - x * x);
        std::printf("%-18s %6.0f + %.2f * bytes\n", name.c_str(), (y - slope * x) / n, slope);
    }
}

}  // namespace
}  // namespace sandgate::crypto

int main(int argc, char** argv)
{
    using namespace sandgate::crypto;
    if (sodium_init() < 0)
        return 1;
    for (const Kernel& kernel : kernels()) {
        const std::string fault = features_fault(kernel.needs, cpu_report());
        if (!fault.empty()) {
            std::printf("%s was not measured: %s\n", kernel.name, fault.c_str());
            continue;
        }
        for (const Action action : {Action::kSeal, Action::kOpen, Action::kRefuse})
            for (const uint32_t bytes : kSizes)
                benchmark::RegisterBenchmark(
                    (std::string(kernel.name) + "/" + name_of(action) + "/" + std::to_string(bytes))
                        .c_str(),
                    [&kernel, action, bytes](benchmark::State& state) {
                        run(state, kernel, action, bytes);
                    })
                    ->UseManualTime();
    }
    benchmark::AddCustomContext("compiler", __VERSION__);
    benchmark::AddCustomContext("burst", std::to_string(kBurst));
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 1;
    benchmark::RunSpecifiedBenchmarks();
    print_slopes();
    return 0;
}
