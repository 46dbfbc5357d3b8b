// Every timer of a peer, at its instant, under a fake clock.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "dataplane/wireguard/timers.h"
#include "tests/support/joined_gateways.h"

namespace sandgate::test {

const Packet kPing(84, 0x45);
constexpr auto kPeer = JoinedGateways::kPeer;
constexpr uint64_t kMs = 1'000'000;

class PeerTimers : public testing::Test
{
  protected:
    PeerTimers()
    {
        joined.introduce();
        joined.on_wire = [this](Datagram& datagram) {
            times[datagram.type()].push_back(joined.now.monotonic_ns - JoinedGateways::kStartNs);
            return !is_cut;
        };
    }
    // Since the test began.
    uint64_t elapsed() const { return joined.now.monotonic_ns - JoinedGateways::kStartNs; }
    void exchange()
    {
        joined.a.send(kPeer, kPing);
        joined.b.send(kPeer, kPing);
        joined.settle();
    }

    JoinedGateways joined;
    bool is_cut = false;  // nothing arrives
    std::map<uint8_t, std::vector<uint64_t>> times;
};

TEST_F(PeerTimers, initiations_are_retried_every_5_s_with_jitter_and_given_up_after_90_s)
{
    is_cut = true;
    joined.a.send(kPeer, kPing);
    joined.advance(89'999 * kMs);
    EXPECT_EQ(joined.a.handshakes_given_up, 0u);
    EXPECT_EQ(joined.ta().staged.size(), 1u);
    joined.advance(1 * kMs);
    EXPECT_EQ(joined.a.handshakes_given_up, 1u);
    EXPECT_TRUE(joined.ta().staged.empty());
    EXPECT_EQ(joined.a.table.used(), 0u) << "the slot of an unanswered initiation is free again";

    const std::vector<uint64_t>& sent = times[kInitiation];
    EXPECT_GE(sent.size(), 17u);
    EXPECT_LE(sent.size(), 18u);
    std::set<uint64_t> jitters;
    for (size_t i = 1; i < sent.size(); i++) {
        const uint64_t gap = sent[i] - sent[i - 1];
        EXPECT_GE(gap, kRekeyTimeout);
        EXPECT_LT(gap, kRekeyTimeout + kRekeyTimeoutJitter);
        jitters.insert(gap - kRekeyTimeout);
    }
    EXPECT_GT(jitters.size(), 10u) << "no jitter";
    joined.advance(600 * kSecond);
    EXPECT_EQ(joined.sent_count(kInitiation), sent.size()) << "silence after giving up";
}

TEST_F(PeerTimers, each_retry_has_a_new_ephemeral_index_and_timestamp)
{
    is_cut = true;
    joined.a.send(kPeer, kPing);
    joined.advance(12 * kSecond);
    ASSERT_GE(joined.log.size(), 2u);
    auto& one = joined.log[0].as<InitiationMessage>();
    auto& two = joined.log[1].as<InitiationMessage>();
    EXPECT_NE(std::memcmp(one.ephemeral, two.ephemeral, 32), 0);
    EXPECT_NE(one.sender_index.get(), two.sender_index.get());
    Datagram first = joined.log[0], second = joined.log[1];
    joined.b.receive(second);
    EXPECT_EQ(joined.b.counters.handshakes_answered, 1u);
    joined.advance(kSecond);
    joined.b.receive(first);
    EXPECT_EQ(joined.b.drops(DropReason::kHandshakeReplayed), 1u)
        << "an overtaken initiation is older";
}

TEST_F(PeerTimers, a_retry_waits_while_the_peers_own_handshake_may_complete)
{
    joined.b.add_peer(kPeer, joined.a.public_key, joined.a.address);
    is_cut = true;
    joined.b.send(kPeer, kPing);
    joined.advance(4 * kSecond);
    joined.on_wire = [](Datagram& d) { return d.type() == kInitiation; };
    joined.a.send(kPeer, kPing);
    joined.advance(kRekeyTimeout - 1);
    EXPECT_EQ(joined.sent_count(kInitiation, &joined.b), 1u);
    joined.advance(kRekeyTimeout);
    EXPECT_GE(joined.sent_count(kInitiation, &joined.b), 2u);
}

TEST_F(PeerTimers, a_packet_extends_the_90_s_and_a_retry_does_not)
{
    is_cut = true;
    joined.a.send(kPeer, kPing);
    joined.advance(60 * kSecond);
    joined.a.send(kPeer, kPing);
    joined.advance(89 * kSecond);
    EXPECT_EQ(joined.a.handshakes_given_up, 0u);
    joined.advance(kSecond);
    EXPECT_EQ(joined.a.handshakes_given_up, 1u);
    EXPECT_EQ(joined.ta().staged_dropped, 2u);
}

TEST_F(PeerTimers, many_packets_ask_for_one_handshake)
{
    is_cut = true;
    for (int i = 0; i < 200; i++) joined.a.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.sent_count(kInitiation), 1u);
    EXPECT_EQ(joined.ta().staged.size(), kMaxStagedPackets);
    EXPECT_EQ(joined.ta().staged_dropped, 200 - kMaxStagedPackets);
    joined.advance(4999 * kMs);
    EXPECT_EQ(joined.sent_count(kInitiation), 1u) << "one per 5 s";
}

TEST_F(PeerTimers, the_initiator_renews_after_120_s_when_it_sends)
{
    joined.handshake();
    joined.advance(120 * kSecond - 1);
    exchange();
    EXPECT_EQ(joined.sent_count(kInitiation), 1u);
    joined.advance(1);
    const Session* old = joined.ta().current;
    joined.b.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.sent_count(kInitiation), 1u) << "the responder does not renew by age";
    joined.a.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.sent_count(kInitiation), 2u);
    EXPECT_NE(joined.ta().current, old);
    EXPECT_EQ(joined.ta().previous, old);
    EXPECT_EQ(joined.tb().received.size(), 3u) << "no packet is lost by renewing";
    exchange();
    EXPECT_EQ(joined.sent_count(kInitiation), 2u) << "once is enough";
}

