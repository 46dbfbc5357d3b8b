#include "perf/aead_table.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "perf/aead_burst.h"
#include "perf/table.h"

namespace sandgate::crypto {
namespace {

using perf::mark, perf::median, perf::print_machine, perf::spread_of;

constexpr size_t kRounds = 15;
constexpr size_t kBurstsPerRound = 151;

struct Target
{
    uint32_t bytes;
    double ratio;
};
constexpr Target kTargets[] = {{64, 4.5},    {128, 3.0},   {256, 2.6}, {512, 1.9},
                               {1420, 1.25}, {1424, 1.25}, {kMix, 1.8}};
constexpr Target kRefusing[] = {{64, 0.70}, {1424, 0.50}};
constexpr Target kAvx2Targets[] = {{64, 2.0}, {1424, 1.0}};
constexpr double kLoneTarget = 0.90;
constexpr double kTwoCoresTarget = 1.9;

// One contestant's work of one row, ready to be timed again and again: 64 packets in bursts of
// `packets`.
class Task
{
  public:
    Task(const Contestant& contestant, Action action, uint32_t bytes, size_t packets)
        : call_(action == Action::kSeal ? contestant.seal : contestant.open),
          burst_(bytes, kBurst),
          input_(input_of(burst_, action)),
          packets_(packets)
    {
    }

    // The median of a round, TSC cycles per packet.
    double round()
    {
        std::vector<double> samples;
        for (size_t i = 0; i < kBurstsPerRound; ++i) {
            burst_.load(input_);
            const uint64_t begin = read_tsc();
            in_bursts(call_, burst_, packets_);
            samples.push_back(static_cast<double>(read_tsc() - begin) / kBurst);
        }
        return median(samples);
    }

    void run_once()
    {
        burst_.load(input_);
        in_bursts(call_, burst_, packets_);
    }

