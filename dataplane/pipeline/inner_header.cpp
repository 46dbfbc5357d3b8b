// Parsing of the inner packet: bounded, without loops over more than kMostExtensions headers.
#include "dataplane/pipeline/inner_header.h"

#include <rte_byteorder.h>

#include "dataplane/flow/tcp_state.h"
#include "dataplane/policy/rule_match.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

constexpr unsigned kMostExtensions = 4;
constexpr uint8_t kIcmp = 1, kTcp = 6, kIcmp6 = 58;

uint16_t read16(const uint8_t* p) { return static_cast<uint16_t>(p[0] << 8 | p[1]); }
void write16(uint8_t* p, uint16_t value)
{
    p[0] = static_cast<uint8_t>(value >> 8);
    p[1] = static_cast<uint8_t>(value);
}

// What the two IP versions have in common once their headers are read.
struct IpFields
{
    Address source, destination;
    uint32_t header_bytes = 0;  // up to the transport header
    uint32_t total_bytes = 0;
    uint8_t protocol = 0;
    bool is_fragment = false;  // any fragment but the only one
};

DropReason read_ipv4(IpFields& ip, const uint8_t* data, uint32_t available, bool is_quoted)
{
    if (available < 20)
        return DropReason::kInnerMalformed;
    const uint32_t header = (data[0] & 0x0f) * 4u;
    ip.total_bytes = read16(data + 2);
    if (header < 20 || header > available || ip.total_bytes < header)
        return DropReason::kInnerMalformed;
    if (!is_quoted && ip.total_bytes > available)
        return DropReason::kInnerMalformed;
    if (!is_quoted && !has_right_checksum(data, header))
        return DropReason::kInnerMalformed;
    if (header != 20)
        return DropReason::kInnerOptions;
    ip.is_fragment = (read16(data + 6) & 0x3fff) != 0;
    ip.protocol = data[9];
    ip.header_bytes = header;
    ip.source = Address::v4(data + 12);
    ip.destination = Address::v4(data + 16);
    return DropReason::kNone;
}

DropReason read_ipv6(IpFields& ip, const uint8_t* data, uint32_t available, bool is_quoted)
{
    if (available < 40)
        return DropReason::kInnerMalformed;
    ip.total_bytes = 40u + read16(data + 4);
    if (!is_quoted && ip.total_bytes > available)
        return DropReason::kInnerMalformed;
    ip.source = Address::v6(data + 8);
    ip.destination = Address::v6(data + 24);
    // RFC 4291 section 2.5.5.2: mapped addresses do not appear on the wire; here they would pass
    // for IPv4.
    if (ip.source.is_v4() || ip.destination.is_v4())
        return DropReason::kInnerBadAddress;
    const uint32_t end = std::min(ip.total_bytes, available);
    uint8_t next = data[6];
    uint32_t at = 40;
    for (unsigned i = 0; i <= kMostExtensions; i++) {
        if (next == 44) {  // RFC 8200 section 4.5
            ip.is_fragment = true;
            return DropReason::kNone;
        }
        if (next == 43 || next == 51 || next == 135 || next == 139 || next == 140)
            return DropReason::kInnerOptions;  // routing (RFC 5095), AH, mobility, HIP, shim6
        if (next != 0 && next != 60) {
            ip.protocol = next;
            ip.header_bytes = at;
            return DropReason::kNone;
        }
        if (at + 8 > end)
            return DropReason::kInnerMalformed;
        next = data[at];
        at += 8u + data[at + 1] * 8u;
        if (at > end)
            return DropReason::kInnerMalformed;
    }
    return DropReason::kInnerOptions;
}

DropReason read_ip(IpFields& ip, const uint8_t* data, uint32_t available, bool is_quoted)
{
    if (available < 1)
        return DropReason::kInnerMalformed;
    switch (data[0] >> 4) {
        case 4:
            return read_ipv4(ip, data, available, is_quoted);
        case 6:
            return read_ipv6(ip, data, available, is_quoted);
        default:
            return DropReason::kInnerMalformed;
    }
}

enum class IcmpKind : uint8_t
{
    kRequest,  // echo
    kReply,
    kError,
    kOther,
};

