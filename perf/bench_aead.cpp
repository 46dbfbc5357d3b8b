// What one packet costs each kernel and each library, sealed, opened and refused: bursts of 64
// packets with a key and a counter each, and 64 packets in shorter ones. Every output is compared
// with libsodium's before anything is timed. At the end: a line per contestant and direction,
// cycles per packet as a + b * bytes (least squares over the medians of the sizes). Figures are of
// one core with its data in the cache, not of a network.
//
// Usage: bench_aead --table               the ratios that docs/performance.md holds (aead_table.h)
//        bench_aead [--benchmark_filter=avx512/open] [--benchmark_format=json] ...
#include <benchmark/benchmark.h>
#include <sodium.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "perf/aead_burst.h"
#include "perf/aead_table.h"

namespace sandgate::crypto {
namespace {

constexpr uint32_t kSizes[] = {64, 128, 256, 512, 1420, 1424, kMix};
constexpr uint32_t kShortBurstSizes[] = {64, 256, 1424};
constexpr size_t kShortBursts[] = {1, 2, 4, 8, 16};

struct Point
{
    double bytes;
    double cycles;
};
// Key: contestant and action. One point per size and repetition, of full bursts.
std::map<std::string, std::vector<Point>> points;

void run(benchmark::State& state, const Contestant& contestant, Action action, uint32_t text_bytes,
         size_t packets)
{
    const std::string fault = fault_of(contestant, text_bytes, packets);
    if (!fault.empty()) {
        state.SkipWithError((contestant.name + " " + fault).c_str());
        return;
    }
    Burst burst(text_bytes, kBurst);
    const auto input = input_of(burst, action);
    const auto call = action == Action::kSeal ? contestant.seal : contestant.open;

    std::vector<double> samples;
    for (auto _ : state) {
        burst.load(input);
        const uint64_t begin = read_tsc();
        in_bursts(call, burst, packets);
        const uint64_t ticks = read_tsc() - begin;
        samples.push_back(static_cast<double>(ticks) / kBurst);
        state.SetIterationTime(static_cast<double>(ticks) / tsc_per_ns() * 1e-9);
    }
    std::sort(samples.begin(), samples.end());
    const auto at = [&](size_t percent) { return samples[(samples.size() - 1) * percent / 100]; };
    state.counters["cycles/packet"] = at(50);
    state.counters["ns/packet"] = at(50) / tsc_per_ns();
    state.counters["p10"] = at(10);
    state.counters["p90"] = at(90);
    if (packets == kBurst)
        points[contestant.name + " " + name_of(action)].push_back({mean_bytes(text_bytes), at(50)});
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
            xx += point.bytes * point.bytes;
            xy += point.bytes * point.cycles;
        }
        if (n * xx == x * x)
            continue;  // one size only
        const double slope = (n * xy - x * y) / (n * xx - x * x);
        std::printf("%-24s %6.0f + %.2f * bytes\n", name.c_str(), (y - slope * x) / n, slope);
    }
}

void add(const Contestant& contestant, Action action, uint32_t bytes, size_t packets)
{
    std::string name = contestant.name + "/" + name_of(action) + "/" + name_of_size(bytes);
    if (packets != kBurst)
        name += "/burst:" + std::to_string(packets);
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
        run(state, contestant, action, bytes, packets);
    })->UseManualTime();
}

bool has_argument(int argc, char** argv, std::string_view wanted)
{
    return std::any_of(argv + 1, argv + argc,
                       [&](const char* argument) { return wanted == argument; });
}

}  // namespace
}  // namespace sandgate::crypto

int main(int argc, char** argv)
{
    using namespace sandgate::crypto;
    if (sodium_init() < 0)
        return 1;
    if (has_argument(argc, argv, "--table"))
        return print_table();
    for (const Contestant& contestant : contestants()) {
        for (const Action action : {Action::kSeal, Action::kOpen, Action::kRefuse})
            for (const uint32_t bytes : kSizes) add(contestant, action, bytes, kBurst);
        for (const Action action : {Action::kSeal, Action::kOpen})
            for (const uint32_t bytes : kShortBurstSizes)
                for (const size_t packets : kShortBursts) add(contestant, action, bytes, packets);
    }
    benchmark::AddCustomContext("compiler", __VERSION__);
    benchmark::AddCustomContext("burst", std::to_string(kBurst));
    const bool is_json = has_argument(argc, argv, "--benchmark_format=json");
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 1;
    benchmark::RunSpecifiedBenchmarks();
    if (!is_json)
        print_slopes();
    return 0;
}
