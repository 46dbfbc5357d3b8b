// The timers of a peer (WireGuard paper, section 6). Each peer has one entry in the heap, at the
// nearest of its deadlines. What depends on data packets is read from Activity when the entry comes
// up: an idle session is looked at every 10 s, which is never late, because nothing that a packet
// starts is due earlier than that.
#include <algorithm>

#include "dataplane/wireguard/engine_state.h"

namespace sandgate::wg {

namespace {

uint64_t load(const std::atomic<uint64_t>& time) { return time.load(std::memory_order_relaxed); }

// When a packet that we sent has gone unanswered for too long; kNever while none has.
uint64_t silence_due_ns(const Peer& peer)
{
    const uint64_t since = load(peer.activity->unanswered_since_ns);
    if (since == 0 || peer.pending || peer.initiate_at_ns != 0)
        return kNever;
    return std::max(since, peer.settled_ns) + kNewHandshakeTimeout + peer.jitter_ns;
}

// When a packet that we received deserves an empty answer.
uint64_t passive_keepalive_due_ns(const Peer& peer)
{
    const uint64_t since = load(peer.activity->unacknowledged_since_ns);
    if (since == 0)
        return kNever;
    return std::max(since, peer.keepalive_asked_ns > since ? peer.keepalive_asked_ns : 0) +
           kKeepaliveTimeout;
}

uint64_t persistent_keepalive_due_ns(const Peer& peer)
{
    const uint64_t last = std::max({load(peer.activity->last_traversal_ns), peer.handshake_sent_ns,
                                    peer.completed_ns, peer.keepalive_asked_ns});
    return last + peer.keepalive_seconds * kSecond;
}

}  // namespace

void HandshakeEngine::State::run_timers(Peer& peer, uint64_t now)
{
    // An initiation whose turn has come.
    if (peer.initiate_at_ns != 0 && peer.initiate_at_ns <= now) {
        peer.attempt_since_ns = now;
        requested.push_back(&peer);
    }

    // REKEY_TIMEOUT and REKEY_ATTEMPT_TIME.
    if (peer.pending) {
        if (now - peer.attempt_since_ns >= kRekeyAttemptTime) {
            drop_pending(peer);
            peer.settled_ns = now;
            actions.drop_staged(peer.identity);
        } else if (peer.retry_at_ns <= now) {
            requested.push_back(&peer);
        }
    }

    if (!peer.is_configured)
        return;

    // A new handshake when what we sent goes unanswered, and a passive keepalive.
    if (peer.newest_session_ns != 0) {
        if (silence_due_ns(peer) <= now)
            request_handshake(peer, now);
        if (passive_keepalive_due_ns(peer) <= now && peer.has_usable_session(now)) {
            peer.keepalive_asked_ns = now;
            actions.request_keepalive(peer.identity);
        }
    }

    // The persistent keepalive holds a path open: without a session it makes one.
    if (peer.keepalive_seconds != 0 && can_initiate(peer) &&
        persistent_keepalive_due_ns(peer) <= now) {
        peer.keepalive_asked_ns = now;
        if (peer.has_usable_session(now))
            actions.request_keepalive(peer.identity);
        else
            request_handshake(peer, now);
    }

    // Keys are wiped at three times REJECT_AFTER_TIME without a new session.
    if (peer.newest_session_ns != 0 && now - peer.newest_session_ns >= kWipeKeysTime)
        forget_sessions(peer);
}

void HandshakeEngine::State::reschedule(Peer& peer, uint64_t now)
{
    uint64_t due = kNever;
    if (peer.initiate_at_ns != 0)
        due = std::min(due, peer.initiate_at_ns);
    if (peer.pending)
        due = std::min({due, peer.retry_at_ns, peer.attempt_since_ns + kRekeyAttemptTime});
    if (peer.is_configured && peer.newest_session_ns != 0) {
        due = std::min({due, peer.newest_session_ns + kWipeKeysTime, now + kKeepaliveTimeout,
                        silence_due_ns(peer)});
        if (peer.has_usable_session(now))
            due = std::min(due, passive_keepalive_due_ns(peer));
    }
    if (peer.is_configured && peer.keepalive_seconds != 0 && can_initiate(peer))
        due = std::min(due, persistent_keepalive_due_ns(peer));
    timers.schedule(peer, due == kNever ? kNever : std::max(due, now + 1));
}

}  // namespace sandgate::wg
