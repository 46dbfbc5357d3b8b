// The inside of HandshakeEngine, shared by the files that implement it: handshake_engine.cpp
// (configuration and events), consume_messages.cpp (what comes in), initiate.cpp (what we begin)
// and peer_timers.cpp.
#pragma once

#include <set>
#include <unordered_set>
#include <vector>

#include "dataplane/wireguard/handshake_engine.h"
#include "dataplane/wireguard/load_meter.h"
#include "dataplane/wireguard/peer.h"
#include "dataplane/wireguard/rate_limiter.h"

namespace sandgate::wg {

// Handshakes that share a Diffie-Hellman batch; bounds the memory of a span and the latency of its
// first.
constexpr size_t kBatch = 64;

struct HandshakeEngine::State
{
    State(SessionTable& sessions_, HandshakeActions& actions_, api::CounterBlock& counters_,
          FillRandom fill_random_, const EngineLimits& limits_);

    // consume_messages.cpp
    void consume(std::span<const IncomingMessage> messages, Time now);

    // initiate.cpp
    bool can_initiate(const Peer& peer) const;
    // Asks for a handshake now, or when 5 s since the last have passed. Duplicates are absorbed.
    void request_handshake(Peer& peer, uint64_t now_ns);
    // Sends the initiations that were asked for; every entry point ends with it.
    void send_requested(Time now);
    // A seeded peer is initiated to soon, once everything that it takes is there.
    void start_if_seeded(Peer& peer, uint64_t now_ns);
    void drop_pending(Peer& peer);
    // Computes DH(static, static) for those peers that lack it; marks keys that we never talk to.
    void ensure_static_secrets(std::span<Peer* const> peers);

    // peer_timers.cpp
    void run_timers(Peer& peer, uint64_t now_ns);
    void reschedule(Peer& peer, uint64_t now_ns);

    // handshake_engine.cpp
    void drop(api::DropReason reason)
    {
        api::add(counters.drops[static_cast<unsigned>(reason)], 1);
    }
    uint64_t random_below(uint64_t n);
    crypto::PrivateKey random_ephemeral();
    WorkerId owner_of(Peer& peer, WorkerId first_seen_on);
    void forget_sessions(Peer& peer);
    void complete(Peer& peer, Time now);
    void note_persistent(const Peer& peer);
    // The peer of an identity, new if need be; nullptr when there are max_peers. Peers that left
    // make room.
    Peer* find_or_add(IdentityId identity);

    SessionTable& sessions;
    HandshakeActions& actions;
    api::CounterBlock& counters;
    FillRandom fill_random;
    EngineLimits limits;

    crypto::PrivateKey static_key;
    crypto::PublicKey static_public{};
    bool has_static_key = false;
    const crypto::Key no_psk;  // zero

    CookieChecker checker{fill_random};
    RateLimiter limiter;
    LoadMeter load;
    TimerHeap timers;
    PeerTable peers;
    std::vector<Peer*> requested;          // initiations to send before the entry point returns
    std::unordered_set<Session*> orphans;  // sessions of removed peers that their owner still holds
    std::set<IdentityId> departed;         // peers that left and are remembered
    uint64_t now_ns = 0;                   // of the last call that brought a time

    struct Incoming;  // one span's messages between their phases
};

}  // namespace sandgate::wg
