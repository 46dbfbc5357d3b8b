// Two gateways joined in memory under a fake clock: for each a HandshakeEngine, its SessionTable
// and a model of the workers that own the agents, with the rules that the packet path follows:
// previous, current and next session, next promoted by the first authentic data packet, activity
// noted, packets staged. Everything is deterministic. A test loses, changes or keeps datagrams with
// `on_wire`.
#pragma once

#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "crypto/aead.h"
#include "crypto/self_test.h"
#include "dataplane/wireguard/data.h"
#include "dataplane/wireguard/handshake_engine.h"

namespace sandgate::test {

using namespace sandgate::wg;
using api::DropReason;
using Packet = std::vector<uint8_t>;

struct Datagram
{
    Endpoint from;
    Endpoint to;
    Packet bytes;

    uint8_t type() const { return bytes.at(0); }
    template <typename Message>
    Message& as()
    {
        return *reinterpret_cast<Message*>(bytes.data());
    }
};

inline Endpoint endpoint_v4(uint8_t last, uint16_t port)
{
    const uint8_t four[4] = {192, 0, 2, last};
    return {Address::v4(four), port, 0};
}

inline Endpoint endpoint_v6(uint8_t last, uint16_t port, uint8_t subnet = 0)
{
    const uint8_t sixteen[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, subnet,
                                 0,    0,    0,    0,    0, 0, 0, last};
    return {Address::v6(sixteen), port, 0};
}

inline crypto::PrivateKey private_key(uint64_t seed)
{
    std::mt19937_64 random(seed);
    crypto::PrivateKey key;
    for (uint8_t& byte : key.span()) byte = static_cast<uint8_t>(random());
    crypto::clamp(key);
    return key;
}

// What the owning worker keeps of one agent.
struct Tunnel
{
    Session* previous = nullptr;
    Session* current = nullptr;
    Session* next = nullptr;
    Endpoint endpoint;
    WorkerId owner = kNoWorker;
    std::deque<Packet> staged;
    Activity activity;

    std::vector<Packet> received;  // inner packets, padding included; keepalives are counted only
    unsigned keepalives_received = 0;
    unsigned keepalives_sent = 0;
    unsigned sent = 0;
    unsigned staged_dropped = 0;
};

class Gateway final : public HandshakeActions
{
  public:
    static constexpr uint32_t kTunnelMtu = 1420;

    Gateway(uint64_t seed, const Endpoint& address_, std::deque<Datagram>& wire, const Time& clock,
            unsigned workers = 1, size_t slots = 4096)
        : address(address_),
          key(private_key(seed)),
          public_key(crypto::public_key_of(key)),
          random_(seed * 77 + 1),
          table(slots, random_key()),
          wire_(wire),
          clock_(clock)
    {
        EngineLimits limits;
        limits.workers = workers;
        limits.max_peers = 1024;
        engine = std::make_unique<HandshakeEngine>(
            table, *this, counters, [this](std::span<uint8_t> out) { fill(out); }, limits);
        engine->set_static_key(key, clock_);
    }

    // -- configuration and traffic, as a test uses it

    PeerConfig& add_peer(IdentityId identity, const crypto::PublicKey& peer_key,
                         const Endpoint& endpoint = {}, uint16_t keepalive_seconds = 0,
                         bool needs_psk = false)
    {
        configs_[identity] = {identity, peer_key, keepalive_seconds, needs_psk,
                              &tunnel(identity).activity};
        // An endpoint before the peer: known as a policy would know it, without the start of a
        // restart.
        engine->upsert_peer(configs_[identity], clock_);
        if (endpoint.is_known())
            engine->on_event({PeerEvent::Kind::kEndpointChanged, identity, nullptr, endpoint},
                             clock_);
        return configs_[identity];
    }
    Tunnel& tunnel(IdentityId identity)
    {
        std::unique_ptr<Tunnel>& place = tunnels_[identity];
        if (!place)
            place = std::make_unique<Tunnel>();
        return *place;
    }
    uint64_t drops(DropReason reason) const
    {
        return counters.drops[static_cast<unsigned>(reason)].load();
    }
    uint64_t all_drops() const
    {
        uint64_t sum = 0;
        for (const api::Counter& counter : counters.drops) sum += counter.load();
        return sum;
    }

