// Faults that other WireGuard implementations shipped and fixed (GotaTun's changelog, Linux'
// netns.sh), as tests (docs/conformance.md).
#include <gtest/gtest.h>

#include "dataplane/wireguard/cookie.h"
#include "dataplane/wireguard/noise.h"
#include "tests/support/joined_gateways.h"

namespace sandgate::test {

const Packet kPing(84, 0x45);
constexpr auto kPeer = JoinedGateways::kPeer;
constexpr uint64_t kMs = 1'000'000;

class Regression : public testing::Test
{
  protected:
    Regression() { joined.introduce(); }
    JoinedGateways joined;
};

TEST_F(Regression, a_nonce_is_never_used_at_or_past_reject_after_messages)
{
    joined.handshake();
    joined.advance(10 * kSecond);
    joined.ta().current->send_counter = kRejectAfterMessages - 1;
    Session* session = joined.ta().current;
    joined.on_wire = [](Datagram& d) { return d.type() == kData; };
    joined.a.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.last_sent(kData).as<DataHeader>().counter.get(), kRejectAfterMessages - 1);
    EXPECT_EQ(joined.tb().received.size(), 2u) << "64-bit counters work";
    const unsigned data = joined.sent_count(kData);
    joined.a.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.sent_count(kData), data);
    EXPECT_EQ(joined.ta().staged.size(), 1u) << "it waits for the next session";
    EXPECT_EQ(session->send_counter, kRejectAfterMessages);
}

TEST_F(Regression, a_received_counter_at_reject_after_messages_is_refused_before_decryption)
{
    joined.handshake();
    Datagram datagram = joined.last_sent(kData);
    datagram.as<DataHeader>().counter.set(kRejectAfterMessages);
    joined.b.receive(datagram);
    EXPECT_EQ(joined.b.drops(DropReason::kCounterStale), 1u);
}

TEST_F(Regression, a_cookie_reply_never_moves_an_endpoint)
{
    joined.b.engine->note_cost(600 * kMs, joined.now);
    joined.on_wire = [](Datagram& d) {
        if (d.type() == kCookieReply)
            d.from = endpoint_v4(66, 666);
        return true;
    };
    joined.handshake();
    EXPECT_EQ(joined.a.counters.cookies_received, 1u);
    EXPECT_EQ(joined.a.engine->endpoint_of(kPeer), joined.b.address);
}

TEST_F(Regression, a_preshared_key_takes_effect_on_the_next_handshake_only)
{
    joined.handshake();
    crypto::Key psk;
    psk.span()[0] = 1;
    joined.a.engine->set_psk(kPeer, psk);
    joined.a.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.tb().received.size(), 2u) << "the session lives on";

    joined.advance(121 * kSecond);
    joined.b.engine->set_psk(kPeer, psk);
    joined.on_wire = [&](Datagram& d) {
        if (d.type() == kInitiation)  // changed while the handshake is under way
            joined.a.engine->remove_psk(kPeer);
        return true;
    };
    joined.a.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.a.counters.handshakes_completed, 2u);
    EXPECT_EQ(joined.a.drops(DropReason::kHandshakeNotAuthentic), 0u);
}

TEST_F(Regression, oversized_and_truncated_datagrams_are_refused_by_name)
{
    joined.handshake();
    for (size_t length : {0u, 1u, 3u, 4u, 31u, 63u, 65u, 91u, 93u, 147u, 149u, 9000u, 65507u})
        for (uint8_t type = 0; type < 8; type++) {
            Datagram datagram{joined.a.address, joined.b.address, Packet(length, 0xff)};
            if (length > 0)
                datagram.bytes[0] = type;
            for (size_t i = 1; i < std::min<size_t>(length, 4); i++) datagram.bytes[i] = 0;
            joined.b.receive(datagram);
        }
    EXPECT_EQ(joined.b.all_drops(), 13u * 8u);
    joined.a.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.tb().received.size(), 2u);
}

TEST_F(Regression, unauthentic_data_triggers_no_timer_and_no_handshake)
{
    joined.handshake();
    joined.advance(30 * kSecond);
    const Datagram genuine = joined.last_sent(kData);
    const size_t sent = joined.log.size();
    for (int i = 0; i < 100; i++) {
        Datagram forged = genuine;
        forged.as<DataHeader>().counter.set(1000 + static_cast<uint64_t>(i));
        forged.from = endpoint_v4(66, 666);
        joined.b.receive(forged);
    }
    joined.advance(200 * kSecond);
    EXPECT_EQ(joined.log.size(), sent);
    EXPECT_EQ(joined.b.engine->endpoint_of(kPeer), joined.a.address);
}

