// ARP, neighbour discovery and echo for the ports' own addresses; packets that wait; bounds,
// retries and giving up.
#include "dataplane/slowpath/neighbour_service.h"

#include "tests/support/dataplane_world.h"

namespace sandgate::test {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

struct Service
{
    Service() : service(*world.shared, world.counters[1]) {}
    // What was sent to the slow path reaches the service; what it answers comes back to the worker
    // and leaves.
    std::vector<Bytes> turn(uint8_t port)
    {
        void* object;
        while (rte_ring_dequeue(world.shared->local, &object) == 0)
            service.take(static_cast<rte_mbuf*>(object), *world.policy, now);
        poll_handed_over(world.w(), world.policy.get());
        return world.sent(port);
    }
    std::vector<Bytes> receive(uint8_t port, const Bytes& frame)
    {
        world.receive(port, frame);
        return turn(port);
    }
    std::vector<Bytes> wait(uint64_t ns, uint8_t port)
    {
        now += ns;
        service.on_timer(*world.policy, now);
        return turn(port);
    }
    std::string refusals() { return world.refusals(1); }
    bool knows(const char* address, uint8_t port = kLanPort)
    {
        uint8_t mac[6];
        return world.shared->neighbours.find(port, address_of(address), mac);
    }
    // Agent 1 sends a packet to this lan host.
    std::vector<Bytes> send_to(const char* host)
    {
        const bool is_v4 = std::string(host).find(':') == std::string::npos;
        world.receive(
            kWanPort,
            world.sealed(1, between(is_v4 ? "10.9.1.1" : "fd09::1:1", host).udp(1, 1000)));
        return turn(kLanPort);
    }