    // Sends an inner packet, or stages it and asks for a session. An empty one is a keepalive.
    void send(IdentityId identity, const Packet& inner)
    {
        Tunnel& t = tunnel(identity);
        if (t.current != nullptr && can_send(*t.current, clock_.monotonic_ns)) {
            seal(t, identity, inner);
            return;
        }
        if (t.staged.size() == kMaxStagedPackets) {
            t.staged.pop_front();
            t.staged_dropped++;
        }
        t.staged.push_back(inner);
        event(PeerEvent::Kind::kNeedSession, identity);
    }

    // One datagram from the wire; returns why it was dropped.
    void receive(Datagram& datagram, WorkerId worker = 0)
    {
        if (!is_well_formed(datagram.bytes.data(), datagram.bytes.size()))
            return note_drop(DropReason::kMessageMalformed);
        if (datagram.type() == kData)
            return open(datagram);
        const IncomingMessage message{datagram.bytes, datagram.from, worker};
        engine->on_messages({&message, 1}, clock_);
    }

    // Tells the engine what the workers noted; true when there was anything.
    bool run_events()
    {
        bool any = false;
        while (!events_.empty()) {
            const PeerEvent next = events_.front();
            events_.pop_front();
            engine->on_event(next, clock_);
            any = true;
        }
        for (Session* session : retired_) table.release(session);
        retired_.clear();
        return any;
    }

    void event(PeerEvent::Kind kind, IdentityId identity, Session* session = nullptr,
               const Endpoint& endpoint = {})
    {
        events_.push_back({kind, identity, session, endpoint});
    }

    void fill(std::span<uint8_t> out)
    {
        for (uint8_t& byte : out) byte = static_cast<uint8_t>(random_());
    }

    // -- HandshakeActions

    void send_datagram(WorkerId via, const Endpoint& to, std::span<const uint8_t> bytes) override
    {
        last_via = via;
        wire_.push_back({address, to, Packet(bytes.begin(), bytes.end())});
    }
    void assign_owner(IdentityId identity, WorkerId owner) override
    {
        tunnel(identity).owner = owner;
        owners_assigned++;
    }
    void install_session(Session* session, const Endpoint& source) override
    {
        const IdentityId identity = session->identity;
        Tunnel& t = tunnel(identity);
        t.activity.unanswered_since_ns = 0;  // a handshake is an authentic packet
        t.activity.last_traversal_ns = clock_.monotonic_ns;
        if (!session->is_initiator) {
            drop_session(t.next, identity);
            drop_session(t.previous, identity);
            t.next = session;
            return;
        }
        drop_session(t.previous, identity);
        if (t.next != nullptr) {
            t.previous = t.next;
            t.next = nullptr;
            drop_session(t.current, identity);
        } else {
            t.previous = t.current;
        }
        t.current = session;
        t.endpoint = source;
        if (!flush_staged(t, identity))
            seal(t, identity, {});
    }
    void request_keepalive(IdentityId identity) override
    {
        keepalives_requested++;
        Tunnel& t = tunnel(identity);
        if (t.current != nullptr && can_send(*t.current, clock_.monotonic_ns))
            seal(t, identity, {});
    }
    void forget_sessions(IdentityId identity) override
    {
        Tunnel& t = tunnel(identity);
        drop_session(t.previous, identity);
        drop_session(t.current, identity);
        drop_session(t.next, identity);
    }
    void drop_staged(IdentityId identity) override
    {
        Tunnel& t = tunnel(identity);
        t.staged_dropped += static_cast<unsigned>(t.staged.size());
        t.staged.clear();
        handshakes_given_up++;
    }
    void retire_session(Session* session) override
    {
        EXPECT_EQ(session->index.load(), 0u) << "a retired session can still be found";
        retired_.push_back(session);
    }
    void note_persistent(IdentityId identity, const Timestamp& greatest,
                         const Endpoint& endpoint) override
    {
        notes[identity] = {greatest, endpoint};
    }

    Endpoint address;
    crypto::PrivateKey key;
    crypto::PublicKey public_key;
    api::CounterBlock counters{};

  private:
    std::mt19937_64 random_;
    std::array<uint8_t, 16> random_key()
    {
        std::array<uint8_t, 16> out;
        fill(out);
        return out;
    }

