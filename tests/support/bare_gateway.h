// A dataplane without devices, threads or control: EAL without hugepages, a pool, a Shared with its
// rings, a policy of any number of agents, and the frames that would come by the wire. What the
// packet path does is the real thing; tests, benchmarks and fuzz targets drive its functions by
// hand.
//
// The world: port 0 is wan (192.0.2.1/24, 2001:db8::1/64), port 1 is lan (10.1.0.1/16,
// fd00:1::1/64). Agent i (identity i + 1) has 10.128.0.0 + i and fd00:6::i, and comes from
// 198.51.0.0 + i, port 40000 + i % 10000, by the default gateway 192.0.2.254. It may open UDP, TCP
// and ICMP flows to 10.1.0.0/16 and fd00:1::/64.
#pragma once

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/api/delta_reader.h"
#include "dataplane/pipeline/inner_header.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/wireguard/data.h"
#include "dataplane/wireguard/messages.h"
#include "dataplane/wireguard/session_table.h"

namespace sandgate::test {

using Bytes = std::vector<uint8_t>;

inline api::Address v4(uint32_t host_order)
{
    const uint8_t four[4] = {
        static_cast<uint8_t>(host_order >> 24), static_cast<uint8_t>(host_order >> 16),
        static_cast<uint8_t>(host_order >> 8), static_cast<uint8_t>(host_order)};
    return api::Address::v4(four);
}
inline api::Address v6(uint16_t first, uint16_t second, uint32_t last)
{
    uint8_t b[16] = {};
    b[0] = static_cast<uint8_t>(first >> 8);
    b[1] = static_cast<uint8_t>(first);
    b[2] = static_cast<uint8_t>(second >> 8);
    b[3] = static_cast<uint8_t>(second);
    for (unsigned i = 0; i < 4; i++) b[12 + i] = static_cast<uint8_t>(last >> (24 - 8 * i));
    return api::Address::v6(b);
}

constexpr uint16_t kListenPort = 51820;
constexpr uint16_t kTunnelMtu = 1420;
constexpr uint32_t kWanAddress = 0xc0000201, kWanGateway = 0xc00002fe;
constexpr uint32_t kLanAddress = 0x0a010001, kServer = 0x0a01000a;
constexpr uint8_t kGatewayMac[6] = {2, 0, 0, 0, 1, 0xfe}, kServerMac[6] = {2, 0, 0, 0, 2, 10};
inline api::Address agent_v4(uint32_t i) { return v4(0x0a800000 + i); }
inline api::Address agent_v6(uint32_t i) { return v6(0xfd00, 6, i); }
inline api::Endpoint agent_endpoint(uint32_t i)
{
    return {v4(0xc6330000 + i), static_cast<uint16_t>(40000 + i % 10000), 0};
}

// The policy of the world above, as the bytes that control would push. changed: this agent's expiry
// and epoch differ, so that two snapshots are a delta apart (none: ~0).
inline Bytes make_snapshot(uint32_t agents, api::Epoch epoch, uint32_t changed = ~0u)
{
    const api::GatewayRow gateway{kListenPort, kTunnelMtu, 0, v4(0x0a7f0001), v6(0xfd00, 5, 1)};
    std::vector<api::PortRow> ports(2);
    ports[0] = {api::kWan,
                24,
                64,
                0,
                1500,
                0,
                v4(kWanAddress),
                v6(0x2001, 0xdb8, 1),
                v4(kWanGateway),
                v6(0x2001, 0xdb8, 0xfe)};
    ports[1] = {api::kLan, 16, 64, 0, 1500, 0, v4(kLanAddress), v6(0xfd00, 1, 1), {}, {}};
    std::vector<api::AgentRow> rows(agents);
    std::vector<api::AddressRow> addresses;
    for (uint32_t i = 0; i < agents; i++) {
        api::AgentRow& row = rows[i];
        row = {};
        row.identity = i + 1;
        row.flags = api::kAgentEnabled;
        for (unsigned k = 0; k < 32; k++)
            row.public_key[k] = static_cast<uint8_t>((i * 2654435761u + k * 40503u) >> 7);
        std::memcpy(row.public_key, &row.identity, 4);
        row.changed_epoch = 1;
        row.policy_class = i % 4;
        if (i == changed) {
            row.changed_epoch = epoch;
            row.expires_unix = 4'000'000'000;
        }
        addresses.push_back({agent_v4(i), row.identity, 128, {}});
    }
    for (uint32_t i = 0; i < agents; i++) addresses.push_back({agent_v6(i), i + 1, 128, {}});
    // Four classes of five rows; UDP, which the benchmarks use, is the fourth.
    std::vector<api::ClassRow> classes;
    std::vector<api::MatchRow> matches;
    for (uint32_t i = 0; i < 4; i++) {
        classes.push_back({static_cast<uint32_t>(matches.size()), 5, 1});
        matches.push_back({v4(kLanAddress + 1), 128, api::kEgress, 6, 0, 22, 22, 10 * i + 1});
        matches.push_back({v4(0x0a010000), 112, api::kEgress, 6, 0, 1, 65535, 10 * i + 2});
        matches.push_back({v4(0x0a010000), 112, api::kEgress, 1, 0, 0, 65535, 10 * i + 3});
        matches.push_back({v4(0x0a010000), 112, api::kEgress, 17, 0, 1, 65535, 10 * i + 4});
        matches.push_back(
            {v6(0xfd00, 1, 0), 64, api::kEgress, api::kAnyProtocol, 0, 0, 65535, 10 * i + 5});
    }
    api::SnapshotView tables{};
    tables.gateway = &gateway;
    tables.ports = ports;
    tables.agents = rows;
    tables.addresses = addresses;
    tables.classes = classes;
    tables.matches = matches;
    return api::write_snapshot(tables, epoch);
}

[[noreturn]] inline void give_up(const std::string& what)
{
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(1);
}

// EAL without hugepages, PCI devices and files; `more`: further arguments, such as
// --vdev=net_ring0.
inline void start_bare_eal(const std::vector<std::string>& more = {}, unsigned megabytes = 512)
{
    static std::vector<std::string> arguments;  // EAL keeps pointers into them
    arguments = {
        "sandgate-bare",  "--no-huge",   "--no-pci", "--no-shconf", "-m", std::to_string(megabytes),
        "--no-telemetry", "--iova-mode", "va",       "--lcores",    "0",  "--log-level",
        "*:warning"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    static std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    if (rte_eal_init(static_cast<int>(argv.size() - 1), argv.data()) < 0)
        give_up(std::string("DPDK does not start: ") + rte_strerror(rte_errno));
}

// One worker and everything that it touches. Make one at a time: rings have names.
class BareGateway
{
  public:
    explicit BareGateway(uint32_t agents, uint32_t max_flows = 1u << 12, unsigned mbufs = 4095)
        : agent_count(agents),
          counter_blocks_(std::make_unique<api::CounterBlock[]>(3)),
          sessions_(std::max(agents, 16u), kTableKey)
    {
        shared.workers = 1;
        shared.ports = 2;
        shared.tsc_hz = rte_get_tsc_hz();
        const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
        for (unsigned port = 0; port < 3; port++) {
            std::memcpy(shared.port_macs[port], mac, 6);
            shared.port_macs[port][4] = static_cast<uint8_t>(port + 1);
        }
        shared.pool = rte_pktmbuf_pool_create("bare", mbufs, 256, dp::kPrivateBytes,
                                              dp::kHeadroomBytes + 2048, SOCKET_ID_ANY);
        shared.sessions = &sessions_;
        shared.events = new dp::Mailbox<wg::PeerEvent>("bare_events", 1u << 16);
        shared.messages = ring("bare_messages", 4096);
        shared.local = ring("bare_local", 2048);
        shared.returns[0] = ring("bare_returns", 4096);
        shared.handover[0][0] = ring("bare_handover", 2048);
        shared.mailboxes[0] = new dp::Mailbox<dp::WorkerMessage>("bare_mailbox", 8192);
        shared.qsbr =
            static_cast<rte_rcu_qsbr*>(rte_zmalloc("qsbr", rte_rcu_qsbr_get_memsize(2), 64));
        if (shared.pool == nullptr || shared.qsbr == nullptr)
            give_up("no memory for the pool: ask EAL for more");
        rte_rcu_qsbr_init(shared.qsbr, 2);
        rte_rcu_qsbr_thread_register(shared.qsbr, 0);
        rte_rcu_qsbr_thread_register(shared.qsbr, 1);

        std::string error;
        view_ = dp::build_policy_view(make_snapshot(agents, 2), 0x5eed, error);
        if (view_ == nullptr)
            give_up(error);
        shared.policy.store(view_.get());
        for (const api::AgentRow& row : view_->rows.agents) shared.agents.build(row.identity);
        shared.neighbours.set(0, v4(kWanGateway), kGatewayMac);
        shared.neighbours.set(1, v4(kServer), kServerMac);
        owned_worker_ = std::make_unique<dp::Worker>(wg::WorkerId{0}, shared, counter_blocks_[0],
                                                     max_flows, 0xf1);
        owned_worker_->now_ns = 1'000'000'000;
        owned_worker_->unix_seconds = 1'700'000'000;
    }
    ~BareGateway()
    {
        for (rte_ring* r :
             {shared.messages, shared.local, shared.returns[0], shared.handover[0][0]}) {
            void* mbuf = nullptr;
            while (rte_ring_dequeue(r, &mbuf) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(mbuf));
            rte_ring_free(r);
        }
        delete shared.events;
        delete shared.mailboxes[0];
        rte_free(shared.qsbr);
        rte_mempool_free(shared.pool);
    }
    BareGateway(const BareGateway&) = delete;
    BareGateway& operator=(const BareGateway&) = delete;

    dp::Worker& worker() { return *owned_worker_; }
    const dp::PolicyView& policy() const { return *view_; }
    api::CounterBlock& block(unsigned i) { return counter_blocks_[i]; }

    // Gives agent i a confirmed session and its endpoint.
    wg::Session& install(uint32_t i)
    {
        wg::SessionIndex index;
        wg::Session* session = sessions_.allocate(0, index);
        if (session == nullptr)
            give_up("the session table is full");
        for (unsigned k = 0; k < 32; k++) {
            session->receive_key.data()[k] = static_cast<uint8_t>(i * 7 + k * 3 + 1);
            session->send_key.data()[k] = static_cast<uint8_t>(i * 5 + k * 11 + 2);
        }
        session->identity = i + 1;
        session->remote_index = i ^ 0x5a5a5a5a;
        session->is_confirmed = true;
        session->birth_ns = owned_worker_->now_ns;
        sessions_.publish(session, index);
        dp::Agent* found = shared.agents.find(i + 1);
        if (found == nullptr)
            give_up("no such agent");
        dp::Agent& agent = *found;
        agent.owner.store(0);
        agent.current = session;
        agent.endpoint = agent_endpoint(i);
        agent.is_endpoint_confirmed = true;
        return *session;
    }

    const uint32_t agent_count;
    dp::Shared shared;

  private:
    static constexpr uint8_t kTableKey[16] = {1, 2,  3,  4,  5,  6,  7,  8,
                                              9, 10, 11, 12, 13, 14, 15, 16};

    static rte_ring* ring(const char* name, unsigned capacity)
    {
        rte_ring* made = rte_ring_create(name, capacity, SOCKET_ID_ANY, 0);
        if (made == nullptr)
            give_up("no memory for a ring");
        return made;
    }

    std::unique_ptr<api::CounterBlock[]> counter_blocks_;
    wg::SessionTable sessions_;
    std::unique_ptr<dp::PolicyView> view_;
    std::unique_ptr<dp::Worker> owned_worker_;
};

inline void put16(uint8_t* p, uint32_t value)
{
    p[0] = static_cast<uint8_t>(value >> 8);
    p[1] = static_cast<uint8_t>(value);
}

// An IPv4/UDP packet of `bytes` in all (28 at least), its payload a pattern.
inline void write_udp(uint8_t* ip, uint32_t bytes, const api::Address& from, const api::Address& to,
                      uint16_t source_port, uint16_t destination_port)
{
    std::memset(ip, 0, 28);
    ip[0] = 0x45;
    put16(ip + 2, bytes);
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = 17;
    std::memcpy(ip + 12, from.v4_bytes(), 4);
    std::memcpy(ip + 16, to.v4_bytes(), 4);
    put16(ip + 10, dp::fold_checksum(dp::sum_of(ip, 20)));
    put16(ip + 20, source_port);
    put16(ip + 22, destination_port);
    put16(ip + 24, bytes - 20);
    for (uint32_t i = 28; i < bytes; i++) ip[i] = static_cast<uint8_t>(i * 31 + bytes);
}

inline void write_ethernet(uint8_t* frame, const uint8_t* to, const uint8_t* from,
                           bool is_v4 = true)
{
    std::memcpy(frame, to, 6);
    std::memcpy(frame + 6, from, 6);
    put16(frame + 12, is_v4 ? 0x0800 : 0x86dd);
}

}  // namespace sandgate::test
