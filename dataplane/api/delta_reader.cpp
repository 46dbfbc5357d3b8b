// Reading and applying a delta. Applying merges sorted tables: linear in the snapshot with nothing
// but copies, and a bitmap of the identities that the delta touches.
#include "dataplane/api/delta_reader.h"

#include <cstring>

#include "dataplane/api/bytes_check.h"

namespace sandgate::api {
namespace {

class Reader
{
  public:
    Reader(std::span<const uint8_t> bytes, std::string& error) : bytes_(bytes), error_(error) {}

    bool read(DeltaView& view)
    {
        return header(view) && tables(view) && agents(view) && addresses(view);
    }

  private:
    bool fail(std::string sentence)
    {
        error_ = "The delta is refused: " + std::move(sentence);
        return false;
    }

    bool header(DeltaView& view)
    {
        if (bytes_.size() < sizeof(DeltaHeader))
            return fail("it is shorter than its header.");
        if (reinterpret_cast<uintptr_t>(bytes_.data()) % alignof(DeltaHeader) != 0)
            return fail("its bytes are not aligned to 8.");
        view.header = reinterpret_cast<const DeltaHeader*>(bytes_.data());
        if (view.header->magic != kDeltaMagic)
            return fail("it does not start with the delta's magic number.");
        if (view.header->version != kDeltaVersion)
            return fail("its version is not the one that this program reads.");
        if (view.header->header_bytes != sizeof(DeltaHeader))
            return fail("its header has a length of its own.");
        if (view.header->total_bytes != bytes_.size())
            return fail("it does not have the length that it says.");
        if (view.header->checksum != delta_checksum(bytes_))
            return fail("its checksum is wrong.");
        if (view.header->to_epoch <= view.header->from_epoch)
            return fail("it does not lead to a later epoch.");
        if ((view.header->replaced & ~uint32_t{kReplacesAll}) != 0 || view.header->zero != 0)
            return fail("it replaces tables that this version does not know.");
        return true;
    }

    template <class Row>
    bool table(const char* name, const Table& table, std::span<const Row>& rows, uint32_t bit)
    {
        if (!find_table<DeltaHeader>(bytes_, table, rows))
            return fail(std::string("the table of ") + name + " does not lie within the bytes.");
        if (bit != 0 && (replaced_ & bit) == 0 && !rows.empty())
            return fail(std::string("the table of ") + name + " has rows and replaces nothing.");
        return true;
    }

    bool tables(DeltaView& view)
    {
        const DeltaHeader& h = *view.header;
        replaced_ = h.replaced;
        if (!table("agents", h.agents, view.agents, 0) ||
            !table("removed agents", h.removed, view.removed, 0) ||
            !table("addresses", h.addresses, view.addresses, 0) ||
            !table("gateway", h.gateway, view.gateway, kReplacesGateway) ||
            !table("ports", h.ports, view.ports, kReplacesPorts) ||
            !table("neighbours", h.neighbours, view.neighbours, kReplacesNeighbours) ||
            !table("classes", h.classes, view.classes, kReplacesClasses) ||
            !table("matches", h.matches, view.matches, kReplacesMatches) ||
            !table("services", h.services, view.services, kReplacesServices) ||
            !table("hard rules", h.hard_rules, view.hard_rules, kReplacesHardRules))
            return false;
        if ((h.replaced & kReplacesGateway) != 0 && view.gateway.size() != 1)
            return fail("it replaces the gateway row by none or several.");
        return true;
    }

    bool agents(const DeltaView& view)
    {
        for (size_t i = 0; i < view.agents.size(); i++) {
            const IdentityId before = i == 0 ? kNoIdentity : view.agents[i - 1].identity;
            if (view.agents[i].identity <= before || view.agents[i].identity > kMaxIdentity)
                return fail("its agents are out of order.");
        }
        size_t other = 0;
        for (size_t i = 0; i < view.removed.size(); i++) {
            const IdentityId before = i == 0 ? kNoIdentity : view.removed[i - 1];
            if (view.removed[i] <= before || view.removed[i] > kMaxIdentity)
                return fail("its removed agents are out of order.");
            while (other < view.agents.size() && view.agents[other].identity < view.removed[i])
                other++;
            if (other < view.agents.size() && view.agents[other].identity == view.removed[i])
                return fail("it removes an agent that it also adds.");
        }
        return true;
    }

    bool addresses(const DeltaView& view)
    {
        for (size_t i = 1; i < view.addresses.size(); i++) {
            const AddressRow& a = view.addresses[i - 1];
            const AddressRow& b = view.addresses[i];
            const auto order = a.address <=> b.address;
            if (order > 0 || (order == 0 && a.prefix >= b.prefix))
                return fail("its addresses are out of order.");
        }
        return true;
    }

    std::span<const uint8_t> bytes_;
    std::string& error_;
    uint32_t replaced_ = 0;
};

// One bit for each identity up to the greatest that was noted.
class IdentitySet
{
  public:
    void note(IdentityId identity)
    {
        if (identity / 64 >= words_.size())
            words_.resize(identity / 64 + 1);
        words_[identity / 64] |= uint64_t{1} << (identity % 64);
    }
    bool has(IdentityId identity) const
    {
        return identity / 64 < words_.size() && (words_[identity / 64] >> (identity % 64) & 1) != 0;
    }

