// What a policy costs until it is in force: a large number of agents in a bulk file at start-up,
// and one agent's change beside them. Control's steps are those of sandgate-control (load,
// validate, compile, publish, delta); the push goes by the real socket to the dataplane's real
// threads, and counts until the dataplane answers that it is in force. Also what an idle peer takes
// of the dataplane's memory.
//
// Usage: bench_policy [--agents 100000] [--changes 20]
#include <fmt/format.h>
#include <sodium.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "config/compile.h"
#include "config/load.h"
#include "config/make_delta.h"
#include "config/validate.h"
#include "crypto/self_test.h"
#include "tests/support/slow_path.h"

namespace sandgate::perf {
namespace {

double now_ms()
{
    return std::chrono::duration<double, std::milli>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

// Of this process, in bytes.
uint64_t resident_bytes()
{
    std::ifstream status("/proc/self/statm");
    uint64_t pages = 0, resident = 0;
    status >> pages >> resident;
    return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string key_text(uint32_t number)
{
    uint8_t key[32] = {};
    for (unsigned i = 0; i < 32; i++) key[i] = static_cast<uint8_t>((number + 1) >> (8 * (i % 4)));
    char text[64];
    sodium_bin2base64(text, sizeof(text), key, sizeof(key), sodium_base64_VARIANT_ORIGINAL);
    return text;
}

class Files
{
  public:
    explicit Files(uint32_t agents)
    {
        char name[] = "/tmp/sandgate-bench-XXXXXX";
        if (mkdtemp(name) == nullptr)
            test::give_up("no directory below /tmp");
        directory_ = name;
        std::ofstream bulk(directory_ / "agents.jsonl");
        for (uint32_t i = 0; i < agents; i++)
            bulk << fmt::format(
                R"({{"name":"job-{}","owner":"team-{}@example.com","tags":["fleet"],)"
                R"("public_key":"{}","addresses":["10.{}.{}.{}"]}})"
                "\n",
                i, i % 500, key_text(i + 16), 64 + (i >> 16), i >> 8 & 255, i & 255);
    }
    ~Files() { std::filesystem::remove_all(directory_); }
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;

    std::string yaml() const { return (directory_ / "sandgate.yaml").string(); }
    // The file that people edit; `change` is in its one agent.
    void write_yaml(unsigned change) const
    {
        std::ofstream(yaml()) << fmt::format(R"(
gateway: {{tunnel_addresses: [10.10.0.1], public_endpoint: "192.0.2.1:51820"}}
ports:
  - {{name: wan, device: a, roles: [wan], addresses: [192.0.2.1/24], gateway: 192.0.2.254}}
  - {{name: lan, device: b, roles: [lan], addresses: [10.1.0.1/16]}}
agents_from: [agents.jsonl]
agents:
  - {{name: build-bot, owner: "owner-{}@example.com", tags: [{}], public_key: "{}", addresses: [10.10.0.2]}}
hosts: {{web: 10.1.0.10}}
grants:
  - {{name: fleet, src: ["tag:fleet"], dst: ["host:web"], ip: ["tcp:443"]}}
)",
                                             change, change % 2 == 0 ? "fleet" : "alone",
                                             key_text(1));
    }

  private:
    std::filesystem::path directory_;
};

// Control's half, with what it keeps between two policies.
class Control
{
  public:
    explicit Control(std::string path) : path_(std::move(path)) {}

    // How long each step of the last compile() took.
    double read_ms = 0, compile_ms = 0, publish_ms = 0;

    std::vector<uint8_t> compile()
    {
        const double started = now_ms();
        config::LoadResult loaded = config::load_file(path_, cache_);
        if (!loaded.is_ok())
            test::give_up(loaded.errors.front().text());
        const auto faults = config::validate(loaded.policy);
        if (!faults.empty())
            test::give_up(faults.front().text());
        const double read = now_ms();
        auto compiled = config::compile(loaded.policy, ids_, 1);
        if (!compiled)
            test::give_up(compiled.error().text());
        const double done = now_ms();
        std::string error;
        const auto before =
            published_.empty() ? std::nullopt : api::read_snapshot(published_, error);
        auto next = config::publish(compiled->bytes, before ? &*before : nullptr, ++epoch_);
        std::vector<uint8_t> push = next;
        is_delta_ = !published_.empty();
        if (is_delta_) {
            auto delta = config::make_delta(published_, next);
            if (!delta)
                test::give_up(delta.error().text());
            push = std::move(*delta);
        }
        published_ = std::move(next);
        read_ms = read - started;
        compile_ms = done - read;
        publish_ms = now_ms() - done;
        return push;
    }
    api::MessageType type() const
    {
        return is_delta_ ? api::MessageType::kPushDelta : api::MessageType::kPushSnapshot;
    }

  private:
    std::string path_;
    config::BulkCache cache_;
    config::IdMap ids_;
    std::vector<uint8_t> published_;
    api::Epoch epoch_ = 0;
    bool is_delta_ = false;
};

struct Step
{
    double control_ms, push_ms;
    size_t bytes;
};

Step put_in_force(Control& control, test::SlowPath& dataplane)
{
    const double started = now_ms();
    const std::vector<uint8_t> push = control.compile();
    const double compiled = now_ms();
    const std::string fault = dataplane.push(control.type(), push);
    if (!fault.empty())
        test::give_up(fault);
    return {compiled - started, now_ms() - compiled, push.size()};
}

int run(uint32_t agents, unsigned changes)
{
    const std::string fault = crypto::start();
    if (!fault.empty())
        test::give_up(fault);
    test::start_bare_eal();
    test::SlowPath dataplane(8);
    const Files files(agents);
    files.write_yaml(0);
    Control control(files.yaml());

    const uint64_t before = resident_bytes();
    const double started = now_ms();
    const std::vector<uint8_t> snapshot = control.compile();
    const double compiled = now_ms();
    const uint64_t with_control = resident_bytes();
    if (const std::string refused = dataplane.push(control.type(), snapshot); !refused.empty())
        test::give_up(refused);
    const double in_force = now_ms();
    const uint64_t with_dataplane = resident_bytes();
    fmt::print("{} agents in a bulk file and one in the YAML\n", agents);
    fmt::print("start-up: control {:.0f} ms, push {:.0f} ms, in force after {:.0f} ms\n",
               compiled - started, in_force - compiled, in_force - started);
    fmt::print(
        "control's part: read and validate {:.0f} ms, compile {:.0f} ms, publish {:.0f} ms\n",
        control.read_ms, control.compile_ms, control.publish_ms);
    fmt::print("memory per idle agent: dataplane {} bytes, control {} bytes; a keypair {} bytes\n",
               (with_dataplane - with_control) / agents, (with_control - before) / agents,
               sizeof(wg::Session));

    std::vector<double> totals;
    Step last{};
    for (unsigned change = 1; change <= changes; change++) {
        files.write_yaml(change);
        last = put_in_force(control, dataplane);
        totals.push_back(last.control_ms + last.push_ms);
    }
    if (totals.empty())
        return 0;
    std::sort(totals.begin(), totals.end());
    fmt::print(
        "one agent's change, the bulk file untouched: median {:.0f} ms, slowest {:.0f} ms of {}; "
        "the last one control {:.0f} ms, push {:.0f} ms, a delta of {} bytes\n",
        totals[totals.size() / 2], totals.back(), totals.size(), last.control_ms, last.push_ms,
        last.bytes);
    return 0;
}

}  // namespace
}  // namespace sandgate::perf

int main(int argc, char** argv)
{
    CLI::App app("From a policy file to a policy in force");
    uint32_t agents = 100'000;
    unsigned changes = 20;
    app.add_option("--agents", agents)->check(CLI::Range(1u, 1'000'000u));
    app.add_option("--changes", changes);
    CLI11_PARSE(app, argc, argv);
    return sandgate::perf::run(agents, changes);
}
