// What a TCP connection may do next, as a gateway between its ends can know it (RFC 9293, with the
// care of RFC 5961 about resets and SYNs that strangers may have sent). Pure functions over a flow
// entry: no clock, no packet.
//
// Of each side the entry holds where its text ends and its window scale; no acknowledgement and no
// window. A side can never have more in flight than 65,535 << scale bytes, and what is that close
// to its highest text passes. The ends check their own windows more narrowly. What this keeps out
// are segments of strangers who guess; a guess that passes changes no state unless it is exact.
#pragma once

#include <cstdint>

#include "dataplane/flow/flow_table.h"

namespace sandgate::dp {

constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10;

// Nothing is known of a side's window scale: the widest window is assumed.
constexpr uint8_t kUnknownScale = 15;

struct TcpSegment
{
    uint32_t sequence = 0;
    uint32_t acknowledged = 0;  // with kAck
    uint32_t text_bytes = 0;
    uint8_t flags = 0;
    uint8_t scale = 0;       // of a SYN: the window scale option, at most 14
    bool has_scale = false;  // of a SYN: the option is there
    uint8_t side = kOpener;  // who sent it
};

enum class TcpFault : uint8_t
{
    kNone,
    kOutOfState,   // no TCP sends this in the connection's state
    kOutOfWindow,  // its numbers lie outside the connection
};

// The flags go together: SYN, SYN ACK, RST, RST ACK, ACK or FIN ACK; PSH and URG beside them.
constexpr bool are_sane_tcp_flags(uint8_t flags)
{
    switch (flags & (kFin | kSyn | kRst | kAck)) {
        case kSyn:
        case kSyn | kAck:
        case kRst:
        case kRst | kAck:
        case kAck:
        case kFin | kAck:
            return true;
        default:
            return false;
    }
}

constexpr bool is_bare_syn(uint8_t flags) { return (flags & (kSyn | kAck)) == kSyn; }

// True when a bare SYN begins the next connection on the same ports instead of belonging to this
// one: the connection has ended, or was picked up from one stray packet.
constexpr bool is_over_for_syn(const Flow& flow)
{
    return flow.state == kFlowClosed || flow.state == kFlowPickedUp;
}

// The first segment of a new flow: a bare SYN of the opener, or (picked up) any segment of either
// side that has ACK and neither SYN nor RST.
void open_tcp(Flow& flow, const TcpSegment& segment);

// A later segment: whether it belongs to the connection, and what it makes of it. A segment that is
// refused changes nothing. The flags are sane; a bare SYN where is_over_for_syn() holds is none of
// this function's. next_syn_end: FlowCold::next_syn_end.
TcpFault follow_tcp(Flow& flow, uint32_t& next_syn_end, const TcpSegment& segment);

// Whether an ICMP error may speak of a segment with this sequence number (RFC 5927 section 4.1):
// that of something which this side has sent and which is not long ago.
bool is_recent_sequence(const Flow& flow, unsigned side, uint32_t sequence);

}  // namespace sandgate::dp
