// What a flow costs: classification of a packet of a known flow and of a new one (find_flows and
// classify on bursts, which is where look-ups overlap), what apply_verdicts adds, and the sweep
// after a change of the policy. The stages are the real ones, on packets whose headers are read
// already; before the clock runs, identify has looked up their rows, as on the path.
//
// Figures are TSC cycles per packet, medians over bursts, p90 beside them. Packets of known flows
// are drawn at random from all, so a flow is as cold as their number makes it. New flows take the
// entries and places of flows that ended in random order, up to 131,072 of them before the first
// is taken again. Half of the flows are TCP (segments in the window), half UDP.
//
// Usage: bench_flow_table [--flows 1000,100000,1000000,10000000] [--agents 1000] [--samples 2000]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <numeric>
#include <random>

#include "dataplane/flow/tcp_state.h"
#include "perf/tsc.h"
#include "tests/support/bare_gateway.h"

namespace sandgate::perf {
namespace {

using dp::Burst;
using dp::Packet;
using test::BareGateway;

constexpr uint8_t kTcp = 6, kUdp = 17;
constexpr uint32_t kBatchMost = 1u << 17;

struct Samples
{
    std::vector<double> values;

    void add(uint64_t cycles, unsigned packets)
    {
        values.push_back(static_cast<double>(cycles) / packets);
    }
    double at_percent(unsigned percent)
    {
        if (values.empty())
            return 0;
        const auto place = values.begin() + static_cast<long>((values.size() - 1) * percent / 100);
        std::nth_element(values.begin(), place, values.end());
        return *place;
    }
    std::string text() { return fmt::format("{:4.0f} ({:4.0f})", at_percent(50), at_percent(90)); }
};

// The policy of the gateway, one epoch on, with classes that changed; without the rules, if so.
std::unique_ptr<dp::PolicyView> next_policy(const dp::PolicyView& policy, bool keeps_rules)
{
    api::SnapshotView tables = policy.rows;
    std::vector<api::ClassRow> classes(tables.classes.begin(), tables.classes.end());
    const api::Epoch epoch = policy.rows.header->epoch + 1;
    for (api::ClassRow& row : classes) row = {row.first, keeps_rules ? row.count : 0, epoch};
    std::vector<api::MatchRow> matches(tables.matches.begin(), tables.matches.end());
    if (!keeps_rules) {
        matches.clear();
        for (api::ClassRow& row : classes) row.first = 0;
    }
    tables.classes = classes;
    tables.matches = matches;
    std::string error;
    auto view = dp::build_policy_view(api::write_snapshot(tables, epoch), 0x5eed, error);
    if (view == nullptr)
        test::give_up(error);
    return view;
}

class Bench
{
  public:
    Bench(uint32_t flows, uint32_t agents)
        : gateway_(agents, flows + Burst::kMost, 1023),
          w_(gateway_.worker()),
          agents_(agents),
          known_(flows)
    {
        for (uint32_t i = 0; i < agents; i++) gateway_.shared.agents.find(i + 1)->owner.store(0);
        std::iota(known_.begin(), known_.end(), 0u);
        next_ = flows;
        for (uint32_t at = 0; at < flows;) {
            const uint32_t count = std::min(Burst::kMost, flows - at);
            run({known_.data() + at, count}, dp::kSyn);
            at += count;
        }
        if (w_.flows.used() != flows)
            test::give_up(fmt::format("{} of {} flows", w_.flows.used(), flows));
    }

    void measure_known(unsigned samples)
    {
        for (unsigned i = 0; i < samples; i++) {
            uint32_t numbers[Burst::kMost];
            for (uint32_t& number : numbers) number = known_[random_() % known_.size()];
            const Cycles cycles = run(numbers, dp::kAck);
            known.add(cycles.classify, Burst::kMost);
            known_apply.add(cycles.apply, Burst::kMost);
        }
    }

    void measure_new(unsigned samples)
    {
        const auto batch =
            static_cast<uint32_t>(std::clamp<size_t>(known_.size() / 8, Burst::kMost, kBatchMost) /
                                  Burst::kMost * Burst::kMost);
        for (unsigned done = 0; done < samples;) {
            for (uint32_t i = 0; i < batch; i++) {
                const size_t at = random_() % known_.size();
                erase(known_[at]);
                known_[at] = known_.back();
                known_.pop_back();
            }
            for (uint32_t i = 0; i < batch; i += Burst::kMost, done++) {
                uint32_t numbers[Burst::kMost];
                for (uint32_t& number : numbers) known_.push_back(number = next_++);
                const Cycles cycles = run(numbers, dp::kSyn);
                fresh.add(cycles.classify, Burst::kMost);
                fresh_apply.add(cycles.apply, Burst::kMost);
            }
        }
    }

    struct Sweep
    {
        double ms;
        uint64_t polls;
    };
    // The pass after a change of every class; idle polls do little else.
    Sweep sweep(bool keeps_rules)
    {
        policies_.push_back(
            next_policy(policies_.empty() ? gateway_.policy() : *policies_.back(), keeps_rules));
        const uint64_t started = read_tsc();
        uint64_t polls = 0;
        do {
            dp::sweep_flows(w_, *policies_.back());
            polls++;
        } while (w_.flow_review.left != 0);
        const uint64_t cycles = read_tsc() - started;
        if (w_.flows.used() != (keeps_rules ? known_.size() : 0))
            test::give_up(fmt::format("{} flows are left", w_.flows.used()));
        return {static_cast<double>(cycles) * 1e3 / static_cast<double>(rte_get_tsc_hz()), polls};
    }

