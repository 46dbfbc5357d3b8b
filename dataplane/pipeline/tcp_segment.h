// What the connection's state needs of a TCP packet.
#pragma once

#include <rte_byteorder.h>

#include "dataplane/flow/tcp_state.h"
#include "dataplane/pipeline/inner_header.h"

namespace sandgate::dp {

inline uint32_t read_tcp_number(const uint8_t* at)
{
    uint32_t number;
    std::memcpy(&number, at, sizeof(number));
    return rte_be_to_cpu_32(number);
}

inline void read_window_scale(TcpSegment& segment, uint8_t* tcp)
{
    const uint8_t* option = find_tcp_option(tcp, 3, 3);
    segment.has_scale = option != nullptr;
    if (option != nullptr)  // RFC 7323 section 2.3: more than 14 counts as 14
        segment.scale = std::min<uint8_t>(option[2], 14);
}

// The packet is TCP and no ICMP error; read_inner() has accepted it. side: kOpener or kAnswerer.
inline TcpSegment segment_of(const Packet& packet, uint8_t side)
{
    uint8_t* tcp = packet.inner + packet.inner_header_bytes;
    TcpSegment segment;
    segment.sequence = read_tcp_number(tcp + 4);
    segment.acknowledged = read_tcp_number(tcp + 8);
    segment.text_bytes = packet.inner_bytes - packet.inner_header_bytes - (tcp[12] >> 4) * 4u;
    segment.flags = packet.tcp_flags;
    segment.side = side;
    if ((segment.flags & kSyn) != 0)
        read_window_scale(segment, tcp);
    return segment;
}

}  // namespace sandgate::dp
