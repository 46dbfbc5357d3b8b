// Verification of a snapshot's bytes, before anything is believed. The bytes come from another
// process: every offset, count, index, order and range is checked here, so that the builder can
// follow them without looking. One pass per table, no recursion; the only allocations are a bitmap
// of the identities (2 MiB at most) and a count per match row.
#include "dataplane/api/snapshot_reader.h"

#include <cstring>
#include <vector>

#include "dataplane/api/bytes_check.h"
#include "dataplane/api/counters.h"

namespace sandgate::api {
namespace {

// True when no bit behind the first `prefix` bits is set.
bool host_bits_are_zero(const Address& address, unsigned prefix)
{
    if (prefix >= 128)
        return prefix == 128;
    unsigned byte = prefix / 8;
    if ((address.bytes[byte] & (0xffu >> (prefix % 8))) != 0)
        return false;
    for (byte++; byte < 16; byte++)
        if (address.bytes[byte] != 0)
            return false;
    return true;
}

bool is_v4_or_zero(const Address& address) { return address.is_zero() || address.is_v4(); }

// The checks, in the order in which they may rely on one another.
class Reader
{
  public:
    Reader(std::span<const uint8_t> bytes, std::string& error) : bytes_(bytes), error_(error) {}

    bool read(SnapshotView& view)
    {
        return header(view) && tables(view) && gateway(view) && ports(view) && neighbours(view) &&
               matches(view) && hard_rules(view) && classes(view) && agents(view) &&
               addresses(view) && services(view);
    }

  private:
    bool fail(std::string sentence)
    {
        error_ = "The snapshot is refused: " + std::move(sentence);
        return false;
    }
    bool fail(const char* table, size_t row, const char* fault)
    {
        return fail("row " + std::to_string(row) + " of " + table + " " + fault);
    }

    bool header(SnapshotView& view)
    {
        if (bytes_.size() < sizeof(SnapshotHeader))
            return fail("it is shorter than its header.");
        if (reinterpret_cast<uintptr_t>(bytes_.data()) % alignof(SnapshotHeader) != 0)
            return fail("its bytes are not aligned to 8.");
        view.header = reinterpret_cast<const SnapshotHeader*>(bytes_.data());
        if (view.header->magic != kSnapshotMagic)
            return fail("it does not start with the snapshot's magic number.");
        if (view.header->version != kSnapshotVersion)
            return fail("its version is " + std::to_string(view.header->version) +
                        ", this program reads " + std::to_string(kSnapshotVersion) + ".");
        if (view.header->header_bytes != sizeof(SnapshotHeader))
            return fail("its header has a length of its own.");
        if (view.header->total_bytes != bytes_.size())
            return fail("it says " + std::to_string(view.header->total_bytes) + " bytes and has " +
                        std::to_string(bytes_.size()) + ".");
        if (view.header->checksum != snapshot_checksum(bytes_))
            return fail("its checksum is wrong.");
        return true;
    }

    template <class Row>
    bool table(const char* name, const Table& table, std::span<const Row>& rows,
               uint64_t most = kMaxRows)
    {
        if (table.count <= most && find_table<SnapshotHeader>(bytes_, table, rows))
            return true;
        return fail(std::string("the table of ") + name + " does not lie within the bytes.");
    }

    bool tables(SnapshotView& view)
    {
        std::span<const GatewayRow> gateway_rows;
        const SnapshotHeader& h = *view.header;
        if (!table("gateway", h.gateway, gateway_rows, 1) ||
            !table("ports", h.ports, view.ports, kMaxPorts - 1) ||
            !table("neighbours", h.neighbours, view.neighbours) ||
            !table("agents", h.agents, view.agents, kMaxIdentity) ||
            !table("addresses", h.addresses, view.addresses) ||
            !table("classes", h.classes, view.classes) ||
            !table("matches", h.matches, view.matches) ||
            !table("hard rules", h.hard_rules, view.hard_rules) ||
            !table("services", h.services, view.services))
            return false;
        if (gateway_rows.size() != 1)
            return fail("it has no gateway row.");
        view.gateway = gateway_rows.data();
        return true;
    }

