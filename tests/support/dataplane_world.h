// A whole dataplane without threads: one or two workers, a policy written by hand, three agents
// with sessions whose keys the test knows, ports made of rings. A test gives frames to run_burst()
// or to a stage and looks at what left. When a world ends, every packet buffer must be back in the
// pool.
//
// wan, port 0: 192.0.2.1/24, 2001:db8:1::1/64. lan, port 1: 198.51.100.1/24, 2001:db8:2::1/64. Host
// port 2, the gateway's tunnel addresses 10.9.0.1 and fd09::1. Agents: 1 (10.9.1.1,
// fd09::1:1, 10.9.16.0/20), 2 (10.9.1.2, fd09::1:2, 10.9.17.0/24, which lies within agent 1's
// network), 3 (10.9.1.3; never heard of).
#pragma once

#include <gtest/gtest.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>

#include <functional>
#include <memory>

#include "crypto/aead.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/pipeline/sessions.h"
#include "dataplane/wireguard/data.h"
#include "dataplane/wireguard/session_table.h"
#include "tests/support/packet_builder.h"
#include "tests/support/snapshot_builder.h"

namespace sandgate::test {

using namespace dp;

constexpr uint8_t kWanPort = 0, kLanPort = 1, kHostPort = 2;
constexpr uint16_t kListenPort = 51820, kTunnelMtu = 1420;
constexpr unsigned kMostTestWorkers = 2;
constexpr uint8_t kOtherMac[6] = {2, 9, 9, 9, 9, 9};
constexpr const char* kLanHost = "198.51.100.7";
constexpr const char* kLanHost6 = "2001:db8:2::7";

inline std::unique_ptr<PolicyView> view_of(SnapshotBuilder& snapshot)
{
    std::string error;
    auto view = build_policy_view(snapshot.bytes(), 42, error);
    if (view == nullptr) {
        std::fprintf(stderr, "%s\n", error.c_str());
        std::abort();
    }
    return view;
}

inline SnapshotBuilder usual_snapshot()
{
    using namespace api;
    SnapshotBuilder s;
    s.gateway.listen_port = kListenPort;
    s.gateway.tunnel_mtu = kTunnelMtu;
    s.gateway.host_v4 = address_of("10.9.0.1");
    s.gateway.host_v6 = address_of("fd09::1");
    s.add_port(kWan, "192.0.2.1", 24, "2001:db8:1::1", 64, "192.0.2.254", "2001:db8:1::fe");
    s.add_port(kLan, "198.51.100.1", 24, "2001:db8:2::1", 64, "198.51.100.254", "2001:db8:2::fe");
    s.add_agent(1, 0, {"10.9.1.1", "fd09::1:1", "10.9.16.0/20"});
    s.add_agent(2, 1, {"10.9.1.2", "fd09::1:2", "10.9.17.0/24"});
    s.add_agent(3, 2, {"10.9.1.3"});
    s.add_class();  // of agent 1
    s.allow(kEgress, "198.51.100.0/24", 6, 443, 443, 11);
    s.allow(kEgress, "any", 17, 1000, 2000, 12);
    s.allow(kEgress, "198.51.100.0/24", 1, 0, 0, 13);
    s.allow(kEgress, "2001:db8:2::/64", kAnyProtocol, 0, 0, 14);
    s.allow(kIngress, "198.51.100.0/24", 6, 22, 22, 15);
    s.allow(kIngress, "198.51.100.0/24", 17, 1000, 2000, 16);
    s.allow(kEgress, "10.9.1.2", 6, 80, 81, 17);
    s.allow(kEgress, "10.9.0.1", 6, 8000, 9000, 18);
    s.allow(kIngress, "2001:db8:2::/64", kAnyProtocol, 0, 0, 19);
    s.allow(kIngress, "10.9.0.1", 17, 1, 65535, 20);
    s.add_class();  // of agent 2
    s.allow(kIngress, "10.9.1.1", 6, 80, 80, 21);
    s.allow(kEgress, "any", 17, 1000, 2000, 22);
    s.allow(kIngress, "198.51.100.0/24", 17, 1000, 2000, 23);
    s.add_class();  // of agent 3
    s.allow(kIngress, "198.51.100.0/24", 17, 1000, 2000, 31);
    s.services.push_back({address_of("10.9.0.1"), 8080, 6, 0});
    return s;
}

// Devices and buffers live as long as the process: DPDK has no short-lived ones.
struct TestDevices
{
    rte_mempool* pool;
    rte_ring* rx[3][kMostTestWorkers];
    rte_ring* tx[3][kMostTestWorkers];
    uint16_t device[3];

