// Small random policies of every shape of the language, for properties that must hold of all.
#pragma once

#include <random>
#include <string>

#include "tests/unit/config/support.h"

namespace sandgate::config {

using Random = std::mt19937;

inline uint32_t below(Random& random, uint32_t n) { return static_cast<uint32_t>(random() % n); }

// Attributes and grants of a random policy that expire do so at this second.
constexpr int64_t kRandomExpiry = 100;

// Six agents at most, three tags, two owners, hosts, services, grants and denials. It may say
// something that validate() refuses.
inline std::string random_text(Random& random)
{
    const auto one_of = [&](const auto& list) -> std::string {
        return list[below(random, static_cast<uint32_t>(std::size(list)))];
    };
    std::string text = "gateway: {tunnel_addresses: [10.66.0.1, 'fd66::1']}\n";
    text += "ports: [{name: lan, device: d, roles: lan, addresses: [10.1.3.1/24]}]\n";
    static const char* const kRelaxed[] = {"", "", "", "metadata", "link_local", "agent_to_agent"};
    if (const std::string word = one_of(kRelaxed); !word.empty())
        text += "relax: [" + word + "]\n";
    const uint32_t agents = 2 + below(random, 5);
    text += "agents:\n";
    for (uint32_t i = 0; i < agents; i++) {
        text += "  - {name: a" + std::to_string(i) + ", public_key: " + base64_key(i) +
                ", owner: o" + std::to_string(i % 2) + ", tags: [all";
        for (int t = 0; t < 3; t++)
            if (below(random, 3) == 0 || (i == 0))
                text += ", t" + std::to_string(t);
        text += "], attributes: {phase: " + std::string(below(random, 2) != 0 ? "run" : "idle");
        if (below(random, 2) != 0)
            text += ", ok: {value: x, expires: 1970-01-01T00:01:40Z}";
        text += "}, addresses: [10.66.1." + std::to_string(i * 4 + below(random, 4));
        text += below(random, 2) != 0 ? ", 'fd66::1:" + std::to_string(i) + "']}\n" : "]}\n";
    }
    text +=
        "groups: {g: [agent:a1, tag:t1]}\n"
        "hosts: {h0: 10.1.0.0/16, h1: [10.2.0.1, 'fd00::/64'], h2: 10.66.0.0/15,"
        " h3: 169.0.0.0/8}\n"
        "ipsets: {i0: [10.2.0.0-10.3.0.9, 100.100.0.0/16, 'fc00::/7']}\n"
        "services: {s0: {addresses: [host:h1, 10.3.0.0/24], ip: [tcp:80, icmp]},"
        " s1: {gateway: true, ip: [udp:53, icmp]}}\n";
    static const char* const kAgents[] = {"agent:a0", "agent:a1", "tag:t0",   "tag:t1", "tag:t2",
                                          "tag:all",  "owner:o0", "owner:o1", "group:g"};
    static const char* const kHosts[] = {"host:h0",     "host:h1",   "host:h2",  "host:h3",
                                         "10.1.2.0/24", "'fd00::7'", "ipset:i0", "10.66.1.4/30"};
    static const char* const kOthers[] = {"service:s0", "service:s1", "gateway", "'*'"};
    static const char* const kTraffic[] = {"tcp:80", "'tcp:80-90'", "udp:53", "icmp",
                                           "tcp",    "'proto:47'",  "'*'"};
    static const char* const kConditions[] = {"phase == run", "phase != run", "ok is set",
                                              "ok is not set", "phase in [idle]"};
    text += "grants:\n";
    const uint32_t grants = 1 + below(random, 6);
    for (uint32_t i = 0; i < grants; i++) {
        std::string src, dst;
        const bool has_agent_destination = below(random, 2) != 0;
        const bool has_outsiders = has_agent_destination && below(random, 2) != 0;
        src += below(random, 6) == 0 ? "'*'" : one_of(kAgents);
        if (has_outsiders)
            src += ", " + one_of(kHosts);
        if (has_agent_destination)
            dst += one_of(kAgents) + ", ";
        dst += one_of(kHosts);
        if (below(random, 2) != 0)
            dst += ", " + one_of(kOthers);
        text += "  - {name: r" + std::to_string(i) + ", src: [" + src + "], dst: [" + dst +
                "], ip: [" + one_of(kTraffic) + ", " + one_of(kTraffic) + "]";
        if (below(random, 5) == 0)
            text += ", expires: 1970-01-01T00:01:40Z";
        if (below(random, 5) == 0)
            text += ", schedule: {hours: \"00:00-00:01\"}";
        if (below(random, 4) == 0)
            text += ", action: deny";
        if (!has_outsiders && below(random, 3) == 0)
            text += ", when: [\"" + one_of(kConditions) + "\"]";
        text += "}\n";
    }
    return text;
}

// One that is valid.
inline std::string random_policy(Random& random)
{
    for (;;) {
        std::string text = random_text(random);
        BulkCache cache;
        const LoadResult result = load_text(text, "p.yaml", cache);
        if (result.is_ok() && validate(result.policy).empty())
            return text;
    }
}

}  // namespace sandgate::config