TEST_F(Regression, an_initiation_alone_does_not_move_a_confirmed_endpoint)
{
    joined.handshake();
    joined.advance(10 * kSecond);
    std::vector<Datagram> to_b;
    joined.on_wire = [&](Datagram& d) {
        if (d.type() == kInitiation)
            d.from = endpoint_v4(66, 666);  // forwarded by somebody on the path
        return d.type() == kInitiation;
    };
    joined.a.engine->remove_peer(kPeer, joined.now);
    joined.settle();
    joined.a.add_peer(kPeer, joined.b.public_key, joined.b.address);
    joined.handshake();
    EXPECT_EQ(joined.b.counters.handshakes_answered, 2u);
    EXPECT_EQ(joined.last_sent(kResponse).to, endpoint_v4(66, 666))
        << "the response goes to the source";
    EXPECT_EQ(joined.b.engine->endpoint_of(kPeer), joined.a.address);
    EXPECT_EQ(joined.b.notes[kPeer].second, joined.a.address);
    joined.b.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.last_sent(kData).to, joined.a.address) << "data follows data";
}

TEST_F(Regression, not_every_handshake_after_the_flood_gets_a_cookie)
{
    joined.b.engine->note_cost(600 * kMs, joined.now);
    joined.advance(2 * kSecond);
    joined.handshake();
    EXPECT_EQ(joined.b.counters.cookies_sent, 0u);
    EXPECT_EQ(joined.tb().received.size(), 1u);
}

TEST_F(Regression, the_window_takes_a_reordering_of_8000_packets)
{
    joined.handshake();
    Datagram first;
    joined.on_wire = [&](Datagram& d) {
        if (first.bytes.empty()) {
            first = d;
            return false;
        }
        return true;
    };
    for (int i = 0; i < 8001; i++) {
        joined.a.send(kPeer, kPing);
        if (i % 1000 == 0)
            joined.settle();
    }
    joined.settle();
    const size_t before = joined.tb().received.size();
    Datagram late = first;
    joined.b.receive(late);
    EXPECT_EQ(joined.tb().received.size(), before + 1);
}

// -- netns.sh

TEST_F(Regression, roaming_from_ipv4_to_ipv6_and_back_follows_authentic_data)
{
    joined.handshake();
    for (const Endpoint& endpoint : {endpoint_v6(5, 5), endpoint_v4(5, 6), endpoint_v4(5, 7)}) {
        joined.on_wire = [&](Datagram& d) {
            if (d.to == joined.b.address)
                d.from = endpoint;
            return true;
        };
        joined.a.send(kPeer, kPing);
        joined.settle();
        joined.b.send(kPeer, kPing);
        joined.settle();
        EXPECT_EQ(joined.last_sent(kData).to, endpoint);
    }
}

TEST_F(Regression, behind_a_nat_with_2_s_mappings_a_keepalive_of_1_s_keeps_the_way_back)
{
    joined.handshake();
    uint64_t mapped_until = 0;
    joined.on_wire = [&](Datagram& d) {
        if (d.to == joined.b.address)
            mapped_until = joined.now.monotonic_ns + 2 * kSecond;
        return d.to == joined.b.address || joined.now.monotonic_ns < mapped_until;
    };
    joined.a.send(kPeer, kPing);
    joined.advance(3 * kSecond);
    joined.b.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.ta().received.size(), 0u) << "the mapping is gone";
    joined.a.add_peer(kPeer, joined.b.public_key, joined.b.address, 1);
    joined.advance(3 * kSecond);
    joined.b.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.ta().received.size(), 1u);
}

TEST_F(Regression, an_unclamped_private_key_is_clamped)
{
    crypto::PrivateKey key = joined.b.key.clone();
    key.span()[0] |= 7;
    key.span()[31] |= 0x80;
    joined.b.engine->set_static_key(key, joined.now);
    joined.handshake();
    EXPECT_EQ(joined.tb().received.size(), 1u);
}

TEST_F(Regression, a_peer_with_our_own_key_is_kept_and_a_message_with_it_refused)
{
    joined.b.add_peer(50, joined.b.public_key, joined.a.address, 1);
    joined.advance(10 * kSecond);
    EXPECT_EQ(joined.sent_count(kInitiation, &joined.b), 0u);
    // b's own initiation to itself, as somebody with b's private key could make it.
    const crypto::PrivateKey ephemeral = private_key(60);
    noise::SharedSecret es, ss;
    ASSERT_TRUE(crypto::dh(es, ephemeral, joined.b.public_key));
    ASSERT_TRUE(crypto::dh(ss, joined.b.key, joined.b.public_key));
    Datagram datagram{joined.a.address, joined.b.address, Packet(sizeof(InitiationMessage), 0)};
    auto& message = datagram.as<InitiationMessage>();
    message.type.set(kInitiation);
    noise::Symmetric state = noise::start(joined.b.public_key);
    noise::write_initiation(state, message,
                            {crypto::public_key_of(ephemeral), joined.b.public_key, es, ss,
                             noise::next_timestamp(joined.now.unix_ns, {})});
    CookieJar().write_macs(datagram.bytes, joined.b.public_key, 1);
    joined.b.receive(datagram);
    EXPECT_EQ(joined.b.drops(DropReason::kHandshakeUnknownPeer), 1u);
    EXPECT_EQ(joined.b.table.used(), 0u);
}

}  // namespace sandgate::test