TEST_F(PeerTimers, an_initiator_that_only_receives_renews_after_165_s)
{
    joined.handshake();
    joined.advance(165 * kSecond - 1);
    joined.b.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.sent_count(kInitiation), 1u);
    joined.advance(1);
    joined.b.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.sent_count(kInitiation), 2u);
}

TEST_F(PeerTimers, either_side_renews_after_2_to_the_60_messages)
{
    joined.handshake();
    joined.advance(10 * kSecond);
    joined.tb().current->send_counter = kRekeyAfterMessages;
    joined.b.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.sent_count(kInitiation, &joined.b), 1u);
    EXPECT_TRUE(joined.tb().current->is_initiator);
    exchange();
    EXPECT_EQ(joined.ta().received.size(), 2u);
}

TEST_F(PeerTimers, a_session_refuses_everything_at_180_s_and_a_packet_begins_a_new_one)
{
    joined.handshake();
    const Datagram late = joined.last_sent(kData);
    joined.advance(180 * kSecond);
    Datagram again = late;
    joined.b.receive(again);
    EXPECT_EQ(joined.b.drops(DropReason::kSessionExpired), 1u);
    joined.a.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.sent_count(kInitiation), 2u);
    joined.b.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.tb().received.size(), 2u);
    EXPECT_EQ(joined.ta().received.size(), 1u);
}

TEST_F(PeerTimers, a_lost_handshake_for_renewal_is_retried_while_the_old_session_works)
{
    joined.handshake();
    joined.advance(121 * kSecond);
    joined.on_wire = [](Datagram& datagram) { return datagram.type() != kResponse; };
    joined.a.send(kPeer, kPing);
    joined.advance(30 * kSecond);
    EXPECT_GE(joined.sent_count(kInitiation, &joined.a), 6u);
    const size_t before = joined.tb().received.size();
    joined.a.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.tb().received.size(), before + 1);
    EXPECT_LE(joined.b.table.used(), 3u) << "a next session replaces the one before it";
    joined.on_wire = [](Datagram&) { return true; };
    joined.advance(6 * kSecond);
    exchange();
    EXPECT_EQ(joined.ta().current->birth_ns > JoinedGateways::kStartNs, true);
}

