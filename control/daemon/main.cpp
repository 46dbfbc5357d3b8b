// sandgate-control: keeps the dataplane equal to the policy file and answers the CLI
// (docs/operations.md).
#include <signal.h>
#include <sodium.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "control/daemon/daemon.h"

using namespace sandgate::control;

namespace {

// Tells systemd (Type=notify); nothing happens elsewhere.
void notify_service_manager(const char* text)
{
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    if (path == nullptr || std::strlen(path) >= sizeof(address.sun_path))
        return;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path, std::strlen(path));
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    if (address.sun_path[0] == '@')
        address.sun_path[0] = 0;
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, text, std::strlen(text), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
           length);
    close(fd);
}

int fail(const std::string& sentence)
{
    spdlog::critical("{}", sentence);
    return 1;
}

}  // namespace

int main(int argc, char** argv)
{
    CLI::App app(
        "Keeps the dataplane equal to the policy file and answers `sandgate`.\n"
        "Exit codes: 0 stopped by a signal, 1 cannot start, 2 usage.");
    DaemonOptions options;
    std::string user_name;
    bool is_foreground = true;
    app.add_option("--config", options.config_file, "the policy file")->required();
    app.add_flag("--foreground", is_foreground,
                 "do not fork; control never does, so this is the default");
    app.add_option("--state-dir", options.state_dir, "instead of the policy's control.state_dir");
    app.add_option("--socket", options.control_socket, "instead of the policy's control.socket");
    app.add_option("--dataplane-socket", options.dataplane_socket,
                   "instead of the policy's dataplane.control_socket");
    app.add_option("--user", user_name,
                   "the account to become when started as root (default: sandgate)");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    spdlog::set_default_logger(spdlog::stderr_logger_mt("control"));
    spdlog::set_pattern(std::getenv("JOURNAL_STREAM") != nullptr
                            ? "%l: %v"
                            : "%Y-%m-%d %H:%M:%S.%e sandgate-control %l: %v");
    if (sodium_init() < 0)
        return fail("The cryptographic library cannot be initialised.");
    signal(SIGPIPE, SIG_IGN);
    std::error_code ignored;
    options.config_file = std::filesystem::absolute(options.config_file, ignored).string();

    if (geteuid() == 0) {
        options.user = find_user(user_name.empty() ? "sandgate" : user_name);
        if (!options.user && !user_name.empty())
            return fail("There is no user " + user_name + "; create it or leave out --user.");
        if (!options.user)
            spdlog::warn(
                "there is no user sandgate, so control keeps root's files, without capabilities;"
                " create the user or give --user");
    }
    const auto user = options.user;
    boost::asio::io_context io(1);
    boost::asio::signal_set signals(io, SIGINT, SIGTERM, SIGHUP);
    Daemon daemon(io, std::move(options), [] { return static_cast<int64_t>(std::time(nullptr)); });
    if (const auto fault = daemon.prepare(); !fault.empty())
        return fail(fault);
    if (geteuid() == 0 && user)
        daemon.warm_keys();
    if (const auto fault = drop_privileges(user); !fault.empty())
        return fail(fault);
    if (const auto fault = daemon.start(); !fault.empty())
        return fail(fault);
    daemon.begin();

    const std::function<void()> wait_for_signal = [&] {
        signals.async_wait([&](const boost::system::error_code& error, int number) {
            if (error)
                return;
            if (number == SIGHUP) {
                daemon.apply(true);
                return wait_for_signal();
            }
            spdlog::info("stopping");
            notify_service_manager("STOPPING=1");
            daemon.stop();
            io.stop();
        });
    };
    wait_for_signal();
    notify_service_manager("READY=1");
    io.run();
    return 0;
}
