// The messages of the WireGuard protocol as they lie on the wire, and every constant of the
// protocol: the file that all others agree with. Source: the WireGuard paper, sections 5.4
// (messages) and 6.1 (limits), and messages.h of the Linux implementation where the paper leaves a
// choice.
//
// All structs are byte arrays, so they may be laid over any address; integers are little-endian.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sandgate::wg {

// A little-endian integer inside a message.
template <typename T>
struct LittleEndian
{
    uint8_t bytes[sizeof(T)];

    constexpr T get() const
    {
        T value = 0;
        for (size_t i = 0; i < sizeof(T); i++) value |= static_cast<T>(bytes[i]) << (8 * i);
        return value;
    }
    constexpr void set(T value)
    {
        for (size_t i = 0; i < sizeof(T); i++) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
    }
};
using Le32 = LittleEndian<uint32_t>;
using Le64 = LittleEndian<uint64_t>;

// The first byte of a message; the three reserved bytes behind it are zero, so the four are one
// Le32.
enum MessageType : uint32_t
{
    kInitiation = 1,
    kResponse = 2,
    kCookieReply = 3,
    kData = 4,
};

constexpr size_t kMacBytes = 16;
constexpr size_t kTimestampBytes = 12;
constexpr size_t kAuthTagBytes = 16;
constexpr size_t kPublicKeyBytes = 32;
constexpr size_t kCookieBytes = 16;
constexpr size_t kCookieNonceBytes = 24;

struct InitiationMessage
{
    Le32 type;
    Le32 sender_index;
    uint8_t ephemeral[kPublicKeyBytes];
    uint8_t encrypted_static[kPublicKeyBytes + kAuthTagBytes];
    uint8_t encrypted_timestamp[kTimestampBytes + kAuthTagBytes];
    uint8_t mac1[kMacBytes];
    uint8_t mac2[kMacBytes];
};

struct ResponseMessage
{
    Le32 type;
    Le32 sender_index;
    Le32 receiver_index;
    uint8_t ephemeral[kPublicKeyBytes];
    uint8_t encrypted_nothing[kAuthTagBytes];
    uint8_t mac1[kMacBytes];
    uint8_t mac2[kMacBytes];
};

struct CookieReplyMessage
{
    Le32 type;
    Le32 receiver_index;
    uint8_t nonce[kCookieNonceBytes];
    uint8_t encrypted_cookie[kCookieBytes + kAuthTagBytes];
};

// Followed by the encrypted packet and its tag.
struct DataHeader
{
    Le32 type;
    Le32 receiver_index;
    Le64 counter;
};

static_assert(sizeof(InitiationMessage) == 148 && alignof(InitiationMessage) == 1);
static_assert(sizeof(ResponseMessage) == 92 && sizeof(CookieReplyMessage) == 64 &&
              sizeof(DataHeader) == 16);

constexpr size_t kMinDataBytes =
    sizeof(DataHeader) + kAuthTagBytes;  // an empty packet: a keepalive
constexpr size_t kPaddingMultiple = 16;

// What a tunnel adds to an inner packet, without padding: outer IP, UDP, header and tag.
constexpr size_t kOverheadV4 = 20 + 8 + sizeof(DataHeader) + kAuthTagBytes;
constexpr size_t kOverheadV6 = 40 + 8 + sizeof(DataHeader) + kAuthTagBytes;

// True when a datagram of the tunnel port has a type of this protocol and a length that this type
// may have.
constexpr bool is_well_formed(const uint8_t* bytes, size_t length)
{
    if (length < 4 || bytes[1] != 0 || bytes[2] != 0 || bytes[3] != 0)
        return false;
    switch (bytes[0]) {
        case kInitiation:
            return length == sizeof(InitiationMessage);
        case kResponse:
            return length == sizeof(ResponseMessage);
        case kCookieReply:
            return length == sizeof(CookieReplyMessage);
        case kData:
            return length >= kMinDataBytes;
        default:
            return false;
    }
}

constexpr uint64_t kSecond = 1'000'000'000;  // in nanoseconds, as all times below

constexpr uint64_t kRekeyAfterMessages = uint64_t{1} << 60;
constexpr uint64_t kRejectAfterMessages =
    UINT64_MAX - 8192;  // 2^64 - 8192 - 1: no counter at or above it
constexpr uint64_t kRekeyAfterTime = 120 * kSecond;
constexpr uint64_t kRejectAfterTime = 180 * kSecond;
constexpr uint64_t kRekeyTimeout = 5 * kSecond;
constexpr uint64_t kRekeyTimeoutJitter = kSecond / 3;  // added to kRekeyTimeout, at most
constexpr uint64_t kRekeyAttemptTime = 90 * kSecond;
constexpr uint64_t kKeepaliveTimeout = 10 * kSecond;
constexpr uint64_t kNewHandshakeTimeout = kKeepaliveTimeout + kRekeyTimeout;
// An initiator that still receives data at this age asks for a new session before the old one ends.
constexpr uint64_t kRekeyOnReceiveTime = kRejectAfterTime - kKeepaliveTimeout - kRekeyTimeout;
constexpr uint64_t kWipeKeysTime = 3 * kRejectAfterTime;
constexpr uint64_t kCookieSecretMaxAge = 120 * kSecond;
constexpr uint64_t kCookieLatency = 5 * kSecond;
constexpr uint64_t kCookieMaxAge =
    kCookieSecretMaxAge - kCookieLatency;       // for using a cookie: 115 s
constexpr uint64_t kInitiationsPerSecond = 50;  // accepted of one peer
constexpr size_t kMaxStagedPackets = 128;       // of one peer, as in Linux

constexpr uint8_t kHandshakeTrafficClass = 0x88;  // AF41, ECN not capable

}  // namespace sandgate::wg
