// Bursts of packets to seal and open, and the TSC, for the benchmarks of the AEAD.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "crypto/kernel.h"
#include "perf/aead_rivals.h"
#include "perf/tsc.h"

namespace sandgate::crypto {

enum class Action
{
    kSeal,
    kOpen,
    kRefuse
};
const char* name_of(Action action);

// The TSC behind everything before it.
using perf::read_tsc;
// Measured against the system's clock, once.
double tsc_per_ns();

constexpr size_t kBurst = 64;
// Stands for the Internet mix: 7 packets of 64 bytes to 4 of 576 and 1 of 1,424, shuffled.
constexpr uint32_t kMix = 0;
std::string name_of_size(uint32_t bytes);
// Of one packet, on the average.
double mean_bytes(uint32_t bytes);

// Packets with a key and a counter each, in one block of memory, each 64-byte aligned.
class Burst
{
  public:
    // text_bytes: of every packet, or kMix.
    Burst(uint32_t text_bytes, size_t packets);

    std::span<AeadJob> jobs() { return jobs_; }
    void load(const std::vector<uint8_t>& from);
    std::vector<uint8_t> copy() const { return {jobs_[0].data, jobs_[0].data + size_}; }
    // Changes every tag.
    void forge();

  private:
    std::vector<uint8_t> memory_;
    std::vector<uint8_t> keys_;
    std::vector<AeadJob> jobs_;
    size_t size_ = 0;
};

// All packets of the burst, in calls of `packets`.
void in_bursts(BatchFunction call, Burst& burst, size_t packets);

// libsodium.
const Kernel& oracle();

// What the jobs hold before the action.
std::vector<uint8_t> input_of(Burst& burst, Action action);

// Empty when the contestant seals as the oracle, opens what it sealed and refuses what was changed.
std::string fault_of(const Contestant& contestant, uint32_t text_bytes, size_t packets);

}  // namespace sandgate::crypto