    bool gateway(const SnapshotView& view)
    {
        const GatewayRow& row = *view.gateway;
        if (row.listen_port == 0)
            return fail("gateway", 0, "has no listen port.");
        if (row.tunnel_mtu < 1280 || row.tunnel_mtu > 9000 - 80)
            return fail("gateway", 0, "has a tunnel MTU outside 1280 to 8920.");
        if (row.zero != 0 || !is_v4_or_zero(row.host_v4) || row.host_v6.is_v4())
            return fail("gateway", 0, "has a malformed host address.");
        return true;
    }

    bool ports(const SnapshotView& view)
    {
        for (size_t i = 0; i < view.ports.size(); i++) {
            const PortRow& row = view.ports[i];
            if (row.roles == 0 || row.roles > (kWan | kLan))
                return fail("ports", i, "has no known role.");
            if (row.v4_prefix > 32 || row.v6_prefix > 128)
                return fail("ports", i, "has an impossible prefix length.");
            if (row.mtu < 1280 || row.mtu > 9000)
                return fail("ports", i, "has an MTU outside 1280 to 9000.");
            if (row.zero0 != 0 || row.zero1 != 0)
                return fail("ports", i, "has reserved bytes that are not zero.");
            if (!is_v4_or_zero(row.v4) || row.v6.is_v4() || !is_v4_or_zero(row.gateway_v4) ||
                row.gateway_v6.is_v4())
                return fail("ports", i, "has an address of the wrong family.");
            if ((row.v4_prefix != 0 && row.v4.is_zero()) ||
                (row.v6_prefix != 0 && row.v6.is_zero()))
                return fail("ports", i, "has a prefix length without an address.");
        }
        return true;
    }

    bool neighbours(const SnapshotView& view)
    {
        static constexpr uint8_t kNoMac[6] = {};
        for (size_t i = 0; i < view.neighbours.size(); i++) {
            const StaticNeighbourRow& row = view.neighbours[i];
            if (row.port >= view.ports.size())
                return fail("neighbours", i, "names a port that does not exist.");
            if (row.address.is_zero() || row.zero != 0)
                return fail("neighbours", i, "has no address or reserved bytes that are not zero.");
            if ((row.mac[0] & 1) != 0 || std::memcmp(row.mac, kNoMac, 6) == 0)
                return fail("neighbours", i, "has a MAC address that is no single station's.");
        }
        return true;
    }

    bool classes(const SnapshotView& view)
    {
        for (size_t i = 0; i < view.classes.size(); i++) {
            const ClassRow& row = view.classes[i];
            if (row.first > view.matches.size() || row.count > view.matches.size() - row.first)
                return fail("classes", i, "points behind the end of the match rows.");
            if (row.changed_epoch > view.header->epoch)
                return fail("classes", i, "changed after the snapshot was made.");
            // The first row that matches decides, so no denial may hide behind a permission.
            if (!late_denials_.empty() && row.count != 0 &&
                late_denials_[row.first + row.count - 1] != late_denials_[row.first])
                return fail("classes", i, "has a denial behind a permission.");
        }
        return true;
    }

    bool matches(const SnapshotView& view)
    {
        for (size_t i = 0; i < view.matches.size(); i++) {
            const MatchRow& row = view.matches[i];
            if (!host_bits_are_zero(row.peer, row.peer_prefix))
                return fail("matches", i, "has address bits behind its prefix.");
            if (row.direction != kEgress && row.direction != kIngress)
                return fail("matches", i, "has no known direction.");
            if ((row.flags & ~uint8_t{kDeny | kNotFromAgents}) != 0)
                return fail("matches", i, "has flags that this version does not know.");
            if (row.port_low > row.port_high)
                return fail("matches", i, "has a range of ports that ends before it starts.");
            if (row.rule == kNoRule || row.rule >= kFirstHardRule)
                return fail("matches", i, "belongs to no rule.");
            if ((row.flags & kDeny) != 0 && late_denials_.empty())
                late_denials_.resize(view.matches.size());
        }
        // How many denials follow a permission, up to each row.
        for (size_t i = 1; i < late_denials_.size(); i++) {
            const bool is_late =
                (view.matches[i].flags & kDeny) != 0 && (view.matches[i - 1].flags & kDeny) == 0;
            late_denials_[i] = late_denials_[i - 1] + (is_late ? 1 : 0);
        }
        return true;
    }

