// Whole handshakes between two engines joined in memory: who becomes what, who is refused, and that
// what is refused changes nothing.
#include <gtest/gtest.h>

#include "crypto/dh_kernel.h"
#include "dataplane/wireguard/cookie.h"
#include "tests/support/joined_gateways.h"

namespace sandgate::test {

const Packet kPing(84, 0x45);
constexpr auto kPeer = JoinedGateways::kPeer;

// The outer family, and whether there is a preshared key.
class Handshake : public testing::TestWithParam<std::tuple<bool, bool>>
{
  protected:
    Handshake() : joined(std::get<0>(GetParam()))
    {
        psk.span()[4] = 99;
        joined.introduce(std::get<1>(GetParam()) ? &psk : nullptr);
    }
    crypto::Key psk;
    JoinedGateways joined;
};
INSTANTIATE_TEST_SUITE_P(All, Handshake, testing::Combine(testing::Bool(), testing::Bool()),
                         [](const auto& outer) {
                             return std::string(std::get<0>(outer.param) ? "v6" : "v4") +
                                    (std::get<1>(outer.param) ? "_psk" : "_plain");
                         });

TEST_P(Handshake, carries_the_staged_packet_and_then_255_both_ways)
{
    ASSERT_EQ(joined.crypto_fault, "");
    joined.a.send(kPeer, kPing);
    joined.settle();
    ASSERT_EQ(joined.tb().received.size(), 1u);
    EXPECT_EQ(
        std::vector<uint8_t>(joined.tb().received[0].begin(), joined.tb().received[0].begin() + 84),
        kPing);
    EXPECT_EQ(joined.tb().received[0].size(), 96u) << "padded to 16";
    for (int i = 0; i < 255; i++) {
        joined.a.send(kPeer, kPing);
        joined.b.send(kPeer, kPing);
    }
    joined.settle();
    EXPECT_EQ(joined.tb().received.size(), 256u);
    EXPECT_EQ(joined.ta().received.size(), 255u);
    EXPECT_EQ(joined.sent_count(kInitiation), 1u);
    EXPECT_EQ(joined.sent_count(kResponse), 1u);
    EXPECT_EQ(joined.a.all_drops() + joined.b.all_drops(), 0u);
    EXPECT_EQ(joined.a.counters.handshakes_initiated, 1u);
    EXPECT_EQ(joined.b.counters.handshakes_answered, 1u);
    EXPECT_EQ(joined.a.counters.handshakes_completed, 1u);
    EXPECT_EQ(joined.b.counters.handshakes_completed, 1u);
}

TEST_P(Handshake, both_sides_learn_endpoint_time_and_owner)
{
    joined.handshake();
    EXPECT_EQ(joined.b.engine->endpoint_of(kPeer), joined.a.address);
    EXPECT_EQ(joined.a.engine->last_handshake_unix(kPeer), 1'700'000'000);
    EXPECT_EQ(joined.b.engine->last_handshake_unix(kPeer), 1'700'000'000);
    EXPECT_EQ(joined.a.owners_assigned, 1u);
    EXPECT_EQ(joined.b.owners_assigned, 1u);
    EXPECT_EQ(joined.b.notes[kPeer].second, joined.a.address);
    EXPECT_NE(joined.b.notes[kPeer].first, Timestamp{});
}

TEST_P(Handshake, the_keys_of_both_sides_match_and_differ_by_direction)
{
    joined.handshake();
    Session &one = *joined.ta().current, &two = *joined.tb().current;
    EXPECT_TRUE(one.send_key == two.receive_key);
    EXPECT_TRUE(one.receive_key == two.send_key);
    EXPECT_FALSE(one.send_key == one.receive_key);
    EXPECT_TRUE(one.is_initiator);
    EXPECT_FALSE(two.is_initiator);
    EXPECT_EQ(one.remote_index, two.index);
    EXPECT_EQ(two.remote_index, one.index);
}

class HandshakeTest : public testing::Test
{
  protected:
    // The bytes of an initiation from a, which b has not seen.
    Datagram initiation()
    {
        joined.on_wire = [](Datagram&) { return false; };
        joined.a.send(kPeer, kPing);
        joined.settle();
        joined.on_wire = [](Datagram&) { return true; };
        return joined.last_sent(kInitiation);
    }
    // Gives a changed message a valid mac1 for b again.
    static void sign(Datagram& datagram, const crypto::PublicKey& to)
    {
        CookieJar().write_macs(datagram.bytes, to, 1);
    }
    void expect_drop(Gateway& gateway, Datagram datagram, DropReason reason)
    {
        const uint64_t before = gateway.drops(reason), all = gateway.all_drops();
        gateway.receive(datagram);
        EXPECT_EQ(gateway.drops(reason), before + 1) << api::text_of(reason).name;
        EXPECT_EQ(gateway.all_drops(), all + 1);
    }
    void restart_a()
    {
        joined.a.engine->remove_peer(kPeer, joined.now);
        joined.settle();
        joined.a.add_peer(kPeer, joined.b.public_key, joined.b.address);
    }
    JoinedGateways joined;
};

TEST_F(HandshakeTest, a_responder_sends_nothing_before_the_first_authentic_data_packet)
{
    joined.introduce();
    joined.on_wire = [](Datagram& d) { return d.type() != kData; };
    joined.handshake();
    EXPECT_EQ(joined.tb().current, nullptr);
    ASSERT_NE(joined.tb().next, nullptr);
    joined.b.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.sent_count(kData, &joined.b), 0u);
    EXPECT_EQ(joined.tb().staged.size(), 1u);
    EXPECT_EQ(joined.b.engine->last_handshake_unix(kPeer), 0) << "not completed for the responder";
    joined.on_wire = [](Datagram&) { return true; };
    joined.a.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.ta().received.size(), 1u) << "what was staged goes out once confirmed";
}

TEST_F(HandshakeTest, a_message_with_a_wrong_mac1_is_refused_before_anything_else)
{
    joined.introduce();
    Datagram datagram = initiation();
    datagram.as<InitiationMessage>().mac1[0] ^= 1;
    expect_drop(joined.b, datagram, DropReason::kMac1Invalid);
    sign(datagram, joined.a.public_key);
    expect_drop(joined.b, datagram, DropReason::kMac1Invalid);
}

TEST_F(HandshakeTest, every_forged_initiation_is_refused_and_allocates_nothing)
{
    joined.introduce();
    const Datagram genuine = initiation();
    for (size_t byte = 8; byte < offsetof(InitiationMessage, mac1); byte += 3) {
        Datagram forged = genuine;
        forged.bytes[byte] ^= 0x20;
        sign(forged, joined.b.public_key);
        expect_drop(joined.b, forged, DropReason::kHandshakeNotAuthentic);
    }
    EXPECT_EQ(joined.b.table.used(), 0u);
    EXPECT_EQ(joined.b.owners_assigned, 0u);
    EXPECT_TRUE(joined.b.notes.empty());
    EXPECT_TRUE(joined.wire.empty()) << "a forgery was answered";
    Datagram datagram = genuine;
    joined.b.receive(datagram);
    EXPECT_EQ(joined.b.counters.handshakes_answered, 1u) << "the genuine one still works";
}

TEST_F(HandshakeTest, a_public_key_without_a_peer_is_refused)
{
    joined.a.add_peer(kPeer, joined.b.public_key, joined.b.address);
    expect_drop(joined.b, initiation(), DropReason::kHandshakeUnknownPeer);
    EXPECT_EQ(joined.b.table.used(), 0u);
}

TEST_F(HandshakeTest, an_initiation_for_another_static_key_is_refused)
{
    joined.a.add_peer(kPeer, crypto::public_key_of(private_key(50)), joined.b.address);
    joined.b.add_peer(kPeer, joined.a.public_key);
    Datagram datagram = initiation();
    sign(datagram, joined.b.public_key);
    expect_drop(joined.b, datagram, DropReason::kHandshakeNotAuthentic);
}

TEST_F(HandshakeTest, a_replayed_initiation_is_refused)
{
    joined.introduce();
    joined.handshake();
    const Datagram old = joined.last_sent(kInitiation);
    joined.advance(kSecond);
    const size_t used = joined.b.table.used();
    expect_drop(joined.b, old, DropReason::kHandshakeReplayed);
    EXPECT_EQ(joined.b.table.used(), used);
}

TEST_F(HandshakeTest, a_replayed_initiation_stays_refused_after_a_restart_with_seed)
{
    joined.introduce();
    joined.handshake();
    const auto [timestamp, endpoint] = joined.b.notes[kPeer];
    std::deque<Datagram> wire;
    Gateway restarted(2, joined.b.address, wire, joined.now);
    restarted.engine->seed(kPeer, timestamp, endpoint,
                           joined.now);  // may come before the peer is known
    restarted.add_peer(kPeer, joined.a.public_key);
    Datagram old = joined.last_sent(kInitiation);
    restarted.receive(old);
    EXPECT_EQ(restarted.drops(DropReason::kHandshakeReplayed), 1u);
    EXPECT_EQ(restarted.table.used(), 0u);
}

TEST_F(HandshakeTest, initiations_faster_than_50_per_second_are_refused)
{
    joined.introduce();
    Datagram first = initiation();
    joined.b.receive(first);
    restart_a();
    joined.set_time(joined.now.monotonic_ns + kSecond / 50 - 1);
    const Datagram second = initiation();
    expect_drop(joined.b, second, DropReason::kHandshakeFlooded);
    joined.set_time(joined.now.monotonic_ns + 1);
    Datagram again = second;
    joined.b.receive(again);
    EXPECT_EQ(joined.b.counters.handshakes_answered, 2u)
        << "a refused one has not used up its timestamp";
}

TEST_F(HandshakeTest, a_forged_response_changes_nothing_and_the_genuine_one_still_works)
{
    joined.introduce();
    Datagram response;
    joined.on_wire = [&](Datagram& d) {
        if (d.type() == kResponse)
            response = d;
        return d.type() == kInitiation;
    };
    joined.handshake();
    ASSERT_EQ(response.bytes.size(), sizeof(ResponseMessage));
    for (size_t byte = 12; byte < offsetof(ResponseMessage, mac1); byte += 3) {
        Datagram forged = response;
        forged.bytes[byte] ^= 0x20;
        sign(forged, joined.a.public_key);
        expect_drop(joined.a, forged, DropReason::kHandshakeNotAuthentic);
    }
    Datagram unknown = response;
    unknown.as<ResponseMessage>().receiver_index.bytes[2] ^= 1;
    sign(unknown, joined.a.public_key);
    expect_drop(joined.a, unknown, DropReason::kHandshakeUnexpected);
    joined.on_wire = [](Datagram&) { return true; };
    joined.a.receive(response);
    joined.settle();
    EXPECT_EQ(joined.tb().received.size(), 1u);
    expect_drop(joined.a, response, DropReason::kHandshakeUnexpected);
}

TEST_F(HandshakeTest, two_responses_in_one_span_make_one_session)
{
    joined.introduce();
    joined.on_wire = [](Datagram& d) { return d.type() == kInitiation; };
    joined.handshake();
    const Datagram response = joined.last_sent(kResponse);
    const IncomingMessage messages[2] = {{response.bytes, response.from, 0},
                                         {response.bytes, response.from, 0}};
    joined.a.engine->on_messages(messages, joined.now);
    EXPECT_EQ(joined.a.counters.handshakes_completed, 1u);
    EXPECT_EQ(joined.a.drops(DropReason::kHandshakeUnexpected), 1u);
    EXPECT_EQ(joined.a.table.used(), 1u);
}

TEST_F(HandshakeTest, forged_data_neither_confirms_a_session_nor_changes_a_byte_of_it)
{
    joined.introduce();
    joined.on_wire = [](Datagram& d) { return d.type() != kData; };
    joined.handshake();
    Session* session = joined.tb().next;
    ASSERT_NE(session, nullptr);
    const Packet before(reinterpret_cast<uint8_t*>(session),
                        reinterpret_cast<uint8_t*>(session + 1));
    const Datagram genuine = joined.last_sent(kData);
    for (size_t byte : {8u, 9u, 15u, 16u, 40u, static_cast<unsigned>(genuine.bytes.size() - 1)}) {
        Datagram forged = genuine;
        forged.from = endpoint_v4(66, 6);
        forged.bytes[byte] ^= 1;
        expect_drop(joined.b, forged, DropReason::kTagMismatch);
    }
    joined.settle();
    const Packet after(reinterpret_cast<uint8_t*>(session),
                       reinterpret_cast<uint8_t*>(session + 1));
    EXPECT_EQ(before, after);
    EXPECT_EQ(joined.tb().next, session);
    EXPECT_EQ(joined.b.engine->last_handshake_unix(kPeer), 0);
    EXPECT_EQ(joined.tb().activity.last_traversal_ns.load(), joined.now.monotonic_ns)
        << "from the handshake";
    EXPECT_FALSE(joined.tb().endpoint.is_known());
}

TEST_F(HandshakeTest, keys_of_low_order_and_our_own_are_kept_and_never_talked_to)
{
    std::vector<crypto::PublicKey> keys(2);  // the points 0 and 1
    keys[1][0] = 1;
    keys.push_back({0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
                    0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
                    0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00});
    keys.push_back({0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
                    0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
                    0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57});
    for (uint8_t last : {0xec, 0xed, 0xee}) {  // p - 1, p, p + 1
        crypto::PublicKey key;
        key.fill(0xff);
        key[0] = last;
        key[31] = 0x7f;
        keys.push_back(key);
    }
    ASSERT_EQ(keys.size(), 7u);
    keys.push_back(joined.a.public_key);
    for (size_t i = 0; i < keys.size(); i++) {
        const auto identity = static_cast<IdentityId>(100 + i);
        joined.a.add_peer(identity, keys[i], joined.b.address, 1);
        joined.a.send(identity, kPing);
    }
    joined.advance(30 * kSecond);
    EXPECT_TRUE(joined.log.empty()) << "a packet went to a key of low order";
    EXPECT_EQ(joined.a.table.used(), 0u);
    EXPECT_EQ(joined.a.engine->endpoint_of(103), joined.b.address) << "configurable all the same";
}

TEST_F(HandshakeTest, an_initiation_with_an_ephemeral_of_low_order_is_refused)
{
    joined.introduce();
    Datagram datagram = initiation();
    std::memset(datagram.as<InitiationMessage>().ephemeral, 0, 32);
    sign(datagram, joined.b.public_key);
    expect_drop(joined.b, datagram, DropReason::kHandshakeLowOrder);
}

TEST_F(HandshakeTest, a_response_with_an_ephemeral_of_low_order_is_refused)
{
    joined.introduce();
    joined.on_wire = [](Datagram& d) { return d.type() == kInitiation; };
    joined.handshake();
    Datagram response = joined.last_sent(kResponse);
    std::memset(response.as<ResponseMessage>().ephemeral, 0, 32);
    sign(response, joined.a.public_key);
    expect_drop(joined.a, response, DropReason::kHandshakeLowOrder);
}

TEST_F(HandshakeTest, different_preshared_keys_never_make_a_session)
{
    joined.introduce();
    crypto::Key psk;
    psk.span()[0] = 1;
    joined.a.engine->set_psk(kPeer, psk);
    joined.handshake();
    EXPECT_EQ(joined.a.drops(DropReason::kHandshakeNotAuthentic), 1u);
    EXPECT_EQ(joined.ta().current, nullptr);
}

TEST_F(HandshakeTest, a_peer_that_needs_a_preshared_key_waits_for_it)
{
    joined.a.add_peer(kPeer, joined.b.public_key, joined.b.address);
    joined.b.add_peer(kPeer, joined.a.public_key, joined.a.address, 0, true);
    expect_drop(joined.b, initiation(), DropReason::kHandshakePskMissing);
    joined.b.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.sent_count(kInitiation, &joined.b), 0u);
}

