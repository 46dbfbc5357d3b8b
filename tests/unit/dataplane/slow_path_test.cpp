// The socket to control, and what the threads behind it do to each other: a fault changes nothing,
// a push is in force when it is answered, an owner stays an owner. Under ThreadSanitizer, too.
#include <gtest/gtest.h>

#include "tests/support/slow_path.h"

namespace sandgate::test {
namespace {

using api::MessageType;

Bytes packet_of(MessageType type, uint32_t length, const Bytes& body)
{
    const api::MessageHeader header{type, length, 7, 0};
    Bytes packet(sizeof(header) + body.size());
    std::memcpy(packet.data(), &header, sizeof(header));
    std::copy(body.begin(), body.end(), packet.begin() + sizeof(header));
    return packet;
}

// Four bytes, host order, as the structs of requests.h have them.
Bytes words(std::initializer_list<uint32_t> values, size_t bytes)
{
    Bytes out(bytes);
    size_t at = 0;
    for (const uint32_t value : values) {
        std::memcpy(&out[at], &value, 4);
        at += 4;
    }
    return out;
}

TEST(SlowPath, answers_each_bad_request_with_its_fault_and_changes_nothing)
{
    SlowPath slow;
    ASSERT_EQ(slow.push(MessageType::kPushSnapshot, make_snapshot(8, 5)), "");
    const struct
    {
        const char* name;
        Bytes packet;
        const char* fault;
    } cases[] = {
        {"half a header", Bytes(9), "length does not fit"},
        {"length too great", packet_of(MessageType::kPing, 1, {}), "length does not fit"},
        {"length too small", packet_of(MessageType::kPing, 0, Bytes(1)), "length does not fit"},
        {"unknown type", packet_of(MessageType{9}, 0, {}), "does not know"},
        {"an answer's type", packet_of(MessageType::kAck, 264, Bytes(264)), "does not know"},
        {"ping with a body", packet_of(MessageType::kPing, 1, Bytes(1)), "no body"},
        {"short hello", packet_of(MessageType::kHello, 4, Bytes(4)), "hello of the wrong length"},
        {"another version", packet_of(MessageType::kHello, 8, words({99}, 8)), "version 99"},
        {"short key", packet_of(MessageType::kStaticKey, 31, Bytes(31)),
         "static key of the wrong length"},
        {"no PSK", packet_of(MessageType::kPsk, 0, {}), "wrong length"},
        {"half a PSK", packet_of(MessageType::kPsk, 60, Bytes(60)), "wrong length"},
        {"PSK of nobody", packet_of(MessageType::kPsk, 40, words({api::kMaxIdentity + 1, 1}, 40)),
         "out of range"},
        {"PSK neither there nor gone", packet_of(MessageType::kPsk, 40, words({1, 2}, 40)),
         "out of range"},
        {"half a seed", packet_of(MessageType::kSeed, 35, Bytes(35)), "wrong length"},
        {"seed of nobody", packet_of(MessageType::kSeed, 36, words({api::kMaxIdentity + 1}, 36)),
         "out of range"},
        {"push without memory", packet_of(MessageType::kPushSnapshot, 8, words({100}, 8)),
         "memory that holds it"},
        {"peers of the wrong length", packet_of(MessageType::kGetPeers, 4, Bytes(4)),
         "wrong length"},
    };
    for (const auto& c : cases) {
        slow.send_packet(c.packet);
        const auto answer = slow.receive();
        ASSERT_TRUE(answer) << c.name;
        EXPECT_NE(answer->fault().find(c.fault), std::string::npos)
            << c.name << ": " << answer->fault();
        EXPECT_EQ(answer->ack().epoch, 5u) << c.name;
    }
    EXPECT_EQ(slow.ask(MessageType::kPing, std::array<uint8_t, 1>{}).fault(), "a ping has no body");
    slow.send_packet(packet_of(MessageType::kPing, 0, {}));
    EXPECT_EQ(slow.receive()->fault(), "");
}

TEST(SlowPath, believes_only_memory_that_nobody_can_change)
{
    SlowPath slow;
    const Bytes good = make_snapshot(8, 5);
    for (const int seals : {0, F_SEAL_WRITE, F_SEAL_SHRINK | F_SEAL_GROW}) {
        const int fd = SlowPath::memory_of(good, seals);
        EXPECT_NE(slow.ask(MessageType::kPushSnapshot, api::PushBody{good.size()}, fd)
                      .fault()
                      .find("not sealed"),
                  std::string::npos);
        close(fd);
    }
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    EXPECT_NE(slow.ask(MessageType::kPushSnapshot, api::PushBody{good.size()}, null)
                  .fault()
                  .find("not sealed"),
              std::string::npos);
    close(null);
    const int fd = SlowPath::memory_of(good, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
    for (const uint64_t bytes : {uint64_t{0}, uint64_t{good.size() + 1}, ~uint64_t{0}})
        EXPECT_NE(
            slow.ask(MessageType::kPushSnapshot, api::PushBody{bytes}, fd).fault().find("shorter"),
            std::string::npos);
    close(fd);
    EXPECT_EQ(slow.gateway.shared.policy.load(), nullptr);
    EXPECT_EQ(slow.counters().policy_epoch.load(), 0u);
}

TEST(SlowPath, a_push_is_in_force_when_it_is_answered)
{
    SlowPath slow;
    const Bytes snapshot = make_snapshot(8, 5);
    EXPECT_NE(slow.push(MessageType::kPushDelta, snapshot).find("none: push a snapshot"),
              std::string::npos);
    ASSERT_EQ(slow.push(MessageType::kPushSnapshot, snapshot), "");
    EXPECT_EQ(slow.counters().policy_epoch.load(), 5u);
    Bytes broken = make_snapshot(8, 6);
    broken[broken.size() / 2] ^= 1;
    EXPECT_NE(slow.push(MessageType::kPushSnapshot, broken), "");
    EXPECT_NE(slow.push(MessageType::kPushDelta, broken), "");
    EXPECT_EQ(slow.counters().policy_epoch.load(), 5u) << "the last good one stays in force";

    ASSERT_EQ(slow.push(MessageType::kPushSnapshot, make_snapshot(8, 6, 3)), "");
    EXPECT_EQ(slow.counters().policy_epoch.load(), 6u);

    const Answer hello = slow.ask(MessageType::kHello, api::HelloBody{api::kProtocolVersion, 0});
    ASSERT_EQ(hello.header.type, MessageType::kWelcome);
    api::WelcomeBody welcome{};
    std::memcpy(&welcome, hello.body.data(), sizeof(welcome));
    EXPECT_EQ(welcome.epoch, 6u);
    EXPECT_EQ(welcome.has_static_key, 0u);
    ASSERT_GE(hello.fd, 0);
    EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, hello.fd, 0), MAP_FAILED)
        << "read-only for others";
    close(hello.fd);
}

TEST(SlowPath, a_newer_connection_replaces_the_older)
{
    SlowPath slow;
    slow.send_packet(packet_of(MessageType::kPing, 0, {}));
    EXPECT_TRUE(slow.receive());
    for (int i = 0; i < 20; i++) {
        slow.connect_again();
        slow.send_packet(packet_of(MessageType::kPing, 0, {}));
        EXPECT_TRUE(slow.receive()) << i;
    }
}

TEST(SlowPath, lists_peers_in_pages)
{
    SlowPath slow(40);
    ASSERT_EQ(slow.push(MessageType::kPushSnapshot, make_snapshot(40, 5)), "");
    std::vector<uint32_t> seen;
    for (uint32_t first = 1; first != 0;) {
        const Answer answer = slow.ask(MessageType::kGetPeers, api::GetPeersBody{first, 16});
        ASSERT_EQ(answer.header.type, MessageType::kPeers);
        api::PeersBody head{};
        std::memcpy(&head, answer.body.data(), sizeof(head));
        ASSERT_EQ(answer.body.size(), sizeof(head) + head.count * sizeof(api::PeerStatus));
        for (uint32_t i = 0; i < head.count; i++) {
            api::PeerStatus row{};
            std::memcpy(&row, &answer.body[sizeof(head) + i * sizeof(row)], sizeof(row));
            seen.push_back(row.identity);
            EXPECT_EQ(row.owner, ~0u);
        }
        first = head.next;
    }
    ASSERT_EQ(seen.size(), 40u);
    for (uint32_t i = 0; i < 40; i++) EXPECT_EQ(seen[i], i + 1);
}

TEST(SlowPath, a_peer_that_returns_has_the_owner_that_it_had)
{
    SlowPath slow;
    ASSERT_EQ(slow.push(MessageType::kPushSnapshot, make_snapshot(8, 5)), "");
    const auto owner_of = [&](api::IdentityId identity) {
        wg::WorkerId owner = wg::kNoWorker;
        slow.handshakes().order_and_wait(
            [&](wg::HandshakeEngine& engine, wg::Time) { owner = engine.owner_of(identity); });
        return owner;
    };
    EXPECT_EQ(owner_of(8), wg::kNoWorker);
    slow.handshakes().order_and_wait(
        [&](wg::HandshakeEngine&, wg::Time) { slow.handshakes().assign_owner(8, 0); });
    ASSERT_EQ(slow.push(MessageType::kPushSnapshot, make_snapshot(7, 6)), "");
    EXPECT_EQ(owner_of(8), wg::kNoWorker) << "gone";
    ASSERT_EQ(slow.push(MessageType::kPushSnapshot, make_snapshot(8, 7)), "");
    EXPECT_EQ(owner_of(8), 0);
}

// Policies come and go while the worker and the handshake thread use them; AddressSanitizer would
// see a view that is freed too early, ThreadSanitizer a field with two writers.
TEST(SlowPath, policies_change_under_way)
{
    SlowPath slow;
    const api::StaticKeyBody key{{1, 2, 3}};
    EXPECT_EQ(slow.ask(MessageType::kStaticKey, key).fault(), "");
    for (unsigned i = 0; i < 8; i++) {
        api::SeedBody seed{};
        seed.identity = i + 1;
        seed.timestamp[0] = 0x40;
        seed.endpoint = agent_endpoint(i);
        EXPECT_EQ(slow.ask(MessageType::kSeed, seed).fault(), "");
    }
    std::atomic<bool> is_done{false};
    std::thread events([&] {
        while (!is_done) {
            slow.gateway.shared.events->push_repeatable(
                {wg::PeerEvent::Kind::kNeedSession, 2, nullptr, {}});
            std::this_thread::yield();
        }
    });
    for (api::Epoch epoch = 10; epoch < 40; epoch++) {
        EXPECT_EQ(slow.push(MessageType::kPushSnapshot, make_snapshot(4 + epoch % 5, epoch)), "");
        const Answer answer = slow.ask(MessageType::kGetPeers, api::GetPeersBody{1, 0});
        EXPECT_EQ(answer.header.type, MessageType::kPeers);
    }
    is_done = true;
    events.join();
    EXPECT_GT(slow.counters().blocks[1].handshakes_initiated.load(), 0u)
        << "seeded peers are initiated to";
}

TEST(SlowPath, counters_say_how_many_flows_a_table_takes)
{
    SlowPath slow;
    EXPECT_EQ(slow.counters().flows_per_worker, dp::Options{}.max_flows);
}

TEST(SlowPath, frames_before_the_first_policy_are_counted)
{
    SlowPath slow;
    rte_mbuf* mbuf = rte_pktmbuf_alloc(slow.gateway.shared.pool);
    ASSERT_NE(mbuf, nullptr);
    ASSERT_EQ(rte_ring_enqueue(slow.gateway.shared.local, mbuf), 0);
    const auto& count =
        slow.counters().blocks[2].drops[static_cast<unsigned>(api::DropReason::kNotReady)];
    for (int i = 0; i < 5000 && count.load() == 0; i++) usleep(1000);
    EXPECT_EQ(count.load(), 1u);
}

}  // namespace
}  // namespace sandgate::test
