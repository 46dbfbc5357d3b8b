// Verifies the bytes of a delta and applies it. What a delta's rows mean together with the rest of
// the snapshot is checked where both are there: apply_delta() gives a snapshot only if
// read_snapshot() accepts it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/api/delta.h"
#include "dataplane/api/snapshot_reader.h"

namespace sandgate::api {

struct DeltaView
{
    const DeltaHeader* header;
    std::span<const AgentRow> agents;
    std::span<const IdentityId> removed;
    std::span<const AddressRow> addresses;
    std::span<const GatewayRow> gateway;
    std::span<const PortRow> ports;
    std::span<const StaticNeighbourRow> neighbours;
    std::span<const ClassRow> classes;
    std::span<const MatchRow> matches;
    std::span<const ServiceRow> services;
    std::span<const MatchRow> hard_rules;
};

// As snapshot_checksum(), with DeltaHeader in the header's place.
uint64_t delta_checksum(std::span<const uint8_t> delta);

// Checks magic, version, sizes, checksum, alignment and bounds of every table, and ascending order.
// `error` receives the first fault as a sentence. The bytes must outlive the view.
std::optional<DeltaView> read_delta(std::span<const uint8_t> bytes, std::string& error);

// The snapshot that follows `base`: canonical bytes, fully verified. Empty when the delta was made
// for another snapshot or leads to no valid one; `error` says why.
std::vector<uint8_t> apply_delta(const SnapshotView& base, const DeltaView& delta,
                                 std::string& error);

// The tables of a snapshot to be, in their order. Bytes are canonical: tables in the header's
// order, each at the next multiple of 8, padding zero. The checksum is written too.
std::vector<uint8_t> write_snapshot(const SnapshotView& tables, Epoch epoch);

}  // namespace sandgate::api