    static TestDevices& get()
    {
        static TestDevices devices;
        return devices;
    }

  private:
    TestDevices()
    {
        pool = rte_pktmbuf_pool_create("packets", 8191, 0, kPrivateBytes,
                                       kHeadroomBytes + 2048 + 80, SOCKET_ID_ANY);
        if (pool == nullptr)
            rte_panic("no pool\n");
        for (unsigned port = 0; port < 3; port++) {
            for (unsigned q = 0; q < kMostTestWorkers; q++) {
                const std::string name = std::to_string(port) + "_" + std::to_string(q);
                rx[port][q] = rte_ring_create(("rx" + name).c_str(), 1024, SOCKET_ID_ANY,
                                              RING_F_SP_ENQ | RING_F_SC_DEQ);
                tx[port][q] = rte_ring_create(("tx" + name).c_str(), 1024, SOCKET_ID_ANY,
                                              RING_F_SP_ENQ | RING_F_SC_DEQ);
            }
            const int number = rte_eth_from_rings(("test" + std::to_string(port)).c_str(), rx[port],
                                                  kMostTestWorkers, tx[port], kMostTestWorkers, 0);
            if (number < 0)
                rte_panic("no ring device\n");
            device[port] = static_cast<uint16_t>(number);
            rte_eth_conf conf{};
            rte_eth_dev_configure(device[port], kMostTestWorkers, kMostTestWorkers, &conf);
            for (uint16_t q = 0; q < kMostTestWorkers; q++) {
                rte_eth_rx_queue_setup(device[port], q, 1024, 0, nullptr, pool);
                rte_eth_tx_queue_setup(device[port], q, 1024, 0, nullptr);
            }
            if (rte_eth_dev_start(device[port]) != 0)
                rte_panic("the ring device does not start\n");
        }
    }
};

class World
{
  public:
    explicit World(unsigned workers = 1, const std::function<void(SnapshotBuilder&)>& change = {},
                   uint32_t flows = 1024)
        : devices_(TestDevices::get()),
          snapshot(usual_snapshot()),
          counters(new api::CounterBlock[workers + 2]())
    {
        static constexpr uint8_t kKey[16] = {1, 2, 3};
        before_ = rte_mempool_avail_count(devices_.pool);
        sessions = std::make_unique<wg::SessionTable>(256, std::span<const uint8_t, 16>(kKey));
        shared = std::make_unique<Shared>();
        shared->workers = workers;
        shared->ports = 2;
        shared->has_host_port = true;
        shared->pool = devices_.pool;
        shared->sessions = sessions.get();
        shared->tsc_hz = rte_get_tsc_hz();
        for (uint8_t port = 0; port < 3; port++) {
            const uint8_t mac[6] = {2, 0, 0, 0, 0, static_cast<uint8_t>(port + 1)};
            std::memcpy(shared->port_macs[port], mac, 6);
            for (unsigned w = 0; w < workers; w++)
                shared->queues[port][w] = {devices_.device[port], static_cast<uint16_t>(w)};
        }
        std::memcpy(shared->host_mac, "\x02\0\0\0\0\x33", 6);
        static int worlds = 0;
        const std::string number = std::to_string(worlds++);
        events = std::make_unique<Mailbox<wg::PeerEvent>>(("events" + number).c_str(), 1024);
        shared->events = events.get();
        shared->messages = make_ring("messages" + number, 256);
        shared->local = make_ring("local" + number, 1024);
        for (unsigned to = 0; to < workers; to++) {
            shared->returns[to] = make_ring("returns" + number + std::to_string(to), 256);
            mailboxes.push_back(std::make_unique<Mailbox<WorkerMessage>>(
                ("mail" + number + std::to_string(to)).c_str(), 64));
            shared->mailboxes[to] = mailboxes.back().get();
            for (unsigned from = 0; from < workers; from++)
                shared->handover[from][to] =
                    make_ring("hand" + number + std::to_string(from) + std::to_string(to), 256);
        }
        if (change)
            change(snapshot);
        policy = view_of(snapshot);
        for (const api::AgentRow& row : snapshot.agents) shared->agents.build(row.identity);
        for (unsigned i = 0; i < workers; i++) {
            workers_.push_back(
                std::make_unique<Worker>(static_cast<WorkerId>(i), *shared, counters[i], flows, 7));
            workers_[i]->now_ns = kStartNs;
            workers_[i]->unix_seconds = 1'700'000'000;
        }
        for (unsigned i = 1; i <= 3; i++) learn(kWanPort, "192.0.2." + std::to_string(10 + i));
        for (const char* host : {kLanHost, "198.51.100.254", kLanHost6, "2001:db8:2::fe"})
            learn(kLanPort, host);
        for (const char* host : {"192.0.2.254", "2001:db8:1::7", "2001:db8:1::fe"})
            learn(kWanPort, host);
        connect(1, 0);
        connect(2, workers - 1);
    }
    ~World()
    {
        for (unsigned i = 1; i <= 3; i++)
            for (auto& worker : workers_)
                drop_staged(*worker, *shared->agents.find(i), DropReason::kHandshakeTimedOut);
        for (auto& worker : workers_) flush_transmit(*worker);
        for (rte_ring* ring : rings_) {
            free_all(ring);
            rte_ring_free(ring);
        }
        for (unsigned port = 0; port < 3; port++)
            for (unsigned q = 0; q < kMostTestWorkers; q++) {
                free_all(devices_.tx[port][q]);
                free_all(devices_.rx[port][q]);
            }
        EXPECT_EQ(rte_mempool_avail_count(devices_.pool), before_) << "packet buffers leaked";
    }

