// How long a flow lives without a packet, by protocol and state, and what the YAML and the command
// line of sandgate-dataplane call each of these times and accept for it. Plain data: the command
// line fills it in before the workers start.
#pragma once

#include <cstdint>

#include "dataplane/api/bounds.h"

namespace sandgate::api {

struct FlowTimeouts
{
    uint32_t tcp_opening_ms = 240'000;        // RFC 5382 REQ-5: not less than 4 min
    uint32_t tcp_established_ms = 7'440'000;  // RFC 5382 REQ-5: not less than 2 h 4 min
    uint32_t tcp_closing_ms = 240'000;        // as tcp_opening_ms
    uint32_t tcp_closed_ms = 10'000;
    uint32_t udp_opening_ms = 120'000;      // RFC 4787 REQ-5: not less than 2 min
    uint32_t udp_established_ms = 300'000;  // RFC 4787 REQ-5: 5 min recommended
    uint32_t icmp_ms = 60'000;              // RFC 5508 REQ-1
    uint32_t other_ms = 600'000;
    // No timeout: for so long after a worker's start a connection may be picked up in its middle.
    // What lived silently before a restart would live for so long (decision 0012).
    uint32_t tcp_pick_up_ms = 7'440'000;
};

struct FlowTimeoutName
{
    const char* option;  // as the command line has it
    const char* key;     // as the YAML has it
    uint32_t FlowTimeouts::*field;
    Range seconds;
};

// Milliseconds wrap after 49 days, and ages are their differences.
constexpr uint32_t kMostFlowTimeoutSeconds = 30 * 24 * 3600;
// With 0 a flow would end between two packets that come a millisecond apart.
constexpr Range kFlowTimeout{1, kMostFlowTimeoutSeconds};
// 0: never picked up.
constexpr Range kPickUpTime{0, kMostFlowTimeoutSeconds};

constexpr FlowTimeoutName kFlowTimeoutNames[] = {
    {"tcp-opening", "tcp_opening", &FlowTimeouts::tcp_opening_ms, kFlowTimeout},
    {"tcp-established", "tcp_established", &FlowTimeouts::tcp_established_ms, kFlowTimeout},
    {"tcp-closing", "tcp_closing", &FlowTimeouts::tcp_closing_ms, kFlowTimeout},
    {"tcp-closed", "tcp_closed", &FlowTimeouts::tcp_closed_ms, kFlowTimeout},
    {"udp-opening", "udp_opening", &FlowTimeouts::udp_opening_ms, kFlowTimeout},
    {"udp-established", "udp_established", &FlowTimeouts::udp_established_ms, kFlowTimeout},
    {"icmp", "icmp", &FlowTimeouts::icmp_ms, kFlowTimeout},
    {"other", "other", &FlowTimeouts::other_ms, kFlowTimeout},
    {"tcp-pick-up", "tcp_pick_up", &FlowTimeouts::tcp_pick_up_ms, kPickUpTime},
};

}  // namespace sandgate::api
