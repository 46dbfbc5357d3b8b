// What a packet costs in the pipeline, beside what its cryptography alone costs. Bursts are
// prepared in memory and run through run_burst() without a NIC; the ports are DPDK rings, and
// taking frames out of them is not timed. Each burst is measured in one of three ways, in turns: as
// a whole (what poll_ports() does after reception, flush included), stage by stage in the order of
// run_burst(), and its AEAD alone on the same buffers with warm keys. All outputs are compared byte
// by byte before anything is timed.
//
// Figures are TSC cycles per packet, medians over bursts. Packets come from a pool larger than a
// burst, each of another agent (--run-length changes that), so sessions, agents and flows are as
// cold as their number makes them. No figure here is one of a network.
//
// Usage: bench_pipeline [--agents 1,1000,100000] [--sizes 64,512,1420] [--bursts 32,64]
// [--run-length 1]
//                       [--samples 400] [--json FILE] [--direction open|seal]
#include <fmt/format.h>
#include <rte_ethdev.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <new>
#include <numeric>
#include <random>

#include "crypto/aead.h"
#include "crypto/self_test.h"
#include "perf/tsc.h"
#include "tests/support/bare_gateway.h"

namespace sandgate::perf {
namespace {

using dp::Burst;
using dp::PolicyView;
using dp::Worker;
using test::BareGateway;

constexpr unsigned kGroup =
    8;  // bursts prepared at once, so that a packet is not in the nearest cache
constexpr uint16_t kAgentPort = 40000, kServerPort = 5201;
constexpr uint32_t kOuterBytes = 14 + 20 + 8;

struct Stage
{
    const char* name;
    void (*run)(Worker&, const PolicyView&, Burst&);
};
// The order of run_burst(). Filling the burst is measured before, flushing the queues is the last
// row.
constexpr Stage kStages[] = {
    {"parse_outer", [](Worker& w, const PolicyView& p, Burst& b) { dp::parse_outer(w, p, b); }},
    {"find_owners", [](Worker& w, const PolicyView& p, Burst& b) { dp::find_owners(w, p, b); }},
    {"find_sessions", [](Worker& w, const PolicyView&, Burst& b) { dp::find_sessions(w, b); }},
    {"open_packets", [](Worker& w, const PolicyView&, Burst& b) { dp::open_packets(w, b); }},
    {"check_replay", [](Worker& w, const PolicyView&, Burst& b) { dp::check_replay(w, b); }},
    {"note_received", [](Worker& w, const PolicyView&, Burst& b) { dp::note_received(w, b); }},
    {"check_inner", [](Worker& w, const PolicyView& p, Burst& b) { dp::check_inner(w, p, b); }},
    {"identify", [](Worker& w, const PolicyView& p, Burst& b) { dp::identify(w, p, b); }},
    {"find_flows", [](Worker& w, const PolicyView&, Burst& b) { dp::find_flows(w, b); }},
    {"classify", [](Worker& w, const PolicyView& p, Burst& b) { dp::classify(w, p, b); }},
    {"apply_verdicts",
     [](Worker& w, const PolicyView& p, Burst& b) { dp::apply_verdicts(w, p, b); }},
    {"route", [](Worker& w, const PolicyView& p, Burst& b) { dp::route(w, p, b); }},
    {"seal_packets", [](Worker& w, const PolicyView& p, Burst& b) { dp::seal_packets(w, p, b); }},
    {"transmit", [](Worker& w, const PolicyView&, Burst& b) { dp::transmit(w, b); }},
    {"flush (net_ring)", [](Worker& w, const PolicyView&, Burst&) { dp::flush_transmit(w); }},
};
constexpr unsigned kStageCount = std::size(kStages);

enum class Direction
{
    kOpen,  // sealed frames from the wan port, plain out of the lan port
    kSeal,  // plain frames from the lan port, sealed out of the wan port
};

const char* name_of(Direction direction) { return direction == Direction::kOpen ? "open" : "seal"; }

struct Prepared
{
    rte_mbuf* mbuf;
    uint32_t agent;
    uint64_t counter;
};

double at_percent(std::vector<double>& samples, unsigned percent)
{
    const auto place = samples.begin() + static_cast<long>((samples.size() - 1) * percent / 100);
    std::nth_element(samples.begin(), place, samples.end());
    return *place;
}

struct Figures
{
    Direction direction;
    uint32_t agents, bytes;
    unsigned burst;
    double whole, whole_p10, whole_p90, aead, fill;
    double stages[kStageCount];

