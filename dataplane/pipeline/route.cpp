// route: where an allowed packet goes. Into an agent's tunnel, to another agent's owner, to the
// host port, or by a lan port to its next hop; and whether it fits there.
#include "dataplane/pipeline/exits.h"
#include "dataplane/pipeline/fragments.h"
#include "dataplane/pipeline/inner_header.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/pipeline/replies.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

// What route decides for one packet; an exit or a refusal ends its way here.
enum class Way : uint8_t
{
    kGoesOn,
    kLeft
};

Way refuse(Worker& w, Packet& packet, DropReason reason)
{
    w.drop(packet, reason);
    return Way::kLeft;
}

bool may_fragment(const Packet& packet)
{
    return (packet.inner[0] >> 4) == 4 && (packet.inner[6] & 0x40) == 0;
}

// Into the tunnel of packet.to, which this worker owns.
Way route_to_agent(Worker& w, const PolicyView& policy, Packet& packet)
{
    const uint16_t mtu = policy.rows.gateway->tunnel_mtu;
    if (packet.inner_bytes <= mtu) {
        clamp_mss(packet, mtu);
        return Way::kGoesOn;
    }
    if (may_fragment(packet))
        fragment(w, packet, mtu);
    else
        refuse_and_tell(w, policy, packet, DropReason::kTooBig, Told::kTooBig, mtu);
    return Way::kLeft;
}

// Out of a port in the clear.
Way route_to_link(Worker& w, const PolicyView& policy, Packet& packet)
{
    const auto way = policy.find_route(api::kLan, packet.destination);
    if (!way)
        return refuse(w, packet, DropReason::kNoRoute);
    packet.egress = way->port;
    packet.next_hop = way->next_hop;
    const uint16_t mtu = policy.rows.ports[way->port].mtu;
    if (packet.inner_bytes > mtu) {
        if (may_fragment(packet))
            fragment(w, packet, mtu);
        else
            refuse_and_tell(w, policy, packet, DropReason::kTooBig, Told::kTooBig, mtu);
        return Way::kLeft;
    }
    if (packet.kind != Kind::kReply)
        clamp_mss(packet, policy.rows.gateway->tunnel_mtu);
    return Way::kGoesOn;
}

Way route_to_host(Worker& w, Packet& packet)
{
    if (!w.shared.has_host_port)
        return refuse(w, packet, DropReason::kHostServiceNotDeclared);
    packet.egress = static_cast<uint8_t>(w.shared.ports);
    return Way::kGoesOn;
}

// A packet of agent A for agent B: B's owner decides again, by B's row and in its own flow table,
// and seals.
Way route_to_other_agent(Worker& w, const PolicyView& policy, Packet& packet, IdentityId identity)
{
    Agent* to = w.shared.agents.find(identity);
    const WorkerId owner =
        to == nullptr ? wg::kNoWorker : to->owner.load(std::memory_order_acquire);
    if (owner == wg::kNoWorker) {
        refuse_and_tell(w, policy, packet, DropReason::kNoSession, Told::kUnreachable);
        return Way::kLeft;
    }
    packet.kind = Kind::kPlain;
    packet.flags = static_cast<uint8_t>((packet.flags & ~kFromAgent) | kFromOtherAgent);
    packet.agent = to;
    packet.session = nullptr;
    packet.flow = nullptr;
    hand_over(w, packet, owner, Stage::kIdentify);
    return Way::kLeft;
}

// A reset or ICMP error made here goes back to whoever sent the refused packet.
Way route_reply(Worker& w, const PolicyView& policy, Packet& packet)
{
    if ((packet.flags & kFromHost) != 0)
        return route_to_host(w, packet);
    const IdentityId identity = policy.addresses.find(packet.destination);
    if (identity == api::kNoIdentity)
        return route_to_link(w, policy, packet);
    Agent* agent = w.shared.agents.find(identity);
    const WorkerId owner = agent->owner.load(std::memory_order_acquire);
    if (owner == wg::kNoWorker)
        return refuse(w, packet, DropReason::kNoSession);
    if (owner != w.id) {
        hand_over(w, packet, owner, Stage::kRoute);
        return Way::kLeft;
    }
    packet.to = agent;
    return Way::kGoesOn;
}

Way route_one(Worker& w, const PolicyView& policy, Packet& packet)
{
    if (packet.resume == Stage::kSeal)  // a fragment: its packet was routed already
        return Way::kGoesOn;
    if (packet.kind == Kind::kReply)
        return route_reply(w, policy, packet);

    const IdentityId other =
        packet.is_from_agent() ? policy.addresses.find(packet.destination) : api::kNoIdentity;
    if (other != api::kNoIdentity)
        return route_to_other_agent(w, policy, packet, other);
    // Hops are counted where the packet leaves; the host port is the gateway itself.
    const bool is_to_host = packet.is_from_agent() && policy.is_gateway_address(packet.destination);
    if (is_to_host)
        return route_to_host(w, packet);
    if ((packet.flags & kFromHost) == 0) {
        if (hop_limit_of(packet.inner) <= 1) {
            refuse_and_tell(w, policy, packet, DropReason::kHopLimitExceeded, Told::kTimeExceeded);
            return Way::kLeft;
        }
        decrement_hop_limit(packet.inner);
    }
    if (packet.is_from_agent())
        return route_to_link(w, policy, packet);
    packet.to = packet.agent;
    return route_to_agent(w, policy, packet);
}

}  // namespace

void route(Worker& w, const PolicyView& policy, Burst& burst)
{
    burst.keep_unless_exited(
        [&](Packet& packet) { return route_one(w, policy, packet) == Way::kGoesOn; });
}

}  // namespace sandgate::dp
