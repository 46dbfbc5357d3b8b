// Reading the command line with CLI11; every option says its unit.
#include "dataplane/options.h"

#include <CLI/CLI.hpp>
#include <charconv>

#include "dataplane/api/bounds.h"

namespace sandgate::dp {

namespace {

// NAME=SECONDS into the field of that name.
void set_flow_timeout(api::FlowTimeouts& timeouts, const std::string& text)
{
    const size_t equals = text.find('=');
    std::string names;
    for (const api::FlowTimeoutName& known : api::kFlowTimeoutNames) {
        names += (names.empty() ? "" : ", ") + std::string(known.option);
        if (text.substr(0, equals) != known.option)
            continue;
        uint32_t seconds = 0;
        const char* end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data() + equals + 1, end, seconds);
        if (equals == std::string::npos || error != std::errc() || stop != end ||
            seconds < known.seconds.least || seconds > known.seconds.most)
            throw CLI::ValidationError("--flow-timeout",
                                       "'" + text + "' is not NAME=SECONDS with " +
                                           std::to_string(known.seconds.least) + " to " +
                                           std::to_string(known.seconds.most) + " seconds");
        timeouts.*known.field = seconds * 1000;
        return;
    }
    throw CLI::ValidationError("--flow-timeout",
                               "'" + text + "' is not NAME=SECONDS with one of the names " + names);
}

}  // namespace

Options parse_options(int argc, char** argv)
{
    Options options;
    std::vector<std::string> ports, flow_timeouts;
    bool has_no_hugepages = false;
    CLI::App app(
        "The packet path of Sandgate. Start it with: sandgate-dataplane $(sandgate dataplane-args "
        "FILE)",
        "sandgate-dataplane");
    app.add_option("--control-socket", options.control_socket,
                   "UNIX socket to listen on for control")
        ->required();
    app.add_option("--worker-core", options.worker_cores,
                   "core of one worker; repeat for more workers")
        ->required();
    app.add_option("--slow-core", options.slow_core,
                   "core of the handshake, builder and server threads");
    app.add_option("--port", ports,
                   "NAME=ROLES=DEVICE: a PCI address or a DPDK vdev; repeat in the policy's order")
        ->required();
    app.add_flag("--no-huge", has_no_hugepages, "run without hugepages");
    app.add_flag("--test-mode", options.is_test_mode,
                 "for trials: ordinary memory, nothing left on disk");
    app.add_flag("--adaptive-idle", options.is_idle_adaptive, "idle workers sleep up to 100 us");
    app.add_option("--max-sessions", options.max_sessions, "session slots")
        ->check(CLI::Range(api::kSessionSlots.least, api::kSessionSlots.most));
    app.add_option("--max-flows", options.max_flows, "flows per worker")
        ->check(CLI::Range(api::kFlowsPerWorker.least, api::kFlowsPerWorker.most));
    app.add_option("--flow-timeout", flow_timeouts,
                   "NAME=SECONDS: how long a flow of that kind lives without a packet; repeat");
    app.add_option("--mbufs", options.mbufs, "packet buffers")
        ->check(CLI::Range(api::kPacketBuffers.least, api::kPacketBuffers.most));
    app.add_option("--mtu", options.mtu, "of the ports, bytes")->check(CLI::Range(1280, 9000));
    app.add_flag("--host-port", options.has_host_port,
                 "make the TAP of the gateway's own services");
    app.add_option("--host-namespace", options.host_namespace,
                   "network namespace in which the TAP lives alone");
    app.add_option("--host-v4", options.host_v4, "the gateway's IPv4 tunnel address");
    app.add_option("--host-v6", options.host_v6, "the gateway's IPv6 tunnel address");
    app.add_option("--user", options.user,
                   "user to run as once set up (default: sandgate, else nobody)");
    app.add_option("--control-user", options.control_user, "user who may give orders beside root");
    try {
        app.parse(argc, argv);
        for (const std::string& text : ports) {
            const size_t first = text.find('='), second = text.find('=', first + 1);
            if (first == std::string::npos || second == std::string::npos ||
                second + 1 == text.size())
                throw CLI::ValidationError("--port", "'" + text + "' is not NAME=ROLES=DEVICE");
            options.ports.push_back({text.substr(0, first), text.substr(second + 1)});
        }
        for (const std::string& text : flow_timeouts) set_flow_timeout(options.flow_timeouts, text);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error) == 0 ? 0 : 2);
    }
    options.has_hugepages = !has_no_hugepages && !options.is_test_mode;
    return options;
}

}  // namespace sandgate::dp