TEST_F(HandshakeTest, crossing_initiations_end_in_sessions_that_carry_data_both_ways)
{
    joined.introduce();
    joined.b.add_peer(kPeer, joined.a.public_key, joined.a.address);
    joined.a.send(kPeer, kPing);
    joined.b.send(kPeer, kPing);
    joined.a.run_events();
    joined.b.run_events();
    EXPECT_EQ(joined.wire.size(), 2u);
    joined.settle();
    for (int i = 0; i < 3; i++) {
        joined.a.send(kPeer, kPing);
        joined.b.send(kPeer, kPing);
        joined.settle();
    }
    EXPECT_EQ(joined.ta().received.size(), 4u);
    EXPECT_EQ(joined.tb().received.size(), 4u);
    joined.advance(20 * kSecond);
    EXPECT_EQ(joined.sent_count(kInitiation), 2u) << "both fall silent";
}

TEST_F(HandshakeTest, the_worker_of_the_first_message_owns_the_agent_for_ever)
{
    JoinedGateways two(false, 4);
    two.introduce();
    two.on_wire = [&](Datagram& d) {
        if (d.to == two.b.address) {
            two.b.receive(d, 3);
            return false;
        }
        return true;
    };
    two.handshake();
    EXPECT_EQ(two.b.engine->owner_of(kPeer), 3);
    EXPECT_EQ(two.b.table.owner_of(two.tb().current->index), 3);
    EXPECT_EQ(two.tb().current->owner, 3);
    EXPECT_EQ(two.a.engine->owner_of(kPeer), kPeer % 4) << "begun here: by identity";
    two.on_wire = [](Datagram&) { return true; };
    two.advance(121 * kSecond);
    two.handshake();
    EXPECT_EQ(two.b.table.owner_of(two.tb().current->index), 3);
    EXPECT_EQ(two.b.owners_assigned, 1u);
}

