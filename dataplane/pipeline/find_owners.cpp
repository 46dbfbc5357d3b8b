// find_owners: whose packet is it? A sealed packet's owner is written in its receiver index, a
// plain one's is the worker of the agent it goes to. What belongs to somebody else leaves here.
#include "dataplane/pipeline/exits.h"
#include "dataplane/pipeline/pipeline.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

// A plain packet is for an agent, or it has no business here.
DropReason plain_fault(const Shared& shared, const PolicyView& policy, Packet& packet)
{
    const IdentityId identity = policy.addresses.find(packet.destination);
    if (identity == api::kNoIdentity)
        return DropReason::kNoSuchAgent;
    packet.agent = shared.agents.find(identity);
    return packet.agent == nullptr ? DropReason::kNoSuchAgent : DropReason::kNone;
}

DropReason owner_fault(const Shared& shared, const PolicyView& policy, Packet& packet)
{
    if (packet.kind == Kind::kSealed)
        return shared.sessions->owner_of(packet.receiver_index) < shared.workers
                   ? DropReason::kNone
                   : DropReason::kUnknownIndex;
    return packet.kind == Kind::kPlain ? plain_fault(shared, policy, packet) : DropReason::kNone;
}

WorkerId owner_of(const Worker& w, const Packet& packet)
{
    if (packet.kind == Kind::kSealed)
        return w.shared.sessions->owner_of(packet.receiver_index);
    const WorkerId owner = packet.agent->owner.load(std::memory_order_acquire);
    // An agent never heard of has no owner; this worker refuses the packet.
    return owner == wg::kNoWorker ? w.id : owner;
}

}  // namespace

void find_owners(Worker& w, const PolicyView& policy, Burst& burst)
{
    for (const Packet* packet : burst.packets())
        if (packet->kind == Kind::kPlain)
            policy.addresses.prefetch(packet->destination);
    burst.keep_if(w, [&](Packet& packet) { return owner_fault(w.shared, policy, packet); });
    burst.keep_unless_exited([&](Packet& packet) {
        if (packet.kind == Kind::kMessage) {
            exit_to_handshakes(w, packet);
            return false;
        }
        if (packet.kind == Kind::kLocal) {
            exit_to_server(w, packet);
            return false;
        }
        const WorkerId owner = owner_of(w, packet);
        if (owner == w.id) [[likely]]
            return true;
        hand_over(w, packet, owner, Stage::kFindSessions);
        return false;
    });
}

}  // namespace sandgate::dp
