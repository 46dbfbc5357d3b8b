// start(): which kernel is chosen, what is refused and in which words, and that a wrong answer
// anywhere stops it. Broken kernels and primitives are passed in.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

#include "crypto/known_answers.h"
#include "crypto/self_test.h"
#include "tests/unit/crypto/support.h"

namespace sandgate::crypto::test {
namespace {

const CpuReport kFullCpu{~0u, ~0u};

int counted_seals = 0;
int counted_opens = 0;

void counting_seal(std::span<AeadJob> jobs)
{
    ++counted_seals;
    sodium_kernel().seal(jobs);
}

void counting_open(std::span<AeadJob> jobs)
{
    ++counted_opens;
    sodium_kernel().open(jobs);
}

const Kernel kCounting{"counting", 0, 1, counting_seal, counting_open};

// Breaks one thing each.
void seal_wrong_text(std::span<AeadJob> jobs)
{
    sodium_kernel().seal(jobs);
    for (AeadJob& job : jobs)
        if (job.text_bytes == 1420)
            job.data[1419] ^= 1;
}

void open_all(std::span<AeadJob> jobs)
{
    sodium_kernel().open(jobs);
    for (AeadJob& job : jobs) job.is_authentic = true;
}

void open_none(std::span<AeadJob> jobs)
{
    sodium_kernel().open(jobs);
    for (AeadJob& job : jobs) job.is_authentic = false;
}

// Decrypts without looking at the tag, and only then refuses.
void open_then_verify(std::span<AeadJob> jobs)
{
    for (AeadJob& job : jobs) {
        const Buffer sealed(job.data, job.data + job.text_bytes + kTagBytes);
        sodium_kernel().open({&job, 1});
        if (job.is_authentic)
            continue;
        std::copy(sealed.begin(), sealed.end(), job.data);
        sodium_kernel().seal({&job, 1});  // xors the keystream, which is to decrypt
    }
}

void open_wrong_text(std::span<AeadJob> jobs)
{
    sodium_kernel().open(jobs);
    if (!jobs.empty() && jobs.back().text_bytes > 0)
        jobs.back().data[0] ^= 1;
}

class Start : public testing::Test
{
  protected:
    void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }

