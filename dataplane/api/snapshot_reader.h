// Verifies the bytes of a snapshot and gives typed views of its tables. Nothing is copied; the
// bytes must outlive the reader.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "dataplane/api/snapshot.h"

namespace sandgate::api {

struct SnapshotView
{
    const SnapshotHeader* header;
    const GatewayRow* gateway;
    std::span<const PortRow> ports;
    std::span<const StaticNeighbourRow> neighbours;
    std::span<const AgentRow> agents;
    std::span<const AddressRow> addresses;
    std::span<const ClassRow> classes;
    std::span<const MatchRow> matches;
    std::span<const MatchRow> hard_rules;
    std::span<const ServiceRow> services;
};

// FNV-1a over 64-bit words (the last one filled with zeroes), each step folded by h ^= h >> 32 so
// that no bit stays in its place: first the bytes behind the header, then the header with its
// checksum field zero. Each step is a bijection, so a change within one word is always seen. Finds
// accidents, not forgers.
uint64_t snapshot_checksum(std::span<const uint8_t> snapshot);

// Checks magic, version, sizes, checksum, alignment and bounds of every table, ascending order
// where promised, every index between tables and the range of every field. `error` receives the
// first fault as a sentence.
std::optional<SnapshotView> read_snapshot(std::span<const uint8_t> bytes, std::string& error);

}  // namespace sandgate::api