  private:
    std::vector<uint64_t> words_;
};

// The rows of `base` whose identity is not in `touched`, merged with `added`, both ascending.
template <class Row, class Less>
std::vector<Row> merge_rows(std::span<const Row> base, std::span<const Row> added,
                            const IdentitySet& touched, Less less)
{
    std::vector<Row> rows;
    rows.reserve(base.size() + added.size());
    size_t next = 0;
    for (const Row& row : base) {
        if (touched.has(row.identity))
            continue;
        while (next < added.size() && less(added[next], row)) rows.push_back(added[next++]);
        rows.push_back(row);
    }
    rows.insert(rows.end(), added.begin() + static_cast<ptrdiff_t>(next), added.end());
    return rows;
}

template <class Row>
Table append(std::vector<uint8_t>& bytes, std::span<const Row> rows)
{
    const Table table{bytes.size(), rows.size()};
    const auto* first = reinterpret_cast<const uint8_t*>(rows.data());
    bytes.insert(bytes.end(), first, first + rows.size_bytes());
    bytes.resize((bytes.size() + 7) / 8 * 8);
    return table;
}

}  // namespace

uint64_t delta_checksum(std::span<const uint8_t> delta) { return checksum_of<DeltaHeader>(delta); }

std::optional<DeltaView> read_delta(std::span<const uint8_t> bytes, std::string& error)
{
    DeltaView view{};
    if (!Reader(bytes, error).read(view))
        return std::nullopt;
    return view;
}

std::vector<uint8_t> write_snapshot(const SnapshotView& tables, Epoch epoch)
{
    std::vector<uint8_t> bytes;
    bytes.reserve(sizeof(SnapshotHeader) + sizeof(GatewayRow) + tables.ports.size_bytes() +
                  tables.neighbours.size_bytes() + tables.agents.size_bytes() +
                  tables.addresses.size_bytes() + tables.classes.size_bytes() +
                  tables.matches.size_bytes() + tables.services.size_bytes() +
                  tables.hard_rules.size_bytes() + 9 * 8);
    bytes.resize(sizeof(SnapshotHeader));
    SnapshotHeader header{};
    header.magic = kSnapshotMagic;
    header.version = kSnapshotVersion;
    header.header_bytes = sizeof header;
    header.epoch = epoch;
    header.gateway = append(bytes, std::span<const GatewayRow>(tables.gateway, 1));
    header.ports = append(bytes, tables.ports);
    header.neighbours = append(bytes, tables.neighbours);
    header.agents = append(bytes, tables.agents);
    header.addresses = append(bytes, tables.addresses);
    header.classes = append(bytes, tables.classes);
    header.matches = append(bytes, tables.matches);
    header.services = append(bytes, tables.services);
    header.hard_rules = append(bytes, tables.hard_rules);
    header.total_bytes = bytes.size();
    std::memcpy(bytes.data(), &header, sizeof header);
    header.checksum = snapshot_checksum(bytes);
    std::memcpy(bytes.data(), &header, sizeof header);
    return bytes;
}

std::vector<uint8_t> apply_delta(const SnapshotView& base, const DeltaView& delta,
                                 std::string& error)
{
    const DeltaHeader& h = *delta.header;
    if (h.from_epoch != base.header->epoch || h.from_checksum != base.header->checksum) {
        error = "The delta is refused: it was made for epoch " + std::to_string(h.from_epoch) +
                ", in force is epoch " + std::to_string(base.header->epoch) + ".";
        return {};
    }
    IdentitySet touched;
    for (const AgentRow& row : delta.agents) touched.note(row.identity);
    for (const IdentityId identity : delta.removed) touched.note(identity);

    const std::vector<AgentRow> agents =
        merge_rows(base.agents, delta.agents, touched,
                   [](const AgentRow& a, const AgentRow& b) { return a.identity < b.identity; });
    const std::vector<AddressRow> addresses =
        merge_rows(base.addresses, delta.addresses, touched, [](const auto& a, const auto& b) {
            return a.address != b.address ? a.address < b.address : a.prefix < b.prefix;
        });

    SnapshotView tables = base;
    tables.agents = agents;
    tables.addresses = addresses;
    if ((h.replaced & kReplacesGateway) != 0)
        tables.gateway = delta.gateway.data();
    if ((h.replaced & kReplacesPorts) != 0)
        tables.ports = delta.ports;
    if ((h.replaced & kReplacesNeighbours) != 0)
        tables.neighbours = delta.neighbours;
    if ((h.replaced & kReplacesClasses) != 0)
        tables.classes = delta.classes;
    if ((h.replaced & kReplacesMatches) != 0)
        tables.matches = delta.matches;
    if ((h.replaced & kReplacesServices) != 0)
        tables.services = delta.services;
    if ((h.replaced & kReplacesHardRules) != 0)
        tables.hard_rules = delta.hard_rules;

    std::vector<uint8_t> bytes = write_snapshot(tables, h.to_epoch);
    if (reinterpret_cast<const SnapshotHeader*>(bytes.data())->checksum != h.to_checksum) {
        error = "The delta is refused: it does not lead to the snapshot that it says.";
        return {};
    }
    if (!read_snapshot(bytes, error))
        return {};
    return bytes;
}

}  // namespace sandgate::api