TEST_F(HandshakeTest, a_full_session_table_refuses_by_name)
{
    std::deque<Datagram> wire;
    Gateway small(2, joined.b.address, wire, joined.now, 1, 0);
    small.add_peer(kPeer, joined.a.public_key);
    joined.introduce();
    Datagram datagram = initiation();
    small.receive(datagram);
    EXPECT_EQ(small.drops(DropReason::kSessionTableFull), 1u);
    EXPECT_TRUE(wire.empty());
}

TEST_F(HandshakeTest, removing_a_peer_ends_its_sessions_at_once_and_frees_them_when_unused)
{
    joined.introduce();
    joined.handshake();
    const SessionIndex index = joined.tb().current->index;
    joined.b.engine->remove_peer(kPeer, joined.now);
    EXPECT_EQ(joined.b.table.find(index), nullptr);
    joined.settle();
    EXPECT_EQ(joined.b.table.used(), 0u);
    joined.a.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.b.drops(DropReason::kUnknownIndex), 1u);
    joined.advance(kSecond);
    joined.b.add_peer(kPeer, joined.a.public_key);
    joined.advance(20 * kSecond);
    joined.handshake();
    EXPECT_FALSE(joined.tb().received.empty()) << "a peer can come back";
}

TEST_F(HandshakeTest, a_peer_that_returns_keeps_psk_and_owner_and_refuses_what_it_said_before)
{
    crypto::Key psk;
    psk.span()[7] = 7;
    joined.introduce(&psk);
    std::optional<Datagram> first;
    joined.on_wire = [&](Datagram& d) {
        if (d.type() == kInitiation && !first)
            first = d;
        return true;
    };
    joined.handshake();
    const WorkerId owner = joined.b.engine->owner_of(kPeer);
    joined.b.engine->remove_peer(kPeer, joined.now);
    joined.settle();
    joined.advance(kSecond);
    ASSERT_TRUE(first);
    expect_drop(joined.b, *first, DropReason::kHandshakeUnknownPeer);

    joined.b.add_peer(kPeer, joined.a.public_key, {}, 0, true);
    EXPECT_EQ(joined.b.engine->owner_of(kPeer), owner);
    expect_drop(joined.b, *first, DropReason::kHandshakeReplayed);
    joined.tb().received.clear();
    joined.advance(20 * kSecond);
    joined.handshake();
    EXPECT_FALSE(joined.tb().received.empty()) << "and the PSK is there";
}

