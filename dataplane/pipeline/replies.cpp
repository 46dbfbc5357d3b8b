// Building resets (RFC 9293 section 3.10.7.1) and ICMP errors (RFC 792, RFC 4443) over the refused
// packet.
#include "dataplane/pipeline/replies.h"

#include "dataplane/flow/tcp_state.h"
#include "dataplane/pipeline/inner_header.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

constexpr uint8_t kTcp = 6;

void write16(uint8_t* p, uint32_t value)
{
    p[0] = static_cast<uint8_t>(value >> 8);
    p[1] = static_cast<uint8_t>(value);
}
void write32(uint8_t* p, uint32_t value)
{
    write16(p, value >> 16);
    write16(p + 2, value);
}
uint32_t read32(const uint8_t* p)
{
    return static_cast<uint32_t>(p[0]) << 24 | static_cast<uint32_t>(p[1]) << 16 |
           static_cast<uint32_t>(p[2]) << 8 | p[3];
}

// Writes an IP header for `payload` bytes behind it; returns its length.
uint32_t write_ip(uint8_t* ip, const Address& from, const Address& to, uint8_t protocol,
                  uint32_t payload)
{
    if (from.is_v4()) {
        std::memset(ip, 0, 20);
        ip[0] = 0x45;
        write16(ip + 2, 20 + payload);
        ip[6] = 0x40;  // DF
        ip[8] = 64;
        ip[9] = protocol;
        std::memcpy(ip + 12, from.v4_bytes(), 4);
        std::memcpy(ip + 16, to.v4_bytes(), 4);
        write16(ip + 10, fold_checksum(sum_of(ip, 20)));
        return 20;
    }
    std::memset(ip, 0, 40);
    ip[0] = 0x60;
    write16(ip + 4, payload);
    ip[6] = protocol;
    ip[7] = 64;
    std::memcpy(ip + 8, from.bytes.data(), 16);
    std::memcpy(ip + 24, to.bytes.data(), 16);
    return 40;
}

uint64_t pseudo_header_sum(const Address& from, const Address& to, uint8_t protocol, uint32_t bytes)
{
    const size_t skip = from.is_v4() ? 12 : 0;
    return sum_of(from.bytes.data() + skip, 16 - skip) + sum_of(to.bytes.data() + skip, 16 - skip) +
           protocol + bytes;
}

// The reset that answers a segment: acceptable to its sender in every state.
uint32_t write_reset(Packet& packet, uint8_t* out)
{
    const uint8_t* segment = packet.inner + packet.inner_header_bytes;
    const uint32_t bytes = packet.inner_bytes - packet.inner_header_bytes;
    const uint32_t header = (segment[12] >> 4) * 4u;
    const uint32_t text = bytes - header;
    const uint32_t consumed =
        text + ((packet.tcp_flags & kSyn) != 0 ? 1 : 0) + ((packet.tcp_flags & kFin) != 0 ? 1 : 0);
    const bool has_ack = (packet.tcp_flags & kAck) != 0;
    const uint32_t sequence = has_ack ? read32(segment + 8) : 0;
    const uint32_t acknowledged = has_ack ? 0 : read32(segment + 4) + consumed;

    uint8_t tcp[20] = {};
    write16(tcp, packet.destination_port);
    write16(tcp + 2, packet.source_port);
    write32(tcp + 4, sequence);
    write32(tcp + 8, acknowledged);
    tcp[12] = 5 << 4;
    tcp[13] = has_ack ? kRst : kRst | kAck;
    write16(tcp + 16,
            fold_checksum(pseudo_header_sum(packet.destination, packet.source, kTcp, sizeof(tcp)) +
                          sum_of(tcp, sizeof(tcp))));
    const uint32_t ip = write_ip(out, packet.destination, packet.source, kTcp, sizeof(tcp));
    std::memcpy(out + ip, tcp, sizeof(tcp));
    return ip + static_cast<uint32_t>(sizeof(tcp));
}

struct IcmpError
{
    uint8_t type, code;
};

