#include "perf/aead_burst.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <random>

namespace sandgate::crypto {
namespace {

uint32_t bytes_of_packet(uint32_t text_bytes, size_t packet)
{
    if (text_bytes != kMix)
        return text_bytes;
    static const std::vector<uint32_t> mix = [] {
        std::vector<uint32_t> bytes;
        for (size_t i = 0; i < kBurst; ++i)
            bytes.push_back(i % 12 < 7 ? 64 : i % 12 < 11 ? 576 : 1424);
        std::shuffle(bytes.begin(), bytes.end(), std::mt19937(12));
        return bytes;
    }();
    return mix[packet % kBurst];
}

}  // namespace

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

double tsc_per_ns()
{
    static const double rate = [] {
        using Clock = std::chrono::steady_clock;
        const auto begin = Clock::now();
        const uint64_t tsc = read_tsc();
        while (Clock::now() - begin < std::chrono::milliseconds(50)) {
        }
        const uint64_t ticks = read_tsc() - tsc;
        return static_cast<double>(ticks) /
               std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
    }();
    return rate;
}

std::string name_of_size(uint32_t bytes) { return bytes == kMix ? "mix" : std::to_string(bytes); }

double mean_bytes(uint32_t bytes)
{
    double sum = 0;
    for (size_t i = 0; i < kBurst; ++i) sum += bytes_of_packet(bytes, i);
    return sum / kBurst;
}

Burst::Burst(uint32_t text_bytes, size_t packets) : keys_(packets * kKeyBytes)
{
    std::vector<size_t> offsets;
    for (size_t i = 0; i < packets; ++i) {
        offsets.push_back(size_);
        size_ += (bytes_of_packet(text_bytes, i) + kTagBytes + 63) / 64 * 64;
    }
    memory_.resize(size_ + 64);
    uint8_t* start = memory_.data();
    start += (64 - reinterpret_cast<uintptr_t>(start) % 64) % 64;
    for (size_t i = 0; i < packets; ++i) {
        uint8_t* key = keys_.data() + i * kKeyBytes;
        for (size_t k = 0; k < kKeyBytes; ++k) key[k] = static_cast<uint8_t>(i * 37 + k * 11 + 1);
        jobs_.push_back({key, 1000 + i, start + offsets[i], bytes_of_packet(text_bytes, i), false});
        for (size_t b = 0; b < jobs_[i].text_bytes; ++b)
            jobs_[i].data[b] = static_cast<uint8_t>(b * 5 + i);
    }
}

void Burst::load(const std::vector<uint8_t>& from)
{
    std::memcpy(jobs_[0].data, from.data(), from.size());
}

void Burst::forge()
{
    for (AeadJob& job : jobs_) job.data[job.text_bytes] ^= 1;
}

void in_bursts(BatchFunction call, Burst& burst, size_t packets)
{
    const auto jobs = burst.jobs();
    for (size_t at = 0; at < jobs.size(); at += packets)
        call(jobs.subspan(at, std::min(packets, jobs.size() - at)));
}

const Kernel& oracle()
{
    for (const Kernel& kernel : kernels())
        if (std::string(kernel.name) == "sodium")
            return kernel;
    std::abort();
}

std::vector<uint8_t> input_of(Burst& burst, Action action)
{
    if (action != Action::kSeal)
        oracle().seal(burst.jobs());
    if (action == Action::kRefuse)
        burst.forge();
    return burst.copy();
}

std::string fault_of(const Contestant& contestant, uint32_t text_bytes, size_t packets)
{
    Burst ours(text_bytes, packets), theirs(text_bytes, packets);
    const auto plain = ours.copy();
    contestant.seal(ours.jobs());
    oracle().seal(theirs.jobs());
    if (ours.copy() != theirs.copy())
        return "seals differently from libsodium";
    contestant.open(ours.jobs());
    for (const AeadJob& job : ours.jobs()) {
        const uint8_t* text = plain.data() + (job.data - ours.jobs()[0].data);
        if (!job.is_authentic || std::memcmp(job.data, text, job.text_bytes) != 0)
            return "does not open what it sealed";
    }
    theirs.forge();
    contestant.open(theirs.jobs());
    for (const AeadJob& job : theirs.jobs())
        if (job.is_authentic)
            return "accepts a forged packet";
    return {};
}

}  // namespace sandgate::crypto