    double over() const { return whole - aead; }
    // What the stages cost beside the AEAD, one timer around each.
    double stages_over() const
    {
        return std::accumulate(stages, stages + kStageCount, fill) - aead;
    }
};

class Bench
{
  public:
    Bench(uint32_t agents, unsigned run_length)
        : gateway_(agents, std::max(4096u, agents * 2), 4095),
          w_(gateway_.worker()),
          run_length_(run_length),
          order_(agents),
          counters_(agents)
    {
        for (uint16_t port = 0; port < 2; port++) start_port(port);
        for (uint32_t i = 0; i < agents; i++) sessions_.push_back(&gateway_.install(i));
        std::iota(order_.begin(), order_.end(), 0u);
        std::shuffle(order_.begin(), order_.end(), std::mt19937(1));
        open_every_flow();
    }
    ~Bench()
    {
        for (uint16_t port = 0; port < 2; port++) rte_eth_dev_stop(port);
    }

    // Aborts with the fault when an output is not what it should be.
    void verify(Direction direction, uint32_t bytes, unsigned burst)
    {
        for (unsigned round = 0; round < 4; round++) {
            const auto batch = prepare(direction, bytes, burst);
            run_whole(direction, batch);
            rte_mbuf* out[64];
            const uint16_t port = direction == Direction::kOpen ? 1 : 0;
            const unsigned count = rte_eth_rx_burst(port, 0, out, 64);
            if (count != burst)
                test::give_up(fmt::format("{} of {} packets came out", count, burst));
            for (unsigned i = 0; i < count; i++)
                direction == Direction::kOpen ? verify_opened(batch[i], out[i], bytes)
                                              : verify_sealed(batch[i], out[i], bytes);
            rte_pktmbuf_free_bulk(out, count);
        }
        refuse_drops();
    }

    Figures measure(Direction direction, uint32_t bytes, unsigned burst, unsigned samples)
    {
        std::vector<double> whole, aead, fill;
        std::vector<double> stages[kStageCount];
        for (unsigned done = 0; whole.size() < samples; done++) {
            std::vector<std::vector<Prepared>> group;
            for (unsigned i = 0; i < kGroup; i++) group.push_back(prepare(direction, bytes, burst));
            for (const auto& batch : group) {
                switch (done % 3) {
                    case 0:
                        whole.push_back(run_whole(direction, batch));
                        break;
                    case 1:
                        fill.push_back(run_stages(direction, batch, stages));
                        break;
                    default:
                        aead.push_back(run_aead(direction, batch, bytes));
                        break;
                }
                drain();
            }
        }
        refuse_drops();
        Figures f{direction,
                  gateway_.agent_count,
                  bytes,
                  burst,
                  at_percent(whole, 50),
                  at_percent(whole, 10),
                  at_percent(whole, 90),
                  at_percent(aead, 50),
                  at_percent(fill, 50),
                  {}};
        for (unsigned i = 0; i < kStageCount; i++) f.stages[i] = at_percent(stages[i], 50);
        return f;
    }

  private:
    void start_port(uint16_t port)
    {
        rte_eth_conf conf{};
        if (rte_eth_dev_configure(port, 1, 1, &conf) != 0 ||
            rte_eth_rx_queue_setup(port, 0, 512, SOCKET_ID_ANY, nullptr, gateway_.shared.pool) !=
                0 ||
            rte_eth_tx_queue_setup(port, 0, 512, SOCKET_ID_ANY, nullptr) != 0 ||
            rte_eth_dev_start(port) != 0)
            test::give_up("the ring device does not start");
        gateway_.shared.queues[port][0] = {port, 0};
    }