    static constexpr uint64_t kStartNs = 1'000'000'000'000;

    Worker& w(unsigned i = 0) { return *workers_[i]; }
    Agent& agent(IdentityId identity) { return *shared->agents.find(identity); }
    void pass(uint64_t ns)
    {
        for (auto& worker : workers_) worker->now_ns += ns;
    }
    void learn(uint8_t port, const std::string& address)
    {
        shared->neighbours.set(port, address_of(address), kOtherMac);
    }
    void swap_policy(const std::function<void(SnapshotBuilder&)>& change)
    {
        snapshot.epoch++;
        change(snapshot);
        retired_.push_back(std::move(policy));
        policy = view_of(snapshot);
    }

    // A session of this agent with keys made from its number; not published to the agent.
    Session* make_session(IdentityId identity, WorkerId owner = 0, bool is_initiator = true,
                          uint8_t salt = 0)
    {
        wg::SessionIndex index = 0;
        Session* session = sessions->allocate(owner, index);
        for (unsigned i = 0; i < 32; i++) {
            session->receive_key.data()[i] = static_cast<uint8_t>(identity * 3 + i + salt);
            session->send_key.data()[i] = static_cast<uint8_t>(identity * 5 + i * 2 + salt);
        }
        session->identity = identity;
        session->remote_index = 0x1000 + identity;
        session->is_initiator = session->is_confirmed = is_initiator;
        session->birth_ns = w().now_ns;
        sessions->publish(session, index);
        return session;
    }
    static std::string endpoint_address(IdentityId identity)
    {
        return "192.0.2." + std::to_string(10 + identity);
    }
    static Endpoint endpoint_of(IdentityId identity)
    {
        return {address_of(endpoint_address(identity)), static_cast<uint16_t>(4000 + identity), 0};
    }
    void connect(IdentityId identity, unsigned worker)
    {
        Agent& a = agent(identity);
        a.owner = static_cast<WorkerId>(worker);
        a.current = make_session(identity, static_cast<WorkerId>(worker));
        a.endpoint = endpoint_of(identity);
        a.is_endpoint_confirmed = true;
    }

