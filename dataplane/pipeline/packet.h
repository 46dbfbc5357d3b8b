// One packet on its way through the stages. Each field names the stage that sets it; no stage reads
// a field that a later one sets. While a packet waits outside a burst (another worker's ring, a
// staging list) its Packet lies in the private area of its mbuf.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/agent.h"
#include "dataplane/api/drop_reason.h"
#include "dataplane/api/snapshot.h"
#include "dataplane/flow/flow_table.h"

namespace sandgate::dp {

using api::DropReason;

enum class Kind : uint8_t
{
    kSealed,   // a WireGuard data packet from a wan port
    kPlain,    // an IP packet from a lan port, the host port or another agent
    kMessage,  // a WireGuard handshake message: leaves for the handshake thread
    kLocal,    // ARP, neighbour discovery, echo for the port itself: leaves for the server thread
    kReply,    // made here: a reset or an ICMP error, to whoever sent the refused packet
};

// The stages at which packets may resume that left a burst (pipeline.h).
enum class Stage : uint8_t
{
    kFindSessions,
    kIdentify,
    kRoute,
    kSeal,
    kTransmit
};

enum PacketFlags : uint8_t
{
    kFromAgent = 1,  // the sender is `agent`; else the receiver is
    kHasPorts = 2,   // source_port and destination_port were read
    kIcmpError = 4,  // the quoted packet, not this one, names the flow
    kIsIcmpEchoRequest = 8,
    kFromHost = 16,  // came from the host port
    kIsFrame = 64,   // complete with its link header; transmit adds nothing
    kFromOtherAgent =
        32,  // plain, from another agent through this gateway; its source was verified
};

struct Packet
{
    rte_mbuf* mbuf = nullptr;  // receive

    // parse_outer
    uint8_t port = 0;  // receive
    Kind kind = Kind::kPlain;
    Stage resume = Stage::kFindSessions;
    uint8_t flags = 0;
    uint8_t outer_ecn = 0;
    uint8_t protocol = 0;   // inner; parse_outer for plain packets, check_inner for sealed ones
    uint8_t tcp_flags = 0;  // likewise
    uint8_t egress = 0;     // route: the port that sends it
    uint16_t source_port = 0, destination_port = 0;  // inner, host order, likewise
    WorkerId received_by = 0;                        // receive: the worker whose queue it came by
    uint16_t inner_header_bytes = 0;                 // likewise
    uint16_t inner_bytes = 0;                        // length of the inner IP packet, likewise
    uint8_t* inner = nullptr;                        // its first byte, likewise
    Endpoint endpoint;                               // outer source of a sealed packet or a message
    uint32_t receiver_index = 0;
    uint64_t counter = 0;
    Address source, destination;  // inner; parse_outer or check_inner
    Address quoted;               // with kIcmpError: where the quoted packet was going

    // find_owners, find_sessions
    Agent* agent = nullptr;  // whose flow this is
    Session* session =
        nullptr;  // sealed: the session that opens it; after route: the one that seals it

    // identify
    const api::AgentRow* row = nullptr;

    // find_flows, classify
    Flow* flow = nullptr;
    uint32_t flow_hash = 0;
    api::RuleId rule = 0;
    api::DropReason verdict = api::DropReason::kNone;
    // With kIcmpError: where the quoted transport header begins, 8 bytes at least, counted from
    // `inner`. parse_outer or check_inner, as the inner fields above.
    uint16_t quoted_transport = 0;

    // route
    Agent* to = nullptr;  // the agent that gets it sealed; nullptr: leaves by `egress` in the clear
    Address next_hop;     // for the link; seal_packets for sealed packets

    rte_mbuf* next_staged = nullptr;  // the list of packets that wait for a session

    bool is_from_agent() const { return (flags & kFromAgent) != 0; }
};

// The Packet that lies in the mbuf's private area.
inline Packet* parked(rte_mbuf* mbuf) { return static_cast<Packet*>(rte_mbuf_to_priv(mbuf)); }

// Bytes that every pool must leave before and behind a frame: outer Ethernet, IPv6, UDP and
// WireGuard headers in front; padding and tag behind.
constexpr uint16_t kHeadroomBytes = 128;
constexpr uint16_t kPrivateBytes = (sizeof(Packet) + 63) / 64 * 64;

}  // namespace sandgate::dp