  public:
    SessionTable table;
    std::unique_ptr<HandshakeEngine> engine;
    std::map<IdentityId, std::pair<Timestamp, Endpoint>> notes;
    unsigned owners_assigned = 0;
    unsigned keepalives_requested = 0;
    unsigned handshakes_given_up = 0;
    WorkerId last_via = kNoWorker;

  private:
    void note_drop(DropReason reason)
    {
        api::add(counters.drops[static_cast<unsigned>(reason)], 1);
    }

    void drop_session(Session*& place, IdentityId identity)
    {
        if (place != nullptr)
            event(PeerEvent::Kind::kSessionUnused, identity, place);
        place = nullptr;
    }

    bool flush_staged(Tunnel& t, IdentityId identity)
    {
        const bool any = !t.staged.empty();
        for (; !t.staged.empty(); t.staged.pop_front()) seal(t, identity, t.staged.front());
        return any;
    }

    void seal(Tunnel& t, IdentityId identity, const Packet& inner)
    {
        Session& session = *t.current;
        uint64_t counter;
        if (take_counters(session, 1, counter) == 0)
            return note_drop(DropReason::kSessionExpired);
        const uint32_t text_bytes = padded_bytes(static_cast<uint32_t>(inner.size()), kTunnelMtu);
        Packet bytes(sizeof(DataHeader) + text_bytes + kAuthTagBytes);
        auto& header = *reinterpret_cast<DataHeader*>(bytes.data());
        header.type.set(kData);
        header.receiver_index.set(session.remote_index);
        header.counter.set(counter);
        std::copy(inner.begin(), inner.end(), bytes.begin() + sizeof(DataHeader));
        crypto::AeadJob job{session.send_key.data(), counter, bytes.data() + sizeof(DataHeader),
                            text_bytes, false};
        crypto::seal_batch({&job, 1});
        wire_.push_back({address, t.endpoint, std::move(bytes)});

        const uint64_t now = clock_.monotonic_ns;
        t.activity.last_traversal_ns = now;
        t.activity.unacknowledged_since_ns = 0;
        t.sent++;
        if (inner.empty())
            t.keepalives_sent++;
        else if (t.activity.unanswered_since_ns == 0)
            t.activity.unanswered_since_ns = now;
        if (needs_rekey_on_send(session, now))
            event(PeerEvent::Kind::kRekeyDue, identity);
    }

    void open(Datagram& datagram)
    {
        const auto header = datagram.as<DataHeader>();
        const uint64_t now = clock_.monotonic_ns, counter = header.counter.get();
        Session* session = table.find(header.receiver_index.get());
        if (session == nullptr)
            return note_drop(DropReason::kUnknownIndex);
        if (is_expired(*session, now))
            return note_drop(DropReason::kSessionExpired);
        if (session->replay.is_stale(counter))
            return note_drop(DropReason::kCounterStale);
        Packet text(datagram.bytes.begin() + sizeof(DataHeader), datagram.bytes.end());
        crypto::AeadJob job{session->receive_key.data(), counter, text.data(),
                            static_cast<uint32_t>(text.size() - kAuthTagBytes), false};
        crypto::open_batch({&job, 1});
        if (!job.is_authentic)
            return note_drop(DropReason::kTagMismatch);
        // From here on the packet is authentic; nothing above has changed anything.
        if (!session->replay.accept(counter))
            return note_drop(DropReason::kReplayed);

        const IdentityId identity = session->identity;
        Tunnel& t = tunnel(identity);
        if (session == t.next) {
            drop_session(t.previous, identity);
            t.previous = t.current;
            t.current = session;
            t.next = nullptr;
            session->is_confirmed = true;
            t.endpoint = datagram.from;
            event(PeerEvent::Kind::kConfirmed, identity, session, datagram.from);
            flush_staged(t, identity);
        } else if (!(t.endpoint == datagram.from)) {
            t.endpoint = datagram.from;
            event(PeerEvent::Kind::kEndpointChanged, identity, session, datagram.from);
        }
        t.activity.unanswered_since_ns = 0;
        t.activity.last_traversal_ns = now;
        text.resize(text.size() - kAuthTagBytes);
        if (text.empty()) {
            t.keepalives_received++;
        } else {
            t.received.push_back(text);
            if (t.activity.unacknowledged_since_ns == 0)
                t.activity.unacknowledged_since_ns = now;
        }
        if (needs_rekey_on_receive(*session, now))
            event(PeerEvent::Kind::kRekeyDue, identity);
    }

