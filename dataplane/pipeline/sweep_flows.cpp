// The walk over the flow table beside the packets: what was silent too long ends, and after a
// change of the policy what no rule allows any more, although no packet asks.
#include "dataplane/pipeline/flow_decision.h"
#include "dataplane/pipeline/pipeline.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

// Of one turn of the loop: what a worker spends on it stays below the cost of a burst.
constexpr uint32_t kMostPerPoll = 64;
// Agents expire without a new policy. Their packets are refused at once; their entries go with the
// next pass.
constexpr uint64_t kReviewEveryNs = 10'000'000'000;

// A pass over all entries begins when the policy changes, and from time to time. Entries that come
// later were decided by the policy that it is for.
void begin_review(Worker& w, uint32_t epoch)
{
    FlowReview& review = w.flow_review;
    if (epoch == review.epoch && w.now_ns < review.next_ns)
        return;
    review.epoch = epoch;
    review.next_ns = w.now_ns + kReviewEveryNs;
    review.left = w.flows.walk_length();
}

void prefetch_rows(const PolicyView& policy, std::span<const Flow> flows)
{
    const auto& places = policy.row_of_identity;
    for (const Flow& flow : flows)
        if (flow.state != kFlowFree && flow.key.identity() < places.size())
            rte_prefetch0(&places[flow.key.identity()]);
    for (const Flow& flow : flows)
        if (flow.state != kFlowFree)
            rte_prefetch0(policy.find_agent(flow.key.identity()));
}

// Decides again what was decided before the last change; the entry says so afterwards.
bool is_still_allowed(const Worker& w, const PolicyView& policy, uint32_t epoch, Flow& flow)
{
    const api::AgentRow* row = policy.find_agent(flow.key.identity());
    if (row == nullptr || !is_agent_in_force(*row, w.unix_seconds))
        return false;
    if (!is_decision_current(policy, *row, flow.epoch)) {
        const api::RuleId rule = find_flow_rule(policy, *row, flow.key, flow.direction);
        if (rule == api::kNoRule || is_undeclared_service(policy, flow.key, flow.direction))
            return false;
        flow.rule = rule;
    }
    flow.epoch = epoch;
    return true;
}

}  // namespace

void sweep_flows(Worker& w, const PolicyView& policy)
{
    const auto epoch = static_cast<uint32_t>(policy.rows.header->epoch);
    begin_review(w, epoch);
    const std::span<Flow> flows = w.flows.walk(kMostPerPoll);
    uint32_t& left = w.flow_review.left;
    const bool is_reviewing = left != 0;
    if (is_reviewing)
        prefetch_rows(policy, flows);

    const auto now_ms = static_cast<uint32_t>(w.now_ns / 1'000'000);
    uint32_t ended = 0, revoked = 0;
    for (Flow& flow : flows) {
        if (flow.state == kFlowFree)
            continue;
        const bool is_over = has_timed_out(flow, now_ms, w.timeouts);
        if (!is_over && (!is_reviewing || is_still_allowed(w, policy, epoch, flow)))
            continue;
        w.flows.erase(&flow);
        ended++;
        revoked += is_over ? 0 : 1;
    }
    // With an empty table there is nothing to walk over.
    left = flows.empty() ? 0 : left - std::min(left, static_cast<uint32_t>(flows.size()));
    if (ended == 0)
        return;
    api::add(w.counters.flows_ended, ended);
    api::add(w.counters.flows_revoked, revoked);
    w.counters.flows_current.store(w.flows.used(), std::memory_order_relaxed);
}

}  // namespace sandgate::dp
