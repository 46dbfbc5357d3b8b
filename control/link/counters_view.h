// The dataplane's counters, mapped read-only from the memfd that comes with its welcome. Everything
// in the region is checked before it is used: magic, version, and that the file is as large as its
// header claims. Values only grow and are read relaxed, so a sum over workers is a snapshot of no
// single instant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/api/counters.h"

namespace sandgate::control {

class CountersView
{
  public:
    // Maps the region behind `fd`, which stays the caller's. On failure `error` receives the
    // sentence.
    static std::optional<CountersView> map(int fd, std::string& error);
    CountersView(CountersView&& other) noexcept;
    CountersView& operator=(CountersView&& other) noexcept;
    CountersView(const CountersView&) = delete;
    CountersView& operator=(const CountersView&) = delete;
    ~CountersView();

    struct PortTotals
    {
        std::string name;
        bool is_host = false;
        uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
    };
    struct NamedTotal
    {
        const char* name;  // as in the metric
        uint64_t value;
    };

    // The flow table of one worker.
    struct FlowTableUse
    {
        uint64_t current = 0;
        uint64_t capacity = 0;  // 0 when the dataplane does not say
        uint64_t refused = 0;   // packets that would have begun a flow, since the start

        bool is_full() const { return capacity != 0 && current >= capacity; }
        // From nine tenths on: what is left is soon taken by an agent that scans.
        bool is_nearly_full() const { return capacity != 0 && current >= capacity - capacity / 10; }
    };

    unsigned workers() const { return workers_; }
    uint64_t boot_id() const { return region_->boot_id; }
    api::Counter const& policy_epoch() const { return region_->policy_epoch; }
    uint64_t started_unix_ns() const
    {
        return region_->started_unix_ns.load(std::memory_order_relaxed);
    }
    std::string kernel() const;

    // Summed over the workers and the slow path.
    uint64_t drops(api::DropReason reason) const;
    std::vector<PortTotals> ports() const;
    std::vector<NamedTotal> totals() const;
    std::vector<FlowTableUse> flow_tables() const;  // by worker

  private:
    CountersView(const api::CountersRegion* region, size_t bytes, unsigned workers)
        : region_(region), bytes_(bytes), workers_(workers)
    {
    }
    template <typename Pick>
    uint64_t sum(Pick pick) const;

    const api::CountersRegion* region_ = nullptr;
    size_t bytes_ = 0;
    unsigned workers_ = 0;  // read once: the region is another process's
};

}  // namespace sandgate::control