// Source quench (RFC 6633) and redirect are errors of no use to anybody here: an agent has one way
// out, and who tells it another one wants to lead it astray.
IcmpKind kind_of_icmp(uint8_t protocol, uint8_t type)
{
    switch (protocol << 8 | type) {
        case kIcmp << 8 | 8:
        case kIcmp6 << 8 | 128:
            return IcmpKind::kRequest;
        case kIcmp << 8 | 0:
        case kIcmp6 << 8 | 129:
            return IcmpKind::kReply;
        case kIcmp << 8 | 3:
        case kIcmp << 8 | 11:
        case kIcmp << 8 | 12:
        case kIcmp6 << 8 | 1:
        case kIcmp6 << 8 | 2:
        case kIcmp6 << 8 | 3:
        case kIcmp6 << 8 | 4:
            return IcmpKind::kError;
        default:
            return IcmpKind::kOther;
    }
}

// Reads the ports. An echo's identifier is the port of who asks, so that a request and its reply
// are of one flow, and two ends that ask each other with one identifier have two.
void read_ports(uint8_t protocol, const uint8_t* transport, uint16_t& source, uint16_t& destination)
{
    source = destination = 0;
    if (has_ports(protocol)) {
        source = read16(transport);
        destination = read16(transport + 2);
        return;
    }
    if (protocol != kIcmp && protocol != kIcmp6)
        return;
    const IcmpKind kind = kind_of_icmp(protocol, transport[0]);
    const uint16_t identifier = read16(transport + 4);
    if (kind == IcmpKind::kRequest || kind == IcmpKind::kReply) {
        source = kind == IcmpKind::kRequest ? identifier : kEchoAnswerPort;
        destination = kind == IcmpKind::kRequest ? kEchoAnswerPort : identifier;
    }
}

// An ICMP error belongs to the flow of the packet that it quotes.
DropReason read_quoted(Packet& packet, const uint8_t* quoted, uint32_t available)
{
    IpFields ip;
    const DropReason fault = read_ip(ip, quoted, available, true);
    if (fault != DropReason::kNone || ip.is_fragment)
        return DropReason::kIcmpUnrelated;
    if (available < ip.header_bytes + 8 || ip.source != packet.destination)
        return DropReason::kIcmpUnrelated;
    packet.quoted_transport = static_cast<uint16_t>(quoted + ip.header_bytes - packet.inner);
    uint16_t from, to;
    read_ports(ip.protocol, quoted + ip.header_bytes, from, to);
    packet.flags |= kIcmpError;
    packet.protocol = ip.protocol;
    packet.quoted = ip.destination;
    packet.source_port = to;
    packet.destination_port = from;
    return DropReason::kNone;
}

}  // namespace

uint16_t updated_checksum(uint16_t checksum, uint16_t old_word, uint16_t new_word)
{
    return fold_checksum(static_cast<uint64_t>(static_cast<uint16_t>(~checksum)) +
                         static_cast<uint16_t>(~old_word) + new_word);
}

DropReason read_inner(Packet& packet, uint8_t* data, uint32_t available)
{
    IpFields ip;
    const DropReason fault = read_ip(ip, data, available, false);
    if (fault != DropReason::kNone)
        return fault;
    packet.inner = data;
    packet.inner_bytes = static_cast<uint16_t>(ip.total_bytes);
    packet.source = ip.source;
    packet.destination = ip.destination;
    if (ip.is_fragment)
        return DropReason::kInnerFragment;
    packet.protocol = ip.protocol;
    packet.inner_header_bytes = static_cast<uint16_t>(ip.header_bytes);

    const uint8_t* transport = data + ip.header_bytes;
    const uint32_t transport_bytes = ip.total_bytes - ip.header_bytes;
    const bool is_icmp = ip.protocol == kIcmp || ip.protocol == kIcmp6;
    if (!is_icmp && !has_ports(ip.protocol))
        return DropReason::kNone;
    if (transport_bytes < 8 || (ip.protocol == kTcp && transport_bytes < 20))
        return DropReason::kInnerMalformed;
    if (is_icmp && ip.source.is_v4() != (ip.protocol == kIcmp))
        return DropReason::kInnerMalformed;
    const IcmpKind kind = is_icmp ? kind_of_icmp(ip.protocol, transport[0]) : IcmpKind::kOther;
    if (kind == IcmpKind::kError)
        return read_quoted(packet, transport + 8, transport_bytes - 8);
    if (is_icmp && kind == IcmpKind::kOther)
        return DropReason::kIcmpTypeRefused;
    if (ip.protocol == kTcp) {
        const uint32_t header = (transport[12] >> 4) * 4u;
        if (header < 20 || header > transport_bytes)
            return DropReason::kInnerMalformed;
        packet.tcp_flags = transport[13];
        if (!are_sane_tcp_flags(packet.tcp_flags))
            return DropReason::kTcpBadFlags;
    }
    if (!is_icmp)
        packet.flags |= kHasPorts;
    else if (kind == IcmpKind::kRequest)
        packet.flags |= kIsIcmpEchoRequest;
    read_ports(ip.protocol, transport, packet.source_port, packet.destination_port);
    return DropReason::kNone;
}