IcmpError icmp_of(Told told, bool is_v4)
{
    switch (told) {
        case Told::kProhibited:
            return is_v4 ? IcmpError{3, 13} : IcmpError{1, 1};
        case Told::kUnreachable:
            return is_v4 ? IcmpError{3, 1} : IcmpError{1, 3};
        case Told::kTimeExceeded:
            return is_v4 ? IcmpError{11, 0} : IcmpError{3, 0};
        case Told::kTooBig:
            return is_v4 ? IcmpError{3, 4} : IcmpError{2, 0};
    }
    return {3, 13};
}

// Quotes as much of the packet as RFC 1812 (576 bytes) and RFC 4443 (1,280 bytes) let us. `out` may
// lie before the quoted bytes in the same buffer.
uint32_t write_icmp_error(const Packet& packet, uint8_t* out, const Address& from, IcmpError error,
                          uint16_t mtu)
{
    const bool is_v4 = packet.source.is_v4();
    const uint32_t ip_bytes = is_v4 ? 20 : 40;
    const uint32_t quoted =
        std::min<uint32_t>(packet.inner_bytes, (is_v4 ? 576 : 1280) - ip_bytes - 8);
    uint8_t* icmp = out + ip_bytes;
    std::memmove(icmp + 8, packet.inner, quoted);
    std::memset(icmp, 0, 8);
    icmp[0] = error.type;
    icmp[1] = error.code;
    if (mtu != 0)
        is_v4 ? write16(icmp + 6, mtu) : write32(icmp + 4, mtu);
    const uint8_t protocol = is_v4 ? 1 : 58;
    const uint64_t pseudo =
        is_v4 ? 0 : pseudo_header_sum(from, packet.source, protocol, 8 + quoted);
    write16(icmp + 2, fold_checksum(pseudo + sum_of(icmp, 8 + quoted)));
    return write_ip(out, from, packet.source, protocol, 8 + quoted) + 8 + quoted;
}

// The gateway's own address towards a sender: its tunnel address for agents, its port's address for
// the others.
Address own_address(const PolicyView& policy, const Packet& packet)
{
    const bool is_v4 = packet.source.is_v4();
    const api::GatewayRow& gateway = *policy.rows.gateway;
    const Address& tunnel = is_v4 ? gateway.host_v4 : gateway.host_v6;
    const bool is_to_agent = packet.is_from_agent() || (packet.flags & kFromOtherAgent) != 0;
    if (is_to_agent && !tunnel.is_zero())
        return tunnel;
    const auto way = policy.find_route(api::kLan, packet.source);
    if (way)
        return is_v4 ? policy.rows.ports[way->port].v4 : policy.rows.ports[way->port].v6;
    return tunnel;
}

bool may_tell(Worker& w, const Packet& packet)
{
    if (packet.kind == Kind::kReply || (packet.flags & kIcmpError) != 0)
        return false;
    if (packet.protocol == kTcp && (packet.tcp_flags & kRst) != 0)
        return false;
    return !w.made->is_full() && w.icmp_tokens.take(w.now_ns);
}

}  // namespace

void refuse_and_tell(Worker& w, const PolicyView& policy, Packet& packet, DropReason reason,
                     Told told, uint16_t mtu)
{
    w.count(reason);
    constexpr uint16_t kMostAdded = 40 + 8;
    const Address from = own_address(policy, packet);
    rte_mbuf* mbuf = packet.mbuf;
    if (!may_tell(w, packet) || from.is_zero() || rte_pktmbuf_headroom(mbuf) < kMostAdded) {
        rte_pktmbuf_free(mbuf);
        return;
    }
    auto* out = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(mbuf, kMostAdded));
    const bool is_reset = told == Told::kProhibited && packet.protocol == kTcp;
    const uint32_t bytes =
        is_reset ? write_reset(packet, out)
                 : write_icmp_error(packet, out, from, icmp_of(told, packet.source.is_v4()), mtu);
    // The reply is never longer than what was prepended plus what was there.
    rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(rte_pktmbuf_pkt_len(mbuf) - bytes));
    api::add(w.counters.icmp_sent, 1);

    Packet& reply = w.made->add(mbuf);
    reply.kind = Kind::kReply;
    reply.resume = Stage::kRoute;
    reply.inner = out;
    reply.inner_bytes = static_cast<uint16_t>(bytes);
    reply.source = is_reset ? packet.destination : from;
    reply.destination = packet.source;
    if ((packet.flags & kFromHost) != 0)
        reply.flags |= kFromHost;
}

}  // namespace sandgate::dp