    World world{1, {}, 8192};
    NeighbourService service;
    uint64_t now = 50 * kSecondNs;
};

Bytes arp(uint16_t operation, const uint8_t* to_mac, const uint8_t* sender_mac, const char* sender,
          const char* target)
{
    Bytes body = {0, 1, 8, 0, 6, 4, 0, static_cast<uint8_t>(operation)};
    body.insert(body.end(), sender_mac, sender_mac + 6);
    const auto from = address_of(sender), to = address_of(target);
    body.insert(body.end(), from.v4_bytes(), from.v4_bytes() + 4);
    body.resize(body.size() + 6);
    body.insert(body.end(), to.v4_bytes(), to.v4_bytes() + 4);
    return frame_of(to_mac, sender_mac, body, 0x0806);
}
constexpr uint8_t kAll[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr uint8_t kAsker[6] = {2, 7, 7, 7, 7, 7};

Bytes discovery(uint8_t type, const uint8_t* to_mac, const char* from, const char* to,
                const char* target, uint8_t option, uint8_t hops = 255)
{
    const auto address = address_of(target);
    Bytes body(address.bytes.begin(), address.bytes.end());
    append(body, {option, 1});
    body.insert(body.end(), kAsker, kAsker + 6);
    return frame_of(
        to_mac, kAsker,
        between(from, to).hop_limit(hops).icmp(type, 0, type == 136 ? 0x60000000u : 0, body));
}

TEST(NeighbourService, answers_arp_for_its_own_address)
{
    Service s;
    auto frames = s.receive(kLanPort, arp(1, kAll, kAsker, "198.51.100.50", "198.51.100.1"));
    ASSERT_EQ(frames.size(), 1u);
    const uint8_t* own = s.world.shared->port_macs[kLanPort];
    Bytes expected = arp(2, kAsker, own, "198.51.100.1", "198.51.100.50");
    std::copy_n(kAsker, 6, &expected[32]);
    EXPECT_EQ(frames[0], expected);
    EXPECT_TRUE(s.knows("198.51.100.50")) << "the asker will want an answer to what follows";
    EXPECT_TRUE(
        s.receive(kLanPort, arp(1, kAll, kAsker, "198.51.100.51", "198.51.100.77")).empty());
    EXPECT_FALSE(s.knows("198.51.100.51")) << "a question to others teaches nothing new";
    EXPECT_TRUE(
        s.receive(kLanPort, arp(2, kAll, kAsker, "198.51.100.52", "198.51.100.52")).empty());
    EXPECT_FALSE(s.knows("198.51.100.52")) << "an announcement neither";
    s.receive(kLanPort, arp(1, kAll, kAsker, "203.0.113.5", "198.51.100.1"));
    EXPECT_FALSE(s.knows("203.0.113.5")) << "not of this link";
    s.receive(kLanPort, arp(1, kAll, kAsker, "198.51.100.1", "198.51.100.1"));
    EXPECT_FALSE(s.knows("198.51.100.1")) << "nobody takes our own address";
    EXPECT_EQ(s.receive(kLanPort, arp(1, kAll, kAsker, "0.0.0.0", "198.51.100.1")).size(), 1u)
        << "RFC 5227 probe";
    EXPECT_EQ(s.refusals(), "");
}

TEST(NeighbourService, answers_neighbour_solicitations)
{
    Service s;
    const uint8_t group[6] = {0x33, 0x33, 0xff, 0, 0, 1};
    const auto frames = s.receive(
        kLanPort, discovery(135, group, "2001:db8:2::50", "ff02::1:ff00:1", "2001:db8:2::1", 1));
    ASSERT_EQ(frames.size(), 1u);
    const Bytes ip = part(frames[0], 14);
    EXPECT_EQ(ip_fault(ip), "");
    EXPECT_EQ(0, std::memcmp(frames[0].data(), kAsker, 6));
    EXPECT_EQ(ip[7], 255);
    EXPECT_EQ(ip[40], 136);
    EXPECT_EQ(ip[44], 0x60) << "solicited, override";
    const auto own = address_of("2001:db8:2::1");
    EXPECT_EQ(0, std::memcmp(&ip[48], own.bytes.data(), 16));
    EXPECT_EQ(ip[64], 2);
    EXPECT_EQ(0, std::memcmp(&ip[66], s.world.shared->port_macs[kLanPort], 6));
    EXPECT_TRUE(s.knows("2001:db8:2::50"));
    EXPECT_TRUE(s.receive(kLanPort, discovery(135, group, "2001:db8:2::51", "ff02::1:ff00:1",
                                              "2001:db8:2::9", 1))
                    .empty());
    EXPECT_FALSE(s.knows("2001:db8:2::51"));
    EXPECT_EQ(s.refusals(), "");
}

TEST(NeighbourService, refuses_malformed_messages_by_name)
{
    Service s;
    const uint8_t group[6] = {0x33, 0x33, 0xff, 0, 0, 1};
    const Bytes ask = arp(1, kAll, kAsker, "198.51.100.50", "198.51.100.1");
    Bytes hardware = ask, multicast = ask;
    hardware[15] = 6;
    multicast[22] |= 1;
    Bytes checksum = discovery(135, group, "2001:db8:2::50", "ff02::1:ff00:1", "2001:db8:2::1", 1);
    checksum[60] ^= 1;
    const Bytes bad[] = {
        part(ask, 0, 41),
        hardware,
        multicast,
        checksum,
        discovery(135, group, "2001:db8:2::50", "ff02::1:ff00:1", "2001:db8:2::1", 1, 254),
        frame_of(group, kAsker,
                 between("2001:db8:2::50", "ff02::1:ff00:1")
                     .hop_limit(255)
                     .icmp(135, 0, 0, pattern(15))),
        frame_of(group, kAsker,
                 between("2001:db8:2::50", "ff02::1:ff00:1")
                     .hop_limit(255)
                     .icmp(136, 1, 0, pattern(16))),
    };
    for (const Bytes& frame : bad) {
        EXPECT_TRUE(s.receive(kLanPort, frame).empty());
        EXPECT_EQ(s.refusals(), "neighbour_malformed");
    }
    EXPECT_FALSE(s.knows("198.51.100.50"));
    EXPECT_FALSE(s.knows("2001:db8:2::50"));
    // An option of no length ends the search, not the program.
    Bytes zero = discovery(136, s.world.shared->port_macs[kLanPort], "2001:db8:2::50",
                           "2001:db8:2::1", "2001:db8:2::50", 0);
    EXPECT_TRUE(s.receive(kLanPort, zero).empty());
}

TEST(NeighbourService, echoes_for_the_ports_own_addresses)
{
    Service s;
    const uint8_t* mac = s.world.shared->port_macs[kLanPort];
    for (const bool is_v4 : {true, false}) {
        const char* from = is_v4 ? kLanHost : kLanHost6;
        const char* to = is_v4 ? "198.51.100.1" : "2001:db8:2::1";
        Bytes frame = frame_of(
            mac, kAsker,
            between(from, to).hop_limit(3).icmp(is_v4 ? 8 : 128, 0, 0x12340001, pattern(56)));
        const Bytes expected =
            between(to, from).hop_limit(64).icmp(is_v4 ? 0 : 129, 0, 0x12340001, pattern(56));
        frame.resize(frame.size() + 9);  // Ethernet padding
        const auto frames = s.receive(kLanPort, frame);
        ASSERT_EQ(frames.size(), 1u);
        EXPECT_EQ(part(frames[0], 14), expected);
        EXPECT_EQ(0, std::memcmp(frames[0].data(), kAsker, 6));
        Bytes broken = frame;
        broken[broken.size() - 12] ^= 1;
        EXPECT_TRUE(s.receive(kLanPort, broken).empty());
        EXPECT_EQ(s.refusals(), "outer_bad_header");
    }
}

TEST(NeighbourService, a_packet_waits_until_its_neighbour_answers)
{
    for (const bool is_v4 : {true, false}) {
        Service s;
        const char* host = is_v4 ? "198.51.100.60" : "2001:db8:2::60";
        auto frames = s.send_to(host);
        frames = frames.empty() ? s.turn(kLanPort) : frames;
        ASSERT_EQ(frames.size(), 1u) << "the question";
        const Bytes& question = frames[0];
        const uint8_t* own = s.world.shared->port_macs[kLanPort];
        if (is_v4) {
            EXPECT_EQ(question, arp(1, kAll, own, "198.51.100.1", host));
            frames = s.receive(kLanPort, arp(2, own, kAsker, host, "198.51.100.1"));
        } else {
            const Bytes ip = part(question, 14);
            EXPECT_EQ(ip_fault(ip), "");
            const auto group = address_of("ff02::1:ff00:60");
            EXPECT_EQ(0, std::memcmp(&ip[24], group.bytes.data(), 16));
            EXPECT_EQ(part(question, 0, 6), (Bytes{0x33, 0x33, 0xff, 0, 0, 0x60}));
            frames = s.receive(kLanPort, discovery(136, own, host, "2001:db8:2::1", host, 2));
        }
        ASSERT_EQ(frames.size(), 1u);
        EXPECT_EQ(0, std::memcmp(frames[0].data(), kAsker, 6));
        EXPECT_EQ(ip_fault(part(frames[0], 14)), "");
        EXPECT_EQ(s.send_to(host).size(), 1u) << "from now on at once";
        EXPECT_EQ(s.refusals(), "");
    }
}

TEST(NeighbourService, asks_three_times_and_gives_up)
{
    Service s;
    EXPECT_EQ(s.send_to("198.51.100.60").size(), 1u);
    EXPECT_TRUE(s.send_to("198.51.100.60").empty()) << "one question for all that wait";
    EXPECT_TRUE(s.wait(kSecondNs - 1, kLanPort).empty());
    EXPECT_EQ(s.wait(1, kLanPort).size(), 1u);
    EXPECT_EQ(s.wait(kSecondNs, kLanPort).size(), 1u);
    EXPECT_EQ(s.refusals(), "");
    EXPECT_TRUE(s.wait(kSecondNs, kLanPort).empty());
    EXPECT_EQ(s.refusals(), "neighbour_unreachable*2");
    EXPECT_EQ(s.send_to("198.51.100.60").size(), 1u) << "and starts again";
}

TEST(NeighbourService, bounds_what_waits)
{
    Service s;
    for (size_t i = 0; i < NeighbourService::kMostWaiting + 2; i++) s.send_to("198.51.100.60");
    EXPECT_EQ(s.refusals(), "neighbour_queue_full*2");
    for (size_t i = 0; i < NeighbourService::kMostUnresolved + 3; i++) {
        char host[40];
        std::snprintf(host, sizeof(host), "2001:db8:2::1:%zx", i + 1);
        s.send_to(host);
    }
    EXPECT_EQ(s.refusals(), "neighbour_queue_full*4") << "one of the places is taken";
}

TEST(NeighbourService, refreshes_what_it_knows_and_forgets_the_silent)
{
    Service s;
    s.send_to("198.51.100.60");
    const uint8_t* own = s.world.shared->port_macs[kLanPort];
    s.receive(kLanPort, arp(2, own, kAsker, "198.51.100.60", "198.51.100.1"));
    ASSERT_TRUE(s.knows("198.51.100.60"));
    EXPECT_TRUE(s.wait(NeighbourService::kReachableNs - 1, kLanPort).empty());
    EXPECT_EQ(s.wait(1, kLanPort).size(), 1u);
    s.receive(kLanPort, arp(2, own, kAsker, "198.51.100.60", "198.51.100.1"));
    EXPECT_TRUE(s.wait(kSecondNs, kLanPort).empty()) << "it answered";
    for (int i = 0; i < 40; i++) s.wait(kSecondNs, kLanPort);
    EXPECT_FALSE(s.knows("198.51.100.60"));
}

TEST(NeighbourService, static_neighbours_are_believed_alone)
{
    Service s;
    s.world.swap_policy([](SnapshotBuilder& b) {
        b.neighbours.push_back({address_of("198.51.100.70"), {2, 3, 3, 3, 3, 3}, kLanPort, 0});
    });
    s.service.set_static(*s.world.policy);
    s.receive(kLanPort, arp(1, kAll, kAsker, "198.51.100.70", "198.51.100.1"));
    uint8_t mac[6];
    ASSERT_TRUE(s.world.shared->neighbours.find(kLanPort, address_of("198.51.100.70"), mac));
    EXPECT_EQ(mac[1], 3);
    s.wait(100 * kSecondNs, kLanPort);
    EXPECT_TRUE(s.knows("198.51.100.70"));
    s.world.swap_policy([](SnapshotBuilder& b) { b.neighbours.clear(); });
    s.service.set_static(*s.world.policy);
    EXPECT_FALSE(s.knows("198.51.100.70"));
}

}  // namespace
}  // namespace sandgate::test
