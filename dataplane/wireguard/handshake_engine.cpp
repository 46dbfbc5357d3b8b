// The engine's configuration and events. See handshake_engine.h for the contract and engine_state.h
// for where the rest is.
#include "dataplane/wireguard/handshake_engine.h"

#include <algorithm>

#include "dataplane/wireguard/engine_state.h"

namespace sandgate::wg {

namespace {

constexpr size_t kMaxLimitedSources = 8192;
constexpr unsigned kMaxOwners = 1u << SessionTable::kWorkerBits;

std::array<uint8_t, 16> random_hash_key(const FillRandom& fill_random)
{
    std::array<uint8_t, 16> key;
    fill_random(key);
    return key;
}

}  // namespace

HandshakeEngine::State::State(SessionTable& sessions_, HandshakeActions& actions_,
                              api::CounterBlock& counters_, FillRandom fill_random_,
                              const EngineLimits& limits_)
    : sessions(sessions_),
      actions(actions_),
      counters(counters_),
      fill_random(std::move(fill_random_)),
      limits(limits_),
      limiter(kMaxLimitedSources, random_hash_key(fill_random)),
      load(limits_.budget_ns_per_second),
      peers(random_hash_key(fill_random))
{
    limits.workers = std::clamp(limits.workers, 1u, kMaxOwners);
}

uint64_t HandshakeEngine::State::random_below(uint64_t n)
{
    uint64_t value;
    fill_random({reinterpret_cast<uint8_t*>(&value), sizeof(value)});
    return n == 0 ? 0 : value % n;
}

crypto::PrivateKey HandshakeEngine::State::random_ephemeral()
{
    crypto::PrivateKey key;
    fill_random(key.span());
    crypto::clamp(key);
    return key;
}

WorkerId HandshakeEngine::State::owner_of(Peer& peer, WorkerId first_seen_on)
{
    if (peer.owner == kNoWorker) {
        peer.owner = first_seen_on < limits.workers
                         ? first_seen_on
                         : static_cast<WorkerId>(peer.identity % limits.workers);
        actions.assign_owner(peer.identity, peer.owner);
    }
    return peer.owner;
}

// From the return on no packet finds a session of this peer; the owner reports each as unused.
void HandshakeEngine::State::forget_sessions(Peer& peer)
{
    bool has_any = false;
    for (Session* session : peer.sessions) {
        if (session == nullptr)
            continue;
        sessions.unpublish(session);
        has_any = true;
    }
    peer.newest_session_ns = 0;
    if (has_any)
        actions.forget_sessions(peer.identity);
}

void HandshakeEngine::State::complete(Peer& peer, Time now)
{
    peer.completed_ns = peer.settled_ns = now.monotonic_ns;
    peer.jitter_ns = static_cast<uint32_t>(random_below(kRekeyTimeoutJitter));
    peer.last_handshake_unix = static_cast<int64_t>(now.unix_ns / kSecond);
    peer.initiate_at_ns = 0;
    peer.wants_start = false;
    drop_pending(peer);
    api::add(counters.handshakes_completed, 1);
}

void HandshakeEngine::State::note_persistent(const Peer& peer)
{
    actions.note_persistent(peer.identity, peer.greatest_timestamp, peer.endpoint);
}

Peer* HandshakeEngine::State::find_or_add(IdentityId identity)
{
    if (Peer* peer = peers.find(identity))
        return peer;
    if (peers.size() >= limits.max_peers && !departed.empty()) {
        const auto oldest = departed.begin();  // identities ascend and are never given twice
        peers.remove(*peers.find(*oldest));
        departed.erase(oldest);
    }
    return peers.size() < limits.max_peers ? &peers.find_or_add(identity) : nullptr;
}

HandshakeEngine::HandshakeEngine(SessionTable& sessions, HandshakeActions& actions,
                                 api::CounterBlock& counters, FillRandom fill_random,
                                 const EngineLimits& limits)
    : state_(std::make_unique<State>(sessions, actions, counters, std::move(fill_random), limits))
{
}

HandshakeEngine::~HandshakeEngine() = default;

void HandshakeEngine::set_static_key(const crypto::PrivateKey& key, Time now)
{
    State& s = *state_;
    s.now_ns = now.monotonic_ns;
    crypto::PrivateKey clamped = key.clone();
    crypto::clamp(clamped);
    if (s.has_static_key && clamped == s.static_key)
        return;
    s.static_public = crypto::public_key_of(clamped);
    s.static_key = std::move(clamped);
    s.has_static_key = true;
    s.checker.set_static_key(s.static_public);
    s.peers.for_each([&](Peer& peer) {
        s.forget_sessions(peer);
        s.drop_pending(peer);
        peer.ss.wipe();
        peer.has_ss = peer.is_refused = false;
        peer.cookies = CookieJar{};
        s.start_if_seeded(peer, s.now_ns);
        s.reschedule(peer, s.now_ns);
    });
}

bool HandshakeEngine::has_static_key() const { return state_->has_static_key; }

void HandshakeEngine::upsert_peer(const PeerConfig& config, Time now)
{
    State& s = *state_;
    s.now_ns = now.monotonic_ns;
    Peer* found = s.find_or_add(config.identity);
    if (found == nullptr)
        return;
    Peer& peer = *found;
    s.departed.erase(config.identity);
    if (peer.public_key != crypto::PublicKey{} && peer.public_key != config.public_key) {
        // Another device under the same identity: nothing of the old one's handshakes remains.
        s.forget_sessions(peer);
        s.drop_pending(peer);
        peer.ss.wipe();
        peer.has_ss = peer.is_refused = peer.wants_start = false;
        peer.greatest_timestamp = peer.last_sent_timestamp = {};
        peer.endpoint = {};
        peer.cookies = CookieJar{};
        peer.accepted_ns = peer.handshake_sent_ns = peer.initiate_at_ns = 0;
        s.note_persistent(peer);
    }
    if (!peer.is_configured || peer.public_key != config.public_key)
        s.peers.set_key(peer, config.public_key);
    if (peer.keepalive_seconds != config.keepalive_seconds)
        peer.keepalive_asked_ns = s.now_ns;
    peer.is_configured = true;
    peer.keepalive_seconds = config.keepalive_seconds;
    peer.needs_psk = config.needs_psk;
    peer.activity = config.activity;
    if (peer.owner == kNoWorker)
        peer.owner = config.owner;
    s.start_if_seeded(peer, s.now_ns);
    s.reschedule(peer, s.now_ns);
}

void HandshakeEngine::remove_peer(IdentityId identity, Time now)
{
    State& s = *state_;
    s.now_ns = now.monotonic_ns;
    Peer* peer = s.peers.find(identity);
    if (peer == nullptr)
        return;
    s.forget_sessions(*peer);
    if (peer->pending || peer->initiate_at_ns != 0)
        s.actions.drop_staged(identity);
    s.drop_pending(*peer);
    for (Session* session : peer->sessions)
        if (session != nullptr)
            s.orphans.insert(session);
    s.timers.cancel(*peer);
    s.peers.retire(*peer);
    s.departed.insert(identity);
}

void HandshakeEngine::set_psk(IdentityId identity, const crypto::Key& psk)
{
    State& s = *state_;
    Peer* found = s.find_or_add(identity);
    if (found == nullptr)
        return;
    Peer& peer = *found;
    peer.psk.assign(psk.span());
    peer.has_psk = true;
    s.start_if_seeded(peer, s.now_ns);
    s.reschedule(peer, s.now_ns);
}

void HandshakeEngine::remove_psk(IdentityId identity)
{
    if (Peer* peer = state_->peers.find(identity)) {
        peer->psk.wipe();
        peer->has_psk = false;
    }
}

void HandshakeEngine::seed(IdentityId identity, const Timestamp& greatest, const Endpoint& endpoint,
                           Time now)
{
    State& s = *state_;
    s.now_ns = now.monotonic_ns;
    Peer* found = s.find_or_add(identity);
    if (found == nullptr)
        return;
    // What we saw ourselves is newer than what control remembers: a control that restarts seeds
    // again.
    Peer& peer = *found;
    peer.greatest_timestamp = std::max(peer.greatest_timestamp, greatest);
    if (!peer.endpoint.is_known() && endpoint.is_known()) {
        peer.endpoint = endpoint;
        peer.wants_start = true;
    }
    s.start_if_seeded(peer, s.now_ns);
    s.reschedule(peer, s.now_ns);
}

void HandshakeEngine::on_messages(std::span<const IncomingMessage> messages, Time now)
{
    state_->now_ns = now.monotonic_ns;
    state_->load.settle(now.monotonic_ns);
    for (size_t at = 0; at < messages.size(); at += kBatch)
        state_->consume(messages.subspan(at, std::min(kBatch, messages.size() - at)), now);
}

void HandshakeEngine::on_event(const PeerEvent& event, Time now)
{
    State& s = *state_;
    s.now_ns = now.monotonic_ns;
    Peer* peer = s.peers.find(event.identity);
    Session** place = nullptr;
    if (peer != nullptr && event.session != nullptr) {
        const auto found = std::find(peer->sessions.begin(), peer->sessions.end(), event.session);
        place = found == peer->sessions.end() ? nullptr : &*found;
    }

    // Requests that were on their way while a handshake completed are stale.
    const bool has_just_completed = peer != nullptr && peer->has_usable_session(s.now_ns) &&
                                    s.now_ns - peer->completed_ns < kRekeyTimeout;

    switch (event.kind) {
        case PeerEvent::Kind::kNeedSession:
            if (has_just_completed)
                break;
            if (peer == nullptr || !s.can_initiate(*peer)) {
                s.actions.drop_staged(event.identity);
            } else if (peer->pending) {
                // A packet that somebody wants to send restarts the 90 s (paper, section 6.4);
                // retries do not.
                peer->attempt_since_ns = s.now_ns;
            } else {
                s.request_handshake(*peer, s.now_ns);
            }
            break;
        case PeerEvent::Kind::kRekeyDue:
            if (peer != nullptr && !has_just_completed)
                s.request_handshake(*peer, s.now_ns);
            break;
        case PeerEvent::Kind::kConfirmed:
            if (place == nullptr)
                break;
            s.complete(*peer, now);
            if (event.endpoint.is_known())
                peer->endpoint = event.endpoint;
            s.note_persistent(*peer);
            break;
        case PeerEvent::Kind::kEndpointChanged:
            if (peer == nullptr || !event.endpoint.is_known())
                break;
            peer->endpoint = event.endpoint;
            s.note_persistent(*peer);
            break;
        case PeerEvent::Kind::kSessionUnused:
            if (place != nullptr)
                *place = nullptr;
            else if (s.orphans.erase(event.session) == 0)
                break;
            s.sessions.unpublish(event.session);
            s.actions.retire_session(event.session);
            break;
    }
    s.send_requested(now);
    if (peer != nullptr)
        s.reschedule(*peer, s.now_ns);
}

uint64_t HandshakeEngine::on_timers(Time now)
{
    // Bounded, so that messages are not kept waiting by a restart's many initiations.
    constexpr unsigned kMaxPeersPerCall = 4 * kBatch;
    State& s = *state_;
    s.now_ns = now.monotonic_ns;
    for (unsigned i = 0; i < kMaxPeersPerCall && s.requested.size() < kBatch; i++) {
        auto* peer = static_cast<Peer*>(s.timers.take_due(s.now_ns));
        if (peer == nullptr)
            break;
        s.run_timers(*peer, s.now_ns);
        s.reschedule(*peer, s.now_ns);
    }
    s.send_requested(now);
    return s.timers.next_due_ns();
}

int64_t HandshakeEngine::last_handshake_unix(IdentityId identity) const
{
    const Peer* peer = state_->peers.find(identity);
    return peer == nullptr ? 0 : peer->last_handshake_unix;
}

Endpoint HandshakeEngine::endpoint_of(IdentityId identity) const
{
    const Peer* peer = state_->peers.find(identity);
    return peer == nullptr ? Endpoint{} : peer->endpoint;
}

WorkerId HandshakeEngine::owner_of(IdentityId identity) const
{
    const Peer* peer = state_->peers.find(identity);
    return peer == nullptr ? kNoWorker : peer->owner;
}

void HandshakeEngine::note_cost(uint64_t spent_ns, Time now)
{
    state_->load.note_cost(spent_ns, now.monotonic_ns);
}

bool HandshakeEngine::is_under_load(Time now) const
{
    return state_->load.is_under_load(now.monotonic_ns);
}

}  // namespace sandgate::wg
