// IPv4 fragmentation before sealing or sending (RFC 791), for packets that allow it.
#pragma once

#include "dataplane/worker/worker.h"

namespace sandgate::dp {

// Cuts a routed packet (without DF, larger than mtu) into fragments that go on at `seal_packets`
// when the burst ends. The packet itself is freed. When buffers or places run out, the whole packet
// is dropped by name.
void fragment(Worker& w, Packet& packet, uint16_t mtu);

}  // namespace sandgate::dp