TEST_F(HandshakeTest, peers_that_left_make_room_for_new_ones)
{
    constexpr size_t kRoom = 1024;  // max_peers of the test's gateways
    for (IdentityId i = 10; i < 10 + 2 * kRoom; i++) {
        joined.b.add_peer(i, crypto::public_key_of(private_key(77)), joined.a.address);
        ASSERT_TRUE(joined.b.engine->endpoint_of(i).is_known()) << i;
        joined.b.engine->remove_peer(i, joined.now);
    }
}

TEST_F(HandshakeTest, another_public_key_under_the_same_identity_ends_the_sessions)
{
    joined.introduce();
    joined.handshake();
    const SessionIndex index = joined.tb().current->index;
    joined.b.add_peer(kPeer, crypto::public_key_of(private_key(33)));
    EXPECT_EQ(joined.b.table.find(index), nullptr);
    joined.settle();
    EXPECT_EQ(joined.b.table.used(), 0u);
    EXPECT_FALSE(joined.b.engine->endpoint_of(kPeer).is_known());
    restart_a();
    joined.advance(kSecond);
    expect_drop(joined.b, initiation(), DropReason::kHandshakeUnknownPeer);
}

TEST_F(HandshakeTest, changing_a_peer_without_its_key_keeps_the_session)
{
    joined.introduce();
    joined.handshake();
    joined.b.add_peer(kPeer, joined.a.public_key, {}, 25);
    joined.a.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.tb().received.size(), 2u);
}

