// Every kernel against every other: what one seals has the bytes that the oracle makes, and what
// another sealed it opens, with forged packets in between. Batches differ in size, in their mix of
// lengths, in keys and in counters, because a kernel with lanes across packets plans them from
// exactly these.
#include <algorithm>
#include <numeric>

#include "tests/unit/crypto/batch.h"
#include "tests/unit/crypto/kernel_case.h"

namespace sandgate::crypto::test {
namespace {

class KernelDifferential : public KernelCase
{
  protected:
    // Seals, then opens what another kernel sealed (each other one in turn), about a fifth forged.
    testing::AssertionResult agrees(const std::vector<Shape>& shapes)
    {
        const Batch batch(shapes, random_());
        auto result = seals_as_the_oracle(kernel(), batch);
        if (!result)
            return result;
        const auto others = supported_kernels();
        Buffer sealed = batch.plain();
        auto jobs = batch.jobs_in(sealed);
        others[turn_++ % others.size()]->seal(jobs);
        std::vector<Forgery> forgeries(batch.count(), Forgery::kNone);
        for (Forgery& forgery : forgeries)
            if (random_() % 5 == 0)
                forgery = forgery_of_turn(random_());
        return opens_all_but_forged(kernel(), batch, sealed, forgeries, random_);
    }

    testing::AssertionResult agrees_on(std::span<const uint32_t> lengths)
    {
        return agrees(shapes_of(lengths, random_));
    }

    std::vector<uint32_t> shuffled_lengths()
    {
        std::vector<uint32_t> lengths(1601);
        std::iota(lengths.begin(), lengths.end(), 0u);
        std::shuffle(lengths.begin(), lengths.end(), random_);
        return lengths;
    }

