// Whether handshakes cost more than we want to spend on them. The measure is time, not the number
// of messages or peers: what handshakes cost in the last second plus what those that were turned
// away would have cost. Once over the budget it stays so for a second.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/wireguard/messages.h"

namespace sandgate::wg {

class LoadMeter
{
  public:
    explicit LoadMeter(uint64_t budget_ns_per_second) : budget_ns_(budget_ns_per_second) {}

    // A handshake message is about to be computed: counts an estimate until the measured cost
    // comes.
    void note_accepted(uint64_t now_ns)
    {
        unmeasured_++;
        update(now_ns);
    }
    // A message was turned away; it would have cost about as much as the others did.
    void note_refused(uint64_t now_ns)
    {
        add(cost_each_ns_, now_ns);
        update(now_ns);
    }
    // What the messages accepted since the last call really cost.
    void note_cost(uint64_t spent_ns, uint64_t now_ns)
    {
        if (unmeasured_ > 0)
            cost_each_ns_ += (static_cast<int64_t>(spent_ns / unmeasured_) -
                              static_cast<int64_t>(cost_each_ns_)) /
                             8;
        unmeasured_ = 0;
        add(spent_ns, now_ns);
        update(now_ns);
    }
    // Without a caller that measures, estimates must age too.
    void settle(uint64_t now_ns)
    {
        if (unmeasured_ > 0 && now_ns > settled_ns_) {
            add(unmeasured_ * cost_each_ns_, now_ns);
            unmeasured_ = 0;
        }
        settled_ns_ = now_ns;
    }
    bool is_under_load(uint64_t now_ns) const { return now_ns < under_load_until_ns_; }

  private:
    static constexpr uint64_t kBuckets = 16;
    static constexpr uint64_t kBucketNs = kSecond / kBuckets;
    static constexpr uint64_t kFirstGuessNs =
        150'000;  // three X25519 and a key generation, libsodium, Zen 4

    void add(uint64_t ns, uint64_t now_ns)
    {
        const uint64_t bucket = now_ns / kBucketNs;
        for (uint64_t i = newest_ + 1; i <= bucket && i <= newest_ + kBuckets; i++)
            spent_ns_[i % kBuckets] = 0;
        newest_ = bucket > newest_ ? bucket : newest_;
        spent_ns_[newest_ % kBuckets] += ns;
    }
    void update(uint64_t now_ns)
    {
        add(0, now_ns);
        uint64_t sum = unmeasured_ * cost_each_ns_;
        for (uint64_t ns : spent_ns_) sum += ns;
        if (sum > budget_ns_)
            under_load_until_ns_ = now_ns + kSecond;
    }

    uint64_t budget_ns_;
    uint64_t cost_each_ns_ = kFirstGuessNs;
    uint64_t unmeasured_ = 0;
    uint64_t settled_ns_ = 0;
    uint64_t newest_ = 0;
    uint64_t under_load_until_ns_ = 0;
    std::array<uint64_t, kBuckets> spent_ns_{};
};

}  // namespace sandgate::wg