    // A data message as the agent sends it: the text sealed exactly as given.
    static Bytes data_message(const Session& session, uint64_t counter, Bytes text)
    {
        const auto bytes = static_cast<uint32_t>(text.size());
        text.resize(text.size() + 16);
        crypto::AeadJob job{session.receive_key.data(), counter, text.data(), bytes, false};
        crypto::seal_batch({&job, 1});
        Bytes message(16);
        auto* header = reinterpret_cast<wg::DataHeader*>(message.data());
        header->type.set(wg::kData);
        header->receiver_index.set(session.index.load());
        header->counter.set(counter);
        append(message, text);
        return message;
    }
    Bytes tunnel_frame(const Bytes& message, const std::string& from, uint16_t port,
                       uint8_t traffic_class = 0) const
    {
        const bool is_v6 = from.find(':') != std::string::npos;
        return frame_of(shared->port_macs[kWanPort], kOtherMac,
                        between(from, is_v6 ? "2001:db8:1::1" : "192.0.2.1")
                            .traffic_class(traffic_class)
                            .udp(port, kListenPort, message));
    }
    // A frame from the agent's endpoint that carries this inner packet under the next counter.
    Bytes sealed(IdentityId identity, const Bytes& inner, uint8_t outer_traffic_class = 0)
    {
        const Endpoint from = endpoint_of(identity);
        return tunnel_frame(data_message(*agent(identity).current, next_counter[identity]++, inner),
                            endpoint_address(identity), from.port, outer_traffic_class);
    }
    Bytes plain(const Bytes& ip) const
    {
        return frame_of(shared->port_macs[kLanPort], kOtherMac, ip);
    }
    Bytes from_host(const Bytes& ip) const
    {
        return frame_of(shared->port_macs[kHostPort], kOtherMac, ip);
    }

