// The handshake against a transcript that noise_vectors.py computed from the paper without any code
// of ours.
#include "dataplane/wireguard/noise.h"

#include <gtest/gtest.h>

#include "dataplane/wireguard/cookie.h"
#include "tests/support/joined_gateways.h"
#include "tests/unit/wireguard/noise_vectors.h"

namespace sandgate::test {

using noise::SharedSecret;

template <size_t N>
std::vector<uint8_t> as_vector(const uint8_t (&bytes)[N])
{
    return {bytes, bytes + N};
}
template <typename Message>
std::vector<uint8_t> as_vector(const Message& message)
{
    const auto* bytes = reinterpret_cast<const uint8_t*>(&message);
    return {bytes, bytes + sizeof(message)};
}
std::vector<uint8_t> as_vector(const crypto::Key& key)
{
    return {key.data(), key.data() + key.size()};
}

template <typename Message, size_t N>
Message message_of(const uint8_t (&bytes)[N])
{
    static_assert(sizeof(Message) == N);
    Message message;
    std::memcpy(&message, bytes, N);
    return message;
}

class NoiseVectors : public testing::Test
{
  protected:
    static SharedSecret dh(const crypto::PrivateKey& own, const crypto::PublicKey& theirs)
    {
        SharedSecret shared;
        EXPECT_TRUE(crypto::dh(shared, own, theirs));
        return shared;
    }
    void SetUp() override
    {
        ASSERT_EQ(crypto::start(), "");
        std::copy_n(vectors::kTimestamp, 12, timestamp.begin());
        for (crypto::PrivateKey* key : {&si, &sr, &ei, &er})
            crypto::clamp(*key);  // as Diffie-Hellman does anyway
        pub_si = crypto::public_key_of(si);
        pub_sr = crypto::public_key_of(sr);
        pub_ei = crypto::public_key_of(ei);
        pub_er = crypto::public_key_of(er);
    }
    crypto::PrivateKey si{vectors::kInitiatorStatic}, sr{vectors::kResponderStatic};
    crypto::PrivateKey ei{vectors::kInitiatorEphemeral}, er{vectors::kResponderEphemeral};
    crypto::PublicKey pub_si, pub_sr, pub_ei, pub_er;
    crypto::Key psk{vectors::kPsk};
    Timestamp timestamp;
};

TEST_F(NoiseVectors, the_initiator_writes_the_known_initiation_and_reads_the_known_response)
{
    auto message = InitiationMessage{};
    message.type.set(kInitiation);
    message.sender_index.set(0x01020304);
    noise::Symmetric state = noise::start(pub_sr);
    noise::write_initiation(state, message,
                            {pub_ei, pub_si, dh(ei, pub_sr), dh(si, pub_sr), timestamp});
    CookieJar().write_macs({reinterpret_cast<uint8_t*>(&message), sizeof(message)}, pub_sr, 1);
    EXPECT_EQ(as_vector(message), as_vector(vectors::kInitiation));

    const auto response = message_of<ResponseMessage>(vectors::kResponse);
    ASSERT_TRUE(noise::read_response(state, response, {dh(ei, pub_er), dh(si, pub_er), psk}));
    crypto::Key send, receive;
    noise::split(state, send, receive);
    EXPECT_EQ(as_vector(send), as_vector(vectors::kToResponder));
    EXPECT_EQ(as_vector(receive), as_vector(vectors::kToInitiator));
    EXPECT_TRUE(state.chaining_key.is_zero());
}

TEST_F(NoiseVectors, the_responder_reads_the_known_initiation_and_writes_the_known_response)
{
    const auto initiation = message_of<InitiationMessage>(vectors::kInitiation);
    noise::Symmetric state = noise::start(pub_sr);
    crypto::PublicKey initiator;
    ASSERT_TRUE(noise::read_static(state, initiation, dh(sr, pub_ei), initiator));
    EXPECT_EQ(initiator, pub_si);
    Timestamp sent;
    ASSERT_TRUE(noise::read_timestamp(state, initiation, dh(sr, pub_si), sent));
    EXPECT_EQ(sent, timestamp);

    auto response = ResponseMessage{};
    response.type.set(kResponse);
    response.sender_index.set(0xa0b0c0d0);
    response.receiver_index = initiation.sender_index;
    noise::write_response(state, response, pub_er, {dh(er, pub_ei), dh(er, pub_si), psk});
    CookieJar().write_macs({reinterpret_cast<uint8_t*>(&response), sizeof(response)}, pub_si, 1);
    EXPECT_EQ(as_vector(response), as_vector(vectors::kResponse));
    crypto::Key receive, send;
    noise::split(state, receive, send);
    EXPECT_EQ(as_vector(receive), as_vector(vectors::kToResponder));
    EXPECT_EQ(as_vector(send), as_vector(vectors::kToInitiator));
}

TEST_F(NoiseVectors, no_changed_bit_of_an_initiation_or_response_is_accepted)
{
    const SharedSecret es = dh(sr, pub_ei), ss = dh(sr, pub_si);
    for (size_t byte = offsetof(InitiationMessage, ephemeral);
         byte < offsetof(InitiationMessage, mac1); byte++) {
        auto message = message_of<InitiationMessage>(vectors::kInitiation);
        reinterpret_cast<uint8_t*>(&message)[byte] ^= 0x10;
        noise::Symmetric state = noise::start(pub_sr);
        crypto::PublicKey initiator;
        Timestamp sent;
        EXPECT_FALSE(noise::read_static(state, message, es, initiator) &&
                     noise::read_timestamp(state, message, ss, sent))
            << "byte " << byte;
    }
    noise::Symmetric initiated = noise::start(pub_sr);
    auto scratch = InitiationMessage{};
    noise::write_initiation(initiated, scratch, {pub_ei, pub_si, es, ss, timestamp});
    const SharedSecret ee = dh(ei, pub_er), se = dh(si, pub_er);
    for (size_t byte = offsetof(ResponseMessage, ephemeral); byte < offsetof(ResponseMessage, mac1);
         byte++) {
        auto message = message_of<ResponseMessage>(vectors::kResponse);
        reinterpret_cast<uint8_t*>(&message)[byte] ^= 0x10;
        noise::Symmetric state = initiated.clone();
        EXPECT_FALSE(noise::read_response(state, message, {ee, se, psk})) << "byte " << byte;
    }
    noise::Symmetric state = initiated.clone();
    EXPECT_FALSE(noise::read_response(state, message_of<ResponseMessage>(vectors::kResponse),
                                      {ee, se, crypto::Key{}}))
        << "another preshared key";
}

TEST_F(NoiseVectors, the_checker_and_the_jar_agree_with_the_known_cookie)
{
    const FillRandom fill = [](std::span<uint8_t> out) {
        for (size_t i = 0; i < out.size(); i++)  // the secret, then the nonce
            out[i] = static_cast<uint8_t>(out.size() == 32 ? 128 + i : i);
    };
    CookieChecker checker(fill);
    checker.set_static_key(pub_sr);
    const uint8_t four[4] = {192, 0, 2, 9};
    const Endpoint source{Address::v4(four), 4242, 0};
    EXPECT_TRUE(checker.has_valid_mac1(vectors::kInitiation));
    EXPECT_FALSE(checker.has_valid_mac2(vectors::kInitiation, source, 1));
    const CookieReplyMessage reply = checker.reply_to(vectors::kInitiation, source, 1);
    EXPECT_EQ(as_vector(reply), as_vector(vectors::kCookieReply));

    CookieJar jar;
    auto message = message_of<InitiationMessage>(vectors::kInitiation);
    const std::span<uint8_t> bytes(reinterpret_cast<uint8_t*>(&message), sizeof(message));
    jar.write_macs(bytes, pub_sr, 1);
    ASSERT_TRUE(jar.consume(reply, pub_sr, 1));
    jar.write_macs(bytes, pub_sr, 2);
    EXPECT_EQ(as_vector(message.mac2), as_vector(vectors::kInitiationMac2));
    EXPECT_TRUE(checker.has_valid_mac2(bytes, source, 2));
}

TEST(Timestamps, are_tai64n_whitened_to_2_to_the_24_ns_and_always_increase)
{
    const uint64_t unix_ns = 1'700'000'000 * kSecond + 987'654'321;
    const Timestamp first = noise::next_timestamp(unix_ns, {});
    const Timestamp expected = {0x40, 0, 0, 0, 0x65, 0x53, 0xf1, 0x0a, 0x3a, 0, 0, 0};
    EXPECT_EQ(first, expected);
    Timestamp last = first;
    for (int i = 0; i < 200; i++) {  // the clock stands still, or runs backwards
        const Timestamp next = noise::next_timestamp(unix_ns - static_cast<uint64_t>(i), last);
        ASSERT_GT(next, last);
        const uint32_t nanoseconds =
            static_cast<uint32_t>(next[8]) << 24 | next[9] << 16 | next[10] << 8 | next[11];
        ASSERT_LT(nanoseconds, 1'000'000'000u);
        ASSERT_EQ(nanoseconds & 0xffffff, 0u);
        last = next;
    }
}

}  // namespace sandgate::test