    void open_every_flow()
    {
        const uint64_t packets = uint64_t{gateway_.agent_count} * run_length_;
        for (uint64_t done = 0; done < packets; done += 32) {
            run_whole(Direction::kOpen, prepare(Direction::kOpen, 64, 32));
            drain();
        }
        refuse_drops();
        if (w_.flows.used() != gateway_.agent_count)
            test::give_up("not every agent has its flow");
    }

    uint32_t next_agent()
    {
        const uint32_t agent = order_[(next_ / run_length_) % order_.size()];
        next_++;
        return agent;
    }

    std::vector<Prepared> prepare(Direction direction, uint32_t bytes, unsigned burst)
    {
        rte_mbuf* mbufs[64];
        if (rte_pktmbuf_alloc_bulk(gateway_.shared.pool, mbufs, burst) != 0)
            test::give_up("no buffers");
        std::vector<Prepared> batch;
        std::vector<crypto::AeadJob> jobs;
        for (unsigned i = 0; i < burst; i++) {
            const uint32_t agent = next_agent();
            if (direction == Direction::kSeal) {
                auto* frame = reinterpret_cast<uint8_t*>(
                    rte_pktmbuf_append(mbufs[i], static_cast<uint16_t>(14 + bytes)));
                test::write_ethernet(frame, gateway_.shared.port_macs[1], test::kServerMac);
                test::write_udp(frame + 14, bytes, test::v4(test::kServer), test::agent_v4(agent),
                                kServerPort, kAgentPort);
                batch.push_back({mbufs[i], agent, 0});
                continue;
            }
            const uint32_t text = wg::padded_bytes(bytes, test::kTunnelMtu);
            const uint32_t udp = 8 + 32 + text;
            auto* frame = reinterpret_cast<uint8_t*>(
                rte_pktmbuf_append(mbufs[i], static_cast<uint16_t>(14 + 20 + udp)));
            const api::Endpoint from = test::agent_endpoint(agent);
            test::write_ethernet(frame, gateway_.shared.port_macs[0], test::kGatewayMac);
            test::write_udp(frame + 14, 28, from.address, test::v4(test::kWanAddress), from.port,
                            test::kListenPort);
            uint8_t* ip = frame + 14;
            test::put16(ip + 2, 20 + udp);
            test::put16(ip + 10, 0);
            test::put16(ip + 10, dp::fold_checksum(dp::sum_of(ip, 20)));
            test::put16(ip + 24, udp);
            auto* header = reinterpret_cast<wg::DataHeader*>(ip + 28);
            header->type.set(wg::kData);
            header->receiver_index.set(sessions_[agent]->index.load());
            header->counter.set(counters_[agent]);
            uint8_t* inner = ip + 28 + sizeof(wg::DataHeader);
            std::memset(inner + bytes, 0, text - bytes);
            test::write_udp(inner, bytes, test::agent_v4(agent), test::v4(test::kServer),
                            kAgentPort, kServerPort);
            jobs.push_back(
                {sessions_[agent]->receive_key.data(), counters_[agent], inner, text, false});
            batch.push_back({mbufs[i], agent, counters_[agent]++});
        }
        crypto::seal_batch(jobs);
        return batch;
    }

    static void fill(Burst& burst, Direction direction, const std::vector<Prepared>& batch)
    {
        for (const Prepared& one : batch) {
            dp::Packet& packet = burst.add(one.mbuf);
            packet.port = direction == Direction::kOpen ? 0 : 1;
            packet.received_by = 0;
        }
    }

    double run_whole(Direction direction, const std::vector<Prepared>& batch)
    {
        const uint64_t begin = read_tsc();
        Burst burst;
        fill(burst, direction, batch);
        dp::run_burst(w_, gateway_.policy(), burst);
        dp::flush_transmit(w_);
        return static_cast<double>(read_tsc() - begin) / static_cast<double>(batch.size());
    }

