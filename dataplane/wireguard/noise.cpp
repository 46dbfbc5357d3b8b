// See noise.h. Each block is headed by its Noise token; read it beside section 5.4 of the paper.
#include "dataplane/wireguard/noise.h"

#include <string_view>

#include "crypto/xaead.h"

namespace sandgate::wg::noise {

namespace {

constexpr std::string_view kConstruction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
constexpr std::string_view kIdentifier = "WireGuard v1 zx2c4 Jason@zx2c4.com";

Bytes bytes_of(std::string_view text)
{
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// The e token of either message.
void mix_ephemeral(Symmetric& state, Bytes ephemeral)
{
    state.mix_hash(ephemeral);
    state.mix_key(ephemeral);
}

}  // namespace

Symmetric Symmetric::clone() const
{
    Symmetric copy;
    copy.chaining_key = chaining_key.clone();
    copy.hash = hash;
    return copy;
}

void Symmetric::mix_hash(Bytes input) { hash = crypto::hash(hash, input); }

void Symmetric::mix_key(Bytes input) { crypto::kdf1(chaining_key, chaining_key.span(), input); }

void Symmetric::mix_key(Key& key, Bytes input)
{
    crypto::kdf2(chaining_key, key, chaining_key.span(), input);
}

void Symmetric::mix_psk(Key& key, const Key& psk)
{
    Key tau;
    crypto::kdf3(chaining_key, tau, key, chaining_key.span(), psk.span());
    mix_hash(tau.span());
}

Symmetric start(const PublicKey& responder_static)
{
    static const Hash kInitialChainingKey = crypto::hash(bytes_of(kConstruction));
    static const Hash kInitialHash = crypto::hash(kInitialChainingKey, bytes_of(kIdentifier));
    Symmetric state;
    state.chaining_key.assign(kInitialChainingKey);
    state.hash = kInitialHash;
    state.mix_hash(responder_static);
    return state;
}

void write_initiation(Symmetric& state, InitiationMessage& message, const InitiationInputs& in)
{
    Key key;
    // e
    std::memcpy(message.ephemeral, in.ephemeral.data(), in.ephemeral.size());
    mix_ephemeral(state, message.ephemeral);
    // es
    state.mix_key(key, in.es.span());
    // s
    crypto::aead_seal(message.encrypted_static, key, 0, in.own_static, state.hash);
    state.mix_hash(message.encrypted_static);
    // ss
    state.mix_key(key, in.ss.span());
    // {t}
    crypto::aead_seal(message.encrypted_timestamp, key, 0, in.timestamp, state.hash);
    state.mix_hash(message.encrypted_timestamp);
}

bool read_static(Symmetric& state, const InitiationMessage& message, const SharedSecret& es,
                 PublicKey& initiator_static)
{
    Key key;
    // e
    mix_ephemeral(state, message.ephemeral);
    // es
    state.mix_key(key, es.span());
    // s
    if (!crypto::aead_open(initiator_static.data(), key, 0, message.encrypted_static, state.hash))
        return false;
    state.mix_hash(message.encrypted_static);
    return true;
}

bool read_timestamp(Symmetric& state, const InitiationMessage& message, const SharedSecret& ss,
                    Timestamp& timestamp)
{
    Key key;
    // ss
    state.mix_key(key, ss.span());
    // {t}
    if (!crypto::aead_open(timestamp.data(), key, 0, message.encrypted_timestamp, state.hash))
        return false;
    state.mix_hash(message.encrypted_timestamp);
    return true;
}

void write_response(Symmetric& state, ResponseMessage& message, const PublicKey& ephemeral,
                    const ResponseSecrets& in)
{
    Key key;
    // e
    std::memcpy(message.ephemeral, ephemeral.data(), ephemeral.size());
    mix_ephemeral(state, message.ephemeral);
    // ee
    state.mix_key(in.ee.span());
    // se
    state.mix_key(in.se.span());
    // psk
    state.mix_psk(key, in.psk);
    // {}
    crypto::aead_seal(message.encrypted_nothing, key, 0, {}, state.hash);
    state.mix_hash(message.encrypted_nothing);
}

bool read_response(Symmetric& state, const ResponseMessage& message, const ResponseSecrets& in)
{
    Key key;
    uint8_t nothing;
    // e
    mix_ephemeral(state, message.ephemeral);
    // ee
    state.mix_key(in.ee.span());
    // se
    state.mix_key(in.se.span());
    // psk
    state.mix_psk(key, in.psk);
    // {}
    if (!crypto::aead_open(&nothing, key, 0, message.encrypted_nothing, state.hash))
        return false;
    state.mix_hash(message.encrypted_nothing);
    return true;
}

void split(Symmetric& state, Key& initiator_to_responder, Key& responder_to_initiator)
{
    crypto::kdf2(initiator_to_responder, responder_to_initiator, state.chaining_key.span(), {});
    state.chaining_key.wipe();
    crypto::wipe(state.hash.data(), state.hash.size());
}

Timestamp next_timestamp(uint64_t unix_ns, const Timestamp& last)
{
    constexpr uint64_t kTai64Epoch = 0x400000000000000a;  // TAI was 10 s ahead in 1970
    constexpr uint64_t kWhitening = uint64_t{1} << 24;
    uint64_t seconds = kTai64Epoch + unix_ns / kSecond;
    uint64_t nanoseconds = unix_ns % kSecond & ~(kWhitening - 1);
    const auto encode = [&] {
        Timestamp out;
        for (unsigned i = 0; i < 8; i++) out[i] = static_cast<uint8_t>(seconds >> (56 - 8 * i));
        for (unsigned i = 0; i < 4; i++)
            out[8 + i] = static_cast<uint8_t>(nanoseconds >> (24 - 8 * i));
        return out;
    };
    const Timestamp now = encode();
    if (now > last)
        return now;
    seconds = nanoseconds = 0;
    for (unsigned i = 0; i < 8; i++) seconds = seconds << 8 | last[i];
    for (unsigned i = 8; i < 12; i++) nanoseconds = nanoseconds << 8 | last[i];
    nanoseconds += kWhitening;
    if (nanoseconds >= kSecond) {
        nanoseconds = 0;
        seconds++;
    }
    return encode();
}

}  // namespace sandgate::wg::noise
