// HandshakeEngine on any handshake messages. Byte 0 says what happens next: a message (its type is
// chosen, its length made right, its mac1 and receiver index too if asked), an event, or time that
// passes. The engine has one peer that it has initiated to, so that responses and cookie replies
// have something to answer.
#include <random>

#include "dataplane/wireguard/cookie.h"
#include "dataplane/wireguard/handshake_engine.h"
#include "tests/support/joined_gateways.h"

using namespace sandgate;
using namespace sandgate::wg;

namespace {

class Actions final : public HandshakeActions
{
  public:
    explicit Actions(SessionTable& table) : table_(table) {}
    void send_datagram(WorkerId, const Endpoint&, std::span<const uint8_t> bytes) override
    {
        if (!is_well_formed(bytes.data(), bytes.size()))
            __builtin_trap();
        if (bytes[0] == kInitiation)
            std::memcpy(&last_index, bytes.data() + 4, 4);
    }
    void assign_owner(IdentityId, WorkerId) override {}
    void install_session(Session*, const Endpoint&) override {}
    void request_keepalive(IdentityId) override {}
    void forget_sessions(IdentityId) override {}
    void drop_staged(IdentityId) override {}
    void retire_session(Session* session) override { table_.release(session); }
    void note_persistent(IdentityId, const Timestamp&, const Endpoint&) override {}

    uint32_t last_index = 0;  // of our last initiation, as on the wire

  private:
    SessionTable& table_;
};

size_t bytes_of(uint8_t type)
{
    return type == kInitiation ? sizeof(InitiationMessage)
           : type == kResponse ? sizeof(ResponseMessage)
                               : sizeof(CookieReplyMessage);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static const std::string error = crypto::start();
    if (!error.empty())
        __builtin_trap();
    static const crypto::PrivateKey own = test::private_key(1);
    static const crypto::PublicKey own_public = crypto::public_key_of(own),
                                   peer_public = crypto::public_key_of(test::private_key(2));
    static constexpr uint8_t kTableKey[16] = {7};
    std::mt19937_64 random(3);
    SessionTable table(64, kTableKey);
    Actions actions(table);
    api::CounterBlock counters{};
    EngineLimits limits;
    limits.budget_ns_per_second = 50'000'000;  // under load soon, so that cookies are reached
    HandshakeEngine engine(
        table, actions, counters,
        [&](std::span<uint8_t> out) {
            for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
        },
        limits);
    Time now{1'000'000'000, 1'700'000'000'000'000'000};
    engine.set_static_key(own, now);
    Activity activity;
    engine.upsert_peer({1, peer_public, 25, false, &activity}, now);
    engine.on_event({PeerEvent::Kind::kEndpointChanged, 1, nullptr, test::endpoint_v4(2, 1000)},
                    now);
    engine.on_event({PeerEvent::Kind::kNeedSession, 1, nullptr, {}}, now);

    for (unsigned steps = 0; size > 0 && steps < 16; steps++) {
        const uint8_t choice = *data++;
        size--;
        if ((choice & 3) == 0) {
            const uint64_t step = uint64_t{choice} * choice * 50'000'000;
            now.monotonic_ns += step;
            now.unix_ns += step;
            engine.on_timers(now);
            engine.note_cost(choice * 1'000'000ull, now);
            continue;
        }
        const auto type = static_cast<uint8_t>(choice & 3);
        std::vector<uint8_t> message(bytes_of(type));
        const size_t taken = std::min(size, message.size() - 4);
        std::memcpy(message.data() + 4, data, taken);
        data += taken;
        size -= taken;
        message[0] = type;
        if ((choice & 4) != 0 && type != kInitiation)
            std::memcpy(&message[type == kResponse ? 8 : 4], &actions.last_index, 4);
        if ((choice & 8) == 0 && type != kCookieReply)
            CookieJar().write_macs(message, own_public, now.monotonic_ns);
        // A copy of its exact size, so that AddressSanitizer sees a read behind it.
        const auto exact = std::make_unique<uint8_t[]>(message.size());
        std::memcpy(exact.get(), message.data(), message.size());
        const IncomingMessage incoming[1] = {
            {{exact.get(), message.size()},
             test::endpoint_v4(static_cast<uint8_t>(choice >> 4), 1000),
             0}};
        engine.on_messages(incoming, now);
    }
    engine.on_timers(now);
    engine.remove_peer(1, now);
    return 0;
}
