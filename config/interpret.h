// The policy's meaning, asked directly: one flow, every grant, one after the other, exactly as
// docs/policy.md tells it and with none of the compiler's means. Slow and plain on purpose: the
// tests hold the compiled tables against it, and people ask it why (explain.h).
//
// The policy must have passed validate() and outlive the interpreter.
#pragma once

#include <string>
#include <vector>

#include "config/hard_rules.h"
#include "config/policy.h"

namespace sandgate::config {

// A flow that somebody wants to open.
struct FlowWish
{
    api::Address source, destination;
    uint8_t protocol = 0;
    uint16_t port = 0;  // of the destination; ignored for protocols without ports
};

// What one end of a flow says to it.
struct Ruling
{
    enum Kind : uint8_t
    {
        kNoGrant,
        kGranted,
        kDenied,
        kHardRule
    };
    Kind kind = kNoGrant;
    const Grant* grant = nullptr;  // that grants or denies; the first of the file
    api::RuleId hard_rule = api::kNoRule;

    bool is_allowed() const { return kind == kGranted; }
};

struct Verdict
{
    bool is_allowed = false;
    const Agent* source = nullptr;       // nullptr: an outsider
    const Agent* destination = nullptr;  // nullptr: an outsider or the gateway
    // Asked when the source is an agent, and when the destination is one and the first allows it.
    Ruling egress, ingress;
    std::string fault;  // a sentence when neither is the reason of a refusal
};

class Interpreter
{
  public:
    Interpreter(const Policy& policy, int64_t now_unix);

    // An agent that is disabled or has expired is refused, unless only the rights are asked for.
    Verdict decide(const FlowWish& wish, bool only_rights = false) const;

    // May the agent open the flow; is the agent open to it? `peer` is the other end.
    Ruling may_open(const Agent& agent, const api::Address& peer, uint8_t protocol,
                    uint16_t port) const;
    Ruling is_open_to(const Agent& agent, const api::Address& peer, uint8_t protocol,
                      uint16_t port) const;

    // The agent that has the address, or nullptr.
    const Agent* find_agent(const api::Address& address) const;
    // Whether the selector names the agent.
    bool selects(const Selector& selector, const Agent& agent, bool is_source) const;
    // The parts of a grant, asked one by one: the agent in src with its conditions, dst, ip.
    bool has_source(const Grant& grant, const Agent& agent) const;
    bool has_source(const Grant& grant, const api::Address& outsider_or_agent) const;
    bool fulfils(const Grant& grant, const Agent& agent) const;
    bool has_destination(const Grant& grant, const api::Address& peer) const;
    // dst and ip together, since services bring their own traffic.
    bool has_traffic_to(const Grant& grant, const api::Address& peer, uint8_t protocol,
                        uint16_t port) const;
    bool is_gateway(const api::Address& address) const;
    // Whether the gateway offers a service there.
    bool is_declared(const api::Address& address, uint8_t protocol, uint16_t port) const;
    // "" or why the agent is not let in.
    std::string standing_fault(const Agent& agent) const;

  private:
    bool is_named(const Selector& selector, const api::Address& address) const;
    bool is_destination(const Selector& selector, const api::Address& peer) const;

    const Policy& policy_;
    int64_t now_unix_;
    std::vector<HardPrefix> hard_rules_;
};

}  // namespace sandgate::config
