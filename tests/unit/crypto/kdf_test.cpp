// HMAC and KDF against answers of Python's hmac module with hashlib.blake2s.
#include "crypto/kdf.h"

#include <gtest/gtest.h>

#include "tests/unit/crypto/support.h"

namespace sandgate::crypto::test {
namespace {

std::string hmac_of(const Buffer& key, const Buffer& input)
{
    Buffer out(32);
    hmac(key, input, out.data());
    return to_hex(out);
}

std::string hex_of(const Key& key) { return to_hex(key.span()); }

const std::string kTau1 = "e3b7e038799447459d13f6cc03b71555c0b32ee93354ebe4526ec98bc53b20a4";
const std::string kTau2 = "ca06d8e46b509266c7c0594805ffb9c256348a33c642381348f047e452d239e2";
const std::string kTau3 = "5ee952936bec1473c13db1cc92b8d8ba5ad2df7c77f07478731d48aa5530a000";

TEST(Hmac, agrees_with_python_for_short_whole_and_long_keys)
{
    EXPECT_EQ(hmac_of({}, {}), "eaf4bb25938f4d20e72656bbbc7a9bf63c0c18537333c35bdb67db1402661acd");
    EXPECT_EQ(hmac_of(ramp(32, 0, 1), bytes_of("hello")),
              "ca3386d2021b8c299b42476827e7e729b48255da7aee060261072790ea0fc3fa");
    EXPECT_EQ(hmac_of(ramp(64, 0, 1), bytes_of("block-long key")),
              "8b889f5d92dd26b04866fac0c8c83ed82d86f4f0d87ddcf849309d66f78691c2");
    EXPECT_EQ(hmac_of(ramp(100, 0, 1), ramp(200, 0, 1)),
              "c4c95271905c6f69c1dd7c6fbc0cb3735457a660ccc2c4370f28825e7abef5af");
    EXPECT_EQ(hmac_of(bytes_of("Jefe"), bytes_of("what do ya want for nothing?")),
              "90b6281e2f3038c9056af0b4a7e763cae6fe5d9eb4386a0ec95237890c104ff0");
}

TEST(Kdf, gives_one_two_and_three_outputs)
{
    const Buffer key = ramp(32, 0, 1), input = ramp(32, 100, 1);
    Key one, two, three;
    kdf1(one, key, input);
    EXPECT_EQ(hex_of(one), kTau1);
    kdf2(one, two, key, input);
    EXPECT_EQ(hex_of(one), kTau1);
    EXPECT_EQ(hex_of(two), kTau2);
    kdf3(one, two, three, key, input);
    EXPECT_EQ(hex_of(one), kTau1);
    EXPECT_EQ(hex_of(two), kTau2);
    EXPECT_EQ(hex_of(three), kTau3);
}

TEST(Kdf, takes_an_empty_input)
{
    Key one, two, three;
    kdf3(one, two, three, ramp(32, 0, 1), {});
    EXPECT_EQ(hex_of(one), "7a38c34bf2b8738d7374ca77c44ecb309a11d2b2528304fa86052c365e722624");
    EXPECT_EQ(hex_of(two), "1a17621f346abdc520746a9fb64d8eb03231d674fc15687537b0780fd9c060fd");
    EXPECT_EQ(hex_of(three), "4eaf02809ac4b930ef63479de62275f1c55656e61f78a3cc653c18a2223d6c5f");
}

TEST(Kdf, may_write_an_output_over_its_key)
{
    const Buffer input = ramp(32, 100, 1);
    for (int place = 0; place < 3; ++place) {
        Key outputs[3];
        std::copy_n(ramp(32, 0, 1).data(), 32, outputs[place].data());
        kdf3(outputs[0], outputs[1], outputs[2], outputs[place].span(), input);
        EXPECT_EQ(hex_of(outputs[0]), kTau1);
        EXPECT_EQ(hex_of(outputs[1]), kTau2);
        EXPECT_EQ(hex_of(outputs[2]), kTau3);
    }
}

// The first values of every handshake (paper, section 5.4.2).
TEST(Kdf, hashes_the_names_of_the_protocol)
{
    const Hash chaining_key = hash(bytes_of("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"));
    EXPECT_EQ(to_hex(chaining_key),
              "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36");
    EXPECT_EQ(to_hex(hash(chaining_key, bytes_of("WireGuard v1 zx2c4 Jason@zx2c4.com"))),
              "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3");
}

}  // namespace
}  // namespace sandgate::crypto::test
