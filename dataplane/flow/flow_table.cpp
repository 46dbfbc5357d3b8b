// The flow table: buckets of seven tags over an array of entries. An entry that finds its bucket
// full goes to the next one and is counted in each bucket that it passed, so that a look-up knows
// when to stop.
#include "dataplane/flow/flow_table.h"

#include <bit>

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

FlowTable::FlowTable(uint32_t capacity, uint64_t seed)
    : seed_(seed),
      buckets_(std::bit_ceil(std::max(capacity / 4, 16u))),
      bucket_mask_(static_cast<uint32_t>(buckets_.size() - 1)),
      flows_(capacity),
      cold_(capacity),
      free_(capacity)
{
    for (Bucket& bucket : buckets_)
        for (uint32_t& flow : bucket.flows) flow = kNone;
}

Flow* FlowTable::find(const FlowKey& key, uint32_t hash)
{
    for (unsigned probe = 0; probe < kMaxProbes; probe++) {
        const Bucket& bucket = buckets_[(hash + probe) & bucket_mask_];
        for (unsigned found = bucket.places_of(hash); found != 0; found &= found - 1) {
            Flow* flow = &flows_[bucket.flows[std::countr_zero(found)]];
            if (flow->key == key)
                return flow;
        }
        if (bucket.passed == 0)
            break;
    }
    return nullptr;
}

Flow* FlowTable::insert(const FlowKey& key, uint32_t hash, uint64_t now_ns)
{
    if (used_ == flows_.size())
        return nullptr;
    for (unsigned probe = 0; probe < kMaxProbes; probe++) {
        Bucket& bucket = buckets_[(hash + probe) & bucket_mask_];
        for (unsigned i = 0; i < kPerBucket; i++) {
            if (bucket.flows[i] != kNone)
                continue;
            const uint32_t index = free_count_ != 0 ? free_[--free_count_] : fresh_++;
            bucket.tags[i] = hash;
            bucket.flows[i] = index;
            for (unsigned passed = 0; passed < probe; passed++)
                buckets_[(hash + passed) & bucket_mask_].passed++;
            Flow& flow = flows_[index];
            begin(flow, cold_[index], key, hash, now_ns);
            used_++;
            return &flow;
        }
    }
    return nullptr;
}

void FlowTable::restart(Flow* flow, uint64_t now_ns)
{
    FlowCold& cold = cold_of(flow);
    const FlowKey key = flow->key;
    begin(*flow, cold, key, cold.hash, now_ns);
}

// Writes both halves whole and reads neither: their lines may still be on their way.
void FlowTable::begin(Flow& flow, FlowCold& cold, const FlowKey& key, uint32_t hash,
                      uint64_t now_ns)
{
    const uint64_t now_ms = now_ns / 1'000'000;
    Flow fresh;
    fresh.key = key;
    fresh.state = kFlowOpening;
    fresh.last_seen_ms = static_cast<uint32_t>(now_ms);
    flow = fresh;
    FlowCold fresh_cold;
    fresh_cold.hash = hash;
    fresh_cold.start_s = static_cast<uint32_t>(now_ms / 1000);
    fresh_cold.start_ms = static_cast<uint16_t>(now_ms % 1000);
    cold = fresh_cold;
}

void FlowTable::erase(Flow* flow)
{
    const auto index = static_cast<uint32_t>(flow - flows_.data());
    const uint32_t hash = cold_[index].hash;
    for (unsigned probe = 0; probe < kMaxProbes; probe++) {
        Bucket& bucket = buckets_[(hash + probe) & bucket_mask_];
        for (unsigned i = 0; i < kPerBucket; i++) {
            if (bucket.flows[i] != index)
                continue;
            bucket.flows[i] = kNone;
            for (unsigned passed = 0; passed < probe; passed++)
                buckets_[(hash + passed) & bucket_mask_].passed--;
            flow->state = kFlowFree;
            free_[free_count_++] = index;
            used_--;
            erased_++;
            return;
        }
    }
}

namespace {

uint32_t tcp_timeout_of(const Flow& flow, const api::FlowTimeouts& timeouts)
{
    if ((flow.marks & (reset_of(kOpener) | reset_of(kAnswerer))) != 0)
        return timeouts.tcp_closed_ms;
    switch (flow.state) {
        case kFlowEstablished:
            return timeouts.tcp_established_ms;
        case kFlowClosing:
            return timeouts.tcp_closing_ms;
        case kFlowClosed:
            return timeouts.tcp_closed_ms;
        default:
            return timeouts.tcp_opening_ms;
    }
}

uint32_t timeout_of(const Flow& flow, const api::FlowTimeouts& timeouts)
{
    switch (flow.key.protocol()) {
        case 6:
            return tcp_timeout_of(flow, timeouts);
        case 17:
            return flow.state == kFlowOpening ? timeouts.udp_opening_ms
                                              : timeouts.udp_established_ms;
        case 1:
        case 58:
            return timeouts.icmp_ms;
        default:
            return timeouts.other_ms;
    }
}

}  // namespace

bool has_timed_out(const Flow& flow, uint32_t now_ms, const api::FlowTimeouts& timeouts)
{
    return now_ms - flow.last_seen_ms > timeout_of(flow, timeouts);
}

std::span<Flow> FlowTable::walk(uint32_t limit)
{
    if (walked_ >= fresh_)
        walked_ = 0;
    const std::span<Flow> next(flows_.data() + walked_, std::min(limit, fresh_ - walked_));
    walked_ += static_cast<uint32_t>(next.size());
    return next;
}

}  // namespace sandgate::dp