TEST_F(HandshakeTest, another_static_key_ends_every_session_and_a_new_handshake_works)
{
    joined.introduce();
    joined.handshake();
    joined.b.engine->set_static_key(joined.b.key, joined.now);
    joined.settle();
    EXPECT_EQ(joined.b.table.used(), 1u) << "the same key again changes nothing";
    const crypto::PrivateKey other = private_key(77);
    joined.b.engine->set_static_key(other, joined.now);
    joined.settle();
    EXPECT_EQ(joined.b.table.used(), 0u);
    joined.advance(6 * kSecond);
    joined.a.add_peer(kPeer, crypto::public_key_of(other), joined.b.address);
    joined.settle();
    joined.handshake();
    EXPECT_EQ(joined.tb().received.size(), 2u);
}

TEST_F(HandshakeTest, without_a_static_key_everything_is_refused)
{
    SessionTable table(16, std::array<uint8_t, 16>{1});
    HandshakeEngine engine(
        table, joined.b, joined.b.counters, [this](std::span<uint8_t> out) { joined.b.fill(out); },
        EngineLimits{});
    joined.introduce();
    const Datagram datagram = initiation();
    const IncomingMessage message{datagram.bytes, datagram.from, 0};
    EXPECT_FALSE(engine.has_static_key());
    engine.on_messages({&message, 1}, joined.now);
    EXPECT_EQ(joined.b.drops(DropReason::kNotReady), 1u);
}

