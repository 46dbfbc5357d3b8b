// The messages of the dataplane's UNIX socket (SOCK_SEQPACKET, one message per packet, at most
// kMaxMessageBytes). The dataplane listens; it serves a client only when SO_PEERCRED names root or
// the user of
// --control-user. One connection at a time may send orders; a newer one replaces an older one.
//
// Every message starts with MessageHeader; `length` counts the bytes behind it. Unknown types,
// wrong lengths or out-of-range fields are answered with an Ack that carries the fault, and change
// nothing.
#pragma once

#include <cstdint>

#include "dataplane/api/ids.h"

namespace sandgate::api {

constexpr uint32_t kProtocolVersion = 1;
constexpr uint32_t kMaxMessageBytes = 60 * 1024;

enum class MessageType : uint32_t
{
    // control -> dataplane
    kHello = 1,      // HelloBody; answered with kWelcome and the counters' memfd as SCM_RIGHTS
    kStaticKey = 2,  // StaticKeyBody; answered with kAck
    kPsk = 3,        // PskBody[]; answered with kAck
    kSeed = 4,       // SeedBody[]: what control kept over a restart; answered with kAck
    kPushSnapshot =
        5,           // PushBody and a sealed memfd as SCM_RIGHTS; answered with kAck once in force
    kPushDelta = 6,  // PushBody and a sealed memfd as SCM_RIGHTS; answered with kAck once in force
    kGetPeers = 7,   // GetPeersBody; answered with kPeers
    kPing = 8,       // no body; answered with kAck
                     // dataplane -> control
    kWelcome = 64,   // WelcomeBody
    kAck = 65,       // AckBody
    kPeers = 66,     // PeersBody, then PeerStatus[]
    kHandshakeNote = 67,  // SeedBody[]: persist these; sent unasked, `request` is 0
};

struct MessageHeader
{
    MessageType type;
    uint32_t length;   // bytes behind this header
    uint32_t request;  // chosen by the asker, repeated in the answer
    uint32_t zero;
};

struct HelloBody
{
    uint32_t version;  // kProtocolVersion
    uint32_t zero;
};

struct WelcomeBody
{
    uint32_t version;
    uint32_t has_static_key;  // 0 or 1
    uint64_t boot_id;
    Epoch epoch;  // of the policy in force; 0: none, everything is refused
};

struct StaticKeyBody
{
    uint8_t private_key[32];
};

struct PskBody
{
    IdentityId identity;
    uint32_t is_present;  // 0 removes
    uint8_t psk[32];
};

// The greatest timestamp of an agent's initiations and its last confirmed endpoint.
struct SeedBody
{
    IdentityId identity;
    uint8_t timestamp[12];  // TAI64N; zero when unknown
    Endpoint endpoint;      // port 0 when unknown
};

struct PushBody
{
    uint64_t bytes;  // of the memfd's content
};

struct AckBody
{
    uint32_t is_error;
    uint32_t text_bytes;
    Epoch epoch;       // of the policy in force after the request
    uint64_t took_ns;  // from the request's arrival until it was in force
    char text[240];    // the fault as a sentence, not terminated
};

struct GetPeersBody
{
    IdentityId first;  // the answer starts at the first agent with identity >= first
    uint32_t limit;    // at most this many rows; 0 = as many as fit
};

struct PeersBody
{
    IdentityId next;  // where the next request should start; 0 when this was the last page
    uint32_t count;
};

struct PeerStatus
{
    IdentityId identity;
    uint32_t owner;  // worker; ~0 when no worker owns the agent yet
    uint64_t rx_bytes, tx_bytes, rx_packets,
        tx_packets;               // inner bytes plus WireGuard's, as `wg show` counts
    int64_t last_handshake_unix;  // seconds; 0 = never
    Endpoint endpoint;            // port 0 when unknown
    uint32_t has_session;         // 0 or 1
};

static_assert(sizeof(MessageHeader) == 16 && sizeof(SeedBody) == 36 && sizeof(PskBody) == 40);
static_assert(sizeof(AckBody) == 264 && sizeof(PeerStatus) == 72 && sizeof(WelcomeBody) == 24);

}  // namespace sandgate::api
