// What VPP's test_wireguard.py asks of a WireGuard gateway, one test per behaviour
// (docs/conformance.md), for IPv4 and IPv6 as the outer protocol. The clock and the wire are fakes;
// the messages are real.
#include <gtest/gtest.h>

#include "dataplane/wireguard/cookie.h"
#include "tests/support/joined_gateways.h"

namespace sandgate::test {

const Packet kPing(84, 0x45);
constexpr auto kPeer = JoinedGateways::kPeer;
constexpr uint64_t kMs = 1'000'000;

class VppBehaviour : public testing::TestWithParam<bool>
{
  protected:
    VppBehaviour() : joined(GetParam()) { joined.introduce(); }
    Endpoint other_endpoint() const
    {
        return GetParam() ? endpoint_v6(9, 999) : endpoint_v4(9, 999);
    }
    Endpoint source(uint8_t i) const
    {
        return GetParam() ? endpoint_v6(1, 5000, i) : endpoint_v4(i, 5000);
    }

    void put_under_load(Gateway& gateway) { gateway.engine->note_cost(600 * kMs, joined.now); }
    // An initiation of a with whatever cookie it holds, lost on the wire.
    Datagram initiation()
    {
        joined.on_wire = [](Datagram&) { return false; };
        joined.a.engine->remove_peer(kPeer, joined.now);
        joined.a.add_peer(kPeer, joined.b.public_key, joined.b.address);
        joined.a.send(kPeer, kPing);
        joined.settle();
        joined.on_wire = [](Datagram&) { return true; };
        return joined.last_sent(kInitiation);
    }
    JoinedGateways joined;
};
INSTANTIATE_TEST_SUITE_P(Outer, VppBehaviour, testing::Bool(),
                         [](const auto& outer) { return outer.param ? "v6" : "v4"; });

TEST_P(VppBehaviour, a_cookie_reply_to_our_initiation_makes_the_next_one_carry_a_valid_mac2)
{
    put_under_load(joined.b);
    joined.a.send(kPeer, kPing);
    joined.on_wire = [](Datagram& d) { return d.type() != kCookieReply; };
    joined.settle();
    Datagram reply = joined.last_sent(kCookieReply);
    Datagram wrong = reply;
    wrong.as<CookieReplyMessage>().nonce[0] ^= 1;
    joined.a.receive(wrong);
    EXPECT_EQ(joined.a.drops(DropReason::kHandshakeNotAuthentic), 1u);
    EXPECT_EQ(joined.a.counters.cookies_received, 0u);
    joined.a.receive(reply);
    EXPECT_EQ(joined.a.counters.cookies_received, 1u);
    EXPECT_EQ(joined.b.table.used(), 0u);

    for (int i = 0; i < 20 && joined.sent_count(kInitiation) < 2;
         i++) {  // the load lasts until the retry
        put_under_load(joined.b);
        joined.advance(kSecond / 2);
    }
    EXPECT_EQ(joined.b.counters.handshakes_answered, 1u);
    EXPECT_EQ(joined.b.counters.cookies_sent, 1u) << "a valid mac2 was not believed";
    EXPECT_EQ(joined.tb().received.size(), 1u);
}

TEST_P(VppBehaviour, a_cookie_reply_to_our_response_makes_the_next_message_carry_a_valid_mac2)
{
    put_under_load(joined.a);
    joined.handshake();
    EXPECT_EQ(joined.a.drops(DropReason::kMac2Required), 1u);
    EXPECT_EQ(joined.b.counters.cookies_received, 1u);
    EXPECT_EQ(joined.ta().current, nullptr);
    for (int i = 0; i < 20 && joined.sent_count(kInitiation) < 2; i++) {
        put_under_load(joined.a);
        joined.advance(kSecond / 2);
    }
    EXPECT_EQ(joined.a.counters.cookies_sent, 1u);
    EXPECT_NE(joined.ta().current, nullptr);
}

TEST_P(VppBehaviour, a_flood_of_initiations_is_answered_with_cookies_and_a_wrong_mac2_again)
{
    Datagram flood = initiation();
    flood.as<InitiationMessage>().encrypted_static[0] ^= 1;
    for (int i = 0; i < 20'000 && !joined.b.engine->is_under_load(joined.now); i++) {
        flood.as<InitiationMessage>().ephemeral[5]++;
        CookieJar().write_macs(flood.bytes, joined.b.public_key, 1);
        const IncomingMessage messages[8] = {
            {flood.bytes, flood.from, 0}, {flood.bytes, flood.from, 0},
            {flood.bytes, flood.from, 0}, {flood.bytes, flood.from, 0},
            {flood.bytes, flood.from, 0}, {flood.bytes, flood.from, 0},
            {flood.bytes, flood.from, 0}, {flood.bytes, flood.from, 0}};
        joined.b.engine->on_messages(messages, joined.now);
        joined.b.engine->note_cost(8 * 60'000, joined.now);
    }
    ASSERT_TRUE(joined.b.engine->is_under_load(joined.now));
    EXPECT_EQ(joined.b.table.used(), 0u);
    joined.wire.clear();

    Datagram datagram = initiation();
    datagram.as<InitiationMessage>().mac2[3] = 7;
    joined.b.receive(datagram);
    ASSERT_EQ(joined.wire.size(), 1u);
    EXPECT_EQ(joined.wire[0].type(), kCookieReply);
    joined.settle();  // a has the cookie now
    EXPECT_EQ(joined.a.counters.cookies_received, 1u);
    for (int i = 0; i < 12 && joined.tb().received.empty(); i++) {
        put_under_load(joined.b);
        joined.advance(kSecond / 2);
    }
    EXPECT_EQ(joined.tb().received.size(), 1u) << "with the right mac2 there is a response";
}

TEST_P(VppBehaviour, a_flood_of_responses_is_answered_with_cookies)
{
    joined.on_wire = [](Datagram& d) { return d.type() == kInitiation; };
    joined.handshake();
    Datagram response = joined.last_sent(kResponse);
    response.as<ResponseMessage>().encrypted_nothing[0] ^= 1;
    CookieJar().write_macs(response.bytes, joined.a.public_key, 1);
    unsigned sent = 0;
    while (!joined.a.engine->is_under_load(joined.now) && sent++ < 20'000) {
        joined.a.receive(response);
        joined.a.engine->note_cost(80'000, joined.now);
    }
    ASSERT_LT(sent, 20'000u);
    joined.a.receive(response);
    EXPECT_EQ(joined.a.counters.cookies_sent, 1u);
    EXPECT_EQ(joined.wire.back().type(), kCookieReply);
    EXPECT_EQ(joined.wire.back().to, joined.b.address);
}

TEST_P(VppBehaviour, load_lasts_past_the_flood_and_ends_after_a_second)
{
    const Datagram datagram = initiation();
    put_under_load(joined.b);
    joined.set_time(joined.now.monotonic_ns + 999 * kMs);
    EXPECT_TRUE(joined.b.engine->is_under_load(joined.now));
    joined.set_time(joined.now.monotonic_ns + 200 * kMs);
    EXPECT_FALSE(joined.b.engine->is_under_load(joined.now));
    Datagram wrong_mac2 = datagram;
    wrong_mac2.as<InitiationMessage>().mac2[0] ^= 1;
    joined.b.receive(wrong_mac2);
    EXPECT_EQ(joined.b.counters.handshakes_answered, 1u)
        << "a wrong mac2 does not matter without load";
}

TEST_P(VppBehaviour, under_load_a_source_gets_a_burst_of_5_and_others_have_their_own)
{
    put_under_load(joined.b);
    std::mt19937_64 random(1);
    // Garbage with valid macs: an attacker who receives at its address.
    const auto flood = [&](const Endpoint& from) {
        Packet bytes(sizeof(InitiationMessage), 0);
        bytes[0] = kInitiation;
        bytes[8] = static_cast<uint8_t>(random());
        CookieJar jar;
        jar.write_macs(bytes, joined.b.public_key, joined.now.monotonic_ns);
        IncomingMessage message{bytes, from, 0};
        joined.b.engine->on_messages({&message, 1}, joined.now);
        const Datagram reply = joined.wire.back();
        ASSERT_TRUE(jar.consume(Datagram(reply).as<CookieReplyMessage>(), joined.b.public_key,
                                joined.now.monotonic_ns));
        for (int i = 0; i < 12; i++) {
            jar.write_macs(bytes, joined.b.public_key, joined.now.monotonic_ns);
            message.bytes = bytes;
            joined.b.engine->on_messages({&message, 1}, joined.now);
        }
    };
    flood(source(1));
    EXPECT_EQ(joined.b.drops(DropReason::kHandshakeRateLimited), 7u);
    EXPECT_EQ(joined.b.drops(DropReason::kHandshakeNotAuthentic), 5u);
    flood(source(2));
    EXPECT_EQ(joined.b.drops(DropReason::kHandshakeRateLimited), 14u) << "sources are independent";
    EXPECT_EQ(joined.b.drops(DropReason::kMac2Required), 2u);
}

TEST_P(VppBehaviour, load_does_not_depend_on_the_number_of_peers)
{
    for (IdentityId i = 100; i < 600; i++) {
        crypto::PublicKey key{};
        std::memcpy(key.data(), &i, sizeof(i));
        joined.b.add_peer(i, key);
    }
    joined.b.engine->note_cost(499 * kMs, joined.now);
    EXPECT_FALSE(joined.b.engine->is_under_load(joined.now));
    joined.b.engine->note_cost(2 * kMs, joined.now);
    EXPECT_TRUE(joined.b.engine->is_under_load(joined.now));
}

TEST_P(VppBehaviour, a_peer_without_endpoint_learns_it_from_an_initiation)
{
    EXPECT_FALSE(joined.b.engine->endpoint_of(kPeer).is_known());
    Datagram datagram = initiation();
    datagram.from = other_endpoint();
    joined.b.receive(datagram);
    ASSERT_EQ(joined.wire.back().type(), kResponse);
    EXPECT_EQ(joined.wire.back().to, other_endpoint());
    EXPECT_EQ(joined.b.engine->endpoint_of(kPeer), other_endpoint());
}

TEST_P(VppBehaviour, a_response_from_elsewhere_moves_the_endpoint_and_the_keepalive_goes_there)
{
    joined.on_wire = [&](Datagram& d) {
        if (d.type() == kResponse)
            d.from = other_endpoint();
        return true;
    };
    joined.handshake();
    EXPECT_EQ(joined.a.engine->endpoint_of(kPeer), other_endpoint());
    EXPECT_EQ(joined.last_sent(kData).to, other_endpoint());
}

TEST_P(VppBehaviour, authentic_data_from_elsewhere_moves_the_endpoint)
{
    joined.handshake();
    joined.on_wire = [&](Datagram& d) {
        if (d.to == joined.b.address)
            d.from = other_endpoint();
        return true;
    };
    joined.a.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.b.engine->endpoint_of(kPeer), other_endpoint());
    EXPECT_EQ(joined.b.notes[kPeer].second, other_endpoint()) << "survives a restart";
    joined.b.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.last_sent(kData).to, other_endpoint());
}

TEST_P(VppBehaviour, an_initiator_gets_an_empty_keepalive_when_it_has_nothing_to_send)
{
    joined.a.event(PeerEvent::Kind::kNeedSession, kPeer);
    joined.settle();
    EXPECT_EQ(joined.last_sent(kData).bytes.size(), kMinDataBytes);
    EXPECT_EQ(joined.tb().keepalives_received, 1u);
    EXPECT_TRUE(joined.tb().received.empty());
    EXPECT_EQ(joined.b.counters.handshakes_completed, 1u) << "it confirms the responder";
}

TEST_P(VppBehaviour, peers_by_the_dozen_have_their_own_sessions_and_go_one_by_one)
{
    std::deque<Datagram> wire;
    std::vector<std::unique_ptr<Gateway>> agents;
    for (IdentityId i = 0; i < 16; i++) {
        agents.push_back(std::make_unique<Gateway>(100 + i, source(static_cast<uint8_t>(10 + i)),
                                                   wire, joined.now));
        agents[i]->add_peer(1, joined.b.public_key, joined.b.address);
        joined.b.add_peer(100 + i, agents[i]->public_key);
        agents[i]->send(1, kPing);
    }
    const auto settle = [&] {
        for (int round = 0; round < 50; round++) {
            for (auto& agent : agents) agent->run_events();
            joined.b.run_events();
            for (; !wire.empty(); wire.pop_front()) joined.b.receive(wire.front());
            for (; !joined.wire.empty(); joined.wire.pop_front())
                for (auto& agent : agents)
                    if (agent->address == joined.wire.front().to)
                        agent->receive(joined.wire.front());
        }
    };
    settle();
    for (IdentityId i = 0; i < 16; i++) {
        EXPECT_EQ(joined.b.tunnel(100 + i).received.size(), 1u) << "agent " << i;
        EXPECT_EQ(joined.b.engine->endpoint_of(100 + i), agents[i]->address);
    }
    EXPECT_EQ(joined.b.table.used(), 16u);
    for (IdentityId i = 0; i < 16; i++) {
        joined.b.engine->remove_peer(100 + i, joined.now);
        settle();
        EXPECT_EQ(joined.b.table.used(), 15u - i);
    }
}

TEST_P(VppBehaviour, a_replaced_peer_gets_the_traffic_at_its_own_endpoint)
{
    joined.handshake();
    joined.b.engine->remove_peer(kPeer, joined.now);
    joined.settle();
    const crypto::PublicKey other = crypto::public_key_of(private_key(91));
    joined.b.add_peer(kPeer, other, other_endpoint());
    joined.b.send(kPeer, kPing);
    joined.settle();
    EXPECT_EQ(joined.last_sent(kInitiation).to, other_endpoint());
}

// -- VPP's limitations, which must not be ours

TEST_P(VppBehaviour, a_forged_packet_with_the_next_index_promotes_nothing_and_keeps_the_old_keys)
{
    joined.handshake();
    joined.advance(120 * kSecond);
    joined.on_wire = [&](Datagram& d) {  // the renewal's first data packet is lost
        return d.type() != kData || d.to != joined.b.address;
    };
    joined.a.send(kPeer, kPing);
    joined.settle();
    Tunnel& t = joined.tb();
    Session *current = t.current, *next = t.next;
    ASSERT_NE(next, nullptr);
    Datagram forged{other_endpoint(), joined.b.address, Packet(kMinDataBytes, 0)};
    forged.bytes[0] = kData;
    forged.as<DataHeader>().receiver_index.set(next->index);
    joined.b.receive(forged);
    joined.settle();
    EXPECT_EQ(joined.b.drops(DropReason::kTagMismatch), 1u);
    EXPECT_EQ(t.current, current);
    EXPECT_EQ(t.next, next);
    EXPECT_FALSE(next->is_confirmed);
    EXPECT_EQ(joined.b.engine->endpoint_of(kPeer), joined.a.address);
}

TEST_P(VppBehaviour, a_packet_for_an_expired_session_changes_no_state)
{
    joined.handshake();
    const Datagram old = joined.last_sent(kData);
    joined.advance(200 * kSecond);
    const int64_t last = joined.b.engine->last_handshake_unix(kPeer);
    const Session* current = joined.tb().current;
    Datagram late = old;
    late.from = other_endpoint();
    joined.b.receive(late);
    joined.settle();
    EXPECT_EQ(joined.b.drops(DropReason::kSessionExpired), 1u);
    EXPECT_EQ(joined.tb().current, current);
    EXPECT_EQ(joined.b.engine->last_handshake_unix(kPeer), last);
    EXPECT_EQ(joined.b.engine->endpoint_of(kPeer), joined.a.address);
}

TEST_P(VppBehaviour, packets_before_the_handshake_are_staged_and_arrive_in_order)
{
    for (uint8_t i = 0; i < 100; i++) joined.a.send(kPeer, Packet(32, i));
    joined.settle();
    ASSERT_EQ(joined.tb().received.size(), 100u);
    for (uint8_t i = 0; i < 100; i++) EXPECT_EQ(joined.tb().received[i][0], i);
}

TEST_P(VppBehaviour, reordered_packets_arrive_once_each)
{
    joined.handshake();
    std::vector<Datagram> held;
    joined.on_wire = [&](Datagram& d) {
        held.push_back(d);
        return false;
    };
    for (uint8_t i = 0; i < 50; i++) joined.a.send(kPeer, Packet(32, i));
    joined.settle();
    std::shuffle(held.begin(), held.end(), std::mt19937_64(4));
    for (int times = 0; times < 2; times++)
        for (Datagram datagram : held) joined.b.receive(datagram);
    EXPECT_EQ(joined.tb().received.size(), 51u);
    EXPECT_EQ(joined.b.drops(DropReason::kCounterStale), 50u);
}

}  // namespace sandgate::test