namespace {

bool is_bad_address(const Address& a)
{
    if (a.is_v4()) {
        const uint8_t* v4 = a.v4_bytes();
        return v4[0] == 0 || v4[0] == 127 || v4[0] >= 224;
    }
    if (a.bytes[0] == 0xff || (a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80))
        return true;
    Address loopback;
    loopback.bytes[15] = 1;
    return a.is_zero() || a == loopback;
}

// As a destination it is the policy's question: the metadata services of clouds live there.
bool is_link_local_v4(const Address& a)
{
    return a.is_v4() && a.v4_bytes()[0] == 169 && a.v4_bytes()[1] == 254;
}

}  // namespace

DropReason inner_address_fault(const Packet& packet)
{
    return is_bad_address(packet.source) || is_bad_address(packet.destination) ||
                   is_link_local_v4(packet.source)
               ? DropReason::kInnerBadAddress
               : DropReason::kNone;
}

uint8_t traffic_class_of(const uint8_t* inner)
{
    return (inner[0] >> 4) == 4 ? inner[1] : static_cast<uint8_t>(inner[0] << 4 | inner[1] >> 4);
}

uint8_t hop_limit_of(const uint8_t* inner) { return (inner[0] >> 4) == 4 ? inner[8] : inner[7]; }

void decrement_hop_limit(uint8_t* inner)
{
    if ((inner[0] >> 4) != 4) {
        inner[7]--;
        return;
    }
    const uint16_t before = read16(inner + 8);
    const auto after = static_cast<uint16_t>(before - 0x100);
    write16(inner + 8, after);
    write16(inner + 10, updated_checksum(read16(inner + 10), before, after));
}

DropReason merge_ecn(Packet& packet)
{
    constexpr uint8_t kNotEct = 0, kEct1 = 1, kEct0 = 2, kCe = 3;
    uint8_t* inner = packet.inner;
    const uint8_t before = traffic_class_of(inner) & 3;
    uint8_t after = before;
    if (packet.outer_ecn == kCe) {
        if (before == kNotEct)
            return DropReason::kEcnNotCapableMarked;
        after = kCe;
    } else if (packet.outer_ecn == kEct1 && before == kEct0) {
        after = kEct1;
    }
    if (after == before)
        return DropReason::kNone;
    if ((inner[0] >> 4) == 4) {
        const uint16_t old_word = read16(inner);
        inner[1] = static_cast<uint8_t>((inner[1] & ~3) | after);
        write16(inner + 10, updated_checksum(read16(inner + 10), old_word, read16(inner)));
    } else {
        inner[1] = static_cast<uint8_t>((inner[1] & 0xcf) | after << 4);
    }
    return DropReason::kNone;
}

uint8_t* find_tcp_option(uint8_t* tcp, uint8_t kind, uint8_t bytes)
{
    const uint32_t header = (tcp[12] >> 4) * 4u;
    for (uint32_t at = 20; at + 1 < header;) {
        if (tcp[at] == 0)
            return nullptr;
        if (tcp[at] == 1) {
            at++;
            continue;
        }
        const uint8_t length = tcp[at + 1];
        if (length < 2 || at + length > header)
            return nullptr;
        if (tcp[at] == kind && length == bytes)
            return tcp + at;
        at += length;
    }
    return nullptr;
}

void clamp_mss(Packet& packet, uint16_t mtu)
{
    if (packet.protocol != kTcp || (packet.flags & kIcmpError) != 0 ||
        (packet.tcp_flags & kSyn) == 0)
        return;
    uint8_t* tcp = packet.inner + packet.inner_header_bytes;
    uint8_t* option = find_tcp_option(tcp, 2, 4);
    if (option == nullptr)
        return;
    const auto most = static_cast<uint16_t>(mtu - ((packet.inner[0] >> 4) == 4 ? 40 : 60));
    const uint16_t mss = read16(option + 2);
    if (mss <= most)
        return;
    // An option may start at an odd offset; then its bytes lie in two words of the sum, swapped.
    const bool is_odd = (option - tcp) % 2 != 0;
    const auto swap = [&](uint16_t v) { return is_odd ? rte_bswap16(v) : v; };
    write16(option + 2, most);
    write16(tcp + 16, updated_checksum(read16(tcp + 16), swap(mss), swap(most)));
}

}  // namespace sandgate::dp
