// Handshake messages that come in, a span at a time and in phases, so that the expensive step,
// Diffie-Hellman, is done for all of them in one batch. Cheap refusals come first: mac1, then under
// load mac2 and the source's rate. A message changes nothing of a peer before it has been
// authenticated.
#include <algorithm>

#include "dataplane/wireguard/engine_state.h"

namespace sandgate::wg {

using api::DropReason;

namespace {

struct Initiation
{
    const IncomingMessage* from = nullptr;
    InitiationMessage message{};
    noise::Symmetric symmetric{};
    crypto::PublicKey ephemeral{};  // the initiator's
    crypto::PublicKey initiator_static{};
    noise::SharedSecret es{};
    bool is_es_valid = false;

    Peer* peer = nullptr;  // from here on: once authenticated
    Session* session = nullptr;
    SessionIndex index = 0;
    crypto::PrivateKey own_ephemeral{};
    noise::SharedSecret ee{}, se{};
    bool is_ee_valid = false, is_se_valid = false;
};

struct Response
{
    const IncomingMessage* from = nullptr;
    ResponseMessage message{};
    Peer* peer = nullptr;
    PendingInitiation* pending = nullptr;
    crypto::PublicKey ephemeral{};  // the responder's
    noise::SharedSecret ee{}, se{};
    bool is_ee_valid = false, is_se_valid = false;
};

template <typename Message>
Message read(const IncomingMessage& incoming)
{
    Message message;
    std::memcpy(&message, incoming.bytes.data(), sizeof(message));
    return message;
}

crypto::PublicKey key_of(const uint8_t (&bytes)[kPublicKeyBytes])
{
    crypto::PublicKey key;
    std::memcpy(key.data(), bytes, key.size());
    return key;
}

template <typename Message>
std::span<uint8_t> bytes_of(Message& message)
{
    return {reinterpret_cast<uint8_t*>(&message), sizeof(message)};
}

// DH computations whose verdicts go back to the messages that they belong to.
class DhBatch
{
  public:
    void add(const crypto::PrivateKey& own, const crypto::PublicKey& theirs,
             noise::SharedSecret& shared, bool& is_valid)
    {
        jobs_.push_back({&own, &theirs, &shared, false});
        verdicts_.push_back(&is_valid);
    }
    void run()
    {
        crypto::dh_batch(jobs_);
        for (size_t i = 0; i < jobs_.size(); i++) *verdicts_[i] = jobs_[i].is_valid;
    }

  private:
    std::vector<crypto::DhJob> jobs_;
    std::vector<bool*> verdicts_;
};

}  // namespace

struct HandshakeEngine::State::Incoming
{
    Incoming(State& state, Time now_) : s(state), now(now_) {}

    void admit(const IncomingMessage& incoming);
    void compute_first_secrets();
    void finish_responses();
    void identify_initiators();
    void answer_initiations();

    bool may_cost_a_handshake(const IncomingMessage& incoming);
    void consume_cookie(const IncomingMessage& incoming);
    Peer* find_pending(SessionIndex index) const;
    DropReason initiator_fault(Initiation& i);
    void finish_response(Response& r);
    void answer(Initiation& i);

    // Keeps the messages without a fault and counts the others.
    template <typename Messages, typename Fault>
    void keep_if_faultless(Messages& messages, Fault fault)
    {
        std::erase_if(messages, [&](auto& message) {
            const DropReason reason = fault(message);
            if (reason != DropReason::kNone)
                s.drop(reason);
            return reason != DropReason::kNone;
        });
    }

