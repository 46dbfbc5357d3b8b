// Verdicts are independent: whatever packet of a batch is forged, in whatever way, it alone is
// refused, keeps no plaintext, and its neighbours are opened. Each lane of a kernel is reached by
// forging each packet of batches of every size in turn.
#include <algorithm>

#include "tests/unit/crypto/batch.h"
#include "tests/unit/crypto/kernel_case.h"

namespace sandgate::crypto::test {
namespace {

class KernelForgery : public KernelCase
{
  protected:
    testing::AssertionResult judges(const Batch& batch, std::span<const Forgery> forgeries)
    {
        return opens_all_but_forged(kernel(), batch, batch.sealed(), forgeries, random_);
    }

    // Forges one packet after the other, alone, in the ways of `turns`.
    testing::AssertionResult judges_each_position(const Batch& batch, size_t turns)
    {
        std::vector<Forgery> forgeries(batch.count(), Forgery::kNone);
        for (size_t i = 0; i < batch.count(); ++i)
            for (size_t turn = 0; turn < turns; ++turn) {
                forgeries[i] = forgery_of_turn(i + turn);
                const auto result = judges(batch, forgeries);
                if (!result)
                    return result;
                forgeries[i] = Forgery::kNone;
            }
        return testing::AssertionSuccess();
    }
};

TEST_P(KernelForgery, is_found_at_each_position_of_batches_of_1_to_34)
{
    for (size_t count = 1; count <= 34; ++count) {
        const Batch mixed(shapes_of(random_lengths(count, 330, random_), random_), random_());
        ASSERT_TRUE(judges_each_position(mixed, 5));
        for (const uint32_t bytes : {0u, 64u, 144u}) {
            const Batch uniform(shapes_of(std::vector<uint32_t>(count, bytes), random_), random_());
            ASSERT_TRUE(judges_each_position(uniform, 1));
        }
    }
}

TEST_P(KernelForgery, is_found_at_each_position_of_64_packets)
{
    for (const uint32_t limit : {65u, 1601u}) {
        const Batch batch(shapes_of(random_lengths(64, limit, random_), random_), random_());
        ASSERT_TRUE(judges_each_position(batch, 5));
    }
}

TEST_P(KernelForgery, of_all_or_of_all_but_one_opens_nothing_else)
{
    for (const size_t count : {1u, 2u, 7u, 8u, 15u, 16u, 17u, 33u, 64u, 129u}) {
        const Batch batch(shapes_of(random_lengths(count, 700, random_), random_), random_());
        std::vector<Forgery> forgeries(count);
        for (size_t i = 0; i < count; ++i) forgeries[i] = forgery_of_turn(i);
        ASSERT_TRUE(judges(batch, forgeries));
        for (size_t i = 0; i < count; ++i) {
            const Forgery kept = forgeries[i];
            forgeries[i] = Forgery::kNone;
            ASSERT_TRUE(judges(batch, forgeries)) << "authentic: " << i;
            forgeries[i] = kept;
        }
    }
}

TEST_P(KernelForgery, leaves_no_plaintext_in_long_packets)
{
    const uint32_t lengths[] = {kMaxTextBytes, 1424, 65504, 0, 9000, 16, kMaxTextBytes, 4096};
    const Batch batch(shapes_of(lengths, random_), random_());
    ASSERT_TRUE(judges_each_position(batch, 5));
}

class TagBits : public KernelCase
{
  protected:
    // Opens the batch with the masks xored into its tags; only packets with a zero mask may pass.
    void expect_only_right_tags_pass(const Batch& batch, std::span<const Buffer> masks)
    {
        Buffer memory = batch.sealed();
        auto jobs = batch.jobs_in(memory);
        for (size_t i = 0; i < jobs.size(); ++i)
            for (uint32_t at = 0; at < kTagBytes; ++at)
                jobs[i].data[jobs[i].text_bytes + at] ^= masks[i][at];
        kernel().open(jobs);
        for (size_t i = 0; i < jobs.size(); ++i)
            ASSERT_EQ(jobs[i].is_authentic, masks[i] == Buffer(kTagBytes))
                << batch.name_of(i) << ", tag xor " << to_hex(masks[i]);
    }

    // `masks` dealt to a batch of that many packets, so that each meets other lanes in each turn.
    void expect_refused_in_every_lane(const std::vector<Buffer>& masks, uint32_t bytes)
    {
        const std::vector<uint32_t> lengths(masks.size(), bytes);
        const Batch batch(shapes_of(lengths, random_), random_());
        for (size_t turn = 0; turn < 17; ++turn) {
            auto dealt = masks;
            std::rotate(dealt.begin(), dealt.begin() + static_cast<ptrdiff_t>(turn), dealt.end());
            expect_only_right_tags_pass(batch, dealt);
        }
    }
};

TEST_P(TagBits, each_refuse_a_packet_in_every_lane)
{
    std::vector<Buffer> masks;
    for (size_t bit = 0; bit < 8 * kTagBytes; ++bit) {
        masks.emplace_back(kTagBytes);
        masks.back()[bit / 8] = static_cast<uint8_t>(1u << bit % 8);
        if (bit % 16 == 0)
            masks.emplace_back(kTagBytes);  // an authentic neighbour
    }
    for (const uint32_t bytes : {0u, 64u, 100u}) expect_refused_in_every_lane(masks, bytes);
}

// A comparison that adds or xors the words of a difference would take these for equal.
TEST_P(TagBits, that_cancel_between_words_are_refused_in_every_lane)
{
    std::vector<Buffer> masks(1, Buffer(kTagBytes));
    for (const size_t word : {1u, 2u, 4u, 8u})
        for (const uint8_t bits : {0x01, 0x80, 0xff}) {
            Buffer two(kTagBytes), all(kTagBytes);
            two[0] = two[word] = bits;
            for (size_t at = 0; at < kTagBytes; at += word) all[at] = bits;
            masks.push_back(two);
            masks.push_back(all);
        }
    masks.emplace_back(kTagBytes, 0xff);
    for (const uint32_t bytes : {0u, 64u, 100u}) expect_refused_in_every_lane(masks, bytes);
}

INSTANTIATE_TEST_SUITE_P(Table, KernelForgery, testing::ValuesIn(all_kernels()), name_of_case);
INSTANTIATE_TEST_SUITE_P(Table, TagBits, testing::ValuesIn(all_kernels()), name_of_case);

}  // namespace
}  // namespace sandgate::crypto::test
