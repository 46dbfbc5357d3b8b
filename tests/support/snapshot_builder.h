// A snapshot written by hand: rows are filled in, bytes() lays them out, sorts what must be sorted
// and signs.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "dataplane/api/snapshot_reader.h"
#include "tests/support/packet_builder.h"

namespace sandgate::test {

class SnapshotBuilder
{
  public:
    api::Epoch epoch = 1;
    api::GatewayRow gateway{};
    std::vector<api::PortRow> ports;
    std::vector<api::StaticNeighbourRow> neighbours;
    std::vector<api::AgentRow> agents;
    std::vector<api::AddressRow> addresses;
    std::vector<api::ClassRow> classes;
    std::vector<api::MatchRow> matches;
    std::vector<api::ServiceRow> services;
    std::vector<api::MatchRow> hard_rules;

    void add_port(uint8_t roles, const std::string& v4, uint8_t v4_prefix, const std::string& v6,
                  uint8_t v6_prefix, const std::string& gateway_v4 = {},
                  const std::string& gateway_v6 = {}, uint16_t mtu = 1500)
    {
        api::PortRow row{};
        row.roles = roles;
        row.v4_prefix = v4_prefix;
        row.v6_prefix = v6_prefix;
        row.mtu = mtu;
        row.v4 = address_of(v4);
        row.v6 = address_of(v6);
        if (!gateway_v4.empty())
            row.gateway_v4 = address_of(gateway_v4);
        if (!gateway_v6.empty())
            row.gateway_v6 = address_of(gateway_v6);
        ports.push_back(row);
    }
    void add_agent(api::IdentityId identity, uint32_t policy_class,
                   const std::vector<std::string>& networks)
    {
        api::AgentRow row{};
        row.identity = identity;
        row.flags = api::kAgentEnabled;
        row.public_key[0] = static_cast<uint8_t>(identity);
        row.public_key[1] = 1;
        row.policy_class = policy_class;
        row.changed_epoch = epoch;
        agents.push_back(row);
        for (const std::string& network : networks) add_address(network, identity);
    }
    void add_address(const std::string& network, api::IdentityId identity)
    {
        const auto [address, prefix] = parse(network);
        addresses.push_back({address, identity, prefix, {}});
    }
    // Appends to the class that was begun last.
    void add_class() { classes.push_back({static_cast<uint32_t>(matches.size()), 0, epoch}); }
    void allow(api::MatchDirection direction, const std::string& peer, uint8_t protocol,
               uint16_t low, uint16_t high, api::RuleId rule)
    {
        const auto [address, prefix] = parse(peer);
        matches.push_back({address, prefix, direction, protocol, 0, low, high, rule});
        classes.back().count++;
    }
    void forbid(const std::string& peer, api::RuleId rule)
    {
        const auto [address, prefix] = parse(peer);
        hard_rules.push_back(
            {address, prefix, api::kEgress, api::kAnyProtocol, api::kDeny, 0, 0xffff, rule});
    }
    api::AgentRow& agent(api::IdentityId identity)
    {
        return *std::find_if(agents.begin(), agents.end(),
                             [&](const auto& row) { return row.identity == identity; });
    }

    std::vector<uint8_t> bytes()
    {
        std::sort(agents.begin(), agents.end(),
                  [](auto& a, auto& b) { return a.identity < b.identity; });
        std::sort(addresses.begin(), addresses.end(), [](auto& a, auto& b) {
            return a.address != b.address ? a.address < b.address : a.prefix < b.prefix;
        });
        api::SnapshotHeader header{};
        std::vector<uint8_t> out(sizeof(header));
        header.magic = api::kSnapshotMagic;
        header.version = api::kSnapshotVersion;
        header.header_bytes = sizeof(header);
        header.epoch = epoch;
        header.gateway = put(out, std::vector<api::GatewayRow>{gateway});
        header.ports = put(out, ports);
        header.neighbours = put(out, neighbours);
        header.agents = put(out, agents);
        header.addresses = put(out, addresses);
        header.classes = put(out, classes);
        header.matches = put(out, matches);
        header.services = put(out, services);
        header.hard_rules = put(out, hard_rules);
        header.total_bytes = out.size();
        std::memcpy(out.data(), &header, sizeof(header));
        header.checksum = api::snapshot_checksum(out);
        std::memcpy(out.data(), &header, sizeof(header));
        return out;
    }

  private:
    static std::pair<api::Address, uint8_t> parse(const std::string& network)
    {
        const size_t slash = network.find('/');
        if (network == "any")
            return {{}, 0};
        const api::Address address = address_of(network.substr(0, slash));
        const unsigned written = slash == std::string::npos
                                     ? (address.is_v4() ? 32 : 128)
                                     : static_cast<unsigned>(std::stoi(network.substr(slash + 1)));
        return {address, static_cast<uint8_t>(written + (address.is_v4() ? 96 : 0))};
    }
    template <class Row>
    static api::Table put(std::vector<uint8_t>& out, const std::vector<Row>& rows)
    {
        out.resize((out.size() + 7) / 8 * 8);
        const api::Table table{out.size(), rows.size()};
        const auto* bytes = reinterpret_cast<const uint8_t*>(rows.data());
        out.insert(out.end(), bytes, bytes + rows.size() * sizeof(Row));
        return table;
    }
};

}  // namespace sandgate::test
