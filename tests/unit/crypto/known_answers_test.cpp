// The vectors of RFC 8439 that WireGuard's form of the nonce (four zero bytes, a counter) and its
// lack of associated data can express, through every kernel; and answers of Python's cryptography
// (OpenSSL) for all lengths. Section 2.8.2 has associated data and another nonce, so only
// portable_test.cpp can run it; of appendix A.5, which has associated data, the text is checked.
#include <algorithm>

#include "crypto/blake2s.h"
#include "crypto/kernels/portable.h"
#include "tests/unit/crypto/kernel_case.h"

namespace sandgate::crypto::test {
namespace {

struct RfcRow
{
    const char* where;
    const char* key;
    uint64_t counter;      // the last 8 bytes of the nonce, little-endian
    uint32_t first_block;  // the text begins at this block of the keystream; a packet's is 1
    const char* text;      // null: zeros, so that the keystream itself comes out
    const char* sealed;
};

constexpr const char* kZeroKey = "0000000000000000000000000000000000000000000000000000000000000000";
constexpr const char* kOneKey = "0000000000000000000000000000000000000000000000000000000000000001";
constexpr const char* kSecondByteKey =
    "00ff000000000000000000000000000000000000000000000000000000000000";
constexpr const char* kRandomKey =
    "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0";
constexpr uint64_t kNonceEndingIn2 = uint64_t{2} << 56;

constexpr RfcRow kRfcRows[] = {
    {"A.1 number 2", kZeroKey, 0, 1, nullptr,
     "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
     "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"},
    {"A.1 number 3", kOneKey, 0, 1, nullptr,
     "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
     "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"},
    {"A.1 number 4", kSecondByteKey, 0, 2, nullptr,
     "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
     "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"},
    {"A.2 number 2", kOneKey, kNonceEndingIn2, 1,
     "Any submission to the IETF intended by the Contributor for publication as all or part of an "
     "IETF Internet-Draft or RFC and any statement made within the context of an IETF activity is "
     "considered an \"IETF Contribution\". Such statements include oral statements in IETF "
     "sessions, as well as written and electronic communications made at any time or place, which "
     "are addressed to",
     "a3fbf07df3fa2fde4f376ca23e82737041605d9f4f4f57bd8cff2c1d4b7955ec"
     "2a97948bd3722915c8f3d337f7d370050e9e96d647b7c39f56e031ca5eb6250d"
     "4042e02785ececfa4b4bb5e8ead0440e20b6e8db09d881a7c6132f420e527950"
     "42bdfa7773d8a9051447b3291ce1411c680465552aa6c405b7764d5e87bea85a"
     "d00f8449ed8f72d0d662ab052691ca66424bc86d2df80ea41f43abf937d3259d"
     "c4b2d0dfb48a6c9139ddd7f76966e928e635553ba76c5c879d7b35d49eb2e62b"
     "0871cdac638939e25e8a1e0ef9d5280fa8ca328b351c3c765989cbcf3daa8b6c"
     "cc3aaf9f3979c92b3720fc88dc95ed84a1be059c6499b9fda236e7e818b04b0b"
     "c39c1e876b193bfe5569753f88128cc08aaa9b63d1a16f80ef2554d7189c411f"
     "5869ca52c5b83fa36ff216b9c1d30062bebcfd2dc5bce0911934fda79a86f6e6"
     "98ced759c3ff9b6477338f3da4f9cd8514ea9982ccafb341b2384dd902f3d1ab"
     "7ac61dd29c6f21ba5b862f3730e37cfdc4fd806c22f221"},
    {"A.2 number 3", kRandomKey, kNonceEndingIn2, 42,
     "'Twas brillig, and the slithy toves\nDid gyre and gimble in the wabe:\nAll mimsy were the "
     "borogoves,\nAnd the mome raths outgrabe.",
     "62e6347f95ed87a45ffae7426f27a1df5fb69110044c0d73118effa95b01e5cf"
     "166d3df2d721caf9b21e5fb14c616871fd84c54f9d65b283196c7fe4f60553eb"
     "f39c6402c42234e32a356b3e764312a61a5532055716ead6962568f87d3f3f77"
     "04c6a8d1bcd1bf4d50d6154b6da731b187b58dfd728afa36757a797ac188d1"},
    {"A.5", kRandomKey, 0x0807060504030201, 1,
     "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, "
     "replaced, or obsoleted by other documents at any time. It is inappropriate to use "
     "Internet-Drafts as reference material or to cite them other than as /\xe2\x80\x9cwork in "
     "progress./\xe2\x80\x9d",
     "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2"
     "4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf"
     "332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
     "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4"
     "b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e"
     "af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
     "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10"
     "49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29"
     "a6ad5cb4022b02709b"},
};

// Appendix A.4: the one-time key of a packet with this key and counter.
struct OneTimeKeyRow
{
    const char* key;
    uint64_t counter;
    const char* one_time_key;
};

constexpr OneTimeKeyRow kOneTimeKeys[] = {
    {kZeroKey, 0, "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"},
    {kOneKey, kNonceEndingIn2, "ecfa254f845f647473d3cb140da9e87606cb33066c447b87bc2666dde3fbb739"},
    {kRandomKey, kNonceEndingIn2,
     "965e3bc6f9ec7ed9560808f4d229f94b137ff275ca9b3fcbdd59deaad23310ae"},
};

class KernelAnswers : public KernelCase
{
};

TEST_P(KernelAnswers, are_the_ciphertexts_of_rfc_8439)
{
    std::vector<Buffer> keys, memory;
    std::vector<AeadJob> jobs;
    for (const RfcRow& row : kRfcRows) {
        keys.push_back(from_hex(row.key));
        const Buffer text = row.text != nullptr ? bytes_of(row.text) : Buffer(64);
        memory.emplace_back((row.first_block - 1) * 64);
        memory.back().insert(memory.back().end(), text.begin(), text.end());
        memory.back().resize(memory.back().size() + kTagBytes);
    }
    for (size_t i = 0; i < memory.size(); ++i)
        jobs.push_back({keys[i].data(), kRfcRows[i].counter, memory[i].data(),
                        static_cast<uint32_t>(memory[i].size()) - kTagBytes, false});
    kernel().seal(jobs);
    for (size_t i = 0; i < memory.size(); ++i) {
        const std::span<const uint8_t> text(memory[i].data(), jobs[i].text_bytes);
        EXPECT_EQ(to_hex(text.subspan((kRfcRows[i].first_block - 1) * 64)), kRfcRows[i].sealed)
            << kRfcRows[i].where;
    }
}

// Section 2.6: the tag is Poly1305 under that key, of the ciphertext, zeros up to 16 bytes, and the
// two lengths.
TEST_P(KernelAnswers, are_tags_under_the_one_time_keys_of_rfc_8439)
{
    for (const uint32_t bytes : {0u, 1u, 64u, 100u, 1424u})
        for (const OneTimeKeyRow& row : kOneTimeKeys) {
            const Buffer key = from_hex(row.key), one_time_key = from_hex(row.one_time_key);
            Buffer memory(bytes + kTagBytes, 0x61);
            AeadJob job{key.data(), row.counter, memory.data(), bytes, false};
            kernel().seal({&job, 1});
            Buffer message(memory.begin(), memory.end() - kTagBytes);
            message.resize((bytes + 15) / 16 * 16 + 16);
            message[message.size() - 8] = static_cast<uint8_t>(bytes);
            message[message.size() - 7] = static_cast<uint8_t>(bytes >> 8);
            Buffer tag(kTagBytes);
            portable::poly1305(tag.data(), one_time_key.data(), message);
            EXPECT_TRUE(std::equal(tag.begin(), tag.end(), memory.end() - kTagBytes))
                << bytes << " bytes, one-time key " << row.one_time_key;
        }
}

// Packet n: n bytes ramp(n, n, 13), key ramp(32, n, 7), counter n * 0x9e3779b97f4a7c15. The answer
// is the BLAKE2s, by Python's hashlib, of what its cryptography.hazmat sealed, one after the other.
TEST_P(KernelAnswers, are_those_of_openssl_for_all_lengths_to_1600_and_some_longer)
{
    std::vector<uint32_t> lengths;
    for (uint32_t bytes = 0; bytes <= 1600; ++bytes) lengths.push_back(bytes);
    for (const uint32_t bytes : {9000u, 16384u, 65504u, kMaxTextBytes}) lengths.push_back(bytes);
    Buffer sealed;
    for (size_t first = 0; first < lengths.size(); first += 64) {
        std::vector<Buffer> keys, memory;
        std::vector<AeadJob> jobs;
        for (size_t i = first; i < std::min(first + 64, lengths.size()); ++i) {
            keys.push_back(ramp(kKeyBytes, lengths[i], 7));
            memory.push_back(ramp(lengths[i], lengths[i], 13));
            memory.back().resize(lengths[i] + kTagBytes);
            jobs.push_back({keys.back().data(), lengths[i] * 0x9e3779b97f4a7c15,
                            memory.back().data(), lengths[i], false});
        }
        kernel().seal(jobs);
        for (const Buffer& packet : memory)
            sealed.insert(sealed.end(), packet.begin(), packet.end());
    }
    EXPECT_EQ(to_hex(hash(sealed)),
              "c0dc4538dd8720bf65af2b4c33f0b7053f8016aef17f16a58a5feb0ad1aaee30");
}

INSTANTIATE_TEST_SUITE_P(Table, KernelAnswers, testing::ValuesIn(all_kernels()), name_of_case);

}  // namespace
}  // namespace sandgate::crypto::test
