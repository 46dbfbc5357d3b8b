// Refusing a packet and telling its sender: a TCP reset or an ICMP error, built in the same mbuf.
#pragma once

#include "dataplane/worker/worker.h"

namespace sandgate::dp {

enum class Told : uint8_t
{
    kProhibited,   // a reset for TCP, else "administratively prohibited"
    kUnreachable,  // host unreachable
    kTimeExceeded,
    kTooBig,  // with the next link's MTU
};

// Counts the reason. The packet becomes the reply when its sender may be told (never for ICMP
// errors, resets or multicast; RFC 1122 section 3.2.2, RFC 4443 section 2.4) and the budget allows
// it, and goes on at the end of the burst; otherwise it is freed. Either way it has left the burst.
void refuse_and_tell(Worker& w, const PolicyView& policy, Packet& packet, DropReason reason,
                     Told told, uint16_t mtu = 0);

}  // namespace sandgate::dp
