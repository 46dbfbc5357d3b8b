// Cookies: bound to address and port, to the offending message, and to their ages.
#include "dataplane/wireguard/cookie.h"

#include <gtest/gtest.h>

#include "tests/support/joined_gateways.h"

namespace sandgate::test {

class Cookies : public testing::Test
{
  protected:
    Cookies() { checker.set_static_key(own); }
    void write(uint64_t now_ns) { jar.write_macs(message, own, now_ns); }

    std::mt19937_64 random{5};
    FillRandom fill = [this](std::span<uint8_t> out) {
        for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
    };
    const crypto::PublicKey own = crypto::public_key_of(private_key(1));
    CookieChecker checker{fill};
    CookieJar jar;
    std::vector<uint8_t> message = std::vector<uint8_t>(sizeof(InitiationMessage), 0x33);
    const Endpoint source = endpoint_v4(9, 1000);
};

TEST_F(Cookies, mac1_needs_the_responders_key)
{
    write(1);
    EXPECT_TRUE(checker.has_valid_mac1(message));
    message[20] ^= 1;
    EXPECT_FALSE(checker.has_valid_mac1(message));
    jar.write_macs(message, crypto::public_key_of(private_key(2)), 1);
    EXPECT_FALSE(checker.has_valid_mac1(message)) << "made for another gateway";
}

TEST_F(Cookies, a_cookie_holds_for_one_address_and_port)
{
    write(1);
    ASSERT_TRUE(jar.consume(checker.reply_to(message, source, 1), own, 1));
    write(2);
    EXPECT_TRUE(checker.has_valid_mac2(message, source, 2));
    EXPECT_FALSE(checker.has_valid_mac2(message, endpoint_v4(9, 1001), 2)) << "another port";
    EXPECT_FALSE(checker.has_valid_mac2(message, endpoint_v4(8, 1000), 2)) << "another address";
    message[30] ^= 1;
    EXPECT_FALSE(checker.has_valid_mac2(message, source, 2)) << "another message";
}

TEST_F(Cookies, a_reply_opens_only_for_the_message_it_answers_and_once)
{
    write(1);
    const CookieReplyMessage reply = checker.reply_to(message, source, 1);
    CookieReplyMessage changed = reply;
    changed.nonce[3] ^= 1;
    EXPECT_FALSE(jar.consume(changed, own, 1)) << "wrong nonce";
    message[9] ^= 1;
    write(1);
    EXPECT_FALSE(jar.consume(reply, own, 1)) << "answers an older message";
    message[9] ^= 1;
    write(1);
    EXPECT_TRUE(jar.consume(reply, own, 1));
    EXPECT_FALSE(jar.consume(reply, own, 1)) << "replayed";
}

TEST_F(Cookies, are_used_for_115_s)
{
    write(1);
    ASSERT_TRUE(jar.consume(checker.reply_to(message, source, 1), own, 1));
    const std::vector<uint8_t> none(16, 0);
    write(kCookieMaxAge);
    EXPECT_NE(std::vector<uint8_t>(message.end() - 16, message.end()), none);
    write(1 + kCookieMaxAge);
    EXPECT_EQ(std::vector<uint8_t>(message.end() - 16, message.end()), none);
}

TEST_F(Cookies, the_secret_lives_120_s)
{
    write(1);
    ASSERT_TRUE(jar.consume(checker.reply_to(message, source, 1), own, 1));
    write(1);
    EXPECT_TRUE(checker.has_valid_mac2(message, source, kCookieSecretMaxAge));
    EXPECT_FALSE(checker.has_valid_mac2(message, source, 1 + kCookieSecretMaxAge));
}

}  // namespace sandgate::test