TEST_F(PeerTimers, data_that_is_not_answered_for_15_s_begins_a_new_handshake)
{
    joined.handshake();
    exchange();
    joined.advance(30 * kSecond);
    const uint64_t start = elapsed();
    is_cut = true;
    joined.a.send(kPeer, kPing);
    joined.advance(10 * kSecond);
    joined.a.send(kPeer, kPing);  // does not move the timer: the first unanswered packet counts
    joined.advance(4999 * kMs);
    EXPECT_EQ(joined.sent_count(kInitiation), 1u);
    joined.advance(1 * kMs + kRekeyTimeoutJitter);
    EXPECT_EQ(joined.sent_count(kInitiation), 2u);
    EXPECT_GT(times[kInitiation].back() - start, kNewHandshakeTimeout) << "no jitter";
    is_cut = false;
    joined.advance(6 * kSecond);
    EXPECT_GT(joined.ta().current->birth_ns, JoinedGateways::kStartNs + start);
}

TEST_F(PeerTimers, silence_counts_anew_after_a_handshake_was_given_up)
{
    joined.handshake();
    exchange();
    is_cut = true;
    joined.a.send(kPeer, kPing);
    joined.advance(kNewHandshakeTimeout + kRekeyTimeoutJitter + kRekeyAttemptTime);
    EXPECT_EQ(joined.a.handshakes_given_up, 1u);
    const unsigned sent = joined.sent_count(kInitiation);
    joined.advance(kNewHandshakeTimeout - kSecond);
    EXPECT_EQ(joined.sent_count(kInitiation), sent);
    joined.advance(kSecond + kRekeyTimeoutJitter);
    EXPECT_EQ(joined.sent_count(kInitiation), sent + 1);
}

TEST_F(PeerTimers, an_answer_of_any_kind_ends_the_15_s)
{
    joined.handshake();
    joined.a.send(kPeer, kPing);
    joined.advance(60 * kSecond);
    EXPECT_EQ(joined.sent_count(kInitiation), 1u) << "the keepalive after 10 s was an answer";
}

TEST_F(PeerTimers,
       received_data_is_acknowledged_by_a_keepalive_after_10_s_and_idle_peers_fall_silent)
{
    joined.handshake();  // carries one data packet to b
    const unsigned before = joined.tb().keepalives_sent;
    joined.advance(9999 * kMs);
    EXPECT_EQ(joined.tb().keepalives_sent, before);
    joined.advance(1 * kMs);
    EXPECT_EQ(joined.tb().keepalives_sent, before + 1);
    EXPECT_EQ(joined.ta().keepalives_received, 1u);
    const size_t sent = joined.log.size();
    joined.advance(300 * kSecond);
    EXPECT_EQ(joined.log.size(), sent) << "two idle peers play ping-pong";
}