    State& s;
    const Time now;
    std::vector<Initiation> initiations;
    std::vector<Response> responses;
};

void HandshakeEngine::State::consume(std::span<const IncomingMessage> messages, Time now)
{
    Incoming incoming(*this, now);
    for (const IncomingMessage& message : messages) incoming.admit(message);
    // From here on every message has a valid mac1 and, under load, a valid mac2 and a source within
    // its rate.

    incoming.compute_first_secrets();
    incoming.finish_responses();

    incoming.identify_initiators();
    // From here on every initiation is authentic and newer than all that we saw of its peer.

    incoming.answer_initiations();
}

void HandshakeEngine::State::Incoming::admit(const IncomingMessage& incoming)
{
    const std::span<const uint8_t> bytes = incoming.bytes;
    if (!is_well_formed(bytes.data(), bytes.size()) || bytes[0] == kData)
        return s.drop(DropReason::kMessageMalformed);
    if (!s.has_static_key)
        return s.drop(DropReason::kNotReady);
    if (bytes[0] == kCookieReply)
        return consume_cookie(incoming);
    if (!s.checker.has_valid_mac1(bytes))
        return s.drop(DropReason::kMac1Invalid);
    if (!may_cost_a_handshake(incoming))
        return;

    if (bytes[0] == kInitiation) {
        Initiation& i = initiations.emplace_back();
        i.from = &incoming;
        i.message = read<InitiationMessage>(incoming);
        i.ephemeral = key_of(i.message.ephemeral);
    } else {
        const auto message = read<ResponseMessage>(incoming);
        Peer* peer = find_pending(message.receiver_index.get());
        if (peer == nullptr)
            return s.drop(DropReason::kHandshakeUnexpected);
        Response& r = responses.emplace_back();
        r.from = &incoming;
        r.message = message;
        r.peer = peer;
        r.pending = peer->pending.get();
        r.ephemeral = key_of(message.ephemeral);
    }
    s.load.note_accepted(now.monotonic_ns);
}

// Under load a sender must first prove that it receives at its address, and then keep to its rate.
bool HandshakeEngine::State::Incoming::may_cost_a_handshake(const IncomingMessage& incoming)
{
    if (!s.load.is_under_load(now.monotonic_ns))
        return true;
    if (!s.checker.has_valid_mac2(incoming.bytes, incoming.source, now.monotonic_ns)) {
        s.drop(DropReason::kMac2Required);
        CookieReplyMessage reply =
            s.checker.reply_to(incoming.bytes, incoming.source, now.monotonic_ns);
        s.actions.send_datagram(incoming.worker, incoming.source, bytes_of(reply));
        api::add(s.counters.cookies_sent, 1);
    } else if (!s.limiter.allow(incoming.source.address, now.monotonic_ns)) {
        s.drop(DropReason::kHandshakeRateLimited);
    } else {
        return true;
    }
    s.load.note_refused(now.monotonic_ns);
    return false;
}

// A cookie says where nobody is: it never moves an endpoint.
void HandshakeEngine::State::Incoming::consume_cookie(const IncomingMessage& incoming)
{
    const auto reply = read<CookieReplyMessage>(incoming);
    const SessionIndex index = reply.receiver_index.get();
    Peer* peer = find_pending(index);
    if (peer == nullptr)  // it may answer our response, whose session is published
        if (const Session* session = s.sessions.find(index))
            peer = s.peers.find(session->identity);
    if (peer == nullptr)
        return s.drop(DropReason::kHandshakeUnexpected);
    if (!peer->cookies.consume(reply, peer->public_key, now.monotonic_ns))
        return s.drop(DropReason::kHandshakeNotAuthentic);
    api::add(s.counters.cookies_received, 1);
}

Peer* HandshakeEngine::State::Incoming::find_pending(SessionIndex index) const
{
    const Session* slot = s.sessions.slot_of(index);
    Peer* peer = slot == nullptr ? nullptr : s.peers.find(slot->identity);
    return peer != nullptr && peer->pending && peer->pending->index == index ? peer : nullptr;
}

void HandshakeEngine::State::Incoming::compute_first_secrets()
{
    DhBatch batch;
    for (Initiation& i : initiations) batch.add(s.static_key, i.ephemeral, i.es, i.is_es_valid);
    for (Response& r : responses) {
        batch.add(r.pending->ephemeral, r.ephemeral, r.ee, r.is_ee_valid);
        batch.add(s.static_key, r.ephemeral, r.se, r.is_se_valid);
    }
    batch.run();
}

void HandshakeEngine::State::Incoming::finish_responses()
{
    for (Response& r : responses) finish_response(r);
}

void HandshakeEngine::State::Incoming::finish_response(Response& r)
{
    Peer& peer = *r.peer;
    if (peer.pending.get() != r.pending)  // another response of this span has completed it
        return s.drop(DropReason::kHandshakeUnexpected);
    if (!r.is_ee_valid || !r.is_se_valid)
        return s.drop(DropReason::kHandshakeLowOrder);
    noise::Symmetric symmetric = r.pending->symmetric.clone();
    if (!noise::read_response(symmetric, r.message, {r.ee, r.se, r.pending->psk}))
        return s.drop(DropReason::kHandshakeNotAuthentic);
    Session** place = peer.free_session_place();
    if (place == nullptr)
        return s.drop(DropReason::kSessionTableFull);

    // Success: the pending initiation's slot becomes a session.
    Session& session = *r.pending->session;
    noise::split(symmetric, session.send_key, session.receive_key);
    session.remote_index = r.message.sender_index.get();
    session.is_initiator = session.is_confirmed = true;
    session.birth_ns = now.monotonic_ns;
    s.sessions.publish(&session, r.pending->index);
    *place = &session;
    peer.pending.reset();
    peer.newest_session_ns = now.monotonic_ns;
    peer.endpoint = r.from->source;
    s.complete(peer, now);
    s.actions.install_session(&session, peer.endpoint);
    s.note_persistent(peer);
    s.reschedule(peer, now.monotonic_ns);
}

void HandshakeEngine::State::Incoming::identify_initiators()
{
    keep_if_faultless(initiations, [&](Initiation& i) {
        if (!i.is_es_valid)
            return DropReason::kHandshakeLowOrder;
        i.symmetric = noise::start(s.static_public);
        if (!noise::read_static(i.symmetric, i.message, i.es, i.initiator_static))
            return DropReason::kHandshakeNotAuthentic;
        if (i.initiator_static == s.static_public)
            return DropReason::kHandshakeUnknownPeer;
        i.peer = s.peers.find(i.initiator_static);
        return i.peer == nullptr ? DropReason::kHandshakeUnknownPeer : DropReason::kNone;
    });

    std::vector<Peer*> initiators;
    initiators.reserve(initiations.size());
    for (const Initiation& i : initiations) initiators.push_back(i.peer);
    s.ensure_static_secrets(initiators);

    keep_if_faultless(initiations, [&](Initiation& i) { return initiator_fault(i); });
}

DropReason HandshakeEngine::State::Incoming::initiator_fault(Initiation& i)
{
    Peer& peer = *i.peer;
    if (peer.is_refused)
        return DropReason::kHandshakeLowOrder;
    if (peer.lacks_psk())
        return DropReason::kHandshakePskMissing;
    Timestamp timestamp;
    if (!noise::read_timestamp(i.symmetric, i.message, peer.ss, timestamp))
        return DropReason::kHandshakeNotAuthentic;
    if (timestamp <= peer.greatest_timestamp)
        return DropReason::kHandshakeReplayed;
    if (peer.accepted_ns != 0 &&
        now.monotonic_ns - peer.accepted_ns < kSecond / kInitiationsPerSecond)
        return DropReason::kHandshakeFlooded;

    // Success.
    peer.greatest_timestamp = timestamp;
    peer.accepted_ns = now.monotonic_ns;
    return DropReason::kNone;
}

void HandshakeEngine::State::Incoming::answer_initiations()
{
    keep_if_faultless(initiations, [&](Initiation& i) {
        if (i.peer->free_session_place() != nullptr)
            i.session = s.sessions.allocate(s.owner_of(*i.peer, i.from->worker), i.index);
        if (i.session == nullptr)
            return DropReason::kSessionTableFull;
        i.own_ephemeral = s.random_ephemeral();
        return DropReason::kNone;
    });

    DhBatch batch;
    for (Initiation& i : initiations) {
        batch.add(i.own_ephemeral, i.ephemeral, i.ee, i.is_ee_valid);
        batch.add(i.own_ephemeral, i.peer->public_key, i.se, i.is_se_valid);
    }
    batch.run();

    for (Initiation& i : initiations) answer(i);
}

void HandshakeEngine::State::Incoming::answer(Initiation& i)
{
    Peer& peer = *i.peer;
    if (!i.is_ee_valid || !i.is_se_valid) {  // cannot be, since es and ss were valid
        s.sessions.release(i.session);
        return s.drop(DropReason::kHandshakeLowOrder);
    }
    ResponseMessage message{};
    message.type.set(kResponse);
    message.sender_index.set(i.index);
    message.receiver_index = i.message.sender_index;
    noise::write_response(i.symmetric, message, crypto::public_key_of(i.own_ephemeral),
                          {i.ee, i.se, peer.has_psk ? peer.psk : s.no_psk});
    peer.cookies.write_macs(bytes_of(message), peer.public_key, now.monotonic_ns);

    Session& session = *i.session;
    noise::split(i.symmetric, session.receive_key, session.send_key);
    session.identity = peer.identity;
    session.remote_index = i.message.sender_index.get();
    session.is_initiator = session.is_confirmed = false;
    session.birth_ns = now.monotonic_ns;
    s.sessions.publish(&session, i.index);
    *peer.free_session_place() = &session;
    peer.newest_session_ns = peer.handshake_sent_ns = peer.settled_ns = now.monotonic_ns;
    // A peer that was never heard of gets an endpoint; where there is one, only authentic data
    // moves it.
    if (!peer.endpoint.is_known())
        peer.endpoint = i.from->source;
    // A handshake of our own waits, to see whether the peer completes this one.
    if (peer.initiate_at_ns != 0)
        peer.initiate_at_ns = std::max(peer.initiate_at_ns, now.monotonic_ns + kRekeyTimeout);
    peer.retry_at_ns = std::max(peer.retry_at_ns, now.monotonic_ns + kRekeyTimeout);
    s.actions.install_session(&session, i.from->source);
    s.actions.send_datagram(i.from->worker, i.from->source, bytes_of(message));
    api::add(s.counters.handshakes_answered, 1);
    s.note_persistent(peer);
    s.reschedule(peer, now.monotonic_ns);
}

}  // namespace sandgate::wg
