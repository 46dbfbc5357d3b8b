// Project Wycheproof's vectors of known attacks, which are not part of this repository.
// SANDGATE_VECTORS names a file of theirs, or a folder that holds both
// wycheproof_chacha20_poly1305_test.json and wycheproof_x25519_test.json; without it the tests say
// that they were skipped.
#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>

#include "crypto/dh_kernel.h"
#include "crypto/kernels/portable.h"
#include "tests/unit/crypto/batch.h"
#include "tests/unit/crypto/kernel_case.h"

namespace sandgate::crypto::test {
namespace {

namespace json = boost::json;

class Wycheproof : public testing::Test
{
  protected:
    void SetUp() override { ASSERT_GE(sodium_init(), 0); }

    // The file's contents when it is there and says that it tests `algorithm`; else skips.
    std::optional<json::object> load(const std::string& algorithm, const std::string& file_name)
    {
        const char* variable = std::getenv("SANDGATE_VECTORS");
        if (variable == nullptr)
            return skip("SANDGATE_VECTORS is not set");
        std::filesystem::path path = variable;
        if (std::filesystem::is_directory(path))
            path /= file_name;
        std::ifstream file(path);
        if (!file)
            return skip("cannot read " + path.string());
        std::stringstream text;
        text << file.rdbuf();
        json::object root = json::parse(text.str()).as_object();
        if (root.at("algorithm").as_string() != std::string_view(algorithm))
            return skip(path.string() + " does not test " + algorithm);
        return root;
    }

    static Buffer field(const json::object& test, const char* name)
    {
        return from_hex(std::string_view(test.at(name).as_string()));
    }