TEST_F(PeerTimers, the_keepalive_is_punctual_whenever_the_packet_came)
{
    joined.handshake();
    joined.advance(20'300 * kMs);
    for (int i = 0; i < 5; i++) {
        const unsigned before = joined.tb().keepalives_sent;
        joined.a.send(kPeer, kPing);
        joined.advance(9'999 * kMs);
        EXPECT_EQ(joined.tb().keepalives_sent, before);
        joined.advance(1 * kMs);
        EXPECT_EQ(joined.tb().keepalives_sent, before + 1);
        joined.advance(1'700 * kMs);
    }
}

TEST_F(PeerTimers, the_keepalive_counts_from_the_first_unacknowledged_packet)
{
    joined.handshake();
    for (int i = 0; i < 9; i++) {
        joined.advance(kSecond);
        joined.a.send(kPeer, kPing);
    }
    joined.advance(kSecond);
    EXPECT_EQ(joined.tb().keepalives_sent, 1u);
}

TEST_F(PeerTimers, data_sent_the_other_way_saves_the_keepalive)
{
    joined.handshake();
    joined.advance(5 * kSecond);
    joined.b.send(kPeer, kPing);
    joined.advance(9 * kSecond);
    EXPECT_EQ(joined.tb().keepalives_sent, 0u);
}

TEST_F(PeerTimers, a_persistent_keepalive_comes_after_its_interval_of_silence_and_only_then)
{
    joined.handshake();
    joined.advance(12 * kSecond);
    joined.a.add_peer(kPeer, joined.b.public_key, joined.b.address, 25);
    joined.settle();
    const unsigned before = joined.ta().keepalives_sent;
    for (int i = 0; i < 30; i++) {  // traffic both ways
        joined.advance(kSecond);
        exchange();
    }
    EXPECT_EQ(joined.ta().keepalives_sent, before) << "a keepalive while traffic flows";
    joined.advance(10 * kSecond);
    const unsigned passive = joined.ta().keepalives_sent;
    EXPECT_EQ(passive, before + 1) << "for b's last packet";
    joined.advance(24'999 * kMs);
    EXPECT_EQ(joined.ta().keepalives_sent, passive);
    joined.advance(1 * kMs);
    EXPECT_EQ(joined.ta().keepalives_sent, passive + 1);
    joined.advance(25 * kSecond);
    EXPECT_EQ(joined.ta().keepalives_sent, passive + 2);
}

TEST_F(PeerTimers, a_persistent_keepalive_of_1_s_keeps_a_session_for_ever)
{
    joined.a.add_peer(kPeer, joined.b.public_key, joined.b.address, 1);
    joined.advance(1000 * kSecond);
    EXPECT_GE(joined.tb().keepalives_received, 990u);
    EXPECT_GE(joined.sent_count(kInitiation), 8u);
    EXPECT_LE(joined.sent_count(kInitiation), 10u);
    EXPECT_LE(joined.a.table.used(), 3u);
    EXPECT_LE(joined.b.table.used(), 3u);
    EXPECT_EQ(joined.a.all_drops() + joined.b.all_drops(), 0u);
}

TEST_F(PeerTimers, keys_are_wiped_540_s_after_the_last_session)
{
    joined.handshake();
    Session* session = joined.ta().current;
    EXPECT_FALSE(session->send_key.is_zero());
    joined.advance(540 * kSecond - 1);
    EXPECT_FALSE(session->send_key.is_zero());
    joined.advance(1);
    joined.settle();
    EXPECT_TRUE(session->send_key.is_zero());
    EXPECT_TRUE(session->receive_key.is_zero());
    EXPECT_EQ(joined.a.table.used(), 0u);
    EXPECT_EQ(joined.b.table.used(), 0u);
    EXPECT_EQ(joined.a.engine->on_timers(joined.now), kNever) << "an idle peer costs no timer";
    joined.handshake();
    EXPECT_EQ(joined.tb().received.size(), 2u);
}

TEST_F(PeerTimers, packets_for_a_peer_without_endpoint_are_dropped_at_once)
{
    joined.b.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.tb().staged_dropped, 1u);
    EXPECT_TRUE(joined.log.empty());
}

TEST_F(PeerTimers, a_request_that_was_on_its_way_while_the_handshake_completed_is_stale)
{
    joined.handshake();
    joined.a.event(PeerEvent::Kind::kNeedSession, kPeer);
    joined.a.event(PeerEvent::Kind::kRekeyDue, kPeer);
    joined.b.event(PeerEvent::Kind::kNeedSession, kPeer);
    joined.advance(9 * kSecond);
    EXPECT_EQ(joined.sent_count(kInitiation), 1u);
}

TEST_F(PeerTimers, events_about_unknown_peers_and_sessions_change_nothing)
{
    joined.handshake();
    Session* foreign = joined.tb().current;
    for (const auto kind : {PeerEvent::Kind::kConfirmed, PeerEvent::Kind::kSessionUnused,
                            PeerEvent::Kind::kEndpointChanged, PeerEvent::Kind::kRekeyDue,
                            PeerEvent::Kind::kNeedSession})
        joined.a.event(kind, 999, foreign, endpoint_v4(8, 8));
    joined.a.event(PeerEvent::Kind::kSessionUnused, kPeer, foreign);
    joined.settle();
    exchange();
    EXPECT_EQ(joined.tb().received.size(), 2u);
    EXPECT_EQ(joined.a.table.used(), 1u);
}

// -- After a restart

class Restart : public testing::Test
{
  protected:
    std::deque<Datagram> wire;
    Time now{1000 * kSecond, 1'700'000'000 * kSecond};
    Gateway gateway{1, endpoint_v4(1, 51820), wire, now, 2};
};

TEST_F(Restart, seeded_peers_are_initiated_to_soon_and_spread)
{
    ASSERT_EQ(crypto::start(), "");
    constexpr unsigned kPeers = 500;
    for (IdentityId i = 1; i <= kPeers; i++) {
        gateway.engine->seed(i, Timestamp{1}, endpoint_v4(static_cast<uint8_t>(i), 1000), now);
        gateway.add_peer(i, crypto::public_key_of(private_key(i + 10)));
    }
    std::vector<size_t> sent_by;
    for (int part = 0; part < 20; part++) {  // of the millisecond that each peer adds
        now.monotonic_ns += kPeers * kSecond / 1000 / 20;
        while (gateway.engine->on_timers(now) <= now.monotonic_ns) {
        }
        sent_by.push_back(wire.size());
    }
    EXPECT_EQ(sent_by.back(), kPeers);
    for (size_t i = 1; i < sent_by.size(); i++)
        EXPECT_LT(sent_by[i] - sent_by[i - 1], kPeers / 4) << "not spread";
}

TEST_F(Restart, a_client_that_comes_first_saves_the_gateway_its_initiation)
{
    JoinedGateways joined;
    joined.a.add_peer(kPeer, joined.b.public_key, joined.b.address);
    joined.b.engine->seed(kPeer, Timestamp{1}, joined.a.address, joined.now);
    joined.b.add_peer(kPeer, joined.a.public_key);
    joined.on_wire = [](Datagram& d) { return d.type() != kData; };  // not confirmed yet
    joined.handshake();
    joined.advance(kRekeyTimeout - 1);
    EXPECT_EQ(joined.sent_count(kInitiation, &joined.b), 0u);
    joined.on_wire = [](Datagram&) { return true; };
    joined.a.send(kPeer, kPing);
    joined.advance(9 * kSecond);
    EXPECT_EQ(joined.sent_count(kInitiation, &joined.b), 0u);
}

TEST_F(Restart, a_control_that_restarts_and_seeds_again_begins_nothing_and_moves_nothing)
{
    JoinedGateways joined;
    joined.introduce();
    joined.handshake();
    joined.b.engine->seed(kPeer, Timestamp{1}, endpoint_v4(77, 7), joined.now);
    joined.advance(9 * kSecond);
    EXPECT_EQ(joined.sent_count(kInitiation), 1u);
    EXPECT_EQ(joined.b.engine->endpoint_of(kPeer), joined.a.address);
    Datagram old = joined.last_sent(kInitiation);
    joined.b.receive(old);
    EXPECT_EQ(joined.b.drops(DropReason::kHandshakeReplayed), 1u) << "an older seed must not win";
}

TEST_F(Restart, a_seeded_peer_waits_for_the_preshared_key_that_it_needs)
{
    gateway.engine->seed(5, Timestamp{1}, endpoint_v4(5, 1000), now);
    gateway.add_peer(5, crypto::public_key_of(private_key(15)), {}, 0, true);
    now.monotonic_ns += 20 * kSecond;
    gateway.engine->on_timers(now);
    EXPECT_TRUE(wire.empty());
    crypto::Key psk;
    psk.span()[0] = 1;
    gateway.engine->set_psk(5, psk);
    now.monotonic_ns += 20 * kSecond;
    gateway.engine->on_timers(now);
    EXPECT_EQ(wire.size(), 1u);
}

TEST_F(Restart, a_hundred_thousand_idle_peers_cost_no_timer)
{
    HandshakeEngine engine(
        gateway.table, gateway, gateway.counters,
        [this](std::span<uint8_t> out) { gateway.fill(out); }, EngineLimits{});
    engine.set_static_key(private_key(1), now);
    Activity activity;
    crypto::PublicKey key{};
    for (IdentityId i = 1; i <= 100'000; i++) {
        std::memcpy(key.data(), &i, sizeof(i));
        engine.upsert_peer({i, key, 0, false, &activity}, now);
    }
    EXPECT_EQ(engine.on_timers(now), kNever);
}

}  // namespace sandgate::test
