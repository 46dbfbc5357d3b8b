// The policy in words: what happens to a flow and by which line, which grant missed it least and
// which one would allow it. For tests in the file, and for `sandgate policy`.
#pragma once

#include <string>
#include <vector>

#include "config/interpret.h"

namespace sandgate::config {

std::string to_text(const Selector& selector);  // as it was written
std::string to_text(const Traffic& traffic);
std::string to_text(const std::vector<Traffic>& traffic);
// "tcp:443", "icmp", "proto:47": one packet's.
std::string traffic_text(uint8_t protocol, uint16_t port);
// "2027-01-01T00:00:00Z".
std::string time_text(int64_t unix);

// A destination with traffic: "10.0.0.10 tcp:443", "host:web icmp", "service:web"; "10.0.0.10:443"
// and "[fd00::10]:443" mean TCP.
Result<Target> parse_target(std::string_view text);

// The grant and its place: `The grant "ci-web" (sandgate.yaml:12)`.
std::string name_of(const Policy& policy, const Grant& grant);

// Why the verdict is what it is, as one or two sentences.
std::string reason_of(const Policy& policy, const FlowWish& wish, const Verdict& verdict);

struct NearMiss
{
    const Grant* grant;
    std::vector<std::string> differences;  // "its ip is tcp:80", ...
};

// The grants in force or not that miss the flow least, the nearest first; at most `most`.
std::vector<NearMiss> near_misses(const Policy& policy, const FlowWish& wish, int64_t now_unix,
                                  size_t most);

// The text of a grant that allows the flow, to be put under `grants:`; empty when none would,
// because something else than a missing grant refuses it.
std::string grant_for(const Policy& policy, const FlowWish& wish, const Verdict& verdict);

// An address to try for each that a selector names: of a network the first and the last, of agents
// with the same owner, tags and attributes the first and each that a grant names.
std::vector<api::Address> sample_addresses(const Policy& policy, const Selector& selector);
std::vector<const Agent*> sample_agents(const Policy& policy, const Selector& selector);
// Packets to try for traffic: the ends of its ports.
std::vector<std::pair<uint8_t, uint16_t>> sample_packets(const Traffic& traffic, bool is_v4);

}  // namespace sandgate::config
