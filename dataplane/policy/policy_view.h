// What the workers read of a policy: one immutable object, built by the builder thread and
// published by one release store of one pointer. Workers load the pointer once per burst; a view is
// freed after a grace period.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/api/snapshot_reader.h"
#include "dataplane/policy/address_table.h"

namespace sandgate::dp {

struct Route
{
    uint8_t port;
    api::Address next_hop;
};

struct PolicyView
{
    std::vector<uint8_t> bytes;  // the verified snapshot; the spans below point into it
    api::SnapshotView rows;
    AddressTable addresses;
    std::vector<uint32_t> row_of_identity;  // index into rows.agents, or kNoRow

    // What the ports of a role have on their links: [wan, lan][IPv4, IPv6], in the ports' order.
    struct Link
    {
        api::Address network, mask, gateway;
        uint8_t port;
    };
    std::vector<Link> links[2][2];

    static constexpr uint32_t kNoRow = ~0u;

    const api::AgentRow* find_agent(api::IdentityId identity) const
    {
        if (identity >= row_of_identity.size() || row_of_identity[identity] == kNoRow)
            return nullptr;
        return &rows.agents[row_of_identity[identity]];
    }

    bool is_gateway_address(const api::Address& address) const
    {
        return address == rows.gateway->host_v4 || address == rows.gateway->host_v6;
    }

    // The port and next hop towards an address among the ports of a role: on-link networks first,
    // then the first default gateway of the address's family.
    std::optional<Route> find_route(api::PortRole role, const api::Address& to) const
    {
        const bool is_v4 = to.is_v4();
        const Link* by_gateway = nullptr;
        for (const Link& link : links[role == api::kWan ? 0 : 1][is_v4 ? 0 : 1]) {
            if (is_equal_under(link.mask, to, link.network))
                return Route{link.port, to};
            if (by_gateway == nullptr && !link.gateway.is_zero())
                by_gateway = &link;
        }
        const bool is_link_local = !is_v4 && to.bytes[0] == 0xfe && (to.bytes[1] & 0xc0) == 0x80;
        if (by_gateway == nullptr || is_link_local)
            return std::nullopt;
        return Route{by_gateway->port, by_gateway->gateway};
    }

    bool is_declared_service(const api::Address& address, uint8_t protocol, uint16_t port) const
    {
        for (const api::ServiceRow& service : rows.services)
            if (service.protocol == protocol && service.port == port && service.address == address)
                return true;
        return false;
    }
};

// Verifies the bytes and builds the tables that the workers read. The error says what is wrong with
// the bytes.
std::unique_ptr<PolicyView> build_policy_view(std::vector<uint8_t> bytes, uint64_t hash_seed,
                                              std::string& error);

}  // namespace sandgate::dp
