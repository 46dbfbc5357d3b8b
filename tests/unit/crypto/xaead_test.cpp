// The AEADs of handshakes and cookies: RFC 8439 appendix A.5 and draft-irtf-cfrg-xchacha-03.
#include "crypto/xaead.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>

#include "tests/unit/crypto/support.h"

namespace sandgate::crypto::test {
namespace {

const Buffer kSunscreen = bytes_of(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    "sunscreen would be it.");

Key key_of(const Buffer& bytes) { return Key(std::span<const uint8_t, 32>(bytes.data(), 32)); }

class HandshakeAead : public testing::Test
{
  protected:
    void SetUp() override { ASSERT_GE(sodium_init(), 0); }
};
using CookieAead = HandshakeAead;

// The only vector of the RFC whose nonce begins with four zero bytes.
TEST_F(HandshakeAead, opens_and_seals_the_text_of_appendix_a_5)
{
    const Key key =
        key_of(from_hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"));
    const Buffer ad = from_hex("f33388860000000000004e91");
    const Buffer sealed = from_hex(
        "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2"
        "4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf"
        "332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
        "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4"
        "b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e"
        "af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
        "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10"
        "49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29"
        "a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38");
    Buffer text(sealed.size() - 16);
    ASSERT_TRUE(aead_open(text.data(), key, 0x0807060504030201, sealed, ad));
    EXPECT_EQ(std::string(text.begin(), text.end()).substr(0, 35),
              "Internet-Drafts are draft documents");
    Buffer again(sealed.size());
    aead_seal(again.data(), key, 0x0807060504030201, text, ad);
    EXPECT_EQ(again, sealed);
}

TEST_F(HandshakeAead, zeroes_its_output_for_a_forged_text_tag_counter_or_associated_data)
{
    const Key key = key_of(ramp(32, 0, 1));
    const Buffer ad = bytes_of("associated");
    Buffer sealed(20);
    aead_seal(sealed.data(), key, 7, bytes_of("text"), ad);
    EXPECT_EQ(to_hex(sealed), "856afc3ca791530df8526d4303222a5db5d9c7e4");
    const auto refused = [&](uint64_t counter, const Buffer& bytes, const Buffer& data) {
        Buffer out(4, 0xee);
        const bool is_refused = !aead_open(out.data(), key, counter, bytes, data);
        return is_refused && out == Buffer(4);
    };
    for (size_t i = 0; i < sealed.size(); ++i) {
        Buffer forged = sealed;
        forged[i] ^= 0x40;
        EXPECT_TRUE(refused(7, forged, ad)) << i;
    }
    EXPECT_TRUE(refused(8, sealed, ad));
    EXPECT_TRUE(refused(7, sealed, bytes_of("other")));
    Buffer out(4);
    EXPECT_TRUE(aead_open(out.data(), key, 7, sealed, ad));
}

TEST_F(HandshakeAead, seals_and_opens_an_empty_text)
{
    const Key key = key_of(ramp(32, 0, 1));
    Buffer sealed(16);
    aead_seal(sealed.data(), key, 0, {}, bytes_of("hash"));
    uint8_t nothing = 0;
    EXPECT_TRUE(aead_open(&nothing, key, 0, sealed, bytes_of("hash")));
    sealed[0] ^= 1;
    EXPECT_FALSE(aead_open(&nothing, key, 0, sealed, bytes_of("hash")));
}

TEST_F(HandshakeAead, refuses_what_is_shorter_than_a_tag)
{
    const Key key = key_of(ramp(32, 0, 1));
    const Buffer nonce = ramp(24, 0, 1);
    uint8_t out = 0;
    for (size_t bytes = 0; bytes < 16; ++bytes) {
        EXPECT_FALSE(aead_open(&out, key, 0, Buffer(bytes), {}));
        EXPECT_FALSE(xaead_open(&out, key.span(), std::span<const uint8_t, 24>(nonce.data(), 24),
                                Buffer(bytes), {}));
    }
}

TEST_F(CookieAead, seals_and_opens_the_text_of_appendix_a_3_1)
{
    const Buffer key = ramp(32, 0x80, 1), nonce_bytes = ramp(24, 0x40, 1);
    const std::span<const uint8_t, 24> nonce(nonce_bytes.data(), 24);
    const Buffer ad = from_hex("50515253c0c1c2c3c4c5c6c7");
    Buffer sealed(kSunscreen.size() + 16);
    xaead_seal(sealed.data(), key, nonce, kSunscreen, ad);
    EXPECT_EQ(to_hex(sealed),
              "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
              "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
              "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
              "21f9664c97637da9768812f615c68b13b52e"
              "c0875924c1c7987947deafd8780acf49");
    Buffer opened(kSunscreen.size());
    EXPECT_TRUE(xaead_open(opened.data(), key, nonce, sealed, ad));
    EXPECT_EQ(opened, kSunscreen);
}

TEST_F(CookieAead, zeroes_its_output_for_every_flipped_byte_nonce_and_associated_data)
{
    const Buffer key = ramp(32, 0x80, 1);
    Buffer nonce = ramp(24, 0x40, 1);
    const auto view = [&] { return std::span<const uint8_t, 24>(nonce.data(), 24); };
    Buffer sealed(32);
    xaead_seal(sealed.data(), key, view(), ramp(16, 1, 1), bytes_of("mac1"));
    const auto refused = [&](const Buffer& bytes, const Buffer& ad) {
        Buffer out(16, 0xee);
        return !xaead_open(out.data(), key, view(), bytes, ad) && out == Buffer(16);
    };
    for (size_t i = 0; i < sealed.size(); ++i) {
        Buffer forged = sealed;
        forged[i] ^= 1;
        EXPECT_TRUE(refused(forged, bytes_of("mac1"))) << i;
    }
    EXPECT_TRUE(refused(sealed, bytes_of("mac2")));
    for (uint8_t& byte : nonce) {
        byte ^= 1;
        EXPECT_TRUE(refused(sealed, bytes_of("mac1")));
        byte ^= 1;
    }
    EXPECT_FALSE(refused(sealed, bytes_of("mac1")));
}

}  // namespace
}  // namespace sandgate::crypto::test