    bool hard_rules(const SnapshotView& view)
    {
        for (size_t i = 0; i < view.hard_rules.size(); i++) {
            const MatchRow& row = view.hard_rules[i];
            if (!host_bits_are_zero(row.peer, row.peer_prefix))
                return fail("hard rules", i, "has address bits behind its prefix.");
            if (row.direction != kEgress || row.flags != kDeny || row.protocol != kAnyProtocol ||
                row.port_low != 0 || row.port_high != 0xffff || row.rule < kFirstHardRule)
                return fail("hard rules", i, "denies less than everything to its address.");
        }
        return true;
    }

    bool agents(const SnapshotView& view)
    {
        static constexpr uint8_t kNoKey[32] = {};
        IdentityId last = kNoIdentity;
        if (!view.agents.empty())
            identities_.resize(view.agents.back().identity <= kMaxIdentity
                                   ? view.agents.back().identity / 64 + 1
                                   : 1);
        for (size_t i = 0; i < view.agents.size(); i++) {
            const AgentRow& row = view.agents[i];
            if (row.identity <= last || row.identity > kMaxIdentity ||
                row.identity / 64 >= identities_.size())
                return fail("agents", i, "is out of order or has an impossible identity.");
            last = row.identity;
            identities_[row.identity / 64] |= uint64_t{1} << (row.identity % 64);
            if ((row.flags & ~uint32_t{kAgentEnabled | kAgentHasPsk}) != 0 || row.zero != 0)
                return fail("agents", i, "has flags that this version does not know.");
            if (std::memcmp(row.public_key, kNoKey, 32) == 0)
                return fail("agents", i, "has no public key.");
            if (row.expires_unix < 0)
                return fail("agents", i, "expires before 1970.");
            if (row.changed_epoch > view.header->epoch)
                return fail("agents", i, "changed after the snapshot was made.");
            if (row.policy_class >= view.classes.size())
                return fail("agents", i, "names a policy class that does not exist.");
        }
        return true;
    }

    bool addresses(const SnapshotView& view)
    {
        for (size_t i = 0; i < view.addresses.size(); i++) {
            const AddressRow& row = view.addresses[i];
            if (!host_bits_are_zero(row.address, row.prefix))
                return fail("addresses", i, "has address bits behind its prefix.");
            if ((row.zero[0] | row.zero[1] | row.zero[2]) != 0)
                return fail("addresses", i, "has reserved bytes that are not zero.");
            if (row.identity / 64 >= identities_.size() ||
                (identities_[row.identity / 64] >> (row.identity % 64) & 1) == 0)
                return fail("addresses", i, "belongs to no agent.");
            if (i == 0)
                continue;
            const AddressRow& before = view.addresses[i - 1];
            const auto order = before.address <=> row.address;
            if (order > 0 || (order == 0 && before.prefix >= row.prefix))
                return fail("addresses", i, "is out of order or there twice.");
        }
        return true;
    }

    bool services(const SnapshotView& view)
    {
        for (size_t i = 0; i < view.services.size(); i++) {
            const ServiceRow& row = view.services[i];
            const bool is_ours =
                row.address == view.gateway->host_v4 || row.address == view.gateway->host_v6;
            if (row.address.is_zero() || !is_ours)
                return fail("services", i, "is not at one of the gateway's own addresses.");
            if (row.zero != 0)
                return fail("services", i, "has reserved bytes that are not zero.");
        }
        return true;
    }

    std::span<const uint8_t> bytes_;
    std::string& error_;
    std::vector<uint64_t> identities_;    // one bit each
    std::vector<uint32_t> late_denials_;  // by match row; empty when nothing is denied
};

}  // namespace

uint64_t snapshot_checksum(std::span<const uint8_t> snapshot)
{
    return checksum_of<SnapshotHeader>(snapshot);
}

std::optional<SnapshotView> read_snapshot(std::span<const uint8_t> bytes, std::string& error)
{
    SnapshotView view{};
    if (!Reader(bytes, error).read(view))
        return std::nullopt;
    return view;
}

}  // namespace sandgate::api
