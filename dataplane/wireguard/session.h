// A session: one keypair of the WireGuard paper, immutable keys beside the counters of its owning
// worker. Slots live in a SessionTable and are recycled; a slot's generation tells a stale receiver
// index from a live one.
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

// writer, unless a field says otherwise: handshake thread, before publishing; readers: the owner.
struct alignas(64) Session
{
    // The worker's first line on opening.
    crypto::Key receive_key;
    // Our receiver index while live, else 0. writer: handshake thread; readers: workers, acquire
    std::atomic<SessionIndex> index{0};
    IdentityId identity = 0;
    SessionIndex remote_index = 0;  // the peer's receiver index
    WorkerId owner = kNoWorker;
    bool is_initiator = false;
    // An authenticated data packet came in (always true for an initiator). writer: owner
    bool is_confirmed = false;
    uint64_t birth_ns = 0;

    // The line of sealing.
    alignas(64) crypto::Key send_key;
    // The next counter. writer: owner; readers: handshake thread
    std::atomic<uint64_t> send_counter{0};

    ReplayWindow replay;  // writer: owner
};

}  // namespace sandgate::wg
