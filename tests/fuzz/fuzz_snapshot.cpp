// Any bytes to the snapshot reader, with magic, sizes and checksum made right so that the checks
// behind them are reached. What it accepts is read to the last row.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "dataplane/api/snapshot_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    using namespace sandgate::api;
    std::string error;
    std::vector<uint8_t> bytes(data, data + size);
    read_snapshot(bytes, error);
    if (size < sizeof(SnapshotHeader))
        return 0;
    SnapshotHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    header.magic = kSnapshotMagic;
    header.version = kSnapshotVersion;
    header.header_bytes = sizeof header;
    header.total_bytes = size;
    std::memcpy(bytes.data(), &header, sizeof header);
    header.checksum = snapshot_checksum(bytes);
    std::memcpy(bytes.data(), &header, sizeof header);
    const auto view = read_snapshot(bytes, error);
    if (!view)
        return 0;
    uint64_t sum = view->gateway->listen_port;
    for (const AgentRow& row : view->agents) {
        const ClassRow& rights = view->classes[row.policy_class];
        for (const MatchRow& match : view->matches.subspan(rights.first, rights.count))
            sum += match.rule;
    }
    for (const StaticNeighbourRow& row : view->neighbours) sum += view->ports[row.port].mtu;
    for (const AddressRow& row : view->addresses) sum += row.identity;
    for (const MatchRow& row : view->hard_rules) sum += row.rule;
    for (const ServiceRow& row : view->services) sum += row.port;
    if (sum == 0)
        std::abort();
    return 0;
}
