// Sealed packets whose Poly1305 sums sit at the edges of the reduction. The one-time key follows
// from key and counter, so r and s are known; an opener takes any ciphertext; so each block of
// ciphertext is solved for, in integers modulo 2^130 - 5, to bring a sum to a chosen value. A sum
// here is of every stride-th block, as a kernel with that many interleaved sums has it: with stride
// 1, the sum of RFC 8439 section 2.5. Tags are computed from the same integers, by no kernel.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>

#include "tests/unit/crypto/support.h"

namespace sandgate::crypto::test {

using Integer = boost::multiprecision::number<boost::multiprecision::cpp_int_backend<
    512, 512, boost::multiprecision::unsigned_magnitude, boost::multiprecision::unchecked, void>>;

// r and s of a packet.
struct OneTimeKey
{
    Integer r;
    Integer s;
};

OneTimeKey one_time_key_of(const Buffer& key, uint64_t counter);

// The values that sums are brought to: around 0, 2^130 - 5, and the limbs' edges of radix 2^26,
// 2^44, 2^32 and 2^64.
const std::vector<Integer>& edge_values();

enum class EdgeAt
{
    kProduct,  // (sum + block) * r^stride is the value
    kSum,      // sum + block is the value
};

struct EdgePacket
{
    Buffer key;
    uint64_t counter;
    Buffer sealed;       // text, then its tag
    size_t edge_blocks;  // how many blocks could be solved for

    uint32_t text_bytes() const { return static_cast<uint32_t>(sealed.size()) - kTagBytes; }
};

struct EdgePlan
{
    uint32_t text_bytes;
    uint32_t stride;
    EdgeAt at;
    size_t first_value;  // block i goes for edge_values()[first_value + i], or one behind it
};

// The last of the whole blocks is solved for the sum behind the block of lengths, where the tag is
// made: an edge value, or one at which the addition of s carries.
EdgePacket solve_edge_packet(const Buffer& key, uint64_t counter, const EdgePlan& plan,
                             std::mt19937_64& random);

// The tag of this ciphertext, by integers.
Buffer tag_by_integers(const OneTimeKey& one_time_key, std::span<const uint8_t> ciphertext);

}  // namespace sandgate::crypto::test
