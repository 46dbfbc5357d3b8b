// parse_outer: what is this frame, and is it whole? Reads Ethernet, IP and UDP headers and decides
// the packet's kind. Nothing is believed yet; every length is checked against the bytes received.
#include <rte_byteorder.h>
#include <rte_ether.h>

#include "dataplane/pipeline/inner_header.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/wireguard/messages.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

uint16_t read16(const uint8_t* p) { return static_cast<uint16_t>(p[0] << 8 | p[1]); }

struct Outer
{
    Address source, destination;
    const uint8_t* transport = nullptr;
    uint32_t transport_bytes = 0;
    uint8_t protocol = 0;
    bool is_fragment = false;
};

// Reads an outer IP header without believing its transport. `bytes` are what follows the Ethernet
// header.
DropReason read_outer_ip(Outer& ip, const uint8_t* data, uint32_t bytes, bool is_v4)
{
    if (bytes < (is_v4 ? 20u : 40u))
        return DropReason::kFrameTooShort;
    if (data[0] >> 4 != (is_v4 ? 4 : 6))
        return DropReason::kOuterBadHeader;
    const uint32_t header = is_v4 ? (data[0] & 15) * 4u : 40u;
    const uint32_t total = is_v4 ? read16(data + 2) : 40u + read16(data + 4);
    if (header < 20 || header > bytes)
        return DropReason::kOuterBadHeader;
    if (total < header || total > bytes)
        return DropReason::kOuterLengthMismatch;
    if (is_v4 && !has_right_checksum(data, header))
        return DropReason::kOuterBadHeader;
    ip.source = is_v4 ? Address::v4(data + 12) : Address::v6(data + 8);
    ip.destination = is_v4 ? Address::v4(data + 16) : Address::v6(data + 24);
    ip.protocol = is_v4 ? data[9] : data[6];
    ip.is_fragment = is_v4 ? (read16(data + 6) & 0x3fff) != 0 : data[6] == 44;
    ip.transport = data + header;
    ip.transport_bytes = total - header;
    return DropReason::kNone;
}

bool is_bad_outer_source(const Address& a, const api::PortRow& port)
{
    if (a == port.v4 || a == port.v6)
        return true;
    if (a.is_v4())
        return a.v4_bytes()[0] == 0 || a.v4_bytes()[0] == 127 || a.v4_bytes()[0] >= 224;
    Address loopback;
    loopback.bytes[15] = 1;
    return a.is_zero() || a == loopback || a.bytes[0] == 0xff;
}

// A datagram on the tunnel port: its length must be the one of its type, exactly.
DropReason read_message(Packet& packet, const uint8_t* data, uint32_t bytes)
{
    if (!wg::is_well_formed(data, bytes))
        return DropReason::kMessageMalformed;
    if (data[0] != wg::kData) {
        packet.kind = Kind::kMessage;
        return DropReason::kNone;
    }
    const auto* header = reinterpret_cast<const wg::DataHeader*>(data);
    packet.kind = Kind::kSealed;
    packet.receiver_index = header->receiver_index.get();
    packet.counter = header->counter.get();
    return DropReason::kNone;
}

// The payload of UDP becomes the mbuf's data, so that later stages see the message alone.
DropReason read_tunnel_datagram(Packet& packet, const Outer& ip, const api::PortRow& port,
                                uint8_t ecn)
{
    if (ip.is_fragment)
        return DropReason::kOuterFragment;
    if (is_bad_outer_source(ip.source, port))
        return DropReason::kOuterBadSource;
    const uint32_t udp_bytes = read16(ip.transport + 4);
    if (udp_bytes < 8 || udp_bytes > ip.transport_bytes)
        return DropReason::kOuterLengthMismatch;
    packet.endpoint.address = ip.source;
    packet.endpoint.port = read16(ip.transport);
    if (packet.endpoint.port == 0)
        return DropReason::kOuterBadSource;
    packet.outer_ecn = ecn;
    const uint8_t* message = ip.transport + 8;
    const DropReason fault = read_message(packet, message, udp_bytes - 8);
    if (fault != DropReason::kNone)
        return fault;
    const auto offset =
        static_cast<uint16_t>(message - rte_pktmbuf_mtod(packet.mbuf, const uint8_t*));
    rte_pktmbuf_adj(packet.mbuf, offset);
    rte_pktmbuf_trim(packet.mbuf,
                     static_cast<uint16_t>(rte_pktmbuf_pkt_len(packet.mbuf) - (udp_bytes - 8)));
    return DropReason::kNone;
}

// Where an IP packet goes, before anything else of it is believed; false for less than a header, or
// one of another version than its Ethernet type says.
bool read_destination(Address& destination, const uint8_t* data, uint32_t bytes, bool is_v4)
{
    if (bytes < (is_v4 ? 20u : 40u) || data[0] >> 4 != (is_v4 ? 4 : 6))
        return false;
    destination = is_v4 ? Address::v4(data + 16) : Address::v6(data + 24);
    return true;
}

