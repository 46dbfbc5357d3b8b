// Every DH kernel of the table against libsodium: batches of every size to 33, special points and
// keys in every lane, and the iterated vector of RFC 7748 in all lanes at once.
#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "tests/unit/crypto/kernel_case.h"

namespace sandgate::crypto::test {
namespace {

// Of low order with both encodings, not canonical, around the limbs' edges, with bit 255 set.
const char* const kSpecialPoints[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0200000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "efffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
    "ffffffffffff0700000000000000000000000000000000000000000000000000",
    "0000000000000800000000000000000000000000000000000000000000000000",
    "000000000000f8ffffffffffff3f000000000000000000000000000000000000",
    "000000000000000000000000000000000000000000000000000000f0ffffff7f",
};

struct Case
{
    PrivateKey private_key;
    PublicKey public_key;
};

class X25519Batch : public testing::TestWithParam<DhKernel>
{
  protected:
    void SetUp() override
    {
        ASSERT_GE(sodium_init(), 0);
        const std::string fault = features_fault(GetParam().needs, cpu_report());
        if (!fault.empty())
            GTEST_SKIP() << "kernel " << GetParam().name << " was not tested: " << fault;
    }

    Case random_case()
    {
        Case out;
        fill_random(out.private_key.span(), random);
        fill_random(out.public_key, random);
        return out;
    }

    // Computes the batch and compares each result with libsodium's own.
    void expect_as_libsodium(const std::vector<Case>& cases)
    {
        // Full of something else before, with the wrong verdict.
        std::vector<Secret<32>> shared(cases.size() + 1);
        std::vector<DhJob> jobs;
        for (size_t i = 0; i <= cases.size(); ++i) std::memset(shared[i].data(), 0xa5, 32);
        for (size_t i = 0; i < cases.size(); ++i)
            jobs.push_back({&cases[i].private_key, &cases[i].public_key, &shared[i], i % 2 == 0});
        GetParam().compute(jobs);
        for (size_t i = 0; i < cases.size(); ++i) {
            uint8_t expected[32];
            const bool is_valid = crypto_scalarmult(expected, cases[i].private_key.data(),
                                                    cases[i].public_key.data()) == 0;
            if (!is_valid)
                std::memset(expected, 0, sizeof expected);
            EXPECT_EQ(jobs[i].is_valid, is_valid) << "job " << i << " of " << cases.size();
            EXPECT_EQ(to_hex(shared[i].span()), to_hex(expected))
                << "job " << i << " of " << cases.size() << ", point "
                << to_hex(cases[i].public_key);
        }
        for (const uint8_t byte : shared[cases.size()].span())
            ASSERT_EQ(byte, 0xa5) << "wrote behind the batch";
    }

    std::mt19937_64 random{base_seed()};
};
INSTANTIATE_TEST_SUITE_P(All, X25519Batch, testing::ValuesIn(dh_kernels()),
                         [](const auto& row) { return std::string(row.param.name); });

PublicKey point_of(const char* hex)
{
    const Buffer bytes = from_hex(hex);
    PublicKey out;
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
}

TEST_P(X25519Batch, agrees_with_libsodium_in_batches_of_0_to_33)
{
    for (size_t count = 0; count <= 33; ++count) {
        std::vector<Case> cases;
        for (size_t i = 0; i < count; ++i) cases.push_back(random_case());
        expect_as_libsodium(cases);
    }
}

TEST_P(X25519Batch, agrees_on_two_thousand_random_jobs)
{
    std::vector<Case> cases;
    for (size_t i = 0; i < 2000; ++i) cases.push_back(random_case());
    expect_as_libsodium(cases);
}

TEST_P(X25519Batch, takes_special_points_in_every_lane_and_leaves_the_neighbours_alone)
{
    for (const char* hex : kSpecialPoints)
        for (size_t lane = 0; lane < 8; ++lane) {
            std::vector<Case> cases;
            for (size_t i = 0; i < 8; ++i) cases.push_back(random_case());
            cases[lane].public_key = point_of(hex);
            expect_as_libsodium(cases);
        }
}

TEST_P(X25519Batch, takes_a_batch_of_nothing_but_special_points)
{
    std::vector<Case> cases;
    for (const char* hex : kSpecialPoints) {
        cases.push_back(random_case());
        cases.back().public_key = point_of(hex);
    }
    expect_as_libsodium(cases);
}

TEST_P(X25519Batch, clamps_keys_of_all_zeros_and_all_ones_in_every_lane)
{
    for (const int byte : {0x00, 0xff})
        for (size_t lane = 0; lane < 8; ++lane) {
            std::vector<Case> cases;
            for (size_t i = 0; i < 8; ++i) cases.push_back(random_case());
            std::memset(cases[lane].private_key.data(), byte, 32);
            expect_as_libsodium(cases);
        }
}

TEST_P(X25519Batch, follows_every_bit_of_a_key)
{
    std::vector<Case> cases;
    for (size_t bit = 0; bit < 256; ++bit) {
        Case one = random_case();
        one.private_key.wipe();
        one.private_key.data()[bit / 8] = static_cast<uint8_t>(1u << bit % 8);
        cases.push_back(std::move(one));
    }
    expect_as_libsodium(cases);
}

// Lane i begins i iterations late, so that lanes hold different numbers.
TEST_P(X25519Batch, passes_the_thousand_iterations_of_section_5_2_in_eight_lanes)
{
    constexpr size_t kLanes = 8;
    const std::string nine = "09" + std::string(62, '0');
    std::vector<Case> lanes(kLanes);
    for (Case& lane : lanes) {
        lane.public_key = point_of(nine.c_str());
        lane.private_key.assign(std::span<const uint8_t, 32>(lane.public_key));
    }
    for (size_t step = 0; step < 1000 + kLanes - 1; ++step) {
        Secret<32> shared[kLanes];
        std::vector<DhJob> jobs;
        for (size_t i = 0; i < kLanes; ++i)
            jobs.push_back({&lanes[i].private_key, &lanes[i].public_key, &shared[i], false});
        GetParam().compute(jobs);
        for (size_t i = 0; i < kLanes; ++i) {
            ASSERT_TRUE(jobs[i].is_valid);
            if (step < i || step >= i + 1000)
                continue;
            std::copy_n(lanes[i].private_key.data(), 32, lanes[i].public_key.begin());
            lanes[i].private_key = std::move(shared[i]);
        }
    }
    for (const Case& lane : lanes)
        EXPECT_EQ(to_hex(lane.private_key.span()),
                  "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST(X25519Kernels, are_chosen_within_what_the_encryption_kernel_needs)
{
    for (const Kernel& kernel : kernels()) {
        const DhKernel& chosen = choose_dh_kernel(dh_kernels(), kernel.needs);
        EXPECT_STREQ(chosen.name, std::string(kernel.name) == "avx512" ? "x25519_avx512" : "sodium")
            << kernel.name;
    }
    EXPECT_EQ(dh_kernels().back().needs, 0u);
}

}  // namespace
}  // namespace sandgate::crypto::test
