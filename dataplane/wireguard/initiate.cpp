// Handshakes that the gateway begins: when, to whom, and the first message. Initiations asked for
// by one call share their Diffie-Hellman batches.
#include <algorithm>

#include "dataplane/wireguard/engine_state.h"

namespace sandgate::wg {

namespace {

constexpr uint64_t kStartEvery = kSecond / 1000;  // between initiations after a restart, on average

}  // namespace

bool HandshakeEngine::State::can_initiate(const Peer& peer) const
{
    return has_static_key && peer.is_configured && !peer.is_refused && peer.endpoint.is_known() &&
           !peer.lacks_psk();
}

void HandshakeEngine::State::request_handshake(Peer& peer, uint64_t now)
{
    if (!can_initiate(peer) || peer.pending || peer.initiate_at_ns != 0)
        return;
    const uint64_t earliest =
        peer.handshake_sent_ns == 0 ? now : peer.handshake_sent_ns + kRekeyTimeout;
    peer.initiate_at_ns = peer.attempt_since_ns = std::max(now, earliest);
    if (peer.initiate_at_ns <= now)
        requested.push_back(&peer);
}

void HandshakeEngine::State::start_if_seeded(Peer& peer, uint64_t now)
{
    if (!peer.wants_start || !can_initiate(peer) || peer.pending || peer.initiate_at_ns != 0)
        return;
    peer.wants_start = false;
    // Few are initiated to at once; a hundred thousand do not come back in one moment.
    const uint64_t spread = std::min<uint64_t>(peers.size() * kStartEvery, kRekeyTimeout);
    peer.initiate_at_ns = now + 1 + random_below(spread);
}

void HandshakeEngine::State::drop_pending(Peer& peer)
{
    if (!peer.pending)
        return;
    sessions.release(peer.pending->session);  // never published, so nobody can hold it
    peer.pending.reset();
}

void HandshakeEngine::State::ensure_static_secrets(std::span<Peer* const> wanted)
{
    std::vector<Peer*> missing;
    for (Peer* peer : wanted) {
        if (peer->has_ss || peer->is_refused)
            continue;
        if (peer->public_key == static_public)
            peer->is_refused = true;
        else if (std::find(missing.begin(), missing.end(), peer) == missing.end())
            missing.push_back(peer);
    }
    std::vector<crypto::DhJob> jobs;
    jobs.reserve(missing.size());
    for (Peer* peer : missing) jobs.push_back({&static_key, &peer->public_key, &peer->ss, false});
    crypto::dh_batch(jobs);
    for (size_t i = 0; i < missing.size(); i++) {
        missing[i]->has_ss = jobs[i].is_valid;
        missing[i]->is_refused = !jobs[i].is_valid;
    }
}

void HandshakeEngine::State::send_requested(Time now)
{
    if (requested.empty())
        return;
    std::vector<Peer*> starting;
    starting.swap(requested);
    ensure_static_secrets(starting);

    // From here on only peers that we talk to, each with a fresh slot and ephemeral key.
    std::erase_if(starting, [&](Peer* peer) {
        peer->initiate_at_ns = 0;
        drop_pending(*peer);
        if (!can_initiate(*peer)) {
            actions.drop_staged(peer->identity);
            return true;
        }
        SessionIndex index;
        Session* session = sessions.allocate(owner_of(*peer, kNoWorker), index);
        if (session == nullptr) {
            drop(api::DropReason::kSessionTableFull);
            actions.drop_staged(peer->identity);
            return true;
        }
        session->identity = peer->identity;  // how a response finds its peer
        peer->pending = std::make_unique<PendingInitiation>();
        peer->pending->session = session;
        peer->pending->index = index;
        peer->pending->ephemeral = random_ephemeral();
        peer->pending->psk.assign((peer->has_psk ? peer->psk : no_psk).span());
        return false;
    });

    std::vector<noise::SharedSecret> es(starting.size());
    std::vector<crypto::DhJob> jobs;
    jobs.reserve(starting.size());
    for (size_t i = 0; i < starting.size(); i++)
        jobs.push_back({&starting[i]->pending->ephemeral, &starting[i]->public_key, &es[i], false});
    crypto::dh_batch(jobs);

    for (size_t i = 0; i < starting.size(); i++) {
        Peer& peer = *starting[i];
        PendingInitiation& pending = *peer.pending;
        peer.last_sent_timestamp = noise::next_timestamp(now.unix_ns, peer.last_sent_timestamp);
        InitiationMessage message{};
        message.type.set(kInitiation);
        message.sender_index.set(pending.index);
        pending.symmetric = noise::start(peer.public_key);
        const crypto::PublicKey ephemeral = crypto::public_key_of(pending.ephemeral);
        noise::write_initiation(
            pending.symmetric, message,
            {ephemeral, static_public, es[i], peer.ss, peer.last_sent_timestamp});
        const std::span<uint8_t> bytes(reinterpret_cast<uint8_t*>(&message), sizeof(message));
        peer.cookies.write_macs(bytes, peer.public_key, now.monotonic_ns);

        peer.handshake_sent_ns = peer.settled_ns = now.monotonic_ns;
        peer.jitter_ns = static_cast<uint32_t>(random_below(kRekeyTimeoutJitter));
        peer.retry_at_ns = now.monotonic_ns + kRekeyTimeout + random_below(kRekeyTimeoutJitter);
        actions.send_datagram(peer.owner, peer.endpoint, bytes);
        api::add(counters.handshakes_initiated, 1);
        reschedule(peer, now.monotonic_ns);
    }
}

}  // namespace sandgate::wg
