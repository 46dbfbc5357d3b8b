// The CLI's side of the control socket: one line out, one line back
// (control/daemon/control_server.h).
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "config/load.h"
#include "control/cli/cli.h"

namespace sandgate::control {

namespace {

constexpr size_t kMaxResponseBytes = 8u << 20;
// Longer than control gives the dataplane for a whole policy.
constexpr std::chrono::seconds kPatience{75};

struct Descriptor
{
    int fd;
    ~Descriptor()
    {
        if (fd >= 0)
            close(fd);
    }
};

std::string socket_of(const Context& context)
{
    if (!context.socket.empty())
        return context.socket;
    // Without --config the default file may exist, or be for root alone.
    if (context.config.empty() && access(kDefaultConfig, R_OK) != 0)
        return kDefaultSocket;
    config::BulkCache cache;
    return config::load_file(context.config_file(), cache).policy.control.socket;
}

std::string advice(int error)
{
    if (error == ENOENT || error == ECONNREFUSED)
        return "Is sandgate-control running? Start it, or name its socket with --socket or "
               "--config.";
    if (error == EACCES)
        return "Use sudo, or join the group of Sandgate's service.";
    return "";
}

}  // namespace

bool ask(const Context& context, const boost::json::object& request, boost::json::object& response,
         std::string& fault)
{
    const std::string path = socket_of(context);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        fault = "The path of control's socket is too long: " + path + ".";
        return false;
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (socket.fd < 0 ||
        connect(socket.fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        const int error = errno;
        fault = "Control cannot be reached at " + path + ": " + std::strerror(error) + ". " +
                advice(error);
        return false;
    }
    const std::string line = boost::json::serialize(request) + "\n";
    for (size_t done = 0; done < line.size();) {
        const ssize_t n = send(socket.fd, line.data() + done, line.size() - done, MSG_NOSIGNAL);
        if (n <= 0) {
            // A refusal may already be on its way.
            break;
        }
        done += static_cast<size_t>(n);
    }
    std::string text;
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (text.find('\n') == std::string::npos && text.size() < kMaxResponseBytes) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        pollfd wait{socket.fd, POLLIN, 0};
        if (left.count() <= 0 || poll(&wait, 1, static_cast<int>(left.count())) == 0) {
            fault = "Control did not answer within 75 s.";
            return false;
        }
        char buffer[65536];
        const ssize_t n = recv(socket.fd, buffer, sizeof(buffer), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        text.append(buffer, static_cast<size_t>(n));
    }
    boost::system::error_code error;
    const auto value = boost::json::parse(text.substr(0, text.find('\n')), error);
    if (error || !value.is_object() || !value.as_object().contains("ok")) {
        fault = "Control closed the connection without an answer; look at its log.";
        return false;
    }
    response = value.as_object();
    return true;
}

}  // namespace sandgate::control