    Samples known, known_apply, fresh, fresh_apply;

  private:
    struct Cycles
    {
        uint64_t classify, apply;
    };

    static uint8_t protocol_of(uint32_t number) { return number % 2 == 0 ? kTcp : kUdp; }

    // The packet of a flow by its number, as the stages before find_flows leave it.
    void write(Packet& packet, uint32_t number, uint8_t flags) const
    {
        packet.kind = dp::Kind::kSealed;
        packet.agent = gateway_.shared.agents.find(number % agents_ + 1);
        packet.protocol = protocol_of(number);
        packet.source = test::agent_v4(number % agents_);
        packet.destination = test::v4(test::kServer + number / agents_ / 20'000);
        packet.source_port = static_cast<uint16_t>(20'000 + number / agents_ % 20'000);
        packet.destination_port = 443;
        packet.inner = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
        packet.inner_header_bytes = 20;
        packet.inner_bytes = packet.protocol == kTcp ? 40 : 28;
        packet.tcp_flags = packet.protocol == kTcp ? flags : uint8_t{0};
        uint8_t* tcp = packet.inner + 20;
        std::memset(tcp, 0, 20);
        tcp[7] = flags == dp::kSyn ? 0 : 1;
        tcp[12] = 5 << 4;
    }

    Cycles run(std::span<const uint32_t> numbers, uint8_t flags)
    {
        Burst burst;
        for (const uint32_t number : numbers) {
            rte_mbuf* mbuf = rte_pktmbuf_alloc(gateway_.shared.pool);
            if (mbuf == nullptr)
                test::give_up("no packet buffer");
            write(burst.add(mbuf), number, flags);
        }
        dp::identify(w_, gateway_.policy(), burst);
        const uint64_t created = w_.counters.flows_created.load();
        const uint64_t started = read_tsc();
        dp::find_flows(w_, burst);
        dp::classify(w_, gateway_.policy(), burst);
        const uint64_t classified = read_tsc();
        dp::apply_verdicts(w_, gateway_.policy(), burst);
        const uint64_t applied = read_tsc();
        const uint64_t expected = flags == dp::kSyn ? numbers.size() : 0;
        if (burst.size() != numbers.size() ||
            w_.counters.flows_created.load() - created != expected)
            test::give_up("a packet was not what it should be");
        for (Packet* packet : burst.packets()) {
            // An opener that speaks before it is answered is refused; this is the answer.
            if (packet->protocol == kTcp && flags == dp::kSyn)
                packet->flow->state = dp::kFlowEstablished;
            rte_pktmbuf_free(packet->mbuf);
        }
        return {classified - started, applied - classified};
    }

    void erase(uint32_t number)
    {
        const dp::FlowKey key{
            test::agent_v4(number % agents_), test::v4(test::kServer + number / agents_ / 20'000),
            dp::FlowKey::pack(static_cast<uint16_t>(20'000 + number / agents_ % 20'000), 443,
                              number % agents_ + 1, protocol_of(number))};
        dp::Flow* flow = w_.flows.find(key, w_.flows.hash_of(key));
        if (flow == nullptr)
            test::give_up("a flow is missing");
        w_.flows.erase(flow);
    }

    BareGateway gateway_;
    dp::Worker& w_;
    uint32_t agents_;
    std::vector<uint32_t> known_;  // numbers of the flows that are there
    uint32_t next_ = 0;
    std::mt19937 random_{1};
    std::vector<std::unique_ptr<dp::PolicyView>> policies_;
};

int run(const std::vector<uint32_t>& flow_counts, uint32_t agents, unsigned samples)
{
    test::start_bare_eal({}, 64);
    fmt::print("TSC cycles per packet at {:.1f} GHz, bursts of {}, median (p90) of {} bursts\n\n",
               static_cast<double>(rte_get_tsc_hz()) / 1e9, Burst::kMost, samples);
    fmt::print("{:>10}  {:>12} {:>12}  {:>12} {:>12}   {}\n", "flows", "known", "apply", "new",
               "apply", "sweep: all stay; all end");
    for (const uint32_t flows : flow_counts) {
        Bench bench(flows, agents);
        bench.measure_known(samples);
        bench.measure_new(samples);
        const auto stay = bench.sweep(true), end = bench.sweep(false);
        fmt::print("{:>10}  {:>12} {:>12}  {:>12} {:>12}   {:.1f} ms; {:.1f} ms in {} polls\n",
                   flows, bench.known.text(), bench.known_apply.text(), bench.fresh.text(),
                   bench.fresh_apply.text(), stay.ms, end.ms, end.polls);
    }
    return 0;
}

}  // namespace
}  // namespace sandgate::perf

int main(int argc, char** argv)
{
    CLI::App app("What a flow costs");
    std::vector<uint32_t> flows = {1'000, 100'000, 1'000'000, 10'000'000};
    uint32_t agents = 1000;
    unsigned samples = 2000;
    app.add_option("--flows", flows)->delimiter(',')->check(CLI::Range(64u, 1u << 26));
    app.add_option("--agents", agents)->check(CLI::Range(1u, 1'000'000u));
    app.add_option("--samples", samples)->check(CLI::Range(1u, 1'000'000u));
    CLI11_PARSE(app, argc, argv);
    return sandgate::perf::run(flows, agents, samples);
}
