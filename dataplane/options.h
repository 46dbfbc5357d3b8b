// The command line of sandgate-dataplane: what must be known before the first packet buffer exists.
// Everything else comes by the socket. `sandgate dataplane-args FILE` prints it from the YAML.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/api/flow_timeouts.h"

namespace sandgate::dp {

struct PortOption
{
    std::string name;
    std::string device;  // a PCI address or a vdev with its arguments
};

struct Options
{
    std::string control_socket;
    std::vector<unsigned> worker_cores;
    std::optional<unsigned> slow_core;
    std::vector<PortOption> ports;
    bool has_hugepages = true;
    bool is_test_mode = false;
    bool is_idle_adaptive = false;
    uint32_t max_sessions = 1u << 16;
    uint32_t max_flows = 1u << 18;  // per worker
    api::FlowTimeouts flow_timeouts;
    uint32_t mbufs = 1u << 14;
    uint16_t mtu = 1500;
    bool has_host_port = false;
    std::string host_namespace = "sandgate-host";
    std::string host_v4, host_v6;
    std::string user;          // to run as once set up; empty: sandgate, else nobody
    std::string control_user;  // may use the socket beside root; empty: `user`
};

// Exits with a usage message where the command line cannot be read.
Options parse_options(int argc, char** argv);

}  // namespace sandgate::dp
