// The step from one snapshot to the next: one contiguous block of bytes, no pointers, host order.
// Agents travel as rows; the small tables travel whole, and only when they changed. A delta fits
// exactly one snapshot (epoch and checksum) and leads to exactly one (epoch and checksum), so
// applying it can be proven right.
#pragma once

#include <cstdint>

#include "dataplane/api/ids.h"
#include "dataplane/api/snapshot.h"

namespace sandgate::api {

constexpr uint64_t kDeltaMagic = 0x31303044'47444e53;  // "SNDGD001" in memory order
constexpr uint32_t kDeltaVersion = 2;

// Bits of DeltaHeader::replaced: the table of the delta takes the place of the snapshot's.
enum DeltaTables : uint32_t
{
    kReplacesGateway = 1,
    kReplacesPorts = 2,
    kReplacesNeighbours = 4,
    kReplacesClasses = 8,
    kReplacesMatches = 16,
    kReplacesServices = 32,
    kReplacesHardRules = 64,
    kReplacesAll = 127,
};

struct DeltaHeader
{
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes;  // sizeof(DeltaHeader)
    uint64_t total_bytes;
    uint64_t checksum;  // delta_checksum() of delta_reader.h
    Epoch from_epoch;
    Epoch to_epoch;          // greater than from_epoch
    uint64_t from_checksum;  // of the snapshot that this applies to
    uint64_t to_checksum;    // of the snapshot that comes out
    uint32_t replaced;       // DeltaTables
    uint32_t zero;
    Table agents;     // AgentRow added or replaced, ascending identity
    Table removed;    // IdentityId of agents that leave, ascending; none of `agents`
    Table addresses;  // AddressRow: all addresses of the agents in `agents`, ascending (address,
                      // prefix)
    Table gateway;    // the tables that `replaced` names; the others are empty
    Table ports;
    Table neighbours;
    Table classes;
    Table matches;
    Table services;
    Table hard_rules;
};

static_assert(sizeof(DeltaHeader) == 72 + 10 * 16);

}  // namespace sandgate::api
