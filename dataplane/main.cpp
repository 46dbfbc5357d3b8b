// sandgate-dataplane: start-up as a ladder. Each rung either holds or says in one sentence what is
// wrong and what to do; what was built is taken down in reverse order by the destructors. The
// packet path itself: pipeline/pipeline.cpp.
#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_malloc.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <thread>

#include "crypto/self_test.h"
#include "dataplane/counters_region.h"
#include "dataplane/hardening.h"
#include "dataplane/options.h"
#include "dataplane/ports.h"
#include "dataplane/slowpath/server_thread.h"
#include "dataplane/wireguard/session_table.h"

namespace sandgate::dp {
namespace {

std::atomic<bool>* stop_signal = nullptr;

int fail(const std::string& what)
{
    fmt::print(stderr, "sandgate-dataplane: {}\n", what);
    return 1;
}

// The socket that control connects to; only root and the control user may open it.
std::string listen_for_control(const Options& options, const Account& owner, int& fd)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (options.control_socket.size() >= sizeof(address.sun_path))
        return "the path of the control socket is too long: " + options.control_socket;
    std::memcpy(address.sun_path, options.control_socket.c_str(), options.control_socket.size());
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(options.control_socket).parent_path(),
                                        ignored);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return std::string("no socket: ") + std::strerror(errno);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0)
        return "another dataplane serves " + options.control_socket +
               ": stop it or choose another --control-socket";
    unlink(options.control_socket.c_str());
    // Its user and root's group: root without capabilities may connect too. Who may is asked of
    // SO_PEERCRED again.
    const mode_t before = umask(0117);
    const bool is_bound = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    umask(before);
    if (!is_bound || listen(fd, 4) != 0)
        return "cannot listen on " + options.control_socket + ": " + std::strerror(errno);
    if (geteuid() == 0 && chown(options.control_socket.c_str(), owner.uid, 0) != 0)
        return "cannot give " + options.control_socket + " to its user: " + std::strerror(errno);
    return {};
}

