// Writes the outer UDP/IP headers of a WireGuard message.
#pragma once

#include <rte_mbuf.h>

#include "dataplane/policy/policy_view.h"
#include "dataplane/worker/worker.h"

namespace sandgate::dp {

// The way to an endpoint: port, next hop, and our address on that port. Worked out once per run of
// packets.
struct OuterWay
{
    bool is_known = false;
    uint8_t port = 0;
    Address next_hop;
    Endpoint source, destination;
};

OuterWay find_outer_way(const PolicyView& policy, const Endpoint& endpoint);

// Prepends UDP and IP to the message that the mbuf holds. False when the headroom is missing. The
// IPv4 UDP checksum is zero (RFC 768), the IPv6 one is computed (RFC 8200 section 8.1).
bool prepend_outer(rte_mbuf* mbuf, const OuterWay& way, uint8_t traffic_class, uint16_t ip_id);

}  // namespace sandgate::dp
