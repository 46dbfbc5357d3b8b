// What the handshake thread keeps of one agent, and the table of all agents: by identity, and by
// public key through a keyed hash, so that nobody can aim keys at one chain. Only the handshake
// thread touches any of it.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "dataplane/wireguard/activity.h"
#include "dataplane/wireguard/cookie.h"
#include "dataplane/wireguard/noise.h"
#include "dataplane/wireguard/session.h"
#include "dataplane/wireguard/timers.h"

namespace sandgate::wg {

// An initiation of ours that waits for its response. Its session slot is allocated and not
// published.
struct PendingInitiation
{
    noise::Symmetric symmetric;
    crypto::PrivateKey ephemeral;
    crypto::Key psk;  // as it was when the handshake began
    Session* session = nullptr;
    SessionIndex index = 0;
};

// All times are monotonic nanoseconds, 0 = never.
struct Peer : Timed
{
    IdentityId identity = 0;
    uint16_t keepalive_seconds = 0;
    WorkerId owner = kNoWorker;
    bool is_configured : 1 = false;  // false: its PSK or seed came first, or it left
    bool needs_psk : 1 = false;
    bool has_psk : 1 = false;
    bool has_ss : 1 = false;
    bool is_refused : 1 = false;   // its key is of low order or our own: never talked to
    bool wants_start : 1 = false;  // seeded with an endpoint: initiate as soon as possible

    crypto::PublicKey public_key{};
    noise::SharedSecret ss;  // DH(our static, its static), computed when first needed
    crypto::Key psk;
    Timestamp greatest_timestamp{};   // of its initiations
    Timestamp last_sent_timestamp{};  // of ours
    Endpoint endpoint;
    CookieJar cookies;
    Activity* activity = nullptr;
    std::unique_ptr<PendingInitiation> pending;
    // Sessions whose owner has not reported them unused: previous, current, next, and some on their
    // way out.
    std::array<Session*, 6> sessions{};

    uint64_t accepted_ns = 0;  // its last initiation
    // Our last initiation or response: at most one handshake per 5 s.
    uint64_t handshake_sent_ns = 0;
    uint64_t initiate_at_ns = 0;    // an initiation that waits for those 5 s or for its turn
    uint64_t attempt_since_ns = 0;  // start of the 90 s for which initiations are retried
    uint64_t retry_at_ns = 0;
    uint64_t newest_session_ns = 0;  // 0 also once the keys were wiped
    uint64_t completed_ns = 0;
    // Silence counts from here at the earliest: a handshake began, ended or failed.
    uint64_t settled_ns = 0;
    uint64_t keepalive_asked_ns = 0;
    int64_t last_handshake_unix = 0;  // seconds since 1970
    uint32_t jitter_ns = 0;           // of the next new handshake after silence

    Session** free_session_place()
    {
        for (Session*& place : sessions)
            if (place == nullptr)
                return &place;
        return nullptr;
    }
    bool has_usable_session(uint64_t now_ns) const
    {
        return newest_session_ns != 0 && now_ns - newest_session_ns < kRejectAfterTime;
    }
    bool lacks_psk() const { return needs_psk && !has_psk; }
};
static_assert(sizeof(Peer) <= 640, "an idle peer costs less than 2 KiB in all");

class PeerTable
{
  public:
    explicit PeerTable(std::span<const uint8_t, 16> hash_key) : by_key_(16, KeyedHash(hash_key)) {}

    Peer* find(IdentityId identity) const
    {
        return identity < by_identity_.size() ? by_identity_[identity].get() : nullptr;
    }
    Peer* find(const crypto::PublicKey& key) const
    {
        const auto found = by_key_.find(key);
        return found == by_key_.end() ? nullptr : found->second;
    }
    Peer& find_or_add(IdentityId identity);
    void remove(Peer& peer);
    // Makes the peer known under its public key; a key that another peer had before now means this
    // one.
    void set_key(Peer& peer, const crypto::PublicKey& key);
    // Nobody is found under its key any more, and it is as new, but for what must outlive it: an
    // agent that returns keeps its PSK and its owner, and its old initiations stay refused.
    void retire(Peer& peer);
    size_t size() const { return size_; }

    template <typename Visit>
    void for_each(Visit visit)
    {
        for (const std::unique_ptr<Peer>& peer : by_identity_)
            if (peer)
                visit(*peer);
    }

  private:
    struct KeyedHash
    {
        explicit KeyedHash(std::span<const uint8_t, 16> key);
        size_t operator()(const crypto::PublicKey& key) const;
        std::array<uint8_t, 16> key_;
    };
    void forget_key(Peer& peer);

    std::vector<std::unique_ptr<Peer>> by_identity_;
    std::unordered_map<crypto::PublicKey, Peer*, KeyedHash> by_key_;
    size_t size_ = 0;
};

}  // namespace sandgate::wg
