// X25519 against RFC 7748, and its refusal of points of low order.
#include "crypto/x25519.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>

#include "tests/unit/crypto/support.h"

namespace sandgate::crypto::test {
namespace {

PrivateKey private_key(std::string_view hex)
{
    const Buffer bytes = from_hex(hex);
    return PrivateKey(std::span<const uint8_t, 32>(bytes.data(), 32));
}

PublicKey public_key(std::string_view hex)
{
    PublicKey out;
    const Buffer bytes = from_hex(hex);
    std::copy_n(bytes.begin(), 32, out.begin());
    return out;
}

// The seven u below 2^255 that lead to the zero point, non-canonical encodings included.
const char* const kLowOrder[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",  // 0
    "0100000000000000000000000000000000000000000000000000000000000000",  // 1
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",  // order 8
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",  // order 8
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // p - 1
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // p
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // p + 1
};

class X25519 : public testing::Test
{
  protected:
    void SetUp() override { ASSERT_GE(sodium_init(), 0); }
};

TEST_F(X25519, multiplies_as_section_5_2)
{
    Secret<32> shared;
    EXPECT_TRUE(dh(shared,
                   private_key("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                   public_key("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")));
    EXPECT_EQ(to_hex(shared.span()),
              "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    EXPECT_TRUE(dh(shared,
                   private_key("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"),
                   public_key("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493")));
    EXPECT_EQ(to_hex(shared.span()),
              "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
}

TEST_F(X25519, passes_the_thousand_iterations_of_section_5_2)
{
    PrivateKey k = private_key("09" + std::string(62, '0'));
    PublicKey u = public_key("09" + std::string(62, '0'));
    for (int i = 1; i <= 1000; ++i) {
        Secret<32> result;
        ASSERT_TRUE(dh(result, k, u));
        std::copy_n(k.data(), 32, u.begin());
        k = std::move(result);
        if (i == 1) {
            EXPECT_EQ(to_hex(k.span()),
                      "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
        }
    }
    EXPECT_EQ(to_hex(k.span()), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST_F(X25519, agrees_on_a_secret_as_section_6_1)
{
    const PrivateKey alice =
        private_key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    const PrivateKey bob =
        private_key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    EXPECT_EQ(to_hex(public_key_of(alice)),
              "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    EXPECT_EQ(to_hex(public_key_of(bob)),
              "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    Secret<32> ours, theirs;
    EXPECT_TRUE(dh(ours, alice, public_key_of(bob)));
    EXPECT_TRUE(dh(theirs, bob, public_key_of(alice)));
    EXPECT_EQ(to_hex(ours.span()),
              "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    EXPECT_TRUE(ours == theirs);
}

TEST_F(X25519, clamps_as_section_5)
{
    PrivateKey all = private_key(std::string(64, 'f'));
    clamp(all);
    EXPECT_EQ(to_hex(all.span()), "f8" + std::string(60, 'f') + "7f");
    PrivateKey none = private_key(std::string(64, '0'));
    clamp(none);
    EXPECT_EQ(to_hex(none.span()), std::string(62, '0') + "40");
}

TEST_F(X25519, refuses_the_seven_points_of_low_order_and_leaves_zero)
{
    const PrivateKey mine =
        private_key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    for (const char* hex : kLowOrder)
        for (const bool has_top_bit : {false, true}) {
            PublicKey point = public_key(hex);
            if (has_top_bit)
                point[31] |= 0x80;
            Secret<32> shared = private_key(std::string(64, 'a'));
            EXPECT_FALSE(dh(shared, mine, point))
                << hex << (has_top_bit ? " with the top bit" : "");
            EXPECT_TRUE(shared.is_zero()) << hex;
        }
}

TEST_F(X25519, keeps_the_results_of_a_batch_apart)
{
    const PrivateKey mine =
        private_key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    const PublicKey good =
        public_key("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    const PublicKey bad = public_key(kLowOrder[2]);
    Secret<32> shared[3];
    DhJob jobs[] = {{&mine, &good, &shared[0], false},
                    {&mine, &bad, &shared[1], true},
                    {&mine, &good, &shared[2], false}};
    dh_batch(jobs);
    EXPECT_TRUE(jobs[0].is_valid);
    EXPECT_FALSE(jobs[1].is_valid);
    EXPECT_TRUE(jobs[2].is_valid);
    EXPECT_TRUE(shared[1].is_zero());
    for (const int i : {0, 2})
        EXPECT_EQ(to_hex(shared[i].span()),
                  "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    dh_batch({});
}

}  // namespace
}  // namespace sandgate::crypto::test