  private:
    size_t turn_ = 0;
};

// Sizes at which a kernel of 4, 8 or 16 lanes, or of 64 or 128 slots, begins another pass.
constexpr size_t kSizes[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,  13,  14,
                             15, 16, 17, 18, 19, 20, 31, 33, 63, 64, 65, 128, 129, 130};

TEST_P(KernelDifferential, agrees_on_every_length_to_1600_in_mixed_batches)
{
    for (int round = 0; round < 8; ++round) {
        const auto lengths = shuffled_lengths();
        std::span<const uint32_t> rest = lengths;
        while (!rest.empty()) {
            const auto part =
                rest.first(std::min(rest.size(), kSizes[random_() % std::size(kSizes)]));
            ASSERT_TRUE(agrees_on(part));
            rest = rest.subspan(part.size());
        }
    }
}

TEST_P(KernelDifferential, agrees_on_every_length_to_1600_in_uniform_batches)
{
    constexpr size_t kCounts[] = {16, 4, 17, 8, 5, 33, 3};
    for (uint32_t bytes = 0; bytes <= 1600; ++bytes)
        ASSERT_TRUE(agrees_on(std::vector<uint32_t>(kCounts[bytes % std::size(kCounts)], bytes)));
}

TEST_P(KernelDifferential, agrees_on_every_length_to_1600_alone)
{
    for (uint32_t bytes = 0; bytes <= 1600; ++bytes) ASSERT_TRUE(agrees_on({&bytes, 1}));
}

TEST_P(KernelDifferential, agrees_on_every_size_of_batch_to_130)
{
    for (const uint32_t limit : {1u, 70u, 300u, 1601u})
        for (size_t count = 0; count <= 130; ++count)
            ASSERT_TRUE(agrees_on(random_lengths(count, limit, random_)));
}

TEST_P(KernelDifferential, agrees_on_large_batches)
{
    for (const size_t count : {255u, 256u, 257u, 511u, 1024u, 2049u})
        ASSERT_TRUE(agrees_on(random_lengths(count, 260, random_)));
}

TEST_P(KernelDifferential, agrees_on_a_long_packet_among_short_ones)
{
    for (const uint32_t longest : {kMaxTextBytes, kMaxTextBytes - 1, kMaxTextBytes - 15, 9000u})
        for (const uint32_t shorter : {0u, 64u, 1424u})
            for (const size_t at : {0u, 1u, 31u, 63u}) {
                std::vector<uint32_t> lengths(64, shorter);
                lengths[at] = longest;
                ASSERT_TRUE(agrees_on(lengths));
            }
}

TEST_P(KernelDifferential, agrees_on_batches_of_long_packets)
{
    for (const size_t count : {1u, 2u, 3u, 5u, 17u})
        ASSERT_TRUE(agrees_on(std::vector<uint32_t>(count, kMaxTextBytes)));
    ASSERT_TRUE(agrees_on(random_lengths(33, kMaxTextBytes + 1, random_)));
}

TEST_P(KernelDifferential, agrees_on_empty_packets_in_between)
{
    for (const size_t count : {1u, 15u, 16u, 17u, 64u, 130u}) {
        std::vector<uint32_t> lengths(count, 0);
        ASSERT_TRUE(agrees_on(lengths));
        for (size_t i = 0; i < count; i += 1 + random_() % 4)
            lengths[i] = static_cast<uint32_t>(random_() % 1601);
        ASSERT_TRUE(agrees_on(lengths));
        lengths.assign(count, 0);
        lengths.back() = 1424;
        ASSERT_TRUE(agrees_on(lengths));
    }
}

TEST_P(KernelDifferential, agrees_on_sorted_batches_and_on_the_internet_mix)
{
    for (const size_t count : {5u, 16u, 64u, 129u}) {
        auto lengths = random_lengths(count, 1601, random_);
        std::sort(lengths.begin(), lengths.end());
        ASSERT_TRUE(agrees_on(lengths)) << "ascending";
        std::reverse(lengths.begin(), lengths.end());
        ASSERT_TRUE(agrees_on(lengths)) << "descending";
        for (size_t i = 0; i < count; ++i) lengths[i] = i % 2 != 0 ? 64 : 1424;
        ASSERT_TRUE(agrees_on(lengths)) << "alternating";
        for (size_t i = 0; i < count; ++i) lengths[i] = i % 12 < 7 ? 64 : i % 12 < 11 ? 576 : 1424;
        std::shuffle(lengths.begin(), lengths.end(), random_);
        ASSERT_TRUE(agrees_on(lengths)) << "Internet mix";
    }
}

// A kernel may keep what it derives from a key for a run of packets of one session.
TEST_P(KernelDifferential, agrees_on_runs_of_one_key)
{
    for (const size_t longest_run : {1u, 2u, 3u, 16u, 40u, 200u})
        for (const uint32_t limit : {1u, 100u, 1601u}) {
            auto shapes = shapes_of(random_lengths(130, limit, random_), random_);
            uint32_t key = 0;
            size_t left = longest_run;
            for (Shape& shape : shapes) {
                shape.key = key;
                if (--left == 0) {
                    key = static_cast<uint32_t>(random_() % 5);  // comes back to earlier keys
                    left = 1 + random_() % longest_run;
                }
            }
            ASSERT_TRUE(agrees(shapes)) << "runs up to " << longest_run;
        }
}

// The nonce is the counter: with one key and one length, nothing else tells packets apart.
TEST_P(KernelDifferential, agrees_on_consecutive_counters_of_one_key)
{
    for (const uint64_t first :
         {uint64_t{0}, uint64_t{0xfffffff0}, uint64_t{0x7ffffffffffffff0}, ~uint64_t{0} - 64})
        for (const uint32_t bytes : {0u, 64u, 100u, 1424u}) {
            std::vector<Shape> shapes;
            for (uint64_t i = 0; i < 65; ++i) shapes.push_back({bytes, first + i, 0});
            ASSERT_TRUE(agrees(shapes)) << "from counter " << first;
        }
}

// A 32-bit word of the nonce must neither carry into the other nor be shared between lanes.
TEST_P(KernelDifferential, agrees_on_mixed_counters_at_the_edges_of_32_and_64_bits)
{
    constexpr uint64_t kEdges[] = {0,
                                   1,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffffff,
                                   uint64_t{1} << 32,
                                   (uint64_t{1} << 32) + 1,
                                   (uint64_t{1} << 63) - 1,
                                   uint64_t{1} << 63,
                                   0xffffffff00000000,
                                   0xfffffffeffffffff,
                                   ~uint64_t{0} - 1,
                                   ~uint64_t{0}};
    for (size_t count = 1; count <= 40; ++count)
        for (const uint32_t limit : {65u, 1601u}) {
            auto shapes = shapes_of(random_lengths(count, limit, random_), random_);
            for (Shape& shape : shapes) shape.counter = kEdges[random_() % std::size(kEdges)];
            ASSERT_TRUE(agrees(shapes));
        }
}

INSTANTIATE_TEST_SUITE_P(Table, KernelDifferential, testing::ValuesIn(all_kernels()), name_of_case);

}  // namespace
}  // namespace sandgate::crypto::test
