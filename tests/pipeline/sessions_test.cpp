// From find_sessions to note_received: nothing that is not authentic changes a session or an agent,
// each counter passes once, and previous, current and next change as the WireGuard paper has it.
#include "tests/support/dataplane_world.h"

namespace sandgate::test {
namespace {

const Bytes kInner = between("10.9.1.1", kLanHost).udp(1000, 1500, pattern(33));

// Byte for byte what a forgery must not change.
struct Image
{
    explicit Image(World& world) : session(sizeof(Session)), agent(sizeof(Agent))
    {
        std::memcpy(session.data(), static_cast<const void*>(world.agent(1).current),
                    sizeof(Session));
        std::memcpy(agent.data(), static_cast<const void*>(&world.agent(1)), sizeof(Agent));
    }
    bool operator==(const Image&) const = default;
    Bytes session, agent;
};

TEST(Sessions, forgeries_change_no_byte_of_a_session_or_agent)
{
    World world;
    world.receive(kWanPort, world.sealed(1, kInner));
    world.sent(kLanPort);
    world.refusals();
    const Bytes good = world.data_message(*world.agent(1).current, 50, kInner);
    const Image before(world);
    for (size_t at = 4; at < good.size(); at++) {
        Bytes forged = good;
        forged[at] ^= 0x40;
        world.receive(kWanPort, world.tunnel_frame(forged, "192.0.2.11", 4001));
        world.receive(kWanPort, world.tunnel_frame(forged, "192.0.2.77", 7777));
        ASSERT_TRUE(Image(world) == before) << "byte " << at;
        ASSERT_TRUE(world.sent(kLanPort).empty());
    }
    EXPECT_TRUE(world.take_events().empty());
    EXPECT_EQ(world.w().flows.used(), 1u);
    EXPECT_GT(world.drops(DropReason::kTagMismatch), 60u);
    // Cut or extended messages too.
    for (size_t bytes = 32; bytes < good.size(); bytes++)
        world.receive(kWanPort, world.tunnel_frame(part(good, 0, bytes), "192.0.2.11", 4001));
    Bytes longer = good;
    longer.push_back(0);
    world.receive(kWanPort, world.tunnel_frame(longer, "192.0.2.11", 4001));
    EXPECT_TRUE(Image(world) == before);
    world.refusals();
    // The same message unforged passes.
    world.receive(kWanPort, world.tunnel_frame(good, "192.0.2.11", 4001));
    EXPECT_EQ(world.refusals(), "");
    EXPECT_EQ(world.sent(kLanPort).size(), 1u);
}

TEST(Sessions, a_counter_passes_once)
{
    World world;
    Session& session = *world.agent(1).current;
    const auto frame = [&](uint64_t counter) {
        return world.tunnel_frame(world.data_message(session, counter, kInner), "192.0.2.11", 4001);
    };
    world.receive(kWanPort, {frame(9), frame(9), frame(8), frame(9)});
    EXPECT_EQ(world.refusals(), "replayed*2") << "within a burst, after opening";
    world.receive(kWanPort, frame(8));
    EXPECT_EQ(world.refusals(), "counter_stale") << "later, before opening";
    world.receive(kWanPort, frame(20'000));
    world.receive(kWanPort, frame(20'000 - wg::ReplayWindow::kUsable));
    EXPECT_EQ(world.refusals(), "");
    world.receive(kWanPort, frame(20'000 - wg::ReplayWindow::kUsable - 1));
    EXPECT_EQ(world.refusals(), "counter_stale");
    EXPECT_EQ(world.sent(kLanPort).size(), 4u);
}

TEST(Sessions, a_session_ends_at_180_seconds)
{
    World world;
    world.pass(wg::kRejectAfterTime - 1);
    world.receive(kWanPort, world.sealed(1, kInner));
    EXPECT_EQ(world.refusals(), "");
    world.pass(1);
    world.receive(kWanPort, world.sealed(1, kInner));
    EXPECT_EQ(world.refusals(), "session_expired");
    // And it does not seal: what goes to the agent waits.
    world.receive(kLanPort, world.plain(between(kLanHost, "10.9.1.1").udp(1500, 1000, pattern(5))));
    EXPECT_TRUE(world.sent(kWanPort).empty());
    EXPECT_EQ(world.agent(1).staged_count, 1u);
}

TEST(Sessions, a_session_ends_with_its_messages)
{
    World world;
    Session& session = *world.agent(1).current;
    world.receive(kWanPort,
                  world.tunnel_frame(world.data_message(session, wg::kRejectAfterMessages, kInner),
                                     "192.0.2.11", 4001));
    EXPECT_EQ(world.refusals(), "session_expired");
    world.receive(kWanPort, world.tunnel_frame(
                                world.data_message(session, wg::kRejectAfterMessages - 1, kInner),
                                "192.0.2.11", 4001));
    EXPECT_EQ(world.refusals(), "");
    session.send_counter = wg::kRejectAfterMessages - 1;
    const Bytes plain = world.plain(between(kLanHost, "10.9.1.1").udp(1500, 1000));
    world.receive(kLanPort, {plain, plain});
    EXPECT_EQ(world.refusals(), "session_expired")
        << "one counter was left for two packets of a burst";
    EXPECT_EQ(world.sent(kWanPort).size(), 1u);
    world.receive(kLanPort, plain);
    EXPECT_EQ(world.agent(1).staged_count, 1u);
}

TEST(Sessions, forgeries_from_elsewhere_have_a_budget_and_the_agent_has_none)
{
    World world;
    Bytes forged = world.data_message(*world.agent(1).current, 7, kInner);
    forged.back() ^= 1;
    for (unsigned i = 0; i < OpenBudget::kPerWindow; i++)
        world.receive(kWanPort, world.tunnel_frame(forged, "192.0.2.66", 6666));
    EXPECT_EQ(world.refusals(), "tag_mismatch*64");
    world.receive(kWanPort, world.tunnel_frame(forged, "192.0.2.66", 6666));
    EXPECT_EQ(world.refusals(), "open_budget_spent");
    world.receive(kWanPort, world.sealed(1, kInner));
    EXPECT_EQ(world.refusals(), "") << "the confirmed endpoint is served all the time";
    world.pass(OpenBudget::kWindowNs);
    world.receive(kWanPort, world.tunnel_frame(forged, "192.0.2.66", 6666));
    EXPECT_EQ(world.refusals(), "tag_mismatch");
}

TEST(Sessions, the_endpoint_follows_authentic_packets_alone)
{
    World world;
    Agent& agent = world.agent(1);
    world.receive(kWanPort, world.tunnel_frame(world.data_message(*agent.current, 5, kInner),
                                               "192.0.2.12", 999));
    EXPECT_EQ(agent.endpoint, (Endpoint{address_of("192.0.2.12"), 999, 0}));
    const auto events = world.take_events();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, wg::PeerEvent::Kind::kEndpointChanged);
    EXPECT_EQ(world.counters[0].roamed.load(), 1u);
    // A replay from elsewhere is authentic once only.
    Burst burst;
    const Bytes six = world.data_message(*agent.current, 6, kInner);
    world.add(burst, kWanPort, world.tunnel_frame(six, "192.0.2.12", 999));
    world.add(burst, kWanPort, world.tunnel_frame(six, "192.0.2.66", 666));
    run_burst(world.w(), *world.policy, burst);
    EXPECT_EQ(agent.endpoint.port, 999);
    // What goes to the agent follows, over IPv6 too.
    world.receive(kWanPort, world.tunnel_frame(world.data_message(*agent.current, 7, kInner),
                                               "2001:db8:1::7", 777));
    world.sent(kLanPort);
    world.receive(kLanPort,
                  world.plain(between(kLanHost, "10.9.1.1").udp(1500, 1000, pattern(64))));
    const auto frames = world.sent(kWanPort);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames[0][14] >> 4, 6);
    EXPECT_EQ(world.inner_of(frames[0], 1).size(), 28u + 64u);
}

TEST(Sessions, next_becomes_current_by_its_first_authentic_packet)
{
    World world;
    Worker& w = world.w();
    Agent& agent = world.agent(1);
    Session* old = agent.current;
    Session* next = world.make_session(1, 0, false, 100);
    install_session(w, *world.policy, next, World::endpoint_of(2));
    EXPECT_EQ(agent.next, next);
    EXPECT_EQ(agent.current, old);
    EXPECT_EQ(agent.endpoint, World::endpoint_of(1))
        << "a handshake's source does not move a confirmed endpoint";

    Bytes forged = world.data_message(*next, 0, kInner);
    forged.back() ^= 1;
    world.receive(kWanPort, world.tunnel_frame(forged, "192.0.2.11", 4001));
    EXPECT_EQ(agent.next, next);
    EXPECT_FALSE(next->is_confirmed);
    world.receive(kLanPort, world.plain(between(kLanHost, "10.9.1.1").udp(1500, 1000)));
    EXPECT_EQ(old->send_counter, 1u) << "an unconfirmed session does not send";

    world.receive(kWanPort,
                  world.tunnel_frame(world.data_message(*next, 0, kInner), "192.0.2.11", 4001));
    EXPECT_EQ(agent.current, next);
    EXPECT_EQ(agent.previous, old);
    EXPECT_EQ(agent.next, nullptr);
    const auto events = world.take_events();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, wg::PeerEvent::Kind::kConfirmed);
    EXPECT_EQ(events[0].session, next);
    // Late packets of the previous session still open, and do not bring it back.
    world.refusals();
    world.receive(kWanPort,
                  world.tunnel_frame(world.data_message(*old, 0, kInner), "192.0.2.11", 4001));
    EXPECT_EQ(world.refusals(), "");
    EXPECT_EQ(agent.current, next);
}

TEST(Sessions, an_initiators_session_is_current_at_once_and_says_so)
{
    World world;
    Agent& agent = world.agent(1);
    Session* old = agent.current;
    Session* fresh = world.make_session(1, 0, true, 100);
    install_session(world.w(), *world.policy, fresh, World::endpoint_of(1));
    EXPECT_EQ(agent.current, fresh);
    EXPECT_EQ(agent.previous, old);
    const auto frames = world.sent(kWanPort);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_TRUE(world.opened(frames[0], 1).empty()) << "a keepalive confirms the responder";
    EXPECT_EQ(fresh->send_counter, 1u);
    // A second one drops the oldest, by name, exactly once.
    Session* third = world.make_session(1, 0, true, 50);
    install_session(world.w(), *world.policy, third, World::endpoint_of(1));
    const auto events = world.take_events();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, wg::PeerEvent::Kind::kSessionUnused);
    EXPECT_EQ(events[0].session, old);
}

TEST(Sessions, keepalives_confirm_and_end_there)
{
    World world;
    Session* next = world.make_session(1, 0, false, 100);
    install_session(world.w(), *world.policy, next, World::endpoint_of(1));
    world.receive(kWanPort,
                  world.tunnel_frame(world.data_message(*next, 0, {}), "192.0.2.11", 4001));
    EXPECT_EQ(world.refusals(), "keepalive");
    EXPECT_EQ(world.agent(1).current, next);
    EXPECT_EQ(world.counters[0].keepalives_received.load(), 1u);
    EXPECT_EQ(world.agent(1).activity.unacknowledged_since_ns.load(), 0u)
        << "a keepalive asks for no answer";
    world.receive(kWanPort,
                  world.tunnel_frame(world.data_message(*next, 1, kInner), "192.0.2.11", 4001));
    EXPECT_EQ(world.agent(1).activity.unacknowledged_since_ns.load(), world.w().now_ns);
}

TEST(Sessions, an_unpublished_session_is_unknown)
{
    World world;
    const Bytes frame = world.sealed(1, kInner);
    world.sessions->unpublish(world.agent(1).current);
    world.receive(kWanPort, frame);
    EXPECT_EQ(world.refusals(), "unknown_index");
}

TEST(Sessions, rekeys_are_asked_for_on_time_and_not_more_often_than_every_100_ms)
{
    World world;
    const Bytes plain = world.plain(between(kLanHost, "10.9.1.1").udp(1500, 1000));
    world.pass(wg::kRekeyAfterTime - 1);
    world.receive(kLanPort, plain);
    EXPECT_TRUE(world.take_events().empty());
    world.pass(1);
    world.receive(kLanPort, plain);
    world.receive(kLanPort, plain);
    auto events = world.take_events();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, wg::PeerEvent::Kind::kRekeyDue);
    world.pass(100'000'000);
    world.receive(kLanPort, plain);
    EXPECT_EQ(world.take_events().size(), 1u);
    // One that only receives asks at 165 s.
    world.pass(wg::kRekeyOnReceiveTime - wg::kRekeyAfterTime);
    world.receive(kWanPort, world.sealed(1, kInner));
    EXPECT_EQ(world.take_events().size(), 1u);
}

TEST(Sessions, what_is_staged_leaves_in_order_when_a_session_comes)
{
    World world;
    Agent& agent = world.agent(1);
    forget_sessions(world.w(), agent);
    for (uint16_t i = 0; i < 70; i++)
        world.receive(kLanPort,
                      world.plain(between(kLanHost, "10.9.1.1").id(i).udp(1500, 1000, pattern(i))));
    EXPECT_EQ(agent.staged_count, 70u);
    EXPECT_TRUE(world.sent(kWanPort).empty());
    Session* next = world.make_session(1, 0, false, 100);
    install_session(world.w(), *world.policy, next, World::endpoint_of(1));
    EXPECT_TRUE(world.sent(kWanPort).empty());
    world.receive(kWanPort,
                  world.tunnel_frame(world.data_message(*next, 0, kInner), "192.0.2.11", 4001));
    const auto frames = world.sent(kWanPort);
    ASSERT_EQ(frames.size(), 70u);
    for (uint16_t i = 0; i < 70; i++) {
        uint64_t counter = 0;
        const Bytes text = world.opened(frames[i], 1, &counter);
        EXPECT_EQ(counter, i);
        EXPECT_EQ(get16(text, 4), i);
    }
    EXPECT_EQ(agent.staged_count, 0u);
}

TEST(Sessions, the_oldest_staged_packet_makes_room_and_given_up_handshakes_drop_all)
{
    World world;
    Agent& agent = world.agent(1);
    forget_sessions(world.w(), agent);
    for (uint16_t i = 0; i < 130; i++)
        world.receive(kLanPort, world.plain(between(kLanHost, "10.9.1.1").id(i).udp(1500, 1000)));
    EXPECT_EQ(agent.staged_count, wg::kMaxStagedPackets);
    EXPECT_EQ(world.refusals(), "staging_overflow*2");
    const auto* first = rte_pktmbuf_mtod(agent.staged_first, const uint8_t*);
    EXPECT_EQ(first[5], 2) << "0 and 1 were the oldest";
    world.shared->mailboxes[0]->push(
        {WorkerMessage::Kind::kDropStaged, 1, nullptr, nullptr, {}, 0});
    poll_mailbox(world.w(), world.policy.get());
    EXPECT_EQ(world.refusals(), "handshake_timed_out*128");
    EXPECT_EQ(agent.staged_count, 0u);
}

}  // namespace
}  // namespace sandgate::test
