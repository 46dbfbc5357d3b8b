// The flow key of a packet, the same for both directions, and who opened it when it is new.
#pragma once

#include "dataplane/pipeline/packet.h"

namespace sandgate::dp {

inline FlowKey key_of(const Packet& packet)
{
    const bool is_error = (packet.flags & kIcmpError) != 0;
    const Address& sender = is_error ? packet.quoted : packet.source;
    const IdentityId identity = packet.agent->identity;
    if (packet.is_from_agent())
        return {
            sender, packet.destination,
            FlowKey::pack(packet.source_port, packet.destination_port, identity, packet.protocol)};
    return {packet.destination, sender,
            FlowKey::pack(packet.destination_port, packet.source_port, identity, packet.protocol)};
}

inline api::MatchDirection direction_of(const Packet& packet)
{
    return packet.is_from_agent() ? api::kEgress : api::kIngress;
}

}  // namespace sandgate::dp
