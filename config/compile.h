// Policy in, snapshot bytes out (dataplane/api/snapshot.h). Pure and deterministic: the same
// policy, id map and time give the same bytes; the id map is the only thing that changes. The epoch
// is 0 until publish().
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/id_map.h"
#include "config/policy.h"
#include "dataplane/api/snapshot_reader.h"

namespace sandgate::config {

struct NamedAgent
{
    api::IdentityId identity;
    const Agent* agent;  // alive as long as the Compiled
    bool operator<(const NamedAgent& other) const { return identity < other.identity; }
};

struct Compiled
{
    std::vector<uint8_t> bytes;
    std::vector<NamedAgent> agents;                             // ascending identity
    std::vector<std::pair<api::RuleId, std::string>> rules;     // ascending
    std::vector<std::shared_ptr<const AgentList>> agent_lists;  // what `agents` points into
    int64_t at_unix = 0;                                        // the time that it was compiled for
    int64_t next_change_unix = 0;  // when it must be compiled again; 0 = never. The expiry of
                                   // agents is in their rows and not meant here.

    const Agent* find_agent(api::IdentityId identity) const;
    const std::string* find_rule(api::RuleId rule) const;
};

// What the policy means at a time, in seconds since 1970: grants that have expired or are outside
// their schedule permit and deny nothing, attributes that have expired are not set. The policy must
// have passed validate(). Fails when the id map is exhausted or the rows outgrow kMaxMatchRows.
constexpr size_t kMaxMatchRows = 1u << 23;
Result<Compiled> compile(const Policy& policy, IdMap& ids, int64_t now_unix);

// Makes compiled bytes ready to send: writes `epoch`, the changed epochs and the checksum.
// `previous` is what was published last (null at first): agents and classes that are as they were
// keep their changed epochs, and classes keep their places, so that a delta stays small. The result
// is a new snapshot; its size may differ.
std::vector<uint8_t> publish(std::span<const uint8_t> compiled, const api::SnapshotView* previous,
                             api::Epoch epoch);

}  // namespace sandgate::config
