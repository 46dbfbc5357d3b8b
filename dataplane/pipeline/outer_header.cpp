// Outer headers: small, fixed, written in place.
#include "dataplane/pipeline/outer_header.h"

#include <rte_ip.h>
#include <rte_udp.h>

#include "dataplane/pipeline/inner_header.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {
void write16(uint8_t* p, uint32_t value)
{
    p[0] = static_cast<uint8_t>(value >> 8);
    p[1] = static_cast<uint8_t>(value);
}

void write_ipv4(uint8_t* ip, const OuterWay& way, uint8_t traffic_class, uint16_t ip_id,
                uint32_t udp_bytes)
{
    std::memset(ip, 0, 20);
    ip[0] = 0x45;
    ip[1] = traffic_class;
    write16(ip + 2, 20 + udp_bytes);
    write16(ip + 4, ip_id);
    ip[8] = 64;
    ip[9] = 17;
    std::memcpy(ip + 12, way.source.address.v4_bytes(), 4);
    std::memcpy(ip + 16, way.destination.address.v4_bytes(), 4);
    write16(ip + 10, fold_checksum(sum_of(ip, 20)));
}

void write_ipv6(uint8_t* ip, const OuterWay& way, uint8_t traffic_class, uint32_t udp_bytes)
{
    std::memset(ip, 0, 40);
    ip[0] = static_cast<uint8_t>(0x60 | traffic_class >> 4);
    ip[1] = static_cast<uint8_t>(traffic_class << 4);
    write16(ip + 4, udp_bytes);
    ip[6] = 17;
    ip[7] = 64;
    std::memcpy(ip + 8, way.source.address.bytes.data(), 16);
    std::memcpy(ip + 24, way.destination.address.bytes.data(), 16);
}

}  // namespace

OuterWay find_outer_way(const PolicyView& policy, const Endpoint& endpoint)
{
    OuterWay way;
    const auto route = policy.find_route(api::kWan, endpoint.address);
    if (!route)
        return way;
    const api::PortRow& port = policy.rows.ports[route->port];
    way.is_known = true;
    way.port = route->port;
    way.next_hop = route->next_hop;
    way.source = {endpoint.address.is_v4() ? port.v4 : port.v6, policy.rows.gateway->listen_port,
                  0};
    way.destination = endpoint;
    return way;
}

bool prepend_outer(rte_mbuf* mbuf, const OuterWay& way, uint8_t traffic_class, uint16_t ip_id)
{
    const bool is_v4 = way.destination.address.is_v4();
    const uint32_t udp_bytes = 8 + rte_pktmbuf_pkt_len(mbuf);
    const uint16_t ip_bytes = is_v4 ? 20 : 40;
    auto* ip =
        reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(mbuf, static_cast<uint16_t>(ip_bytes + 8)));
    if (ip == nullptr)
        return false;
    uint8_t* udp = ip + ip_bytes;
    write16(udp, way.source.port);
    write16(udp + 2, way.destination.port);
    write16(udp + 4, udp_bytes);
    write16(udp + 6, 0);
    if (is_v4) {
        write_ipv4(ip, way, traffic_class, ip_id, udp_bytes);
        return true;
    }
    write_ipv6(ip, way, traffic_class, udp_bytes);
    const uint16_t checksum = rte_ipv6_udptcp_cksum(reinterpret_cast<const rte_ipv6_hdr*>(ip), udp);
    std::memcpy(udp + 6, &checksum, 2);
    return true;
}

}  // namespace sandgate::dp
