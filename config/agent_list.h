// The agents of one file with the indexes that validate() and compile() need, built once when the
// file is parsed: a bulk file that has not changed costs neither parsing nor hashing again.
// Immutable once built.
#pragma once

#include <cstring>
#include <string_view>
#include <unordered_map>

#include "config/policy.h"

namespace sandgate::config {

struct KeyHash
{
    size_t operator()(const Key& key) const
    {
        return std::hash<std::string_view>{}(
            {reinterpret_cast<const char*>(key.data()), key.size()});
    }
};

struct AgentList
{
    struct Claim
    {
        Prefix prefix;
        uint32_t agent;  // index into agents
        Where where;
    };
    // What grants see of an agent besides its name. Agents with the same owner, tags and attributes
    // share one.
    struct Profile
    {
        std::string owner;
        std::vector<std::string> tags;
        std::vector<Attribute> attributes;
        std::vector<uint32_t> agents;  // ascending
    };

    std::string file;
    bool is_bulk = false;
    std::vector<Agent> agents;
    std::unordered_map<std::string_view, uint32_t> by_name;
    std::unordered_map<Key, uint32_t, KeyHash> by_key;
    std::vector<Claim> claims;  // ascending prefix
    std::vector<Profile> profiles;
    std::vector<uint32_t> profile_of;   // by agent
    std::vector<uint32_t> with_parent;  // agents that name one, ascending
    std::vector<Error> errors;          // names, keys and addresses that the file itself has twice

    AgentList() = default;
    AgentList(const AgentList&) = delete;  // by_name points into agents
    AgentList& operator=(const AgentList&) = delete;

    // "agents[3].public_key" for the YAML file, "public_key" for a line of a bulk file.
    std::string path(uint32_t agent, std::string_view field) const;
};

// Builds the indexes. Of two agents with one name, key or address the first keeps it, and the
// second is an error.
std::shared_ptr<const AgentList> build_agent_list(std::string file, bool is_bulk,
                                                  std::vector<Agent> agents);

// True when a claim of the list overlaps the prefix; the first of them.
const AgentList::Claim* find_overlap(const AgentList& list, const Prefix& prefix);

}  // namespace sandgate::config
