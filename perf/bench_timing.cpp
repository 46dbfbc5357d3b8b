// Whether the time of our cryptography depends on its secrets, measured: dudect's method, for every
// kernel that this machine can run. Two classes of inputs take turns at random; for each, both are
// copied from a pool to the same addresses before the clock starts, so that they differ in nothing
// but their bytes. A comparison that exits early is measured first and must be found: it is the
// proof that this machine is quiet enough. The exit status says that and nothing else, as a busy
// machine raises false alarms.
//
// Usage: bench_timing [--seconds 60] [--only NAME] [--json FILE]
#include <sodium.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "crypto/dh_kernel.h"
#include "perf/aead_burst.h"
#include "perf/table.h"
#include "perf/timing_test.h"

namespace sandgate::crypto {
namespace {

using Random = std::mt19937_64;

// The words of a row of the table.
struct Title
{
    std::string kernel, what, classes;
};

// What is measured, and its two classes of inputs.
class Subject
{
  public:
    explicit Subject(Title title) : title_(std::move(title)) {}
    virtual ~Subject() = default;
    Subject(const Subject&) = delete;
    Subject& operator=(const Subject&) = delete;

    const Title& title() const { return title_; }
    virtual size_t input_bytes() const = 0;
    // Makes an input at `to`; not timed. As much work for both classes.
    virtual void make(bool is_second, uint8_t* to, Random& random) = 0;
    // Copies an input to where run() takes it; not timed.
    virtual void load(const uint8_t* from) = 0;
    virtual void run() = 0;

  private:
    Title title_;
};

constexpr const char* kTagClasses = "tag wrong in its first or its last byte";

void fill(uint8_t* to, size_t bytes, Random& random)
{
    for (size_t i = 0; i < bytes; i += 8) {
        const uint64_t word = random();
        std::memcpy(to + i, &word, std::min<size_t>(8, bytes - i));
    }
}

// Packets beside each other, behind their keys.
class AeadSubject final : public Subject
{
  public:
    AeadSubject(const Kernel& with, Action action, size_t packets, uint32_t text_bytes)
        : Subject({with.name,
                   std::string(name_of(action)) + " " + std::to_string(packets) + " x " +
                       std::to_string(text_bytes) + " B",
                   action == Action::kRefuse ? kTagClasses : "keys and texts of zeros or random"}),
          with_(with),
          action_(action),
          packets_(packets),
          text_bytes_(text_bytes),
          input_(input_bytes() + 64)
    {
        at_ = input_.data() + (64 - reinterpret_cast<uintptr_t>(input_.data()) % 64);
        jobs_ = jobs_at(at_);
    }

    size_t input_bytes() const override { return packets_ * (kKeyBytes + stride()); }

    void make(bool is_second, uint8_t* to, Random& random) override
    {
        fill(to, input_bytes(), random);
        if (action_ != Action::kRefuse && !is_second)
            std::memset(to, 0, input_bytes());
        if (action_ == Action::kSeal)
            return;
        std::vector<AeadJob> jobs = jobs_at(to);
        oracle().seal(jobs);
        if (action_ == Action::kRefuse)
            for (const AeadJob& job : jobs)
                job.data[job.text_bytes + (is_second ? kTagBytes - 1 : 0)] ^= 1;
    }
    void load(const uint8_t* from) override { std::memcpy(at_, from, input_bytes()); }
    void run() override { (action_ == Action::kSeal ? with_.seal : with_.open)(jobs_); }

  private:
    size_t stride() const { return (text_bytes_ + kTagBytes + 63) / 64 * 64; }
    std::vector<AeadJob> jobs_at(uint8_t* start) const
    {
        std::vector<AeadJob> jobs;
        for (size_t i = 0; i < packets_; ++i)
            jobs.push_back({start + i * kKeyBytes, 1000 + i,
                            start + packets_ * kKeyBytes + i * stride(), text_bytes_, false});
        return jobs;
    }

    const Kernel& with_;
    Action action_;
    size_t packets_;
    uint32_t text_bytes_;
    std::vector<uint8_t> input_;
    uint8_t* at_;
    std::vector<AeadJob> jobs_;
};

class DhSubject final : public Subject
{
  public:
    DhSubject(const DhKernel& with, size_t count)
        : Subject({with.name, "X25519, " + std::to_string(count) + " at a time",
                   "private keys of zeros or random"}),
          with_(with),
          private_(count),
          public_(count),
          shared_(count)
    {
        Random random(25519);
        for (size_t i = 0; i < count; ++i) {
            fill(public_[i].data(), 32, random);
            jobs_.push_back({&private_[i], &public_[i], &shared_[i], false});
        }
    }

