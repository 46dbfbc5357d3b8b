// DPDK devices and memory: made once at start, in the order of the ladder in main.cpp. Errors are
// sentences for an operator.
#pragma once

#include <string>
#include <vector>

#include "dataplane/options.h"
#include "dataplane/worker/worker.h"

namespace sandgate::dp {

// Starts EAL with the cores, memory and devices of the options. Empty, or the sentence that says
// what is missing.
std::string start_eal(const Options& options);

// The pool of packet buffers, with room for a Packet before and headers around each frame.
std::string build_pool(const Options& options, Shared& shared);

// Opens and starts every port with a queue per worker.
std::string open_ports(const Options& options, Shared& shared);

// The host port: a TAP alone in its network namespace, without ARP, with the gateway's tunnel
// addresses.
std::string open_host_port(const Options& options, Shared& shared);

void close_ports(Shared& shared);

// The devices that serve one port: the device as given, or for AF_XDP with several workers one per
// queue.
std::vector<std::string> devices_of(const std::string& device, unsigned port, unsigned workers);

}  // namespace sandgate::dp
