// A batch of packets to give to a kernel, with what the oracle makes of it. The packets lie one
// behind the other without a gap, between canaries: a kernel that writes beyond one packet spoils
// the next. Everything in a batch follows from its shapes and one seed, which every failure prints.
#pragma once

#include <gtest/gtest.h>

#include "tests/unit/crypto/support.h"

namespace sandgate::crypto::test {

// Packets with the same key number share the key's bytes and address.
struct Shape
{
    uint32_t text_bytes;
    uint64_t counter;
    uint32_t key;
};

// Shapes of these lengths, each with a key of its own and a random counter.
std::vector<Shape> shapes_of(std::span<const uint32_t> lengths, std::mt19937_64& random);

// 0 or more of random lengths below `limit`.
std::vector<uint32_t> random_lengths(size_t count, uint32_t limit, std::mt19937_64& random);

class Batch
{
  public:
    Batch(std::vector<Shape> shapes, uint64_t seed);

    size_t count() const { return shapes_.size(); }
    const Shape& shape(size_t i) const { return shapes_[i]; }
    const uint8_t* key(size_t i) const { return keys_.data() + shapes_[i].key * kKeyBytes; }
    // All packets and the canaries: before sealing, and as sealed by the oracle.
    const Buffer& plain() const { return plain_; }
    const Buffer& sealed() const { return sealed_; }
    size_t offset(size_t i) const { return offsets_[i]; }

    // Jobs on a copy of plain() or sealed().
    std::vector<AeadJob> jobs_in(Buffer& memory) const;
    bool canaries_live(const Buffer& memory) const;
    // "packet 3 of 17 (1424 bytes, seed 99)", for a failure.
    std::string name_of(size_t i) const;

  private:
    std::vector<Shape> shapes_;
    std::vector<size_t> offsets_;
    Buffer keys_;
    Buffer plain_;
    Buffer sealed_;
    uint64_t seed_;
};

enum class Forgery : uint8_t
{
    kNone,
    kTag,
    kText,
    kTruncated,
    kOtherKey,
    kOtherCounter,
};

// One forgery of each kind in turn; kNone is not among them.
Forgery forgery_of_turn(size_t turn);

// Spoils a job that is otherwise authentic. An empty text has its tag changed instead of its text.
void forge(AeadJob& job, Forgery how, std::mt19937_64& random);

// What seal does to the whole batch is, byte for byte, what the oracle did.
testing::AssertionResult seals_as_the_oracle(const Kernel& kernel, const Batch& batch);

// Opens `sealed` with packet i forged as forgeries[i] says. The others must be opened; a forged one
// must be refused and hold, at each byte, the ciphertext that was there or zero: so nothing of its
// plaintext, and not the tag that would have been right either.
testing::AssertionResult opens_all_but_forged(const Kernel& kernel, const Batch& batch,
                                              const Buffer& sealed,
                                              std::span<const Forgery> forgeries,
                                              std::mt19937_64& random);

}  // namespace sandgate::crypto::test
