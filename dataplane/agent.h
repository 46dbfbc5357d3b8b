// One agent as the dataplane knows it while it runs: its sessions, endpoint, counters and the
// packets that wait for a handshake. What the policy says of it lies in the PolicyView; what the
// handshakes need lies in the HandshakeEngine. Idle, an agent costs these few lines and nothing
// else.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/api/counters.h"
#include "dataplane/wireguard/activity.h"
#include "dataplane/wireguard/session.h"

struct rte_mbuf;

namespace sandgate::dp {

using api::Address;
using api::Endpoint;
using api::IdentityId;
using wg::Session;
using wg::WorkerId;

struct alignas(64) Agent
{
    IdentityId identity = 0;                     // writer: builder thread, before publishing
    std::atomic<WorkerId> owner{wg::kNoWorker};  // writer: handshake thread, once; readers: workers

    // From here on, writer: owner.
    bool is_endpoint_confirmed = false;
    uint16_t staged_count = 0;
    Session* current = nullptr;
    Session* previous = nullptr;
    Session* next = nullptr;
    rte_mbuf* staged_first = nullptr;  // a list through Packet::next_staged
    rte_mbuf* staged_last = nullptr;
    Endpoint endpoint;
    uint64_t asked_session_ns = 0;  // when the handshake thread was last told of a need

    // writer: owner; readers: handshake thread, server thread
    wg::Activity activity;
    api::Counter rx_bytes{0}, tx_bytes{0}, rx_packets{0}, tx_packets{0};
};

// All agents by identity: a root of chunks, so that a million agents need no single block and
// pointers stay valid for ever. Identities are never reused, and neither are their agents.
class AgentTable
{
  public:
    static constexpr unsigned kChunkBits = 12;
    static constexpr unsigned kChunks = (api::kMaxIdentity + 1) >> kChunkBits;

    AgentTable() = default;
    ~AgentTable()
    {
        for (auto& chunk : chunks_) delete[] chunk.load(std::memory_order_relaxed);
    }
    AgentTable(const AgentTable&) = delete;
    AgentTable& operator=(const AgentTable&) = delete;

    // The agent of an identity that some policy has named, else nullptr.
    Agent* find(IdentityId identity) const
    {
        if (identity > api::kMaxIdentity)
            return nullptr;
        Agent* chunk = chunks_[identity >> kChunkBits].load(std::memory_order_acquire);
        return chunk == nullptr ? nullptr : &chunk[identity & ((1u << kChunkBits) - 1)];
    }

    // For the builder thread: creates the agent when it is new. The identity is in range.
    Agent* build(IdentityId identity)
    {
        std::atomic<Agent*>& slot = chunks_[identity >> kChunkBits];
        if (slot.load(std::memory_order_relaxed) == nullptr)
            slot.store(new Agent[1u << kChunkBits], std::memory_order_release);
        Agent* agent = find(identity);
        agent->identity = identity;
        return agent;
    }

  private:
    std::atomic<Agent*> chunks_[kChunks] = {};
};

}  // namespace sandgate::dp