    // Returns what filling the burst cost.
    double run_stages(Direction direction, const std::vector<Prepared>& batch,
                      std::vector<double>* stages)
    {
        const auto packets = static_cast<double>(batch.size());
        uint64_t marks[kStageCount + 1];
        const uint64_t begin = read_tsc();
        Burst burst;
        fill(burst, direction, batch);
        marks[0] = read_tsc();
        for (unsigned i = 0; i < kStageCount; i++) {
            kStages[i].run(w_, gateway_.policy(), burst);
            marks[i + 1] = read_tsc();
        }
        for (unsigned i = 0; i < kStageCount; i++)
            stages[i].push_back(static_cast<double>(marks[i + 1] - marks[i]) / packets);
        return static_cast<double>(marks[0] - begin) / packets;
    }

    double run_aead(Direction direction, const std::vector<Prepared>& batch, uint32_t bytes)
    {
        const bool is_open = direction == Direction::kOpen;
        const uint32_t text = wg::padded_bytes(bytes, test::kTunnelMtu);
        crypto::AeadJob jobs[64];
        unsigned sum = 0;
        for (unsigned i = 0; i < batch.size(); i++) {
            const wg::Session& session = *sessions_[batch[i].agent];
            const auto& key = is_open ? session.receive_key : session.send_key;
            sum += key.data()[0];
            jobs[i] = {
                key.data(), batch[i].counter,
                rte_pktmbuf_mtod(batch[i].mbuf, uint8_t*) + (is_open ? kOuterBytes + 16 : 14u),
                text, false};
        }
        sink_ = sum;
        const uint64_t begin = read_tsc();
        if (is_open)
            crypto::open_batch({jobs, batch.size()});
        else
            crypto::seal_batch({jobs, batch.size()});
        const uint64_t end = read_tsc();
        for (unsigned i = 0; i < batch.size(); i++) {
            if (is_open && !jobs[i].is_authentic)
                test::give_up("the AEAD refused a packet");
            rte_pktmbuf_free(batch[i].mbuf);
        }
        return static_cast<double>(end - begin) / static_cast<double>(batch.size());
    }

    void drain()
    {
        for (uint16_t port = 0; port < 2; port++) {
            rte_mbuf* out[64];
            for (unsigned count; (count = rte_eth_rx_burst(port, 0, out, 64)) != 0;)
                rte_pktmbuf_free_bulk(out, count);
        }
    }

    void refuse_drops()
    {
        for (unsigned i = 0; i < 128; i++)
            if (w_.counters.drops[i].load() != 0)
                test::give_up(fmt::format("{} packets were dropped for reason {}",
                                          w_.counters.drops[i].load(), i));
    }

    static void expect(bool is_true, const char* what)
    {
        if (!is_true)
            test::give_up(std::string("a packet came out wrong: ") + what);
    }

    static void expect_inner(const uint8_t* got, uint32_t bytes, const uint8_t* sent)
    {
        expect(got[8] == sent[8] - 1, "its TTL");
        expect(dp::fold_checksum(dp::sum_of(got, 20)) == 0, "its checksum");
        expect(std::memcmp(got, sent, 8) == 0 && got[9] == sent[9], "its IP header");
        expect(std::memcmp(got + 12, sent + 12, bytes - 12) == 0, "its addresses or payload");
    }

    void verify_opened(const Prepared& one, rte_mbuf* mbuf, uint32_t bytes)
    {
        const auto* frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
        uint8_t sent[2048];
        test::write_udp(sent, bytes, test::agent_v4(one.agent), test::v4(test::kServer), kAgentPort,
                        kServerPort);
        expect(rte_pktmbuf_pkt_len(mbuf) == 14 + bytes, "its length");
        expect(std::memcmp(frame, test::kServerMac, 6) == 0, "its destination MAC");
        expect(std::memcmp(frame + 6, gateway_.shared.port_macs[1], 6) == 0, "its source MAC");
        expect(frame[12] == 8 && frame[13] == 0, "its ethertype");
        expect_inner(frame + 14, bytes, sent);
    }