  private:
    static std::optional<json::object> skip(const std::string& reason)
    {
        skip_here("the Wycheproof vectors were NOT run: " + reason);
        return std::nullopt;
    }
    static void skip_here(const std::string& reason) { GTEST_SKIP() << reason; }
};

// Among random packets, the vector's text at each of 17 positions of a batch. Its associated data
// cannot be said in a job and are part of the tag alone: the text that comes out is the vector's,
// and its tag must be refused.
void expect_ciphertext_among_neighbours(const Kernel& kernel, const Buffer& key, uint64_t counter,
                                        const Buffer& text, const Buffer& sealed)
{
    constexpr size_t kCount = 17;
    std::mt19937_64 random(base_seed());
    for (size_t at = 0; at < kCount; ++at) {
        const Batch neighbours(shapes_of(random_lengths(kCount, 600, random), random), random());
        Buffer memory = neighbours.plain(), data = text;
        data.resize(text.size() + kTagBytes);
        auto jobs = neighbours.jobs_in(memory);
        jobs[at] = {key.data(), counter, data.data(), static_cast<uint32_t>(text.size()), false};
        kernel.seal(jobs);
        EXPECT_TRUE(std::equal(data.begin(), data.end() - kTagBytes, sealed.begin()))
            << kernel.name << " at " << at;
        data = sealed;
        kernel.open(jobs);
        for (size_t i = 0; i < kCount; ++i)
            EXPECT_EQ(jobs[i].is_authentic, i != at) << kernel.name << " at " << at;
    }
}

// The same packet through a kernel of the table, where its interface can say it.
void expect_kernels_agree(const Buffer& key, const Buffer& nonce, const Buffer& text,
                          const Buffer& sealed, bool is_valid)
{
    uint64_t counter;
    std::memcpy(&counter, nonce.data() + 4, 8);
    for (const Kernel& kernel : kernels()) {
        if (!features_fault(kernel.needs, cpu_report()).empty())
            continue;
        Buffer data = sealed;
        AeadJob job{key.data(), counter, data.data(), static_cast<uint32_t>(text.size()), false};
        kernel.open({&job, 1});
        EXPECT_EQ(job.is_authentic, is_valid) << kernel.name;
        if (!is_valid)
            continue;
        EXPECT_TRUE(std::equal(text.begin(), text.end(), data.begin())) << kernel.name;
        kernel.seal({&job, 1});
        EXPECT_EQ(data, sealed) << kernel.name;
    }
}

TEST_F(Wycheproof, chacha20_poly1305)
{
    const auto root = load("CHACHA20-POLY1305", "wycheproof_chacha20_poly1305_test.json");
    if (!root)
        return;
    int run = 0, by_kernels = 0, texts_by_kernels = 0, other_sizes = 0;
    for (const json::value& group : root->at("testGroups").as_array())
        for (const json::value& value : group.at("tests").as_array()) {
            const json::object& test = value.as_object();
            SCOPED_TRACE("tcId " + std::to_string(test.at("tcId").as_int64()));
            const Buffer key = field(test, "key"), nonce = field(test, "iv");
            const Buffer ad = field(test, "aad"), text = field(test, "msg");
            const Buffer ciphertext = field(test, "ct"), tag = field(test, "tag");
            const bool is_valid = test.at("result").as_string() == "valid";
            if (key.size() != 32 || nonce.size() != 12 || tag.size() != 16) {
                EXPECT_FALSE(is_valid);  // our types cannot express it
                ++other_sizes;
                continue;
            }
            ++run;
            const portable::Nonce fixed(nonce.data(), 12);
            Buffer data = ciphertext;
            EXPECT_EQ(portable::open(key.data(), fixed, ad, data.data(), data.size(), tag.data()),
                      is_valid);
            EXPECT_EQ(data, is_valid ? text : ciphertext);
            if (is_valid) {
                Buffer made_tag(16);
                portable::seal(key.data(), fixed, ad, data.data(), data.size(), made_tag.data());
                EXPECT_EQ(data, ciphertext);
                EXPECT_EQ(made_tag, tag);
            }
            if (std::any_of(nonce.begin(), nonce.begin() + 4,
                            [](uint8_t byte) { return byte != 0; }))
                continue;  // no counter has this nonce
            Buffer sealed = ciphertext;
            sealed.insert(sealed.end(), tag.begin(), tag.end());
            if (ad.empty()) {
                expect_kernels_agree(key, nonce, text, sealed, is_valid);
                ++by_kernels;
            } else if (is_valid) {
                uint64_t counter;
                std::memcpy(&counter, nonce.data() + 4, 8);
                for (const Kernel* kernel : supported_kernels())
                    expect_ciphertext_among_neighbours(*kernel, key, counter, text, sealed);
                ++texts_by_kernels;
            }
        }
    std::cout << "Wycheproof ChaCha20-Poly1305: " << run << " vectors run, " << by_kernels
              << " of them by every kernel, the texts of " << texts_by_kernels
              << " more by every kernel in batches, " << other_sizes
              << " of sizes that no call accepts\n";
    EXPECT_GT(run, 0);
    EXPECT_GT(by_kernels + texts_by_kernels, 0);
}

TEST_F(Wycheproof, x25519)
{
    const auto root = load("XDH", "wycheproof_x25519_test.json");
    if (!root)
        return;
    struct Vector
    {
        PrivateKey mine;
        PublicKey theirs;
        Buffer expected;
    };
    std::vector<Vector> vectors;
    int run = 0, refused = 0;
    for (const json::value& group : root->at("testGroups").as_array())
        for (const json::value& value : group.at("tests").as_array()) {
            const json::object& test = value.as_object();
            SCOPED_TRACE("tcId " + std::to_string(test.at("tcId").as_int64()));
            const Buffer mine = field(test, "private"), theirs = field(test, "public");
            const Buffer expected = field(test, "shared");
            ASSERT_EQ(mine.size(), 32u);
            ASSERT_EQ(theirs.size(), 32u);
            const PrivateKey private_key(std::span<const uint8_t, 32>(mine.data(), 32));
            PublicKey public_key;
            std::copy(theirs.begin(), theirs.end(), public_key.begin());
            Secret<32> shared;
            const bool is_zero = expected == Buffer(32);
            EXPECT_EQ(dh(shared, private_key, public_key), !is_zero);
            EXPECT_EQ(to_hex(shared.span()), to_hex(expected));
            ++run;
            refused += is_zero;
            vectors.push_back({private_key.clone(), public_key, expected});
        }
    std::cout << "Wycheproof X25519: " << run << " vectors run, " << refused
              << " of them refused as zero\n";
    for (const DhKernel& kernel : dh_kernels()) {
        if (!features_fault(kernel.needs, cpu_report()).empty())
            continue;
        std::vector<Secret<32>> shared(vectors.size());
        std::vector<DhJob> jobs;
        for (size_t i = 0; i < vectors.size(); ++i)
            jobs.push_back({&vectors[i].mine, &vectors[i].theirs, &shared[i], false});
        kernel.compute(jobs);
        for (size_t i = 0; i < vectors.size(); ++i) {
            EXPECT_EQ(to_hex(shared[i].span()), to_hex(vectors[i].expected)) << kernel.name;
            EXPECT_EQ(jobs[i].is_valid, vectors[i].expected != Buffer(32)) << kernel.name;
        }
        std::cout << "Wycheproof X25519: all of them in one batch by " << kernel.name << '\n';
    }
    EXPECT_GT(run, 0);
}

}  // namespace
}  // namespace sandgate::crypto::test
