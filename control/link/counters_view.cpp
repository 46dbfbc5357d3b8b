// See counters_view.h.
#include "control/link/counters_view.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sandgate::control {

namespace {

// A name of the region may lack its terminator.
template <size_t N>
std::string bounded(const char (&text)[N])
{
    return std::string(text, strnlen(text, N));
}

}  // namespace

std::optional<CountersView> CountersView::map(int fd, std::string& error)
{
    struct stat info
    {
    };
    if (fstat(fd, &info) != 0) {
        error = std::string("the counters' file cannot be examined: ") + std::strerror(errno);
        return std::nullopt;
    }
    const auto bytes = static_cast<size_t>(info.st_size);
    if (bytes < sizeof(api::CountersRegion)) {
        error = "the counters' file is shorter than its header";
        return std::nullopt;
    }
    // A mapping of memory that may still shrink could end in the middle of a read.
    if (const int seals = fcntl(fd, F_GET_SEALS); seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
        error = "the counters' memory is not sealed against shrinking";
        return std::nullopt;
    }
    void* memory = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        error = std::string("the counters cannot be mapped: ") + std::strerror(errno);
        return std::nullopt;
    }
    const auto* region = static_cast<const api::CountersRegion*>(memory);
    const unsigned workers = region->workers;
    CountersView view(region, bytes, workers);  // unmaps on every way out
    if (region->magic != api::kCountersMagic) {
        error = "the counters' file has another magic number: not a Sandgate dataplane";
        return std::nullopt;
    }
    if (region->version != api::kCountersVersion) {
        error = "the counters have version " + std::to_string(region->version) + ", expected " +
                std::to_string(api::kCountersVersion) +
                ": install the same release of both programs";
        return std::nullopt;
    }
    const size_t needed = sizeof(api::CountersRegion) +
                          (size_t{workers} + api::kSlowPathBlocks) * sizeof(api::CounterBlock);
    if (workers == 0 || workers > api::kMaxWorkers || bytes < needed) {
        error = "the counters' file is too small for " + std::to_string(workers) + " workers";
        return std::nullopt;
    }
    return view;
}

CountersView::CountersView(CountersView&& other) noexcept
    : region_(std::exchange(other.region_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      workers_(other.workers_)
{
}

CountersView& CountersView::operator=(CountersView&& other) noexcept
{
    std::swap(region_, other.region_);
    std::swap(bytes_, other.bytes_);
    std::swap(workers_, other.workers_);
    return *this;
}

CountersView::~CountersView()
{
    if (region_ != nullptr)
        munmap(const_cast<api::CountersRegion*>(region_), bytes_);
}

template <typename Pick>
uint64_t CountersView::sum(Pick pick) const
{
    uint64_t total = 0;
    for (unsigned block = 0; block < workers_ + api::kSlowPathBlocks; block++)
        total += pick(region_->blocks[block]).load(std::memory_order_relaxed);
    return total;
}

std::string CountersView::kernel() const { return bounded(region_->kernel); }

uint64_t CountersView::drops(api::DropReason reason) const
{
    return sum([&](const api::CounterBlock& block) -> const api::Counter& {
        return block.drops[static_cast<unsigned>(reason)];
    });
}

std::vector<CountersView::PortTotals> CountersView::ports() const
{
    std::vector<PortTotals> list;
    const unsigned count = std::min<unsigned>(region_->ports, api::kMaxPorts);
    for (unsigned port = 0; port < count; port++) {
        const auto field = [&](api::Counter api::PortCounters::*member) {
            return sum([&](const api::CounterBlock& block) -> const api::Counter& {
                return block.ports[port].*member;
            });
        };
        list.push_back({bounded(region_->port_names[port]), port == region_->host_port,
                        field(&api::PortCounters::rx_packets), field(&api::PortCounters::rx_bytes),
                        field(&api::PortCounters::tx_packets),
                        field(&api::PortCounters::tx_bytes)});
    }
    return list;
}

std::vector<CountersView::NamedTotal> CountersView::totals() const
{
    using Block = api::CounterBlock;
    static constexpr std::pair<const char*, api::Counter Block::*> kFields[] = {
        {"opened", &Block::opened},
        {"sealed", &Block::sealed},
        {"handed_over", &Block::handed_over},
        {"staged", &Block::staged},
        {"flows_created", &Block::flows_created},
        {"flows_ended", &Block::flows_ended},
        {"flows_revoked", &Block::flows_revoked},
        {"flows_current", &Block::flows_current},
        {"handshakes_initiated", &Block::handshakes_initiated},
        {"handshakes_answered", &Block::handshakes_answered},
        {"handshakes_completed", &Block::handshakes_completed},
        {"cookies_sent", &Block::cookies_sent},
        {"cookies_received", &Block::cookies_received},
        {"keepalives_sent", &Block::keepalives_sent},
        {"keepalives_received", &Block::keepalives_received},
        {"roamed", &Block::roamed},
        {"fragments_made", &Block::fragments_made},
        {"icmp_sent", &Block::icmp_sent},
    };
    std::vector<NamedTotal> list;
    for (const auto& [name, member] : kFields)
        list.push_back({name, sum([m = member](const Block& block) -> const api::Counter& {
                            return block.*m;
                        })});
    return list;
}

std::vector<CountersView::FlowTableUse> CountersView::flow_tables() const
{
    std::vector<FlowTableUse> list;
    for (unsigned worker = 0; worker < workers_; worker++) {
        const api::CounterBlock& block = region_->blocks[worker];
        const auto full = static_cast<unsigned>(api::DropReason::kFlowTableFull);
        list.push_back({block.flows_current.load(std::memory_order_relaxed),
                        region_->flows_per_worker,
                        block.drops[full].load(std::memory_order_relaxed)});
    }
    return list;
}

}  // namespace sandgate::control
