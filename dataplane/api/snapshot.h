// The base snapshot that control compiles and the dataplane verifies: one contiguous block of
// bytes, no pointers, host (little-endian) order, rows in sorted tables. The reader checks version,
// sizes, checksum, every offset and every index before it uses any of it (snapshot_reader.h). A
// refused snapshot leaves the old one in force.
//
// Addresses are IPv4-mapped (ids.h) and prefix lengths count over 128 bits: 10.0.0.0/8 is a prefix
// of 104. Secrets never appear here: static keys and PSKs travel as messages of the socket
// (requests.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/api/ids.h"

namespace sandgate::api {

constexpr uint64_t kSnapshotMagic = 0x31305350'47444e53;  // "SNDGPS01" in memory order
constexpr uint32_t kSnapshotVersion = 2;

struct Table
{
    uint64_t offset;  // from the start of the snapshot; a multiple of 8
    uint64_t count;   // rows
};

struct SnapshotHeader
{
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes;  // sizeof(SnapshotHeader)
    uint64_t total_bytes;
    uint64_t checksum;  // snapshot_checksum() of snapshot_reader.h
    Epoch epoch;        // assigned when control publishes
    Table gateway;      // exactly one GatewayRow
    Table ports;        // PortRow, by port number (the order of the dataplane's --port options)
    Table neighbours;   // StaticNeighbourRow
    Table agents;       // AgentRow, ascending identity
    Table addresses;    // AddressRow, ascending (address, prefix)
    Table classes;      // ClassRow
    Table matches;      // MatchRow, grouped by class; in each class the denials come first
    Table hard_rules;   // MatchRow: what is denied to every agent, above any grant
    Table services;     // ServiceRow: what the host port delivers
};

struct GatewayRow
{
    uint16_t listen_port;  // UDP, on every address of every wan port
    uint16_t tunnel_mtu;   // largest inner packet, 1280 to 9000 - 80
    uint32_t zero;
    Address host_v4;  // the gateway's own tunnel addresses: delivered to the host port; zero when
                      // absent
    Address host_v6;
};

enum PortRole : uint8_t
{
    kWan = 1,
    kLan = 2
};  // one-armed: both bits on one port

struct PortRow
{
    uint8_t roles;      // PortRole bits
    uint8_t v4_prefix;  // prefix lengths of the port's own networks, 0 to 32 and 0 to 128; 0 when
                        // absent
    uint8_t v6_prefix;
    uint8_t zero0;
    uint16_t mtu;  // of the link, 1280 to 9000
    uint16_t zero1;
    Address v4;  // the port's own addresses; zero when absent
    Address v6;
    Address gateway_v4;  // next hop for what is not on the port's network; zero when absent
    Address gateway_v6;
};

struct StaticNeighbourRow
{
    Address address;
    uint8_t mac[6];
    uint8_t port;
    uint8_t zero;
};

enum AgentFlags : uint32_t
{
    kAgentEnabled = 1,
    kAgentHasPsk = 2,  // no handshake completes before the PSK has arrived over the socket
};

struct AgentRow
{
    IdentityId identity;
    uint32_t flags;  // AgentFlags
    uint8_t public_key[32];
    int64_t expires_unix;        // seconds since 1970; 0 = never
    Epoch changed_epoch;         // flows decided before it are decided again
    uint32_t policy_class;       // index into classes
    uint16_t keepalive_seconds;  // persistent keepalive; 0 = off
    uint16_t zero;
};

struct AddressRow
{
    Address address;  // host bits beyond the prefix are zero
    IdentityId identity;
    uint8_t prefix;  // 0 to 128
    uint8_t zero[3];
};

// Agents with the same rights share a class: a run of match rows.
struct ClassRow
{
    uint32_t first;  // index into matches
    uint32_t count;
    Epoch changed_epoch;
};

enum MatchDirection : uint8_t
{
    kEgress = 1,   // the agent opens the flow; `peer` is its destination
    kIngress = 2,  // somebody opens a flow to the agent; `peer` is its source
};

constexpr uint8_t kAnyProtocol = 0xff;

enum MatchFlags : uint8_t
{
    kDeny = 1,           // forbids; else the row permits
    kNotFromAgents = 2,  // of an ingress row: does not match a peer that is an agent
};

// Rules of the gateway's own, above any grant. Ids of grants lie below.
enum HardRule : RuleId
{
    kFirstHardRule = 0xffff'ff00,
    kMetadataRule = kFirstHardRule,  // the metadata services of clouds
    kLinkLocalRule,                  // addresses that mean something on one link only
    kManagementRule,                 // the gateway's own addresses on its ports
};

// One permission or denial; the first row of a class that matches decides. Nothing matches what no
// row names: default deny is the fall-through.
struct MatchRow
{
    Address peer;
    uint8_t peer_prefix;  // 0 to 128; 0 matches every address of both families
    uint8_t direction;    // MatchDirection
    uint8_t protocol;     // IP protocol, or kAnyProtocol
    uint8_t flags;        // MatchFlags
    uint16_t port_low;  // of the flow's destination, inclusive; ignored for protocols without ports
    uint16_t port_high;
    RuleId rule;
};

// A service of the gateway itself, delivered through the host port to those whom a grant lets in.
struct ServiceRow
{
    Address address;  // host_v4 or host_v6
    uint16_t port;    // 0 for protocols without ports
    uint8_t protocol;
    uint8_t zero;
};

static_assert(sizeof(Table) == 16 && sizeof(SnapshotHeader) == 40 + 9 * 16);
static_assert(sizeof(GatewayRow) == 40 && sizeof(PortRow) == 72 &&
              sizeof(StaticNeighbourRow) == 24);
static_assert(sizeof(AgentRow) == 64 && sizeof(AddressRow) == 24 && sizeof(ClassRow) == 16);
static_assert(sizeof(MatchRow) == 28 && sizeof(ServiceRow) == 20);

}  // namespace sandgate::api
