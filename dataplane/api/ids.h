// The small types that control and dataplane share. Plain data, no pointers.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>

namespace sandgate::api {

// Names one agent for ever: assigned by control's id map, never reused. 0 means "no agent".
using IdentityId = uint32_t;
constexpr IdentityId kNoIdentity = 0;
constexpr IdentityId kMaxIdentity = (1u << 24) - 1;

// Names one grant (or hard rule) for ever. 0 means "no rule matched".
using RuleId = uint32_t;
constexpr RuleId kNoRule = 0;

using Epoch = uint64_t;

// An IP address in one form: IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2).
struct Address
{
    std::array<uint8_t, 16> bytes{};

    static Address v4(const uint8_t* four)
    {
        uint32_t word;
        std::memcpy(&word, four, 4);
        // One write of 16 bytes: read back as a whole after smaller writes, it would have to wait.
        using Words = long long __attribute__((vector_size(16)));
        const Words words = {0, static_cast<long long>(uint64_t{word} << 32 | 0xffff0000)};
        Address a;
        std::memcpy(a.bytes.data(), &words, 16);
        return a;
    }
    static Address v6(const uint8_t* sixteen)
    {
        Address a;
        std::memcpy(a.bytes.data(), sixteen, 16);
        return a;
    }
    bool is_v4() const { return word(0) == 0 && static_cast<uint32_t>(word(8)) == 0xffff0000; }
    const uint8_t* v4_bytes() const { return &bytes[12]; }
    bool is_zero() const { return *this == Address{}; }
    std::strong_ordering operator<=>(const Address&) const = default;
    // By words: the packet path asks this many times for each packet, and a call of memcmp costs
    // more than the answer.
    bool operator==(const Address& other) const
    {
        return ((word(0) ^ other.word(0)) | (word(8) ^ other.word(8))) == 0;
    }

  private:
    uint64_t word(unsigned at) const
    {
        uint64_t value;
        std::memcpy(&value, bytes.data() + at, 8);
        return value;
    }
};

// Where a WireGuard peer is reached from outside. port is in host order; an all-zero address means
// "unknown".
struct Endpoint
{
    Address address;
    uint16_t port = 0;
    uint16_t zero_ = 0;

    bool is_known() const { return port != 0; }
    bool operator==(const Endpoint&) const = default;
};

static_assert(sizeof(Address) == 16 && sizeof(Endpoint) == 20);

}  // namespace sandgate::api
