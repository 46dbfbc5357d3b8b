// One worker: everything that its core touches for a packet. Each field says who writes it.
#pragma once

#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "crypto/aead.h"
#include "dataplane/api/counters.h"
#include "dataplane/flow/flow_table.h"
#include "dataplane/pipeline/burst.h"
#include "dataplane/policy/policy_view.h"
#include "dataplane/slowpath/neighbours.h"
#include "dataplane/worker/mailbox.h"
#include "dataplane/worker/open_budget.h"
#include "dataplane/worker/token_bucket.h"

namespace sandgate::dp {

using api::kMaxWorkers;
constexpr unsigned kTransmitBatch = 64;

// What all threads of the dataplane share. Built by main before any thread starts.
struct Shared
{
    unsigned workers = 1;
    unsigned ports = 0;  // physical ones; the host port is number `ports` when present
    bool has_host_port = false;
    uint8_t host_mac[6] = {};  // of the TAP's far end
    uint8_t port_macs[api::kMaxPorts][6] = {};
    // The device and queue by which a worker serves a port. One device with a queue per worker, or
    // (AF_XDP) one device per worker with one queue each.
    struct Queue
    {
        uint16_t device;
        uint16_t queue;
    };
    Queue queues[api::kMaxPorts][kMaxWorkers] = {};
    uint64_t tsc_hz = 1;
    rte_mempool* pool = nullptr;

    AgentTable agents;
    wg::SessionTable* sessions = nullptr;
    Neighbours neighbours;
    std::atomic<const PolicyView*> policy{
        nullptr};                  // writer: builder thread; readers: workers, slow path
    rte_rcu_qsbr* qsbr = nullptr;  // readers: workers 0..n-1, then the slow path's threads

    Mailbox<wg::PeerEvent>* events = nullptr;  // workers -> handshake thread
    rte_ring* messages = nullptr;              // mbufs: workers -> handshake thread
    rte_ring* local = nullptr;  // mbufs: workers -> server thread (ARP, ND, echo, unresolved)
    rte_ring* handover[kMaxWorkers][kMaxWorkers] = {};  // [from][to], single producer and consumer
    rte_ring* returns[kMaxWorkers] = {};                // mbufs from the slow path, many producers
    Mailbox<WorkerMessage>* mailboxes[kMaxWorkers] = {};
    std::atomic<bool> is_stopping{false};  // writer: main's signal handler
};

// Packets that wait for the end of the burst to leave by one port.
struct TransmitQueue
{
    rte_mbuf* mbufs[kTransmitBatch];
    unsigned count = 0;
};

// The pass that decides flows again whose row of the policy changed (sweep_flows.cpp).
struct FlowReview
{
    uint32_t epoch = 0;    // low bits of the policy's that the last pass was begun for
    uint32_t left = 0;     // entries that it has not looked at
    uint64_t next_ns = 0;  // when the next one begins without a new policy
};

// writer of every field but the shared ones: the worker's own thread
struct Worker
{
    Worker(WorkerId worker_id, Shared& shared_state, api::CounterBlock& counter_block,
           uint32_t max_flows, uint64_t seed, const api::FlowTimeouts& flow_timeouts = {})
        : id(worker_id),
          shared(shared_state),
          counters(counter_block),
          flows(max_flows, seed),
          timeouts(flow_timeouts)
    {
    }

    const WorkerId id;
    Shared& shared;
    api::CounterBlock& counters;  // its own cache lines; readers: control
    FlowTable flows;
    const api::FlowTimeouts timeouts;
    FlowReview flow_review;
    OpenBudget open_budget;
    TokenBucket icmp_tokens{1000, 1000};  // ICMP errors and resets: 1,000 per second

    uint64_t now_ns = 0;            // monotonic; read once per burst
    uint64_t unix_seconds = 0;      // coarse; for expiries
    uint64_t pick_up_until_ns = 0;  // until then TCP connections may be picked up in their middle
    uint16_t next_ip_id = 0;

    // Packets made while a burst runs (replies, fragments); they run at its end.
    std::unique_ptr<Burst> made = std::make_unique<Burst>();
    std::unique_ptr<Burst> made_next = std::make_unique<Burst>();
    // Agents whose session was confirmed in this burst: what they staged is sent at its end.
    Agent* to_flush[Burst::kMost];
    unsigned to_flush_count = 0;

    TransmitQueue transmit[api::kMaxPorts];
    crypto::AeadJob jobs[Burst::kMost];

    void drop(Packet& packet, api::DropReason reason) { drop(packet.mbuf, reason); }
    void drop(rte_mbuf* mbuf, api::DropReason reason)
    {
        count(reason);
        rte_pktmbuf_free(mbuf);
    }
    void count(api::DropReason reason, uint64_t packets = 1)
    {
        api::add(counters.drops[static_cast<unsigned>(reason)], packets);
    }
};

// Runs until shared.is_stopping; called on the worker's own core. is_adaptive: back off when idle.
void run_worker(Worker& worker, bool is_adaptive);

// The pieces of the loop that tests drive by hand.
void poll_ports(Worker& worker, const PolicyView* policy);
void poll_handed_over(Worker& worker, const PolicyView* policy);
void poll_mailbox(Worker& worker, const PolicyView* policy);
void flush_transmit(Worker& worker);

}  // namespace sandgate::dp
