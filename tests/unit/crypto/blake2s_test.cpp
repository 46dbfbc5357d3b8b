// BLAKE2s against RFC 7693 and against digests that Python's hashlib computed.
#include "crypto/blake2s.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/crypto/support.h"

namespace sandgate::crypto::test {
namespace {

Buffer digest(size_t bytes, Bytes key, Bytes input)
{
    Buffer out(bytes);
    Blake2s(bytes, key).update(input).finish(out.data());
    return out;
}

TEST(Blake2s, hashes_abc_as_appendix_b)
{
    EXPECT_EQ(to_hex(hash(bytes_of("abc"))),
              "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
}

TEST(Blake2s, hashes_nothing)
{
    EXPECT_EQ(to_hex(hash({})), "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9");
}

// The generator of appendix E.
Buffer fibonacci_bytes(uint32_t count, uint32_t seed)
{
    Buffer out;
    uint32_t a = 0xdead4bad * seed, b = 1;
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t sum = a + b;
        a = b;
        b = sum;
        out.push_back(static_cast<uint8_t>(sum >> 24));
    }
    return out;
}

TEST(Blake2s, passes_the_self_test_of_appendix_e)
{
    Blake2s all;
    for (const uint32_t digest_bytes : {16u, 20u, 28u, 32u})
        for (const uint32_t input_bytes : {0u, 3u, 64u, 65u, 255u, 1024u}) {
            const Buffer input = fibonacci_bytes(input_bytes, input_bytes);
            const Buffer key = fibonacci_bytes(digest_bytes, digest_bytes);
            all.update(digest(digest_bytes, {}, input));
            all.update(digest(digest_bytes, key, input));
        }
    Buffer out(32);
    all.finish(out.data());
    EXPECT_EQ(to_hex(out), "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe");
}

TEST(Blake2s, agrees_with_hashlib_on_every_length_to_300)
{
    Blake2s all;
    for (size_t bytes = 0; bytes <= 300; ++bytes) all.update(hash(ramp(bytes, bytes, 7)));
    Buffer out(32);
    all.finish(out.data());
    EXPECT_EQ(to_hex(out), "655aed21c64702b601bdab9d6ce353703af8a35b106496e5a156b03d503e8e41");
}

TEST(Blake2s, agrees_with_hashlib_on_every_length_of_key)
{
    Blake2s all;
    for (size_t key_bytes = 0; key_bytes <= 32; ++key_bytes)
        for (const size_t digest_bytes : {1u, 16u, 31u, 32u})
            for (const size_t bytes : {0u, 1u, 63u, 64u, 65u, 127u, 128u, 129u, 300u})
                all.update(
                    digest(digest_bytes, ramp(key_bytes, 200, 1), ramp(bytes, key_bytes, 3)));
    Buffer out(32);
    all.finish(out.data());
    EXPECT_EQ(to_hex(out), "516069fa24c2495857abc1abd240d61174a8948f52bde5abc7e52c0cc497c78a");
}

TEST(Blake2s, does_not_care_how_the_input_is_cut)
{
    std::mt19937_64 random(7);
    for (size_t bytes = 0; bytes <= 300; ++bytes) {
        const Buffer input = ramp(bytes, bytes, 11), key = ramp(bytes % 33, 1, 1);
        const Buffer whole = digest(32, key, input);
        for (int cut = 0; cut < 8; ++cut) {
            Blake2s parts(32, key);
            for (size_t done = 0; done < bytes;) {
                const size_t part = std::min<size_t>(bytes - done, random() % 130);
                parts.update(Bytes(input).subspan(done, part));
                done += part;
            }
            Buffer out(32);
            parts.finish(out.data());
            ASSERT_EQ(out, whole) << bytes << " bytes";
        }
        const size_t half = bytes / 2;
        if (key.empty()) {
            const Hash both = hash(Bytes(input).first(half), Bytes(input).subspan(half));
            ASSERT_EQ(Buffer(both.begin(), both.end()), whole);
        }
    }
}

TEST(Mac, agrees_with_hashlib_for_both_sizes_of_key)
{
    EXPECT_EQ(to_hex(mac(ramp(16, 0, 1), bytes_of("message"))), "37d0934cac1b83cf742574ea32dd9481");
    EXPECT_EQ(to_hex(mac(ramp(32, 0, 1), bytes_of("message"))), "2b75eb9c63ca8524ff53d01905b406eb");
}

}  // namespace
}  // namespace sandgate::crypto::test
