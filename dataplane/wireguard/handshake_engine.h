// The handshake side of the gateway: everything of WireGuard that is not a data packet. It consumes
// initiations, responses and cookie replies, runs the timers of every peer and fills the session
// table. It reads no clock, no random source and no socket: time and randomness are arguments, and
// what it wants done goes to HandshakeActions, so a whole handshake between two engines is a unit
// test.
//
// Single-threaded: one thread (the handshake thread) calls everything here.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "crypto/x25519.h"
#include "dataplane/api/counters.h"
#include "dataplane/wireguard/activity.h"
#include "dataplane/wireguard/inputs.h"
#include "dataplane/wireguard/session_table.h"

namespace sandgate::wg {

// A datagram of type 1, 2 or 3 from the tunnel port; the pipeline has checked type and length
// already.
struct IncomingMessage
{
    std::span<const uint8_t> bytes;
    Endpoint source;
    WorkerId worker;  // whose queue received it: the owner-to-be of an agent that has none
};

struct PeerConfig
{
    IdentityId identity;
    crypto::PublicKey public_key;
    uint16_t keepalive_seconds;  // persistent keepalive, 0 = off
    bool needs_psk;              // no handshake before set_psk()
    Activity* activity;          // lives as long as the peer
    WorkerId owner = kNoWorker;  // of an agent that was a peer before: its owner never changes
};

// What an owning worker tells the handshake thread.
struct PeerEvent
{
    enum class Kind : uint8_t
    {
        kNeedSession,  // a packet is staged and no session can send it
        kRekeyDue,     // REKEY_AFTER_TIME or REKEY_AFTER_MESSAGES passed on sending, or 165 s on
                       // receiving
        kConfirmed,    // the first authenticated data packet of a session arrived: `session`
        kEndpointChanged,  // an authenticated packet came from another endpoint
        kSessionUnused,    // the owner dropped its last reference to `session`
    };
    Kind kind;
    IdentityId identity;
    Session* session;   // kConfirmed, kSessionUnused
    Endpoint endpoint;  // kEndpointChanged, kConfirmed
};

// What the engine asks of its surroundings. Called on the handshake thread only.
class HandshakeActions
{
  public:
    virtual ~HandshakeActions() = default;
    // Sends a handshake message (DSCP AF41, as Linux does: traffic class 0x88) by worker `via`.
    virtual void send_datagram(WorkerId via, const Endpoint& to,
                               std::span<const uint8_t> bytes) = 0;
    // Called once per peer, before its first session: this worker owns the agent from now on.
    virtual void assign_owner(IdentityId identity, WorkerId owner) = 0;
    // A published session for its owner. An initiator's becomes current (the owner flushes what is
    // staged, or sends a keepalive, so that the responder is confirmed); a responder's becomes
    // next. `source` is where the handshake came from: provisional until the first authenticated
    // data packet.
    virtual void install_session(Session* session, const Endpoint& source) = 0;
    // The owner sends an empty packet on its current session, if it has one.
    virtual void request_keepalive(IdentityId identity) = 0;
    // The owner forgets all sessions of the agent and answers kSessionUnused for each.
    virtual void forget_sessions(IdentityId identity) = 0;
    // The handshake was given up: packets that wait for it are dropped by name.
    virtual void drop_staged(IdentityId identity) = 0;
    // No worker is told of this session any more: after a grace period, SessionTable::release() it.
    virtual void retire_session(Session* session) = 0;
    // Control persists these over a restart.
    virtual void note_persistent(IdentityId identity, const Timestamp& greatest,
                                 const Endpoint& endpoint) = 0;
};

struct EngineLimits
{
    unsigned workers = 1;  // owners are 0 .. workers - 1
    // Under load when the handshakes of the last second cost more than this share of one core,
    // whatever the number of peers; sticky for 1 s.
    uint64_t budget_ns_per_second = 500'000'000;
    size_t max_peers = 1u << 20;
};

class HandshakeEngine
{
  public:
    HandshakeEngine(SessionTable& sessions, HandshakeActions& actions, api::CounterBlock& counters,
                    FillRandom fill_random, const EngineLimits& limits);
    ~HandshakeEngine();

    // Changing the key forgets every session and handshake.
    void set_static_key(const crypto::PrivateKey& key, Time now);
    bool has_static_key() const;

    // Adds a peer or changes it; another public key under the same identity forgets its sessions. A
    // peer whose key is of low order or our own is kept and never talked to.
    void upsert_peer(const PeerConfig& config, Time now);
    // Nobody is it any more, and its sessions end. Its PSK, owner and greatest timestamp are
    // remembered for its return; remove_psk() wipes the first.
    void remove_peer(IdentityId identity, Time now);
    // Takes effect on the next handshake only.
    void set_psk(IdentityId identity, const crypto::Key& psk);
    void remove_psk(IdentityId identity);
    // What control kept over a restart: replayed initiations stay refused; with a known endpoint
    // the gateway initiates as soon as it can (spread over 1 ms per peer, 5 s at most), so that
    // clients do not wait for their own timers.
    void seed(IdentityId identity, const Timestamp& greatest, const Endpoint& endpoint, Time now);

    // Handles a span of waiting messages in phases: cheap checks for all, then the Diffie-Hellman
    // computations of all in one batch, and so on. The caller reports what it cost with
    // note_cost().
    void on_messages(std::span<const IncomingMessage> messages, Time now);
    void on_event(const PeerEvent& event, Time now);
    // Runs what is due, a bounded share of it; returns when to call again at the latest (monotonic
    // ns; a time that has passed: at once; UINT64_MAX: not before another call). The other calls
    // may bring that forward.
    uint64_t on_timers(Time now);

    // For `sandgate agents`: seconds since 1970 of the last completed handshake, 0 = never.
    int64_t last_handshake_unix(IdentityId identity) const;
    // Where handshakes to this peer go; unknown when it was never heard of.
    Endpoint endpoint_of(IdentityId identity) const;
    WorkerId owner_of(IdentityId identity) const;

    // Measured cost of handshakes, added by the caller after on_messages(); see EngineLimits.
    void note_cost(uint64_t spent_ns, Time now);
    bool is_under_load(Time now) const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace sandgate::wg
