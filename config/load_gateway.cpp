// The sections that say what the gateway itself is: gateway, dataplane, ports, control.
#include <algorithm>

#include "config/loader.h"

namespace sandgate::config {

void Loader::gateway(const YamlNode& node)
{
    Gateway& g = policy_.gateway;
    g.where = node.where;
    map(node, {
                  {"listen_port", kOptional,
                   [&](const YamlNode& n) { number(n, g.listen_port, 1, 65535); }},
                  {"private_key_file", kOptional,
                   [&](const YamlNode& n) { file_path(n, g.private_key_file); }},
                  {"public_endpoint", kOptional,
                   [&](const YamlNode& n) {
                       if (auto endpoint = parsed(n, parse_endpoint))
                           g.public_endpoint = std::move(*endpoint);
                   }},
                  {"tunnel_addresses", kOptional,
                   [&](const YamlNode& n) {
                       each(n, [&](const YamlNode& item) {
                           const auto address = parsed(item, parse_host_address);
                           if (!address)
                               return;
                           for (const auto& other : g.tunnel_addresses)
                               if (other.is_v4() == address->is_v4())
                                   return fail(item, "At most one IPv4 and one IPv6 address.");
                           g.tunnel_addresses.push_back(*address);
                       });
                   }},
                  {"tunnel_mtu", kOptional,
                   [&](const YamlNode& n) { number(n, g.tunnel_mtu, 1280, 9000 - 80); }},
                  {"dns", kOptional,
                   [&](const YamlNode& n) {
                       each(n, [&](const YamlNode& item) {
                           if (const auto address = parsed(item, parse_address))
                               g.dns.push_back(*address);
                       });
                   }},
              });
}

void Loader::dataplane(const YamlNode& node)
{
    constexpr uint64_t kMaxCore = 1023;
    Dataplane& d = policy_.dataplane;
    d.where = node.where;
    map(node,
        {
            {"workers", kOptional,
             [&](const YamlNode& n) {
                 d.workers.clear();
                 one_or_more(n, [&](const YamlNode& item) {
                     uint32_t core = ~0u;
                     number(item, core, 0, kMaxCore);
                     if (std::find(d.workers.begin(), d.workers.end(), core) != d.workers.end())
                         fail(item, fmt::format("Core {} is there twice.", core));
                     if (core != ~0u)
                         d.workers.push_back(core);
                 });
                 if (d.workers.size() > api::kMaxWorkers)
                     fail(n, fmt::format("More than {} workers.", api::kMaxWorkers));
             }},
            {"slow_path_core", kOptional,
             [&](const YamlNode& n) { number(n, d.slow_path_core, 0, kMaxCore); }},
            {"hugepages", kOptional, [&](const YamlNode& n) { boolean(n, d.has_hugepages); }},
            {"test_mode", kOptional, [&](const YamlNode& n) { boolean(n, d.is_test_mode); }},
            {"adaptive_idle", kOptional,
             [&](const YamlNode& n) { boolean(n, d.has_adaptive_idle); }},
            {"host_port", kOptional, [&](const YamlNode& n) { boolean(n, d.has_host_port); }},
            {"control_socket", kOptional,
             [&](const YamlNode& n) { socket_path(n, d.control_socket); }},
            {"max_sessions", kOptional,
             [&](const YamlNode& n) { size(n, d.max_sessions, api::kSessionSlots); }},
            {"max_flows", kOptional,
             [&](const YamlNode& n) { size(n, d.max_flows, api::kFlowsPerWorker); }},
            {"flow_timeouts", kOptional, [&](const YamlNode& n) { flow_timeouts(n); }},
            {"mbufs", kOptional, [&](const YamlNode& n) { size(n, d.mbufs, api::kPacketBuffers); }},
        });
}

void Loader::flow_timeouts(const YamlNode& node)
{
    std::vector<Field> fields;
    for (size_t i = 0; i < std::size(api::kFlowTimeoutNames); i++)
        fields.push_back({api::kFlowTimeoutNames[i].key, kOptional, [this, i](const YamlNode& n) {
                              const api::Range seconds = api::kFlowTimeoutNames[i].seconds;
                              number(n, policy_.dataplane.flow_timeouts[i], seconds.least,
                                     seconds.most);
                          }});
    map(node, fields);
}

void Loader::ports(const YamlNode& node)
{
    each(node, [&](const YamlNode& item) { port(item); });
}

void Loader::port(const YamlNode& node)
{
    Port p;
    p.where = node.where;
    map(node,
        {
            {"name", kRequired,
             [&](const YamlNode& n) {
                 if (auto name = parsed(n, parse_name)) {
                     p.name = std::move(*name);
                     if (p.name.size() > 31)
                         fail(n, "The name of a port has at most 31 bytes.");
                     p.where = n.where;
                 }
             }},
            {"device", kRequired,
             [&](const YamlNode& n) { p.device = text(n).value_or(std::string()); }},
            {"roles", kRequired,
             [&](const YamlNode& n) {
                 one_or_more(n, [&](const YamlNode& item) {
                     if (!is(item, Kind::kScalar, "wan or lan"))
                         return;
                     if (item.text == "wan")
                         p.roles |= api::kWan;
                     else if (item.text == "lan")
                         p.roles |= api::kLan;
                     else
                         fail(item, "A role is wan or lan.");
                 });
             }},
            {"addresses", kOptional,
             [&](const YamlNode& n) {
                 each(n, [&](const YamlNode& item) {
                     const auto address = parsed(item, parse_port_address);
                     if (!address)
                         return;
                     PortAddress& own = address->address.is_v4() ? p.v4 : p.v6;
                     if (own.length != 0)
                         return fail(item, "At most one IPv4 and one IPv6 address.");
                     own = *address;
                 });
             }},
            {"gateway", kOptional,
             [&](const YamlNode& n) {
                 one_or_more(n, [&](const YamlNode& item) {
                     const auto address = parsed(item, parse_host_address);
                     if (!address)
                         return;
                     api::Address& next_hop = address->is_v4() ? p.gateway_v4 : p.gateway_v6;
                     if (!next_hop.is_zero())
                         return fail(item, "At most one IPv4 and one IPv6 address.");
                     next_hop = *address;
                 });
             }},
            {"mtu", kOptional, [&](const YamlNode& n) { number(n, p.mtu, 1280, 9000); }},
            {"neighbours", kOptional,
             [&](const YamlNode& n) {
                 if (n.kind == Kind::kNull ||
                     !is(n, Kind::kMap, "a map of addresses to MAC addresses"))
                     return;
                 for (const auto& [key, value] : n.entries) {
                     const auto address = parsed(key, parse_host_address);
                     if (!address)
                         continue;
                     if (std::any_of(p.neighbours.begin(), p.neighbours.end(),
                                     [&](const auto& other) { return other.address == *address; }))
                         fail(key, fmt::format("{} is there twice.", to_text(*address)));
                     else if (const auto mac = parsed(value, parse_mac))
                         p.neighbours.push_back({*address, *mac, key.where});
                 }
             }},
        });
    policy_.ports.push_back(std::move(p));
}

void Loader::control(const YamlNode& node)
{
    map(node, {
                  {"state_dir", kOptional,
                   [&](const YamlNode& n) { file_path(n, policy_.control.state_dir); }},
                  {"socket", kOptional,
                   [&](const YamlNode& n) { socket_path(n, policy_.control.socket); }},
              });
}

void Loader::relax(const YamlNode& node)
{
    one_or_more(node, [&](const YamlNode& item) {
        const auto word = text(item);
        if (!word)
            return;
        if (*word == "metadata")
            policy_.relaxed |= kRelaxMetadata;
        else if (*word == "link_local")
            policy_.relaxed |= kRelaxLinkLocal;
        else if (*word == "agent_to_agent")
            policy_.relaxed |= kRelaxAgentToAgent;
        else if (*word == "multicast" || *word == "management")
            fail(item, fmt::format("The rule \"{}\" cannot be relaxed: the gateway has no way for "
                                   "such packets.",
                                   *word));
        else
            fail(
                item, "Relaxable are metadata, link_local and agent_to_agent" + [&] {
                    const std::string hint =
                        did_you_mean(*word, {"metadata", "link_local", "agent_to_agent"});
                    return hint.empty() ? std::string(".") : hint;
                }());
    });
}

}  // namespace sandgate::config
