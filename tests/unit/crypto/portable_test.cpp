// The parts of the portable kernel against the vectors of RFC 8439, section by section.
#include "crypto/kernels/portable.h"

#include <gtest/gtest.h>

#include "tests/unit/crypto/support.h"

namespace sandgate::crypto::test {
namespace {

portable::Nonce nonce_of(const Buffer& bytes) { return portable::Nonce(bytes.data(), 12); }

std::string keystream(std::string_view key, std::string_view nonce, uint32_t block)
{
    Buffer out(64);
    portable::chacha20_xor(from_hex(key).data(), nonce_of(from_hex(nonce)), block, out.data(), 64);
    return to_hex(out);
}

std::string poly1305_of(std::string_view key, std::string_view message)
{
    Buffer tag(16);
    portable::poly1305(tag.data(), from_hex(key).data(), from_hex(message));
    return to_hex(tag);
}

const Buffer kSunscreen = bytes_of(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    "sunscreen would be it.");

TEST(ChaCha20, makes_the_block_of_section_2_3_2)
{
    EXPECT_EQ(keystream("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                        "000000090000004a00000000", 1),
              "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
              "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e");
}

TEST(ChaCha20, makes_the_blocks_of_appendix_a_1)
{
    const std::string zero_key(64, '0'), zero_nonce(24, '0');
    EXPECT_EQ(keystream(zero_key, zero_nonce, 0),
              "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
              "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
    EXPECT_EQ(keystream(zero_key, zero_nonce, 1),
              "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
              "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f");
}

TEST(ChaCha20, encrypts_the_text_of_section_2_4_2)
{
    Buffer text = kSunscreen;
    portable::chacha20_xor(
        from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").data(),
        nonce_of(from_hex("000000000000004a00000000")), 1, text.data(), text.size());
    EXPECT_EQ(to_hex(text),
              "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b"
              "f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8"
              "07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"
              "5af90bbf74a35be6b40b8eedf2785e42874d");
}

TEST(Poly1305, tags_the_message_of_section_2_5_2)
{
    EXPECT_EQ(poly1305_of("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b",
                          to_hex(bytes_of("Cryptographic Forum Research Group"))),
              "a8061dc1305136c6c22b8baf0c0127a9");
}

// Appendix A.3, numbers 1, 2 and 4 to 11; the last seven sit at the edges of the reduction.
TEST(Poly1305, tags_the_messages_of_appendix_a_3)
{
    const std::string zero16(32, '0'), ff16(32, 'f');
    EXPECT_EQ(poly1305_of(zero16 + zero16, zero16 + zero16 + zero16 + zero16), zero16);
    EXPECT_EQ(poly1305_of(zero16 + "36e5f6b5c5e06070f0efca96227a863e",
                          to_hex(bytes_of("any message gives s when r is zero"))),
              "36e5f6b5c5e06070f0efca96227a863e");
    EXPECT_EQ(
        poly1305_of(
            "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0",
            to_hex(bytes_of("'Twas brillig, and the slithy toves\nDid gyre and gimble in the "
                            "wabe:\nAll mimsy were the borogoves,\nAnd the mome raths outgrabe."))),
        "4541669a7eaaee61e708dc7cbcc5eb62");

    const std::string r2 = "02" + std::string(30, '0'), r1 = "01" + std::string(30, '0');
    EXPECT_EQ(poly1305_of(r2 + zero16, ff16), "03" + std::string(30, '0'));
    EXPECT_EQ(poly1305_of(r2 + ff16, r2), "03" + std::string(30, '0'));
    EXPECT_EQ(
        poly1305_of(r1 + zero16, ff16 + "f0" + std::string(30, 'f') + "11" + std::string(30, '0')),
        "05" + std::string(30, '0'));
    std::string fb = "fb", ones;
    for (int i = 0; i < 15; ++i) fb += "fe";
    for (int i = 0; i < 16; ++i) ones += "01";
    EXPECT_EQ(poly1305_of(r1 + zero16, ff16 + fb + ones), zero16);
    EXPECT_EQ(poly1305_of(r2 + zero16, "fd" + std::string(30, 'f')), "fa" + std::string(30, 'f'));
    const std::string r14 = "01000000000000000400000000000000";
    const std::string head =
        "e33594d7505e43b90000000000000000"
        "3394d7505e4379cd0100000000000000" +
        zero16;
    EXPECT_EQ(poly1305_of(r14 + zero16, head + r1), "14000000000000005500000000000000");
    EXPECT_EQ(poly1305_of(r14 + zero16, head), "13" + std::string(30, '0'));
}

TEST(PortableAead, seals_and_opens_the_text_of_section_2_8_2)
{
    const Buffer key = ramp(32, 0x80, 1), nonce = from_hex("070000004041424344454647");
    const Buffer ad = from_hex("50515253c0c1c2c3c4c5c6c7");
    Buffer text = kSunscreen, tag(16);
    portable::seal(key.data(), nonce_of(nonce), ad, text.data(), text.size(), tag.data());
    EXPECT_EQ(to_hex(text),
              "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
              "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
              "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
              "3ff4def08e4b7a9de576d26586cec64b6116");
    EXPECT_EQ(to_hex(tag), "1ae10b594f09e26a7e902ecbd0600691");
    EXPECT_TRUE(
        portable::open(key.data(), nonce_of(nonce), ad, text.data(), text.size(), tag.data()));
    EXPECT_EQ(text, kSunscreen);
}

TEST(PortableAead, does_not_touch_a_text_whose_associated_data_differ)
{
    const Buffer key = ramp(32, 0x80, 1), nonce = ramp(12, 0, 1);
    Buffer text = kSunscreen, tag(16);
    portable::seal(key.data(), nonce_of(nonce), bytes_of("a"), text.data(), text.size(),
                   tag.data());
    const Buffer sealed = text;
    EXPECT_FALSE(portable::open(key.data(), nonce_of(nonce), bytes_of("b"), text.data(),
                                text.size(), tag.data()));
    EXPECT_EQ(text, sealed);
}

}  // namespace
}  // namespace sandgate::crypto::test