    size_t input_bytes() const override { return private_.size() * 32; }
    void make(bool is_second, uint8_t* to, Random& random) override
    {
        fill(to, input_bytes(), random);
        if (!is_second)
            std::memset(to, 0, input_bytes());
    }
    void load(const uint8_t* from) override
    {
        for (size_t i = 0; i < private_.size(); ++i)
            std::memcpy(private_[i].data(), from + 32 * i, 32);
    }
    void run() override { with_.compute(jobs_); }

  private:
    const DhKernel& with_;
    std::vector<PrivateKey> private_;
    std::vector<PublicKey> public_;
    std::vector<Secret<32>> shared_;
    std::vector<DhJob> jobs_;
};

[[gnu::noinline]] bool equal_with_early_exit(const uint8_t* a, const uint8_t* b)
{
    for (uint32_t i = 0; i < kTagBytes; ++i)
        if (a[i] != b[i])
            return false;
    return true;
}

// What must be found: the comparison of one tag that nobody may write.
class LeakSubject final : public Subject
{
  public:
    LeakSubject() : Subject({"(leak)", "compare a tag, early exit", kTagClasses}) {}
    size_t input_bytes() const override { return sizeof tags_; }
    void make(bool is_second, uint8_t* to, Random& random) override
    {
        fill(to, kTagBytes, random);
        std::memcpy(to + kTagBytes, to, kTagBytes);
        to[kTagBytes + (is_second ? kTagBytes - 1 : 0)] ^= 1;
    }
    void load(const uint8_t* from) override { std::memcpy(tags_, from, sizeof tags_); }
    void run() override { is_equal_ = equal_with_early_exit(tags_, tags_ + kTagBytes); }

  private:
    alignas(64) uint8_t tags_[2 * kTagBytes] = {};
    volatile bool is_equal_ = false;
};

// Inputs of both classes in random order, and what each took.
class Pool
{
  public:
    explicit Pool(Subject& subject)
        : subject_(subject),
          // It fits the second-level cache with room to spare.
          inputs_(std::clamp<size_t>(kBytes / subject.input_bytes(), kLeast, kMost)),
          bytes_(inputs_ * subject.input_bytes()),
          is_second_(inputs_),
          cycles_(inputs_)
    {
    }

    void measure(Random& random)
    {
        for (size_t i = 0; i < inputs_; ++i) {
            is_second_[i] = static_cast<char>(random() & 1);
            subject_.make(is_second_[i] != 0, bytes_.data() + i * subject_.input_bytes(), random);
        }
        for (size_t i = 0; i < inputs_; ++i) {
            subject_.load(bytes_.data() + i * subject_.input_bytes());
            const uint64_t begin = read_tsc();
            subject_.run();
            cycles_[i] = static_cast<double>(read_tsc() - begin);
        }
    }
    const std::vector<double>& cycles() const { return cycles_; }
    void count_in(perf::TimingTest& test) const
    {
        for (size_t i = 0; i < inputs_; ++i) test.add(is_second_[i] != 0, cycles_[i]);
    }

  private:
    static constexpr size_t kBytes = 128 * 1024, kLeast = 8, kMost = 1024;