TEST_F(HandshakeTest, messages_of_no_type_or_length_are_refused_by_the_engine_too)
{
    for (const Packet& bytes :
         {Packet{}, Packet{1}, Packet(148, 0), Packet(147, 1), Packet{4, 0, 0, 0}}) {
        const IncomingMessage message{bytes, joined.a.address, 0};
        joined.b.engine->on_messages({&message, 1}, joined.now);
    }
    EXPECT_EQ(joined.b.drops(DropReason::kMessageMalformed), 5u);
}

TEST_F(HandshakeTest, a_span_of_many_peers_messages_is_answered_as_one)
{
    std::deque<Datagram> wire;
    std::vector<std::unique_ptr<Gateway>> agents;
    std::vector<IncomingMessage> messages;
    for (IdentityId i = 0; i < 150; i++) {
        const Endpoint from = endpoint_v4(static_cast<uint8_t>(i), 1000);
        agents.push_back(std::make_unique<Gateway>(1000 + i, from, wire, joined.now, 1, 16));
        agents.back()->add_peer(1, joined.b.public_key, joined.b.address);
        agents.back()->send(1, kPing);
        agents.back()->run_events();
        joined.b.add_peer(200 + i, agents.back()->public_key);
    }
    ASSERT_EQ(wire.size(), 150u);
    for (const Datagram& datagram : wire) messages.push_back({datagram.bytes, datagram.from, 0});
    joined.b.engine->on_messages(messages, joined.now);
    EXPECT_EQ(joined.b.counters.handshakes_answered, 150u);
    for (Datagram& datagram : joined.wire)
        for (auto& agent : agents)
            if (agent->address == datagram.to)
                agent->receive(datagram);
    for (auto& agent : agents) EXPECT_EQ(agent->counters.handshakes_completed, 1u);
}

