// The flow key of a packet, the same for both directions, and who opened it when it is new.
#pragma once

#include "dataplane/pipeline/packet.h"

namespace sandgate::dp {

inline FlowKey key_of(const Packet& packet)
{
    const bool is_error = (packet.flags & kIcmpError) != 0;
    FlowKey key;
    if (packet.is_from_agent()) {
        key.agent = is_error ? packet.quoted : packet.source;
        key.peer = packet.destination;
        key.agent_port = packet.source_port;
        key.peer_port = packet.destination_port;
    } else {
        key.agent = packet.destination;
        key.peer = is_error ? packet.quoted : packet.source;
        key.agent_port = packet.destination_port;
        key.peer_port = packet.source_port;
    }
    key.identity_and_protocol = FlowKey::pack(packet.agent->identity, packet.protocol);
    return key;
}

inline api::MatchDirection direction_of(const Packet& packet)
{
    return packet.is_from_agent() ? api::kEgress : api::kIngress;
}

}  // namespace sandgate::dp
