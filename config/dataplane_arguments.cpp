// Policy to command line.
#include "config/dataplane_arguments.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/parse.h"

namespace sandgate::config {

std::vector<std::string> dataplane_arguments(const Policy& policy)
{
    const Dataplane& d = policy.dataplane;
    std::vector<std::string> arguments;
    const auto add = [&](const char* option, const std::string& value) {
        arguments.emplace_back(option);
        arguments.push_back(value);
    };
    add("--control-socket", d.control_socket);
    for (const uint32_t core : d.workers) add("--worker-core", std::to_string(core));
    if (d.slow_path_core)
        add("--slow-core", std::to_string(*d.slow_path_core));
    for (const Port& port : policy.ports) {
        const char* roles = port.roles == (api::kWan | api::kLan) ? "wan,lan"
                            : port.roles == api::kWan             ? "wan"
                                                                  : "lan";
        add("--port", fmt::format("{}={}={}", port.name, roles, port.device));
    }
    if (!d.has_hugepages)
        arguments.emplace_back("--no-huge");
    if (d.is_test_mode)
        arguments.emplace_back("--test-mode");
    if (d.has_adaptive_idle)
        arguments.emplace_back("--adaptive-idle");
    if (d.max_sessions)
        add("--max-sessions", std::to_string(*d.max_sessions));
    if (d.max_flows)
        add("--max-flows", std::to_string(*d.max_flows));
    for (size_t i = 0; i < d.flow_timeouts.size(); i++)
        if (d.flow_timeouts[i])
            add("--flow-timeout",
                fmt::format("{}={}", api::kFlowTimeoutNames[i].option, *d.flow_timeouts[i]));
    if (d.mbufs)
        add("--mbufs", std::to_string(*d.mbufs));
    if (d.has_host_port) {
        arguments.emplace_back("--host-port");
        for (const api::Address& address : policy.gateway.tunnel_addresses)
            add(address.is_v4() ? "--host-v4" : "--host-v6", to_text(address));
    }
    uint16_t mtu = 1500;
    for (const Port& port : policy.ports) mtu = std::max(mtu, port.mtu);
    add("--mtu", std::to_string(mtu));
    return arguments;
}

}  // namespace sandgate::config
