// Secret<N>: its bytes are gone after destruction and after a move, seen in memory that the test
// owns.
#include "crypto/secret.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <new>
#include <type_traits>

#include "crypto/blake2s.h"
#include "tests/unit/crypto/support.h"

namespace sandgate::crypto::test {
namespace {

static_assert(!std::is_copy_constructible_v<Secret<32>>);
static_assert(!std::is_copy_assignable_v<Secret<32>>);
static_assert(std::is_nothrow_move_constructible_v<Secret<32>>);

const Buffer kBytes = ramp(32, 1, 1);
std::span<const uint8_t, 32> bytes32() { return std::span<const uint8_t, 32>(kBytes.data(), 32); }

// Reads memory whose object is gone, which the compiler must not reason about.
Buffer raw(const volatile uint8_t* memory, size_t bytes)
{
    Buffer out(bytes);
    for (size_t i = 0; i < bytes; ++i) out[i] = memory[i];
    return out;
}

TEST(Secret, is_wiped_when_destroyed)
{
    alignas(Secret<32>) uint8_t memory[sizeof(Secret<32>)];
    auto* secret = new (memory) Secret<32>(bytes32());
    EXPECT_EQ(raw(memory, 32), kBytes);
    secret->~Secret();
    EXPECT_EQ(raw(memory, 32), Buffer(32));
}

TEST(Secret, is_wiped_when_moved_from)
{
    alignas(Secret<32>) uint8_t memory[sizeof(Secret<32>)];
    auto* secret = new (memory) Secret<32>(bytes32());
    Secret<32> constructed(std::move(*secret));
    EXPECT_EQ(raw(memory, 32), Buffer(32));
    EXPECT_EQ(to_hex(constructed.span()), to_hex(kBytes));

    secret->assign(bytes32());
    Secret<32> assigned;
    assigned = std::move(*secret);
    EXPECT_EQ(raw(memory, 32), Buffer(32));
    EXPECT_EQ(to_hex(assigned.span()), to_hex(kBytes));
    secret->~Secret();
}

TEST(Secret, survives_a_move_to_itself)
{
    Secret<32> secret(bytes32());
    Secret<32>& same = secret;
    secret = std::move(same);
    EXPECT_EQ(to_hex(secret.span()), to_hex(kBytes));
}

TEST(Secret, compares_every_byte)
{
    const Secret<32> secret(bytes32());
    Secret<32> other = secret.clone();
    EXPECT_TRUE(secret == other);
    for (size_t i = 0; i < 32; ++i) {
        other.data()[i] ^= 0x80;
        EXPECT_FALSE(secret == other) << i;
        other.data()[i] ^= 0x80;
    }
}

TEST(Secret, starts_as_zero)
{
    alignas(Secret<16>) uint8_t memory[sizeof(Secret<16>)];
    std::fill(std::begin(memory), std::end(memory), uint8_t{0xff});
    auto* secret = new (memory) Secret<16>;
    EXPECT_TRUE(secret->is_zero());
    secret->data()[15] = 1;
    EXPECT_FALSE(secret->is_zero());
    secret->~Secret();
}

TEST(Blake2sState, is_wiped_when_destroyed)
{
    alignas(Blake2s) uint8_t memory[sizeof(Blake2s)];
    auto* state = new (memory) Blake2s(32, kBytes);
    const auto holds_key = [&] {
        const Buffer bytes = raw(memory, sizeof memory);
        return std::search(bytes.begin(), bytes.end(), kBytes.begin(), kBytes.end()) != bytes.end();
    };
    EXPECT_TRUE(holds_key());
    state->~Blake2s();
    EXPECT_FALSE(holds_key());
}

}  // namespace
}  // namespace sandgate::crypto::test
