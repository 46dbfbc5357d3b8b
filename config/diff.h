// Two policies to what changes for whom: rights compared as sets of packets, not as lines of a
// file. A grant that is written otherwise and means the same is no difference.
#pragma once

#include <string>
#include <vector>

#include "config/policy.h"

namespace sandgate::config {

struct RightsChange
{
    std::vector<std::string> agents;  // that share it, by name
    // "tcp:443 to host:web", "icmp from 10.0.0.0/8".
    std::vector<std::string> gains, loses;
};

struct PolicyChange
{
    std::vector<std::string> new_agents, gone_agents;
    std::vector<std::string> rekeyed_agents, moved_agents;  // another key; other addresses
    std::vector<RightsChange> rights;

    bool is_nothing() const
    {
        return new_agents.empty() && gone_agents.empty() && rekeyed_agents.empty() &&
               moved_agents.empty() && rights.empty();
    }
};

// Both must have passed validate(). Compared as they are meant at a time; an agent that is disabled
// or has expired has no rights.
Result<PolicyChange> compare(const Policy& before, const Policy& after, int64_t now_unix);

}  // namespace sandgate::config
