// The Noise_IKpsk2 handshake of the WireGuard paper (section 5.4), as steps between Diffie-Hellman
// computations: the callers compute those, so that many handshakes can share a batch. Nothing here
// keeps state or asks for time or randomness; ephemeral keys and timestamps are arguments.
//
// A step that fails leaves its outputs meaningless and the caller drops the whole handshake: nobody
// commits anything before the last step has succeeded.
#pragma once

#include "crypto/kdf.h"
#include "crypto/x25519.h"
#include "dataplane/wireguard/inputs.h"
#include "dataplane/wireguard/messages.h"

namespace sandgate::wg::noise {

using crypto::Bytes;
using crypto::Hash;
using crypto::Key;
using crypto::PublicKey;
using SharedSecret = crypto::Secret<32>;

// The symmetric state: C and H of the paper. Wiped on destruction.
struct Symmetric
{
    Key chaining_key;
    Hash hash{};

    Symmetric() = default;
    Symmetric(Symmetric&&) = default;
    Symmetric& operator=(Symmetric&&) = default;
    ~Symmetric() { crypto::wipe(hash.data(), hash.size()); }

    Symmetric clone() const;
    void mix_hash(Bytes input);
    void mix_key(Bytes input);            // C := KDF_1(C, input)
    void mix_key(Key& key, Bytes input);  // (C, key) := KDF_2(C, input)
    void mix_psk(Key& key, const Key& psk);
};

// C and H before the first token: the construction, the identifier and the responder's static key.
Symmetric start(const PublicKey& responder_static);

// What the initiator puts into a first message; es = DH(ephemeral, responder static), ss =
// DH(static, static).
struct InitiationInputs
{
    const PublicKey& ephemeral;
    const PublicKey& own_static;
    const SharedSecret& es;
    const SharedSecret& ss;
    const Timestamp& timestamp;
};
// Fills ephemeral, encrypted_static and encrypted_timestamp.
void write_initiation(Symmetric& state, InitiationMessage& message, const InitiationInputs& in);

// The responder reads a first message in two steps, because it knows ss only once it knows who
// asks.
[[nodiscard]] bool read_static(Symmetric& state, const InitiationMessage& message,
                               const SharedSecret& es, PublicKey& initiator_static);
[[nodiscard]] bool read_timestamp(Symmetric& state, const InitiationMessage& message,
                                  const SharedSecret& ss, Timestamp& timestamp);

// ee = DH(ephemeral, ephemeral), se = DH(initiator static, responder ephemeral), psk zero when
// there is none.
struct ResponseSecrets
{
    const SharedSecret& ee;
    const SharedSecret& se;
    const Key& psk;
};
// Fills ephemeral and encrypted_nothing.
void write_response(Symmetric& state, ResponseMessage& message, const PublicKey& ephemeral,
                    const ResponseSecrets& in);
[[nodiscard]] bool read_response(Symmetric& state, const ResponseMessage& message,
                                 const ResponseSecrets& in);

// The transport keys (section 5.4.5); wipes the state.
void split(Symmetric& state, Key& initiator_to_responder, Key& responder_to_initiator);

// TAI64N of a time since 1970, rounded down to 2^24 ns so that it tells less about the clock than
// the protocol needs (50 per second), and always greater than `last`.
Timestamp next_timestamp(uint64_t unix_ns, const Timestamp& last);

}  // namespace sandgate::wg::noise