    rte_mbuf* mbuf_of(const Bytes& frame)
    {
        rte_mbuf* mbuf = rte_pktmbuf_alloc(devices_.pool);
        if (mbuf == nullptr)
            std::abort();
        std::memcpy(rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size())), frame.data(),
                    frame.size());
        return mbuf;
    }
    Packet& add(Burst& burst, uint8_t port, const Bytes& frame, unsigned worker = 0)
    {
        Packet& packet = burst.add(mbuf_of(frame));
        packet.port = port;
        packet.received_by = static_cast<WorkerId>(worker);
        return packet;
    }
    // The whole path, as poll_ports() runs it.
    void receive(uint8_t port, const std::vector<Bytes>& frames, unsigned worker = 0)
    {
        Burst burst;
        for (const Bytes& frame : frames) add(burst, port, frame, worker);
        run_burst(w(worker), *policy, burst);
    }
    void receive(uint8_t port, const Bytes& frame, unsigned worker = 0)
    {
        receive(port, std::vector<Bytes>{frame}, worker);
    }

    // Frames that left by a port since the last call.
    std::vector<Bytes> sent(uint8_t port, unsigned worker = 0)
    {
        flush_transmit(w(worker));
        return take(devices_.tx[port][worker]);
    }
    std::vector<Bytes> take(rte_ring* ring)
    {
        std::vector<Bytes> frames;
        void* object;
        while (rte_ring_dequeue(ring, &object) == 0) {
            auto* mbuf = static_cast<rte_mbuf*>(object);
            const auto* data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
            frames.emplace_back(data, data + rte_pktmbuf_pkt_len(mbuf));
            rte_pktmbuf_free(mbuf);
        }
        return frames;
    }
    // The IP packet of a frame; its link header, lengths and checksums are checked.
    Bytes ip_of(const Bytes& frame, uint8_t port) const
    {
        const Bytes ip = part(frame, 14);
        EXPECT_EQ(0, std::memcmp(&frame[6], shared->port_macs[port], 6));
        EXPECT_EQ(0, std::memcmp(&frame[0], port == kHostPort ? shared->host_mac : kOtherMac, 6));
        EXPECT_EQ(get16(frame, 12), ip[0] >> 4 == 4 ? 0x0800 : 0x86dd);
        EXPECT_EQ(ip_fault(ip), "");
        return ip;
    }
    // Opens what the gateway sealed for this agent; the outer headers are checked. Padding stays.
    Bytes opened(const Bytes& frame, IdentityId identity, uint64_t* counter = nullptr)
    {
        const Bytes ip = ip_of(frame, kWanPort);
        const size_t header = ip[0] >> 4 == 4 ? 20 : 40;
        EXPECT_EQ(get16(ip, header), kListenPort);
        EXPECT_EQ(get16(ip, header + 2), agent(identity).endpoint.port);
        Bytes message = part(ip, header + 8);
        const auto* data = reinterpret_cast<const wg::DataHeader*>(message.data());
        EXPECT_EQ(data->type.get(), wg::kData);
        EXPECT_EQ(data->receiver_index.get(), 0x1000 + identity);
        if (counter != nullptr)
            *counter = data->counter.get();
        for (Session* session : {agent(identity).current, agent(identity).previous}) {
            if (session == nullptr)
                continue;
            Bytes text = part(message, 16);
            crypto::AeadJob job{session->send_key.data(), data->counter.get(), text.data(),
                                static_cast<uint32_t>(text.size() - 16), false};
            crypto::open_batch({&job, 1});
            if (job.is_authentic)
                return part(text, 0, text.size() - 16);
        }
        ADD_FAILURE() << "the packet does not open with the agent's keys";
        return {};
    }
    // An opened packet without padding, which must be zero.
    Bytes inner_of(const Bytes& frame, IdentityId identity)
    {
        const Bytes text = opened(frame, identity);
        if (text.empty())
            return text;
        const size_t total = text[0] >> 4 == 4 ? get16(text, 2) : 40u + get16(text, 4);
        EXPECT_LE(total, text.size());
        for (size_t i = total; i < text.size(); i++) EXPECT_EQ(text[i], 0);
        const Bytes inner = part(text, 0, total);
        EXPECT_EQ(ip_fault(inner), "");
        return inner;
    }

    uint64_t drops(DropReason reason, unsigned worker = 0) const
    {
        return counters[worker].drops[static_cast<unsigned>(reason)].load();
    }
    // The names of all reasons counted since the last call, with their counts.
    std::string refusals(unsigned worker = 0)
    {
        std::string text;
        for (unsigned i = 0; i < api::kDropReasons; i++) {
            const uint64_t count = counters[worker].drops[i].exchange(0);
            if (count == 0)
                continue;
            text += (text.empty() ? "" : " ") + std::string(api::kDropTexts[i].name);
            if (count != 1)
                text += "*" + std::to_string(count);
        }
        return text;
    }
    std::vector<wg::PeerEvent> take_events()
    {
        std::vector<wg::PeerEvent> all(1024);
        all.resize(events->pop(all.data(), 1024));
        return all;
    }

  private:
    rte_ring* make_ring(const std::string& name, unsigned count)
    {
        rte_ring* ring = rte_ring_create(name.c_str(), count, SOCKET_ID_ANY, 0);
        if (ring == nullptr)
            std::abort();
        rings_.push_back(ring);
        return ring;
    }
    static void free_all(rte_ring* ring)
    {
        void* object;
        while (rte_ring_dequeue(ring, &object) == 0)
            rte_pktmbuf_free(static_cast<rte_mbuf*>(object));
    }

    TestDevices& devices_;
    unsigned before_ = 0;
    std::vector<rte_ring*> rings_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<std::unique_ptr<PolicyView>> retired_;

  public:
    SnapshotBuilder snapshot;
    std::unique_ptr<PolicyView> policy;
    std::unique_ptr<Shared> shared;
    std::unique_ptr<wg::SessionTable> sessions;
    std::unique_ptr<Mailbox<wg::PeerEvent>> events;
    std::vector<std::unique_ptr<Mailbox<WorkerMessage>>> mailboxes;
    std::unique_ptr<api::CounterBlock[]> counters;
    uint64_t next_counter[4] = {};
};

}  // namespace sandgate::test
