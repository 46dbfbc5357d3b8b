// Helpers of the config tests: policies from text, made-up agents, scratch directories.
#pragma once

#include <gtest/gtest.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "config/compile.h"
#include "config/load.h"
#include "config/validate.h"

namespace sandgate::config {

inline std::string base64_key(uint32_t number)
{
    Key key{};
    for (size_t i = 0; i < 32; i++) key[i] = static_cast<uint8_t>((number + 1) >> (8 * (i % 4)));
    char text[64];
    sodium_bin2base64(text, sizeof text, key.data(), key.size(), sodium_base64_VARIANT_ORIGINAL);
    return text;
}

struct ScratchDirectory
{
    std::string path;
    ScratchDirectory()
    {
        char name[] = "/tmp/sandgate-config-XXXXXX";
        path = mkdtemp(name);
    }
    ~ScratchDirectory() { std::filesystem::remove_all(path); }
    std::string write(const std::string& name, const std::string& text) const
    {
        std::ofstream(path + "/" + name, std::ios::binary) << text;
        return path + "/" + name;
    }
};

inline std::string all_texts(const std::vector<Error>& errors)
{
    std::string text;
    for (const Error& error : errors) text += error.text() + "\n";
    return text;
}

// A policy that must be good.
inline Policy good_policy(const std::string& text, const std::string& path = "p.yaml")
{
    BulkCache cache;
    LoadResult result = load_text(text, path, cache);
    EXPECT_TRUE(result.is_ok()) << all_texts(result.errors);
    if (result.is_ok()) {
        const auto errors = validate(result.policy);
        EXPECT_TRUE(errors.empty()) << all_texts(errors);
    }
    return std::move(result.policy);
}

inline Compiled compiled(const Policy& policy, IdMap& ids, int64_t now_unix = 1)
{
    auto result = compile(policy, ids, now_unix);
    EXPECT_TRUE(result.is_ok());
    return result.is_ok() ? std::move(*result) : Compiled{};
}

// Finds what the dataplane would: the first row of the agent's class that matches; 0 when there is
// none or it denies. Hard rules and kNotFromAgents are for tests/policy, which has the classifier.
inline api::RuleId find_rule(const api::SnapshotView& view, api::IdentityId identity,
                             api::MatchDirection direction, const api::Address& peer,
                             uint8_t protocol, uint16_t port)
{
    for (const api::AgentRow& agent : view.agents) {
        if (agent.identity != identity)
            continue;
        const api::ClassRow& row = view.classes[agent.policy_class];
        for (const api::MatchRow& match : view.matches.subspan(row.first, row.count)) {
            const bool has_ports = protocol == 6 || protocol == 17;
            if (match.direction == direction &&
                Prefix{match.peer, match.peer_prefix}.contains(peer) &&
                (match.protocol == api::kAnyProtocol || match.protocol == protocol) &&
                (!has_ports || match.protocol == api::kAnyProtocol ||
                 (match.port_low <= port && port <= match.port_high)))
                return (match.flags & api::kDeny) != 0 ? api::kNoRule : match.rule;
        }
    }
    return api::kNoRule;
}

}  // namespace sandgate::config