    Subject& subject_;
    size_t inputs_;
    std::vector<uint8_t> bytes_;
    std::vector<char> is_second_;
    std::vector<double> cycles_;
};

perf::TimingResult measure(Subject& subject, double seconds)
{
    constexpr size_t kFirst = 2000;  // measurements that only choose the cut-offs
    Random random(std::random_device{}());
    Pool pool(subject);
    std::vector<double> first;
    pool.measure(random);  // warms up
    while (first.size() < kFirst) {
        pool.measure(random);
        first.insert(first.end(), pool.cycles().begin(), pool.cycles().end());
    }
    perf::TimingTest test(std::move(first));
    const uint64_t begin = read_tsc();
    const auto ticks = static_cast<uint64_t>(seconds * 1e9 * tsc_per_ns());
    while (read_tsc() - begin < ticks) {
        pool.measure(random);
        pool.count_in(test);
    }
    return test.result();
}

std::vector<std::unique_ptr<Subject>> subjects(const std::string& only)
{
    std::vector<std::unique_ptr<Subject>> all;
    all.push_back(std::make_unique<LeakSubject>());
    const auto is_wanted = [&](const char* name, FeatureSet needs) {
        return (only.empty() || only == name) && (needs & ~cpu_report().usable) == 0;
    };
    for (const Kernel& kernel : kernels())
        if (is_wanted(kernel.name, kernel.needs))
            for (const Action action : {Action::kSeal, Action::kOpen, Action::kRefuse}) {
                all.push_back(std::make_unique<AeadSubject>(kernel, action, 1, 256));
                all.push_back(std::make_unique<AeadSubject>(kernel, action, 8, 300));
            }
    for (const DhKernel& kernel : dh_kernels())
        if (is_wanted(kernel.name, kernel.needs))
            all.push_back(std::make_unique<DhSubject>(kernel, kernel.needs == 0 ? 1 : 8));
    return all;
}

const char* verdict_of(const perf::TimingResult& result)
{
    const double t = std::fabs(result.t);
    return t > perf::kCertainT ? "DIFFERS" : t > perf::kSuspectedT ? "suspicious" : "none seen";
}

void append_json(std::string& json, const Title& title, const perf::TimingResult& result)
{
    char text[512];
    std::snprintf(text, sizeof text,
                  "%s\n  {\"kernel\": \"%s\", \"what\": \"%s\", \"classes\": \"%s\", "
                  "\"measurements\": %zu, \"median_cycles\": %.0f, \"difference_cycles\": %.3f, "
                  "\"seen_from_cycles\": %.3f, \"t\": %.2f, \"verdict\": \"%s\"}",
                  json.empty() ? "[" : ",", title.kernel.c_str(), title.what.c_str(),
                  title.classes.c_str(), result.measurements, result.median, result.difference,
                  result.seen_from, result.t, verdict_of(result));
    json += text;
}

int run(double seconds, const std::string& only, const std::string& json_file)
{
    const auto all = subjects(only);
    perf::print_machine("every one that this machine can run",
                        "dudect: two classes of inputs at random, Welch's t, its largest |t| of "
                        "all cut-offs");
    std::printf(
        "\nDoes the time tell the two classes apart? |t| up to %.1f: no difference was seen; up to "
        "%.0f: suspicious,\nmeasure again on a quiet machine; above: it does. 'differ by' is the "
        "difference of the means in cycles,\nwithout the slowest tenth; from 'seen from' on it "
        "would have been suspicious. The first row leaks on purpose.\n\n",
        perf::kSuspectedT, perf::kCertainT);
    std::printf("%-14s %-26s %-40s %8s %7s %9s %9s %7s  %s\n", "kernel", "what", "classes", "runs",
                "cycles", "differ by", "seen from", "|t|", "verdict");
    bool leak_is_found = false;
    std::string json;
    for (const auto& subject : all) {
        const perf::TimingResult result =
            measure(*subject, seconds / static_cast<double>(all.size()));
        const Title& title = subject->title();
        if (subject == all.front())
            leak_is_found = std::fabs(result.t) > perf::kCertainT;
        std::printf("%-14s %-26s %-40s %7zuk %7.0f %9.2f %9.2f %7.1f  %s\n", title.kernel.c_str(),
                    title.what.c_str(), title.classes.c_str(), result.measurements / 1000,
                    result.median, result.difference, result.seen_from, std::fabs(result.t),
                    verdict_of(result));
        std::fflush(stdout);
        append_json(json, title, result);
    }
    if (!json_file.empty())
        std::ofstream(json_file) << json << "\n]\n";
    if (!leak_is_found) {
        std::printf("The deliberate leak was NOT found: this run proves nothing.\n");
        return 1;
    }
    return 0;
}

}  // namespace
}  // namespace sandgate::crypto

int main(int argc, char** argv)
{
    CLI::App app("Whether the time of the cryptography depends on its secrets");
    double seconds = 60;
    std::string only, json_file;
    app.add_option("--seconds", seconds, "for all rows together")->check(CLI::Range(1.0, 86400.0));
    app.add_option("--only", only, "one kernel");
    app.add_option("--json", json_file, "also write the figures to this file");
    CLI11_PARSE(app, argc, argv);
    if (sodium_init() < 0)
        return 1;
    return sandgate::crypto::run(seconds, only, json_file);
}