std::vector<size_t> dh_batch_sizes;

void noting_dh(std::span<crypto::DhJob> jobs)
{
    dh_batch_sizes.push_back(jobs.size());
    crypto::dh_kernels().back().compute(jobs);
}

TEST_F(HandshakeTest, waiting_initiations_share_dh_batches_and_keep_their_own_verdicts)
{
    constexpr IdentityId kAgents = 20;
    const auto has_low_order = [](IdentityId i) { return i % 7 == 3; };
    std::deque<Datagram> wire;
    std::vector<std::unique_ptr<Gateway>> agents;
    for (IdentityId i = 0; i < kAgents; i++) {
        const Endpoint from = endpoint_v4(static_cast<uint8_t>(i), 1000);
        agents.push_back(std::make_unique<Gateway>(1000 + i, from, wire, joined.now, 1, 16));
        agents.back()->add_peer(1, joined.b.public_key, joined.b.address);
        agents.back()->send(1, kPing);
        agents.back()->run_events();
        joined.b.add_peer(200 + i, agents.back()->public_key);
    }
    ASSERT_EQ(wire.size(), kAgents);
    std::vector<IncomingMessage> messages;
    for (IdentityId i = 0; i < kAgents; i++) {
        if (has_low_order(i)) {
            std::memset(wire[i].as<InitiationMessage>().ephemeral, 0, 32);
            sign(wire[i], joined.b.public_key);
        }
        messages.push_back({wire[i].bytes, wire[i].from, 0});
    }

    const crypto::DhKernel noting{"noting", 0, noting_dh};
    const crypto::DhKernel& before = crypto::dh_kernel_in_use();
    dh_batch_sizes.clear();
    crypto::use_dh_kernel(noting);
    joined.b.engine->on_messages(messages, joined.now);
    crypto::use_dh_kernel(before);

    // es of all; ss of those with a genuine point; ee and se of the same.
    EXPECT_EQ(dh_batch_sizes, (std::vector<size_t>{20, 17, 34}));
    EXPECT_EQ(joined.b.drops(DropReason::kHandshakeLowOrder), 3u);
    EXPECT_EQ(joined.b.counters.handshakes_answered, 17u);
    for (Datagram& datagram : joined.wire)
        for (auto& agent : agents)
            if (agent->address == datagram.to)
                agent->receive(datagram);
    for (IdentityId i = 0; i < kAgents; i++)
        EXPECT_EQ(agents[i]->counters.handshakes_completed, has_low_order(i) ? 0u : 1u) << i;
}

}  // namespace sandgate::test
