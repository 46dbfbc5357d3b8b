// A session: one keypair of the WireGuard paper, immutable keys beside the counters of its owning worker.
// Slots live in a SessionTable and are recycled; a slot's generation tells a stale receiver index from a live
// one.
#pragma once

#include <atomic>
#include <cstdint>

#include "crypto/kdf.h"
#include "dataplane/api/ids.h"
#include "dataplane/wireguard/replay_window.h"

namespace sandgate::wg {

using api::Address;
using api::Endpoint;
using api::IdentityId;
using SessionIndex = uint32_t;  // a receiver index as on the wire, in host order
using WorkerId = uint8_t;
constexpr WorkerId kNoWorker = 0xff;

struct alignas(64) Session
{
    // The worker's first line on opening.
    crypto::Key receive_key;            // writer: handshake thread, before publishing; readers: owner
    std::atomic<SessionIndex> index{0}; // our receiver index while live, else 0. writer: handshake thread;
                                        // readers: workers, acquire
    IdentityId identity = 0;            // writer: handshake thread, before publishing
    SessionIndex remote_index = 0;      // the peer's receiver index. writer: handshake thread, before publishing
    WorkerId owner = kNoWorker;         // writer: handshake thread, before publishing
    bool is_initiator = false;          // writer: handshake thread, before publishing
    bool is_confirmed = false;          // an authenticated data packet came in (always true for an initiator).
                                        // writer: owner
    uint64_t birth_ns = 0;              // writer: handshake thread, before publishing

    // The line of sealing.
    crypto::Key send_key;               // writer: handshake thread, before publishing; readers: owner
    std::atomic<uint64_t> send_counter{0};  // the next counter. writer: owner; readers: handshake thread

    ReplayWindow replay;                // writer: owner
};

}  // namespace sandgate::wg