    std::map<IdentityId, std::unique_ptr<Tunnel>> tunnels_;
    std::map<IdentityId, PeerConfig> configs_;
    std::deque<PeerEvent> events_;
    std::vector<Session*> retired_;
    std::deque<Datagram>& wire_;
    const Time& clock_;
};

// The two gateways, each a peer of the other under identity 7, and the wire between them.
class JoinedGateways
{
  public:
    static constexpr IdentityId kPeer = 7;
    static constexpr uint64_t kStartNs = 1'000 * kSecond;

    explicit JoinedGateways(bool is_v6 = false, unsigned workers = 1)
        : a(1, is_v6 ? endpoint_v6(1, 51820) : endpoint_v4(1, 51820), wire, now, workers),
          b(2, is_v6 ? endpoint_v6(2, 51821) : endpoint_v4(2, 51821), wire, now, workers)
    {
    }

    // a knows where b is; b learns of a from its first handshake.
    void introduce(const crypto::Key* psk = nullptr)
    {
        a.add_peer(kPeer, b.public_key, b.address, 0, psk != nullptr);
        b.add_peer(kPeer, a.public_key, {}, 0, psk != nullptr);
        if (psk != nullptr) {
            a.engine->set_psk(kPeer, *psk);
            b.engine->set_psk(kPeer, *psk);
        }
    }

    // Whether a datagram arrives; may also change it.
    std::function<bool(Datagram&)> on_wire = [](Datagram&) { return true; };

    // Delivers until nothing moves any more; no time passes.
    void settle()
    {
        for (unsigned rounds = 0; rounds < 10'000; rounds++) {
            bool any = a.run_events();
            any |= b.run_events();
            if (!wire.empty()) {
                Datagram datagram = std::move(wire.front());
                wire.pop_front();
                log.push_back(datagram);
                if (on_wire(datagram))
                    deliver(datagram);
                any = true;
            }
            if (!any)
                return;
        }
        ADD_FAILURE() << "the gateways never fall silent";
    }
    void deliver(Datagram& datagram)
    {
        if (datagram.to == a.address)
            a.receive(datagram);
        else if (datagram.to == b.address)
            b.receive(datagram);
    }

    // Lets time pass, with every timer at its instant.
    void advance(uint64_t duration_ns)
    {
        const uint64_t target = now.monotonic_ns + duration_ns;
        for (unsigned steps = 0; steps < 100'000; steps++) {
            settle();
            const uint64_t due = std::min(a.engine->on_timers(now), b.engine->on_timers(now));
            settle();
            if (due <= now.monotonic_ns)
                continue;
            if (now.monotonic_ns == target)
                return;
            set_time(std::min(due, target));
        }
        ADD_FAILURE() << "a timer is due again and again";
    }
    void set_time(uint64_t monotonic_ns)
    {
        now.unix_ns += monotonic_ns - now.monotonic_ns;
        now.monotonic_ns = monotonic_ns;
    }

    // a begins, with one packet that waits for the handshake.
    void handshake()
    {
        a.send(kPeer, Packet(20, 0x45));
        settle();
    }
    // The datagrams of a type that were sent so far.
    unsigned sent_count(uint8_t type, const Gateway* by = nullptr) const
    {
        unsigned count = 0;
        for (const Datagram& datagram : log)
            count += datagram.type() == type && (by == nullptr || datagram.from == by->address);
        return count;
    }
    Datagram& last_sent(uint8_t type)
    {
        for (size_t i = log.size(); i-- > 0;)
            if (log[i].type() == type)
                return log[i];
        throw std::logic_error("no datagram of type " + std::to_string(type) + " was sent");
    }

    Tunnel& ta() { return a.tunnel(kPeer); }
    Tunnel& tb() { return b.tunnel(kPeer); }

    std::string crypto_fault = start_crypto();
    Time now{kStartNs, 1'700'000'000 * kSecond};
    std::deque<Datagram> wire;
    std::vector<Datagram> log;
    Gateway a, b;

  private:
    static std::string start_crypto()
    {
        static const std::string fault = crypto::start();
        return fault;
    }
};

}  // namespace sandgate::test
