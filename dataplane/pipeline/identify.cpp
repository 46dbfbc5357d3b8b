// identify: every packet gets the row of the agent that it is accounted to. The sender's for what
// came out of a tunnel; the receiver's for everything else.
#include "dataplane/pipeline/flow_decision.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/pipeline/replies.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

DropReason identity_fault(const Worker& w, const PolicyView& policy, Packet& packet)
{
    if (packet.kind == Kind::kSealed)
        packet.flags |= kFromAgent;
    packet.row = policy.find_agent(packet.agent->identity);
    if (packet.row == nullptr)
        return DropReason::kNoSuchAgent;
    return is_agent_in_force(*packet.row, w.unix_seconds) ? DropReason::kNone
                                                          : DropReason::kAgentDisabled;
}

// What seal_packets will read of the agent, some stages from here.
void prefetch_sealing(const Agent& agent)
{
    const auto* lines = reinterpret_cast<const uint8_t*>(&agent);
    rte_prefetch0(lines + 64);
    rte_prefetch0(lines + 128);
    if (agent.current == nullptr)
        return;
    rte_prefetch0(agent.current);
    rte_prefetch0(&agent.current->send_key);
}

}  // namespace

void identify(Worker& w, const PolicyView& policy, Burst& burst)
{
    burst.keep_if(w, [&](Packet& packet) { return identity_fault(w, policy, packet); });
    burst.keep_unless_exited([&](Packet& packet) {
        // An agent that nobody owns was never heard of: there is no session, no endpoint and no
        // flow table for it.
        if (packet.agent->owner.load(std::memory_order_acquire) == w.id) [[likely]] {
            if (packet.kind != Kind::kSealed)
                prefetch_sealing(*packet.agent);
            return true;
        }
        refuse_and_tell(w, policy, packet, DropReason::kNoSession, Told::kUnreachable);
        return false;
    });
}

}  // namespace sandgate::dp