    void verify_sealed(const Prepared& one, rte_mbuf* mbuf, uint32_t bytes)
    {
        auto* frame = rte_pktmbuf_mtod(mbuf, uint8_t*);
        const uint32_t text = wg::padded_bytes(bytes, test::kTunnelMtu);
        const wg::Session& session = *sessions_[one.agent];
        expect(rte_pktmbuf_pkt_len(mbuf) == kOuterBytes + 32 + text, "its length");
        expect(std::memcmp(frame, test::kGatewayMac, 6) == 0, "its destination MAC");
        const api::Endpoint to = test::agent_endpoint(one.agent);
        expect(std::memcmp(frame + 30, to.address.v4_bytes(), 4) == 0, "its outer destination");
        expect((frame[36] << 8 | frame[37]) == to.port, "its outer port");
        expect(dp::fold_checksum(dp::sum_of(frame + 14, 20)) == 0, "its outer checksum");
        const auto* header = reinterpret_cast<const wg::DataHeader*>(frame + kOuterBytes);
        expect(header->receiver_index.get() == session.remote_index, "its receiver index");
        crypto::AeadJob job{session.send_key.data(), header->counter.get(),
                            frame + kOuterBytes + 16, text, false};
        crypto::open_batch({&job, 1});
        expect(job.is_authentic, "its tag");
        uint8_t sent[2048];
        test::write_udp(sent, bytes, test::v4(test::kServer), test::agent_v4(one.agent),
                        kServerPort, kAgentPort);
        expect_inner(frame + kOuterBytes + 16, bytes, sent);
        for (uint32_t i = bytes; i < text; i++)
            expect(frame[kOuterBytes + 16 + i] == 0, "its padding");
    }