  private:
    BatchFunction call_;
    Burst burst_;
    std::vector<uint8_t> input_;
    size_t packets_;
};

// medians[contestant][round], the contestants taking turns in each round.
std::vector<std::vector<double>> measure(std::vector<Task>& tasks)
{
    std::vector<std::vector<double>> medians(tasks.size());
    for (Task& task : tasks) (void)task.round();  // caches, branch predictors, clocks
    for (size_t round = 0; round < kRounds; ++round)
        for (size_t i = 0; i < tasks.size(); ++i) medians[i].push_back(tasks[i].round());
    return medians;
}

// `ours` against the fastest of `libraries` in each round.
void print_against(const Contestant& ours, const std::vector<Contestant>& libraries, Action action,
                   uint32_t bytes, size_t packets, double target)
{
    std::vector<Task> tasks;
    tasks.emplace_back(ours, action, bytes, packets);
    for (const Contestant& library : libraries) tasks.emplace_back(library, action, bytes, packets);
    const auto medians = measure(tasks);
    size_t best = 1;
    for (size_t i = 2; i < tasks.size(); ++i)
        if (median(medians[i]) < median(medians[best]))
            best = i;
    std::vector<double> ratios;
    for (size_t round = 0; round < kRounds; ++round) {
        double fastest = medians[1][round];
        for (size_t i = 2; i < tasks.size(); ++i) fastest = std::min(fastest, medians[i][round]);
        ratios.push_back(fastest / medians[0][round]);
    }
    std::printf("%-6s %5s %5zu  %-15s %6.0f ns %8.0f ns %7.0f  %-17s", name_of(action),
                name_of_size(bytes).c_str(), packets, libraries[best - 1].name.c_str(),
                median(medians[best]) / tsc_per_ns(), median(medians[0]) / tsc_per_ns(),
                median(medians[0]), spread_of(ratios).c_str());
    if (target > 0)
        std::printf("  %5.2f %s", target, mark(median(ratios) >= target));
    std::printf("\n");
}

void print_head(const Contestant& ours, const char* against)
{
    std::printf("\n%s against %s\n", ours.name.c_str(), against);
    std::printf("%-6s %5s %5s  %-15s %9s %11s %7s  %-17s  %s\n", "", "bytes", "burst", "library",
                "per pkt", "ours", "cycles", "ratio  p10-p90", "target");
}

// A burst of forgeries against the same burst, authentic.
void print_refusing(const Contestant& ours)
{
    std::printf("\n%s: refusing a burst of forgeries, as a part of opening it\n",
                ours.name.c_str());
    for (const Target& target : kRefusing) {
        std::vector<Task> tasks;
        tasks.emplace_back(ours, Action::kRefuse, target.bytes, kBurst);
        tasks.emplace_back(ours, Action::kOpen, target.bytes, kBurst);
        const auto medians = measure(tasks);
        std::vector<double> parts;
        for (size_t round = 0; round < kRounds; ++round)
            parts.push_back(medians[0][round] / medians[1][round]);
        std::printf("%5u bytes  %s  at most %.2f %s\n", target.bytes, spread_of(parts).c_str(),
                    target.ratio, mark(median(parts) <= target.ratio));
    }
}

std::vector<int> two_cores()
{
    cpu_set_t allowed;
    std::vector<int> cores;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        for (int core = 0; core < CPU_SETSIZE && cores.size() < 2; ++core)
            if (CPU_ISSET(core, &allowed))
                cores.push_back(core);
    return cores;
}

// TSC cycles until all threads have run their bursts, each thread on its own core with its own
// data.
double run_threads(const Contestant& ours, Action action, uint32_t bytes,
                   const std::vector<int>& cores, size_t threads)
{
    const size_t bursts = bytes <= 64 ? 3000 : 600;
    std::atomic<size_t> ready = 0, done = 0;
    std::atomic<bool> go = false;
    std::vector<std::thread> running;
    for (size_t i = 0; i < threads; ++i)
        running.emplace_back([&, i] {
            cpu_set_t mine;
            CPU_ZERO(&mine);
            CPU_SET(cores[i], &mine);
            sched_setaffinity(0, sizeof mine, &mine);
            Task task(ours, action, bytes, kBurst);
            for (size_t k = 0; k < bursts / 10; ++k) task.run_once();
            ++ready;
            while (!go) {
            }
            for (size_t k = 0; k < bursts; ++k) task.run_once();
            ++done;
        });
    while (ready != threads) std::this_thread::yield();
    const uint64_t begin = read_tsc();
    go = true;
    for (std::thread& thread : running) thread.join();
    return static_cast<double>(read_tsc() - begin);
}

void print_two_cores(const Contestant& ours)
{
    const std::vector<int> cores = two_cores();
    if (cores.size() < 2) {
        std::printf("\nTwo cores were not measured: this process may use one.\n");
        return;
    }
    std::printf("\n%s: two cores, as a multiple of one\n", ours.name.c_str());
    for (const Action action : {Action::kSeal, Action::kOpen})
        for (const uint32_t bytes : {64u, 1424u}) {
            std::vector<double> ratios;
            for (size_t round = 0; round < kRounds; ++round) {
                const double one = run_threads(ours, action, bytes, cores, 1);
                ratios.push_back(2 * one / run_threads(ours, action, bytes, cores, 2));
            }
            std::printf("%-6s %5u bytes  %s  at least %.1f %s\n", name_of(action), bytes,
                        spread_of(ratios).c_str(), kTwoCoresTarget,
                        mark(median(ratios) >= kTwoCoresTarget));
        }
}

std::string method()
{
    return "bursts of 64 packets with a key each, or 64 packets in shorter bursts; " +
           std::to_string(kRounds) + " rounds in which\n          all take turns, the median of " +
           std::to_string(kBurstsPerRound) +
           " times 64 packets each; data in the cache, one core;\n"
           "          every output was compared with libsodium's first";
}

bool all_agree(const std::vector<Contestant>& all)
{
    bool agree = true;
    for (const Contestant& contestant : all)
        for (const Target& target : kTargets)
            for (const size_t packets : {size_t{1}, size_t{2}, size_t{4}, kBurst}) {
                const std::string fault = fault_of(contestant, target.bytes, packets);
                if (!fault.empty())
                    std::printf("%s %s at %s bytes\n", contestant.name.c_str(), fault.c_str(),
                                name_of_size(target.bytes).c_str());
                agree &= fault.empty();
            }
    return agree;
}

}  // namespace

int print_table()
{
    const std::vector<Contestant> all = contestants();
    if (!all_agree(all))
        return 1;
    std::vector<Contestant> libraries, held_back;
    const Contestant* avx2 = nullptr;
    for (const Contestant& contestant : all) {
        if (!contestant.is_ours)
            (contestant.is_held_back ? held_back : libraries).push_back(contestant);
        if (contestant.name == "avx2")
            avx2 = &contestant;
    }
    const Contestant& ours = all.front();
    print_machine(ours.name, method());

    print_head(ours, "the fastest library");
    for (const Action action : {Action::kSeal, Action::kOpen})
        for (const Target& target : kTargets)
            print_against(ours, libraries, action, target.bytes, kBurst, target.ratio);
    print_head(ours, "the fastest library, lone packets and short bursts");
    for (const Action action : {Action::kSeal, Action::kOpen})
        for (const uint32_t bytes : {64u, 256u, 576u, 1424u})
            for (const size_t packets : {1, 2, 4, 8, 16})
                print_against(ours, libraries, action, bytes, packets,
                              packets == 1 ? kLoneTarget : 0);
    print_refusing(ours);
    print_two_cores(ours);
    if (avx2 != nullptr && !held_back.empty()) {
        print_head(*avx2, "ipsec-mb with its AVX2 code");
        for (const Action action : {Action::kSeal, Action::kOpen})
            for (const Target& target : kAvx2Targets)
                print_against(*avx2, held_back, action, target.bytes, kBurst, target.ratio);
    }
    return 0;
}

}  // namespace sandgate::crypto
