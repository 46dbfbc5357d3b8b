// ARP (RFC 826), IPv6 neighbour discovery (RFC 4861) and echo for the ports' own addresses; and the
// packets that wait until their next hop has answered. Server thread only. Frames go out by a
// worker's `returns` ring.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <utility>

#include "dataplane/worker/worker.h"

namespace sandgate::dp {

class NeighbourService
{
  public:
    static constexpr size_t kMostWaiting = 64;         // packets per neighbour
    static constexpr size_t kMostWaitingInAll = 4096;  // packets
    static constexpr size_t kMostUnresolved = 1024;    // neighbours
    static constexpr unsigned kProbes = 3;             // questions before giving up
    static constexpr uint64_t kProbeEveryNs = 1'000'000'000;
    static constexpr uint64_t kReachableNs = 30'000'000'000;  // RFC 4861 section 10
    static constexpr uint64_t kForgetNs =
        5'000'000'000;  // silence after which a refreshed entry is gone

    // counters: the slow path's block, written by the server thread through `count` alone.
    NeighbourService(Shared& shared, api::CounterBlock& counters)
        : shared_(shared), counters_(counters)
    {
    }
    ~NeighbourService();

    // A parked packet from a worker: ARP, ND or echo (Kind::kLocal), or one whose next hop is
    // unknown.
    void take(rte_mbuf* mbuf, const PolicyView& policy, uint64_t now_ns);
    // Repeats questions, gives up, refreshes and forgets.
    void on_timer(const PolicyView& policy, uint64_t now_ns);
    // Puts a policy's static neighbours in force.
    void set_static(const PolicyView& policy);

  private:
    using Key = std::pair<uint8_t, Address>;
    struct Unresolved
    {
        std::deque<rte_mbuf*> waiting;
        uint64_t next_probe_ns = 0;
        unsigned probes = 0;
    };
    struct Known
    {
        uint64_t confirmed_ns = 0;
        uint64_t next_probe_ns = 0;
        bool is_static = false;
    };

    void take_local(rte_mbuf* mbuf, const PolicyView& policy, uint64_t now_ns);
    void take_arp(rte_mbuf* mbuf, uint8_t port, const api::PortRow& row, uint64_t now_ns);
    void take_discovery(rte_mbuf* mbuf, uint8_t port, const api::PortRow& row, uint64_t now_ns);
    void answer_echo(rte_mbuf* mbuf, uint8_t port);
    void wait_for(rte_mbuf* mbuf, const PolicyView& policy, uint64_t now_ns);
    void learn(uint8_t port, const Address& address, const uint8_t* mac, uint64_t now_ns,
               bool may_create);
    void ask(uint8_t port, const api::PortRow& row, const Address& address);
    void send_frame(rte_mbuf* mbuf, uint8_t port);
    void send_back(rte_mbuf* mbuf);
    void drop(rte_mbuf* mbuf, DropReason reason);

    Shared& shared_;
    api::CounterBlock& counters_;
    std::map<Key, Unresolved> unresolved_;
    std::map<Key, Known> known_;
    size_t waiting_ = 0;
};

}  // namespace sandgate::dp