std::string build_rings(Shared& shared)
{
    constexpr unsigned kHandover = 2048, kReturns = 1024, kMessages = 4096, kLocal = 2048;
    constexpr unsigned kEvents = 1u << 16, kMailbox = 8192;
    shared.events = new Mailbox<wg::PeerEvent>("events", kEvents);
    shared.messages = rte_ring_create("messages", kMessages, SOCKET_ID_ANY, RING_F_SC_DEQ);
    shared.local = rte_ring_create("local", kLocal, SOCKET_ID_ANY, RING_F_SC_DEQ);
    bool is_whole = shared.messages != nullptr && shared.local != nullptr;
    for (unsigned to = 0; to < shared.workers; to++) {
        shared.returns[to] = rte_ring_create(fmt::format("returns{}", to).c_str(), kReturns,
                                             SOCKET_ID_ANY, RING_F_SC_DEQ);
        shared.mailboxes[to] =
            new Mailbox<WorkerMessage>(fmt::format("mailbox{}", to).c_str(), kMailbox);
        is_whole = is_whole && shared.returns[to] != nullptr;
        for (unsigned from = 0; from < shared.workers; from++) {
            shared.handover[from][to] =
                rte_ring_create(fmt::format("handover{}_{}", from, to).c_str(), kHandover,
                                SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
            is_whole = is_whole && shared.handover[from][to] != nullptr;
        }
    }
    const unsigned readers = shared.workers + 1;
    const size_t bytes = rte_rcu_qsbr_get_memsize(readers);
    shared.qsbr = static_cast<rte_rcu_qsbr*>(rte_zmalloc("qsbr", bytes, 64));
    if (!is_whole || shared.qsbr == nullptr)
        return "no memory for the rings between the threads: reserve more hugepages";
    rte_rcu_qsbr_init(shared.qsbr, readers);
    for (unsigned reader = 0; reader < readers; reader++)
        rte_rcu_qsbr_thread_register(shared.qsbr, reader);
    return {};
}

struct WorkerStart
{
    Worker* worker;
    bool is_adaptive;
};

int run_worker_on_lcore(void* start)
{
    const auto* what = static_cast<const WorkerStart*>(start);
    run_worker(*what->worker, what->is_adaptive);
    return 0;
}

int run(int argc, char** argv)
{
    const Options options = parse_options(argc, argv);
    if (options.worker_cores.size() > kMaxWorkers)
        return fail(fmt::format("at most {} workers", kMaxWorkers));
    if (options.ports.size() > api::kMaxPorts - 1)
        return fail(fmt::format("at most {} ports beside the host port", api::kMaxPorts - 1));
    Account account, control;
    std::string error = find_account(options.user, account);
    if (error.empty())
        error = find_account(options.control_user.empty() ? options.user : options.control_user,
                             control);
    if (error.empty())
        error = crypto::start();
    if (!error.empty())
        return fail(error);

    static Shared shared;
    stop_signal = &shared.is_stopping;
    int listener = -1;
    CountersMemory counters;
    error = start_eal(options);
    shared.tsc_hz = rte_get_tsc_hz();
    shared.workers = static_cast<unsigned>(options.worker_cores.size());
    if (error.empty())
        error = build_counters(options, shared.tsc_hz, counters);
    if (error.empty())
        error = listen_for_control(options, control, listener);
    if (error.empty())
        error = build_pool(options, shared);
    if (error.empty())
        error = build_rings(shared);
    if (error.empty())
        error = open_ports(options, shared);
    if (error.empty() && options.has_host_port)
        error = open_host_port(options, shared);
    if (!error.empty()) {
        close_ports(shared);
        return fail(error);
    }

    uint8_t table_key[16];
    uint64_t seeds[2];
    randombytes_buf(table_key, sizeof(table_key));
    randombytes_buf(seeds, sizeof(seeds));
    wg::SessionTable sessions(options.max_sessions, table_key);
    shared.sessions = &sessions;

    const unsigned workers_count = shared.workers;
    ServerThread server(shared, *counters.region, listener, counters.fd, control.uid,
                        workers_count);
    HandshakeThread handshakes(
        shared, counters.region->blocks[workers_count],
        [&server](const api::SeedBody& note) { server.note_persistent(note); });
    BuilderThread builder(shared, *counters.region, handshakes, seeds[0]);
    server.connect(handshakes, builder);

    std::vector<std::unique_ptr<Worker>> workers;
    std::vector<WorkerStart> starts(workers_count);
    for (unsigned i = 0; i < workers_count; i++)
        workers.push_back(std::make_unique<Worker>(static_cast<WorkerId>(i), shared,
                                                   counters.region->blocks[i], options.max_flows,
                                                   seeds[1], options.flow_timeouts));

    struct sigaction action
    {
    };
    action.sa_handler = [](int) { stop_signal->store(true, std::memory_order_relaxed); };
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);

    std::thread handshake_thread([&] { handshakes.run(); });
    std::thread builder_thread([&] { builder.run(); });
    for (unsigned i = 0; i < workers_count; i++) {
        starts[i] = {workers[i].get(), options.is_idle_adaptive};
        rte_eal_remote_launch(run_worker_on_lcore, &starts[i], i + 1);
    }
    error = drop_privileges(account);
    if (error.empty())
        error = forbid_other_system_calls();
    if (error.empty()) {
        fmt::print(
            "sandgate-dataplane: ready; {} worker(s), kernel {}, X25519 by {}, {} port(s){}; "
            "everything is refused until control pushes a policy\n",
            workers_count, crypto::kernel_name(), crypto::dh_kernel_name(), shared.ports,
            shared.has_host_port ? " and the host port" : "");
        std::fflush(stdout);
        server.run();  // this thread is the server thread until a signal ends it
    }
    shared.is_stopping.store(true, std::memory_order_relaxed);
    builder.stop();
    handshake_thread.join();
    builder_thread.join();
    for (unsigned i = 0; i < workers_count; i++) rte_eal_wait_lcore(i + 1);
    unlink(options.control_socket.c_str());
    if (!error.empty())
        return fail(error);
    std::fflush(stdout);
    _exit(0);  // devices and their memory go with the process; closing them would need the rights
               // we gave up
}

}  // namespace
}  // namespace sandgate::dp

int main(int argc, char** argv) { return sandgate::dp::run(argc, argv); }