    static std::string start_with_kernel(const Kernel& kernel)
    {
        return start_with({&kernel, 1}, nullptr, kFullCpu, Primitives{});
    }
    static std::string start_with_primitives(const Primitives& primitives)
    {
        return start_with(kernels(), "sodium", kFullCpu, primitives);
    }
};

bool contains(const std::string& text, std::string_view part)
{
    return text.find(part) != std::string::npos;
}

TEST_F(Start, succeeds_with_the_best_kernel_that_this_cpu_supports)
{
    const KernelChoice best = choose_kernel(kernels(), nullptr, cpu_report());
    ASSERT_NE(best.kernel, nullptr);
    EXPECT_EQ(start_with(kernels(), nullptr, cpu_report(), Primitives{}), "");
    EXPECT_STREQ(kernel_name(), best.kernel->name);
}

TEST_F(Start, gives_batches_to_the_forced_kernel)
{
    const Kernel table[] = {sodium_kernel(), kCounting};
    ASSERT_EQ(start_with(table, "counting", kFullCpu, Primitives{}), "");
    EXPECT_STREQ(kernel_name(), "counting");
    counted_seals = counted_opens = 0;
    const Buffer key = ramp(32, 0, 1);
    Buffer data(20);
    AeadJob job{key.data(), 1, data.data(), 4, false};
    seal_batch({&job, 1});
    open_batch({&job, 1});
    EXPECT_TRUE(job.is_authentic);
    EXPECT_EQ(counted_seals, 1);
    EXPECT_EQ(counted_opens, 1);
    EXPECT_EQ(start(), "");
    EXPECT_STRNE(kernel_name(), "counting");
}

TEST_F(Start, obeys_the_environment)
{
    for (const Kernel& kernel : kernels()) {
        if (!features_fault(kernel.needs, cpu_report()).empty())
            continue;
        EXPECT_EXIT(
            {
                setenv("SANDGATE_FORCE_KERNEL", kernel.name, 1);
                const std::string fault = start();
                const bool is_forced = fault.empty() && kernel_name() == std::string(kernel.name) &&
                                       kernel_in_use().seal == kernel.seal;
                std::_Exit(is_forced ? 0 : 1);
            },
            testing::ExitedWithCode(0), "")
            << kernel.name;
    }
}

// The rows of the real table, with functions that count. Row numbers are template arguments because
// a kernel is two plain functions.
constexpr size_t kMostRows = 16;
int seals_of_row[kMostRows], opens_of_row[kMostRows];

template <size_t kRow>
void seal_of_row(std::span<AeadJob> jobs)
{
    ++seals_of_row[kRow];
    kernels()[kRow].seal(jobs);
}

template <size_t kRow>
void open_of_row(std::span<AeadJob> jobs)
{
    ++opens_of_row[kRow];
    kernels()[kRow].open(jobs);
}

template <size_t... kRows>
std::vector<Kernel> counting_table(std::index_sequence<kRows...>)
{
    std::vector<Kernel> out = {{"", 0, 1, seal_of_row<kRows>, open_of_row<kRows>}...};
    out.resize(kernels().size());
    for (size_t row = 0; row < out.size(); ++row) {
        out[row].name = kernels()[row].name;
        out[row].needs = kernels()[row].needs;
        out[row].lanes = kernels()[row].lanes;
    }
    return out;
}

TEST_F(Start, gives_batches_to_the_forced_row_and_to_no_other)
{
    ASSERT_LE(kernels().size(), kMostRows);
    const auto table = counting_table(std::make_index_sequence<kMostRows>());
    for (size_t row = 0; row < table.size(); ++row) {
        const std::string fault = features_fault(table[row].needs, cpu_report());
        if (!fault.empty()) {
            std::cout << "kernel " << table[row].name << " was not forced: " << fault << '\n';
            continue;
        }
        ASSERT_EQ(start_with(table, table[row].name, cpu_report(), Primitives{}), "");
        EXPECT_STREQ(kernel_name(), table[row].name);
        std::fill(std::begin(seals_of_row), std::end(seals_of_row), 0);
        std::fill(std::begin(opens_of_row), std::end(opens_of_row), 0);
        const Buffer key = ramp(32, 0, 1);
        Buffer data(80);
        AeadJob job{key.data(), 1, data.data(), 64, false};
        seal_batch({&job, 1});
        open_batch({&job, 1});
        EXPECT_TRUE(job.is_authentic);
        for (size_t other = 0; other < kMostRows; ++other) {
            EXPECT_EQ(seals_of_row[other], other == row) << "row " << other;
            EXPECT_EQ(opens_of_row[other], other == row) << "row " << other;
        }
    }
    EXPECT_EQ(start(), "");  // off the counting functions
}

TEST_F(Start, refuses_an_unknown_name_and_lists_the_known_ones)
{
    std::string known;
    for (const Kernel& kernel : kernels())
        known += (known.empty() ? "" : ", ") + std::string(kernel.name);
    EXPECT_EXIT(
        {
            setenv("SANDGATE_FORCE_KERNEL", "quantum", 1);
            std::fprintf(stderr, "[%s] %s", kernel_name(), start().c_str());
            std::_Exit(3);
        },
        testing::ExitedWithCode(3),
        "\\[none\\] SANDGATE_FORCE_KERNEL names the unknown kernel \"quantum\"; known are " +
            known + "\\.");
}

TEST_F(Start, refuses_a_forced_kernel_that_the_cpu_lacks_and_says_why)
{
    const Kernel wide{"wide", kAvx512f | kAvx512ifma, 16, counting_seal, counting_open};
    const Kernel table[] = {wide, kCounting};
    EXPECT_EQ(start_with(table, "wide", CpuReport{kAvx512f, kAvx512f}, Primitives{}),
              "SANDGATE_FORCE_KERNEL names a kernel that cannot run here (wide: this CPU has no "
              "avx512ifma); unset it or choose another of wide, counting.");
    EXPECT_EQ(
        start_with(table, "wide", CpuReport{~0u, kAvx2}, Primitives{}),
        "SANDGATE_FORCE_KERNEL names a kernel that cannot run here (wide: the operating system "
        "does not save the registers of avx512f, avx512ifma); unset it or choose another of "
        "wide, counting.");
}

TEST_F(Start, takes_the_next_row_when_the_best_is_not_supported)
{
    const Kernel wide{"wide", kAvx512f, 16, counting_seal, counting_open};
    const Kernel table[] = {wide, kCounting};
    EXPECT_STREQ(choose_kernel(table, nullptr, CpuReport{0, 0}).kernel->name, "counting");
    EXPECT_STREQ(choose_kernel(table, nullptr, kFullCpu).kernel->name, "wide");
    EXPECT_STREQ(choose_kernel(table, "", kFullCpu).kernel->name, "wide");
}

TEST_F(Start, says_why_every_kernel_is_excluded_when_none_is_left)
{
    const Kernel wide{"wide", kAvx512f, 16, counting_seal, counting_open};
    const KernelChoice choice = choose_kernel({&wide, 1}, nullptr, CpuReport{0, 0});
    EXPECT_EQ(choice.kernel, nullptr);
    EXPECT_EQ(choice.fault,
              "No encryption kernel runs on this machine (wide: this CPU has no avx512f).");
}

TEST_F(Start, the_table_ends_with_rows_that_need_nothing)
{
    EXPECT_EQ(choose_kernel(kernels(), nullptr, CpuReport{0, 0}).fault, "");
}

TEST_F(Start, refuses_every_broken_kernel)
{
    const struct
    {
        const char* says;
        BatchFunction seal;
        BatchFunction open;
    } broken[] = {
        {"a sealed packet of 1420 bytes is wrong", seal_wrong_text, sodium_kernel().open},
        {"it accepted a forged packet", sodium_kernel().seal, open_all},
        {"it did not open an authentic packet", sodium_kernel().seal, open_none},
        {"it left the plaintext of a forged packet", sodium_kernel().seal, open_then_verify},
        {"it did not open an authentic packet of 256 bytes", sodium_kernel().seal, open_wrong_text},
    };
    ASSERT_EQ(start(), "");
    const std::string before = kernel_name();
    for (const auto& row : broken) {
        const std::string fault = start_with_kernel({"broken", 0, 1, row.seal, row.open});
        EXPECT_TRUE(contains(fault, "The encryption kernel \"broken\" failed its self-test"))
            << fault;
        EXPECT_TRUE(contains(fault, row.says)) << fault;
        EXPECT_EQ(kernel_name(), before) << "a broken kernel was left in use";
    }
}

// Breaks one job of a full batch.
void dh_wrong_in_lane_7(std::span<DhJob> jobs)
{
    sodium_dh_kernel().compute(jobs);
    if (jobs.size() >= 8 && jobs[7].is_valid)
        jobs[7].shared->data()[31] ^= 1;
}

void dh_all_valid(std::span<DhJob> jobs)
{
    sodium_dh_kernel().compute(jobs);
    for (DhJob& job : jobs) job.is_valid = true;
}

void dh_keeps_invalid(std::span<DhJob> jobs)
{
    sodium_dh_kernel().compute(jobs);
    for (DhJob& job : jobs)
        if (!job.is_valid)
            job.shared->data()[0] = 1;
}

TEST_F(Start, refuses_a_dh_kernel_that_is_wrong_in_one_way)
{
    ASSERT_EQ(start(), "");
    const std::string before = dh_kernel_name();
    const struct
    {
        const char* says;
        void (*compute)(std::span<DhJob>);
    } broken[] = {{"self-test of X25519 in batches gave a wrong answer", dh_wrong_in_lane_7},
                  {"accepted a point of low order", dh_all_valid},
                  {"accepted a point of low order", dh_keeps_invalid}};
    for (const auto& row : broken) {
        const DhKernel table[] = {{"broken", 0, row.compute}};
        const std::string fault = start_with(kernels(), nullptr, cpu_report(), Primitives{}, table);
        EXPECT_TRUE(contains(fault, row.says)) << fault;
        EXPECT_EQ(dh_kernel_name(), before) << "a broken kernel was left in use";
    }
}

int dh_calls_of_row[2];

template <size_t kRow>
void dh_of_row(std::span<DhJob> jobs)
{
    ++dh_calls_of_row[kRow];
    dh_kernels()[kRow].compute(jobs);
}

TEST_F(Start, a_forced_kernel_decides_which_dh_kernel_runs)
{
    ASSERT_EQ(dh_kernels().size(), std::size(dh_calls_of_row));
    DhKernel table[] = {{"", 0, dh_of_row<0>}, {"", 0, dh_of_row<1>}};
    for (size_t row = 0; row < std::size(table); ++row) {
        table[row].name = dh_kernels()[row].name;
        table[row].needs = dh_kernels()[row].needs;
    }
    for (const Kernel& kernel : kernels()) {
        if (!features_fault(kernel.needs, cpu_report()).empty())
            continue;
        ASSERT_EQ(start_with(kernels(), kernel.name, cpu_report(), Primitives{}, table), "");
        const size_t expected = std::string(kernel.name) == "avx512" ? 0 : 1;
        EXPECT_STREQ(dh_kernel_name(), table[expected].name);
        std::fill(std::begin(dh_calls_of_row), std::end(dh_calls_of_row), 0);
        dh_batch({});
        EXPECT_EQ(dh_calls_of_row[expected], 1);
        EXPECT_EQ(dh_calls_of_row[1 - expected], 0);
    }
    ASSERT_EQ(start(), "");
}

TEST_F(Start, refuses_every_broken_primitive)
{
    Primitives broken;
    broken.hash = [](Bytes a, Bytes b) {
        Hash out = hash(a, b);
        out[31] ^= 1;
        return out;
    };
    EXPECT_TRUE(contains(start_with_primitives(broken), "self-test of BLAKE2s"));

    broken = {};
    broken.mac = [](Bytes key, Bytes input) {
        auto out = mac(key, input);
        out[0] ^= 1;
        return out;
    };
    EXPECT_TRUE(contains(start_with_primitives(broken), "self-test of keyed BLAKE2s"));

    broken = {};
    broken.hmac = [](Bytes key, Bytes input, uint8_t* out) {
        hmac(key, input, out);
        out[5] ^= 1;
    };
    EXPECT_TRUE(contains(start_with_primitives(broken), "self-test of HMAC-BLAKE2s"));

    broken = {};
    broken.kdf3 = [](Key& one, Key& two, Key& three, Bytes key, Bytes input) {
        kdf3(one, two, three, key, input);
        three.data()[0] ^= 1;
    };
    EXPECT_TRUE(contains(start_with_primitives(broken), "self-test of the key derivation"));

    broken = {};
    broken.public_key_of = [](const PrivateKey& key) {
        PublicKey out = public_key_of(key);
        out[0] ^= 1;
        return out;
    };
    EXPECT_TRUE(contains(start_with_primitives(broken), "self-test of X25519 public keys"));

    broken = {};
    broken.dh = [](Secret<32>& shared, const PrivateKey& mine, const PublicKey& theirs) {
        dh(shared, mine, theirs);
        return true;
    };
    EXPECT_TRUE(contains(start_with_primitives(broken), "accepted a point of low order"));

    broken = {};
    broken.aead_open = [](uint8_t* out, const Key&, uint64_t, Bytes, Bytes) {
        std::copy_n("text", 4, out);
        return true;
    };
    EXPECT_TRUE(contains(start_with_primitives(broken), "self-test of opening ChaCha20-Poly1305"));

    broken = {};
    broken.aead_seal = [](uint8_t* out, const Key& key, uint64_t counter, Bytes text, Bytes ad) {
        aead_seal(out, key, counter + 1, text, ad);
    };
    EXPECT_TRUE(contains(start_with_primitives(broken), "self-test of ChaCha20-Poly1305"));

    broken = {};
    broken.xaead_seal = [](uint8_t* out, Bytes key, std::span<const uint8_t, 24> nonce, Bytes text,
                           Bytes) { xaead_seal(out, key, nonce, text, {}); };
    EXPECT_TRUE(contains(start_with_primitives(broken), "self-test of XChaCha20-Poly1305"));

    broken = {};
    broken.xaead_open = [](uint8_t*, Bytes, std::span<const uint8_t, 24>, Bytes, Bytes) {
        return false;
    };
    EXPECT_TRUE(contains(start_with_primitives(broken), "self-test of opening XChaCha20-Poly1305"));

    EXPECT_EQ(start_with_primitives(Primitives{}), "");
}

// The child runs this test alone, so nothing has called start() there.
TEST_F(Start, forgotten_stops_the_process_with_a_sentence)
{
    EXPECT_DEATH(seal_batch({}), "called before crypto::start\\(\\)");
    EXPECT_DEATH(open_batch({}), "called before crypto::start\\(\\)");
}

TEST_F(Start, lets_threads_prepare_themselves)
{
    ASSERT_EQ(start(), "");
    prepare_thread();
}

TEST(CpuFeatures, count_only_what_the_operating_system_saves)
{
    CpuidWords words{};
    words.leaf1_ecx = 1u << 20 | 1u << 27 | 1u << 28;
    words.leaf7_ebx = 1u << 5 | 1u << 16 | 1u << 21;
    words.xcr0 = 0x07;
    const CpuReport report = report_of(words);
    EXPECT_EQ(report.by_cpu, FeatureSet{kSse42 | kAvx | kAvx2 | kAvx512f | kAvx512ifma});
    EXPECT_EQ(report.usable, FeatureSet{kSse42 | kAvx | kAvx2});
    words.xcr0 = 0xe7;
    EXPECT_EQ(report_of(words).usable, report.by_cpu);
    words.xcr0 = 0;
    EXPECT_EQ(report_of(words).usable, FeatureSet{kSse42});
}

TEST(CpuFeatures, name_what_is_missing_before_what_is_not_saved)
{
    EXPECT_EQ(features_fault(0, CpuReport{0, 0}), "");
    EXPECT_EQ(features_fault(kAvx2 | kBmi2, CpuReport{0, 0}), "this CPU has no avx2, bmi2");
    EXPECT_EQ(features_fault(kAvx2 | kBmi2, CpuReport{kAvx2 | kBmi2, kBmi2}),
              "the operating system does not save the registers of avx2");
}

TEST(CpuFeatures, agree_with_the_compiler_on_this_machine)
{
    const FeatureSet usable = cpu_report().usable;
    EXPECT_EQ((usable & kSse42) != 0, __builtin_cpu_supports("sse4.2") != 0);
    EXPECT_EQ((usable & kAvx2) != 0, __builtin_cpu_supports("avx2") != 0);
    EXPECT_EQ((usable & kBmi2) != 0, __builtin_cpu_supports("bmi2") != 0);
    EXPECT_EQ((usable & kAvx512f) != 0, __builtin_cpu_supports("avx512f") != 0);
    EXPECT_EQ((usable & kAvx512ifma) != 0, __builtin_cpu_supports("avx512ifma") != 0);
    EXPECT_EQ((usable & kAvx512vbmi) != 0, __builtin_cpu_supports("avx512vbmi") != 0);
}

}  // namespace
}  // namespace sandgate::crypto::test
