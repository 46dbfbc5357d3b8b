// The network namespace in which the TAP of the gateway's own services lives alone.
#pragma once

#include <functional>
#include <string>

#include "dataplane/options.h"

namespace sandgate::dp::host_port {

// Enters (or makes) the namespace, calls make_device there, gives the interface the gateway's
// tunnel addresses, a default route and no ARP, and returns to the caller's namespace. Empty, or
// what went wrong.
std::string make_in_namespace(const Options& options, const std::string& interface,
                              const std::function<std::string()>& make_device);

}  // namespace sandgate::dp::host_port
