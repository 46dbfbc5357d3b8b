// Two snapshots to a delta: one pass over each table.
#include "config/make_delta.h"

#include "config/row_compare.h"
#include "dataplane/api/delta_reader.h"

namespace sandgate::config {
namespace {

template <class Row>
api::Table append(std::vector<uint8_t>& bytes, std::span<const Row> rows)
{
    const api::Table table{bytes.size(), rows.size()};
    const auto* first = reinterpret_cast<const uint8_t*>(rows.data());
    bytes.insert(bytes.end(), first, first + rows.size_bytes());
    bytes.resize((bytes.size() + 7) / 8 * 8);
    return table;
}

}  // namespace

std::vector<uint8_t> make_delta(const api::SnapshotView& before, const api::SnapshotView& after)
{
    const IdentityBits moved = moved_identities(before.addresses, after.addresses);
    std::vector<api::AgentRow> agents;
    std::vector<api::IdentityId> removed;
    IdentityBits put;
    size_t i = 0, j = 0;
    while (i < before.agents.size() || j < after.agents.size()) {
        if (j == after.agents.size() ||
            (i < before.agents.size() && before.agents[i].identity < after.agents[j].identity)) {
            removed.push_back(before.agents[i++].identity);
            continue;
        }
        const api::AgentRow& row = after.agents[j++];
        const bool is_known = i < before.agents.size() && before.agents[i].identity == row.identity;
        if (!is_known || moved.has(row.identity) || !is_same_row(before.agents[i], row)) {
            agents.push_back(row);
            put.note(row.identity);
        }
        i += is_known ? 1 : 0;
    }
    std::vector<api::AddressRow> addresses;
    if (!agents.empty())
        for (const api::AddressRow& row : after.addresses)
            if (put.has(row.identity))
                addresses.push_back(row);

    std::vector<uint8_t> bytes(sizeof(api::DeltaHeader));
    api::DeltaHeader header{};
    header.magic = api::kDeltaMagic;
    header.version = api::kDeltaVersion;
    header.header_bytes = sizeof header;
    header.from_epoch = before.header->epoch;
    header.to_epoch = after.header->epoch;
    header.from_checksum = before.header->checksum;
    header.to_checksum = after.header->checksum;
    header.agents = append(bytes, std::span<const api::AgentRow>(agents));
    header.removed = append(bytes, std::span<const api::IdentityId>(removed));
    header.addresses = append(bytes, std::span<const api::AddressRow>(addresses));
    const auto replace = [&](auto old_rows, auto new_rows, api::DeltaTables bit) {
        if (is_same_table(old_rows, new_rows))
            return append(bytes, new_rows.first(0));
        header.replaced |= bit;
        return append(bytes, new_rows);
    };
    header.gateway =
        replace(std::span<const api::GatewayRow>(before.gateway, 1),
                std::span<const api::GatewayRow>(after.gateway, 1), api::kReplacesGateway);
    header.ports = replace(before.ports, after.ports, api::kReplacesPorts);
    header.neighbours = replace(before.neighbours, after.neighbours, api::kReplacesNeighbours);
    header.classes = replace(before.classes, after.classes, api::kReplacesClasses);
    header.matches = replace(before.matches, after.matches, api::kReplacesMatches);
    header.services = replace(before.services, after.services, api::kReplacesServices);
    header.hard_rules = replace(before.hard_rules, after.hard_rules, api::kReplacesHardRules);
    header.total_bytes = bytes.size();
    std::memcpy(bytes.data(), &header, sizeof header);
    header.checksum = api::delta_checksum(bytes);
    std::memcpy(bytes.data(), &header, sizeof header);
    return bytes;
}

Result<std::vector<uint8_t>> make_delta(std::span<const uint8_t> old_bytes,
                                        std::span<const uint8_t> new_bytes)
{
    std::string error;
    const auto before = api::read_snapshot(old_bytes, error);
    if (!before)
        return Error{error};
    const auto after = api::read_snapshot(new_bytes, error);
    if (!after)
        return Error{error};
    if (after->header->epoch <= before->header->epoch)
        return Error{"A delta leads to a later epoch."};
    return make_delta(*before, *after);
}

}  // namespace sandgate::config
