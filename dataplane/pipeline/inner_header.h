// Reads the inner IP packet: what the stages from check_inner on know of it. Pure functions over
// bytes.
#pragma once

#include <cstring>

#include "dataplane/api/drop_reason.h"
#include "dataplane/pipeline/packet.h"

namespace sandgate::dp {

// In place of the port of who answers an echo; an identifier could be the same, and classify asks
// for the direction, too.
constexpr uint16_t kEchoAnswerPort = 0xffff;

// Fills the inner fields of a packet from the bytes at `data`, of which `available` may be read;
// trailing bytes behind the IP length (padding) are left out. Returns the fault, or kNone. With an
// ICMP error, protocol and ports are those of the quoted packet, turned into the direction of the
// error.
api::DropReason read_inner(Packet& packet, uint8_t* data, uint32_t available);

// The fault of an inner source or destination that may appear in no tunnel: multicast, unspecified,
// loopback, broadcast, link-local. (An IPv4 link-local destination is left to the hard rules.)
api::DropReason inner_address_fault(const Packet& packet);

// RFC 6040, decapsulation in normal mode: merges the outer ECN field into the inner header. kNone,
// or kEcnNotCapableMarked when the packet must be dropped.
api::DropReason merge_ecn(Packet& packet);

// The traffic class byte of the inner header.
uint8_t traffic_class_of(const uint8_t* inner);
uint8_t hop_limit_of(const uint8_t* inner);
// Decrements the hop limit and repairs the IPv4 checksum. The hop limit is greater than 0.
void decrement_hop_limit(uint8_t* inner);

// The first option of this kind and length in a TCP header that read_inner() accepted, or nullptr.
uint8_t* find_tcp_option(uint8_t* tcp, uint8_t kind, uint8_t bytes);

// Lowers the MSS option of a TCP SYN to what fits `mtu` bytes of IP packet (never raises it) and
// repairs the checksum.
void clamp_mss(Packet& packet, uint16_t mtu);

// The ones' complement sum that IP, ICMP, TCP and UDP use.
inline uint16_t fold_checksum(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(~sum);
}
// Of big-endian words. RFC 1071 section 2: the sum does not depend on byte order, so it is taken in
// the machine's and swapped at the end. Inline, so that a header of 20 bytes costs five additions.
inline uint64_t sum_of(const uint8_t* data, size_t bytes)
{
    const auto load = [](const uint8_t* at, auto word) {
        std::memcpy(&word, at, sizeof(word));
        return uint64_t{word};
    };
    uint64_t sum = 0;
    size_t i = 0;
    for (; i + 4 <= bytes; i += 4) sum += load(data + i, uint32_t{0});
    if ((bytes & 2) != 0) {
        sum += load(data + i, uint16_t{0});
        i += 2;
    }
    if ((bytes & 1) != 0)
        sum += data[i];
    const auto folded = static_cast<uint16_t>(~fold_checksum(sum));
    return static_cast<uint16_t>(folded << 8 | folded >> 8);
}
// Of an IPv4 header of `bytes` bytes, 20 nearly always.
inline bool has_right_checksum(const uint8_t* ip, uint32_t bytes)
{
    if (bytes == 20) [[likely]]
        return fold_checksum(sum_of(ip, 20)) == 0;
    return fold_checksum(sum_of(ip, bytes)) == 0;
}
// RFC 1624: the checksum after a 16-bit word (both in network order) has changed.
uint16_t updated_checksum(uint16_t checksum, uint16_t old_word, uint16_t new_word);

}  // namespace sandgate::dp
