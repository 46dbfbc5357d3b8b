// The counters that the dataplane exports in a memfd region and control maps read-only. One block
// per worker and one for the slow path, each with one writer; values only grow and are read
// relaxed.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/api/bounds.h"
#include "dataplane/api/drop_reason.h"

namespace sandgate::api {

constexpr uint64_t kCountersMagic = 0x31304354'4347444e;
constexpr uint32_t kCountersVersion = 1;
constexpr unsigned kMaxPorts = 8;        // the host port is the last one
constexpr unsigned kSlowPathBlocks = 2;  // the handshake thread's, then the server thread's

using Counter = std::atomic<uint64_t>;

// Adds to a counter that this thread alone writes.
inline void add(Counter& counter, uint64_t n)
{
    counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

struct PortCounters
{
    Counter rx_packets, rx_bytes, tx_packets, tx_bytes;
};

// writer: one worker or one thread of the slow path; readers: control
struct alignas(64) CounterBlock
{
    Counter drops[128];  // by DropReason
    PortCounters ports[kMaxPorts];
    Counter bursts, burst_packets, idle_polls, busy_cycles, handed_over, staged;
    Counter opened, sealed;                             // packets through the AEAD
    Counter flows_created, flows_ended, flows_current;  // flows_current is a level, not a sum
    Counter handshakes_initiated, handshakes_answered, handshakes_completed, cookies_sent,
        cookies_received;
    Counter keepalives_sent, keepalives_received, roamed;
    Counter fragments_made, icmp_sent;
    Counter flows_revoked;  // of flows_ended: no rule allowed them any more
};

struct CountersRegion
{
    uint64_t magic;
    uint32_t version;
    uint32_t workers;  // blocks 0 .. workers - 1 are the workers'; then kSlowPathBlocks more
    uint64_t boot_id;  // random, new with each start of the dataplane
    uint64_t tsc_hz;
    std::atomic<uint64_t> policy_epoch;     // writer: builder thread; 0 before the first policy
    std::atomic<uint64_t> started_unix_ns;  // writer: main
    char kernel[32];                        // the AEAD kernel's name
    uint32_t ports;                         // the number of ports, the host port included
    uint32_t host_port;                     // its number, or ~0
    char port_names[kMaxPorts][32];
    uint32_t flows_per_worker;  // capacity of each worker's flow table; flows_current is of these
    alignas(64) CounterBlock blocks[];
};

}  // namespace sandgate::api