DropReason read_plain(Packet& packet, uint32_t ethernet_bytes)
{
    packet.kind = Kind::kPlain;
    rte_pktmbuf_adj(packet.mbuf, static_cast<uint16_t>(ethernet_bytes));
    auto* inner = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
    const DropReason fault = read_inner(packet, inner, rte_pktmbuf_pkt_len(packet.mbuf));
    if (fault != DropReason::kNone)
        return fault;
    rte_pktmbuf_trim(packet.mbuf,
                     static_cast<uint16_t>(rte_pktmbuf_pkt_len(packet.mbuf) - packet.inner_bytes));
    return inner_address_fault(packet);
}

// What a frame for one of the port's own addresses, or for the whole link, may be.
DropReason read_local(Packet& packet, const Outer& ip, bool is_v4, bool is_multicast)
{
    const uint8_t icmp = is_v4 ? 1 : 58;
    if (ip.protocol != icmp || ip.transport_bytes < 8)
        return DropReason::kUnknownProtocol;
    const uint8_t type = ip.transport[0];
    const bool is_discovery = !is_v4 && (type == 135 || type == 136);
    const bool is_echo = !is_multicast && type == (is_v4 ? 8 : 128);
    const bool is_served = is_echo || is_discovery;
    if (!is_served)
        return DropReason::kUnknownProtocol;
    packet.kind = Kind::kLocal;
    return DropReason::kNone;
}

DropReason outer_fault(const Shared& shared, const PolicyView& policy, Packet& packet)
{
    rte_mbuf* mbuf = packet.mbuf;
    if (mbuf->nb_segs != 1)
        return DropReason::kChainedMbuf;
    const uint32_t bytes = rte_pktmbuf_pkt_len(mbuf);
    if (bytes < RTE_ETHER_HDR_LEN)
        return DropReason::kFrameTooShort;
    const auto* ethernet = rte_pktmbuf_mtod(mbuf, const rte_ether_hdr*);
    const bool is_ours = std::memcmp(&ethernet->dst_addr, shared.port_macs[packet.port], 6) == 0;
    if (!is_ours && !rte_is_multicast_ether_addr(&ethernet->dst_addr))
        return DropReason::kNotOurMac;

    const uint16_t ethertype = rte_be_to_cpu_16(ethernet->ether_type);
    const bool is_host_port = packet.port == shared.ports;
    if (ethertype == RTE_ETHER_TYPE_ARP && !is_host_port) {
        packet.kind = Kind::kLocal;
        return DropReason::kNone;
    }
    const bool is_v4 = ethertype == RTE_ETHER_TYPE_IPV4;
    if (!is_v4 && ethertype != RTE_ETHER_TYPE_IPV6)
        return DropReason::kUnknownEthertype;
    const uint8_t* data = reinterpret_cast<const uint8_t*>(ethernet + 1);
    if (is_host_port) {
        packet.flags |= kFromHost;
        return is_ours ? read_plain(packet, RTE_ETHER_HDR_LEN) : DropReason::kNotOurMac;
    }

    const api::PortRow& port = policy.rows.ports[packet.port];
    // What is for others is read once, as an inner packet.
    Address to;
    if ((port.roles & api::kLan) != 0 && is_ours &&
        read_destination(to, data, bytes - RTE_ETHER_HDR_LEN, is_v4) && to != port.v4 &&
        to != port.v6)
        return read_plain(packet, RTE_ETHER_HDR_LEN);

    Outer ip;
    const DropReason fault = read_outer_ip(ip, data, bytes - RTE_ETHER_HDR_LEN, is_v4);
    if (fault != DropReason::kNone)
        return fault;
    const bool is_for_port = ip.destination == port.v4 || ip.destination == port.v6;
    // Neighbour discovery arrives by solicited-node multicast, and may come to a link-local address
    // never: the ports have none.
    const bool is_multicast = !is_v4 && ip.destination.bytes[0] == 0xff && ip.protocol == 58;
    if (is_for_port && is_ours && (port.roles & api::kWan) != 0 && ip.protocol == 17 &&
        ip.transport_bytes >= 8 && read16(ip.transport + 2) == policy.rows.gateway->listen_port)
        return read_tunnel_datagram(packet, ip, port, traffic_class_of(data) & 3);
    if (is_for_port && ip.is_fragment)
        return DropReason::kOuterFragment;
    if (is_for_port || is_multicast)
        return read_local(packet, ip, is_v4, !is_for_port);
    return (port.roles & api::kLan) == 0 ? DropReason::kOuterNotForUs : DropReason::kNotOurMac;
}

}  // namespace

void parse_outer(Worker& w, const PolicyView& policy, Burst& burst)
{
    for (Packet* packet : burst.packets()) rte_prefetch0(rte_pktmbuf_mtod(packet->mbuf, void*));
    burst.keep_if(w, [&](Packet& packet) { return outer_fault(w.shared, policy, packet); });
}

}  // namespace sandgate::dp