    BareGateway gateway_;
    Worker& w_;
    unsigned run_length_;
    std::vector<uint32_t> order_;
    std::vector<uint64_t> counters_;
    std::vector<wg::Session*> sessions_;
    uint64_t next_ = 0;
    volatile unsigned sink_ = 0;
};

// Rows of one direction and number of agents, columns by size and burst.
void print_table(std::span<const Figures> columns)
{
    fmt::print("\n{}, {} agent(s), TSC cycles per packet\n{:<22}", name_of(columns[0].direction),
               columns[0].agents, "bytes/burst");
    for (const Figures& f : columns) fmt::print("{:>10}", fmt::format("{}/{}", f.bytes, f.burst));
    const auto row = [&](const char* name, auto value) {
        fmt::print("\n{:<22}", name);
        for (const Figures& f : columns) fmt::print("{:>10.0f}", value(f));
    };
    row("fill the burst", [](const Figures& f) { return f.fill; });
    for (unsigned i = 0; i < kStageCount; i++)
        row(kStages[i].name, [i](const Figures& f) { return f.stages[i]; });
    row("stages less AEAD", [](const Figures& f) { return f.stages_over(); });
    row("run_burst, whole", [](const Figures& f) { return f.whole; });
    row("  10th percentile", [](const Figures& f) { return f.whole_p10; });
    row("  90th percentile", [](const Figures& f) { return f.whole_p90; });
    row("AEAD alone", [](const Figures& f) { return f.aead; });
    row("over cryptography", [](const Figures& f) { return f.over(); });
    fmt::print("\n");
}

// Least squares over the sizes: a + b * bytes.
void print_slopes(std::span<const Figures> all)
{
    fmt::print("\nTSC cycles per packet as a + b * bytes\n{:<28}{:>24}{:>24}{:>24}\n", "", "whole",
               "AEAD", "over cryptography");
    std::vector<std::string> done;
    for (const Figures& first : all) {
        const std::string name = fmt::format("{} {} agents, burst {}", name_of(first.direction),
                                             first.agents, first.burst);
        if (std::find(done.begin(), done.end(), name) != done.end())
            continue;
        done.push_back(name);
        const auto fit = [&](auto value) -> std::string {
            double n = 0, x = 0, y = 0, xx = 0, xy = 0;
            for (const Figures& f : all) {
                if (f.direction != first.direction || f.agents != first.agents ||
                    f.burst != first.burst)
                    continue;
                n += 1;
                x += f.bytes;
                y += value(f);
                xx += double{1} * f.bytes * f.bytes;
                xy += f.bytes * value(f);
            }
            if (n < 2)
                return "one size";
            const double slope = (n * xy - x * y) / (n * xx - x * x);
            return fmt::format("{:.0f} + {:.3f} * bytes", (y - slope * x) / n, slope);
        };
        fmt::print("{:<28}{:>24}{:>24}{:>24}\n", name,
                   fit([](const Figures& f) { return f.whole; }),
                   fit([](const Figures& f) { return f.aead; }),
                   fit([](const Figures& f) { return f.over(); }));
    }
}

void write_json(const std::string& path, std::span<const Figures> all, unsigned run_length)
{
    std::ofstream out(path);
    out << fmt::format(
        "{{\"unit\": \"TSC cycles per packet, median\", \"kernel\": \"{}\", \"compiler\": \"{}\", "
        "\"tsc_hz\": {}, \"run_length\": {}, \"cases\": [",
        crypto::kernel_name(), __VERSION__, rte_get_tsc_hz(), run_length);
    const char* comma = "";
    for (const Figures& f : all) {
        out << fmt::format(
            "{}\n  {{\"direction\": \"{}\", \"agents\": {}, \"bytes\": {}, \"burst\": {}, "
            "\"whole\": {:.1f}, "
            "\"p10\": {:.1f}, \"p90\": {:.1f}, \"aead\": {:.1f}, \"over\": {:.1f}, \"stages\": "
            "{{\"fill\": {:.1f}",
            comma, name_of(f.direction), f.agents, f.bytes, f.burst, f.whole, f.whole_p10,
            f.whole_p90, f.aead, f.over(), f.fill);
        for (unsigned i = 0; i < kStageCount; i++)
            out << fmt::format(", \"{}\": {:.1f}", kStages[i].name, f.stages[i]);
        out << "}}";
        comma = ",";
    }
    out << "\n]}\n";
}

int run(int argc, char** argv)
{
    std::vector<uint32_t> agents = {1, 1000, 100000}, sizes = {64, 512, 1420};
    std::vector<unsigned> bursts = {32, 64};
    unsigned run_length = 1, samples = 400;
    std::string json, only;
    CLI::App app{"Cycles per packet of the pipeline, beside those of its cryptography"};
    app.add_option("--agents", agents)->delimiter(',');
    app.add_option("--sizes", sizes, "inner packets in bytes")
        ->delimiter(',')
        ->check(CLI::Range(64, 1420));
    app.add_option("--bursts", bursts)->delimiter(',')->check(CLI::Range(1, 64));
    app.add_option("--run-length", run_length, "packets of one agent in a row")
        ->check(CLI::Range(1, 64));
    app.add_option("--samples", samples, "bursts per case and way of measuring");
    app.add_option("--json", json, "also write the figures to this file");
    app.add_option("--direction", only)->check(CLI::IsMember({"open", "seal"}));
    CLI11_PARSE(app, argc, argv);

    const std::string error = crypto::start();
    if (!error.empty())
        test::give_up(error);
    test::start_bare_eal({"--vdev=net_ring0", "--vdev=net_ring1"}, 128);
    crypto::prepare_thread();
    fmt::print("kernel {}, TSC {:.0f} MHz, compiler {}, each {} packet(s) of another agent\n",
               crypto::kernel_name(), static_cast<double>(rte_get_tsc_hz()) / 1e6, __VERSION__,
               run_length);
    std::vector<Figures> all;
    for (const uint32_t count : agents) {
        Bench bench(count, run_length);
        for (const Direction direction : {Direction::kOpen, Direction::kSeal}) {
            if (!only.empty() && only != name_of(direction))
                continue;
            const size_t first = all.size();
            for (const uint32_t bytes : sizes)
                for (const unsigned burst : bursts) {
                    bench.verify(direction, bytes, burst);
                    all.push_back(bench.measure(direction, bytes, burst, samples));
                }
            print_table(std::span(all).subspan(first));
        }
    }
    print_slopes(all);
    if (!json.empty())
        write_json(json, all, run_length);
    return 0;
}

}  // namespace
}  // namespace sandgate::perf

int main(int argc, char** argv) { return sandgate::perf::run(argc, argv); }
