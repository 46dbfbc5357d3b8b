// See control_server.h.
#include "control/daemon/control_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstring>
#include <vector>

namespace sandgate::control {

using boost::asio::local::stream_protocol;
using boost::system::error_code;
namespace json = boost::json;

namespace {

constexpr std::chrono::seconds kIdle{30};

json::object refusal(const std::string& sentence) { return {{"ok", false}, {"error", sentence}}; }

// Nobody, unless SO_PEERCRED and the groups say otherwise.
std::optional<Caller> caller_of(int fd)
{
    ucred peer{};
    socklen_t length = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return std::nullopt;
    if (peer.uid == 0 || peer.uid == geteuid())
        return Caller{peer.uid, true};
    std::vector<gid_t> groups(1024);
    length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    groups.resize(getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) == 0
                      ? length / sizeof(gid_t)
                      : 0);
    groups.push_back(peer.gid);
    // Root's group is no service's group: without a user of our own only root is served.
    if (getegid() != 0 && std::find(groups.begin(), groups.end(), getegid()) != groups.end())
        return Caller{peer.uid, false};
    return std::nullopt;
}

}  // namespace

class ControlServer::Client : public std::enable_shared_from_this<Client>
{
  public:
    Client(stream_protocol::socket socket, Caller caller, std::shared_ptr<Handler> handler,
           std::shared_ptr<unsigned> clients)
        : socket_(std::move(socket)),
          idle_(socket_.get_executor()),
          caller_(caller),
          handler_(std::move(handler)),
          clients_(std::move(clients)),
          input_(kMaxRequestBytes)
    {
        ++*clients_;
    }
    ~Client() { --*clients_; }

    void read()
    {
        idle_.expires_after(kIdle);
        idle_.async_wait([self = shared_from_this()](const error_code& error) {
            if (!error)
                self->close();
        });
        boost::asio::async_read_until(
            socket_, input_, '\n', [self = shared_from_this()](const error_code& error, size_t n) {
                self->idle_.cancel();
                if (error == boost::asio::error::not_found)
                    self->write(refusal("The request is longer than 64 KiB."), false);
                else if (!error)
                    self->handle(n);
            });
    }

    void write(const json::object& response, bool goes_on = true)
    {
        output_ = json::serialize(response) + "\n";
        boost::asio::async_write(
            socket_, boost::asio::buffer(output_),
            [self = shared_from_this(), goes_on](const error_code& error, size_t) {
                if (!error && goes_on)
                    self->read();
            });
    }

  private:
    void handle(size_t bytes)
    {
        const std::string line(static_cast<const char*>(input_.data().data()), bytes - 1);
        input_.consume(bytes);
        error_code error;
        const json::value request = json::parse(line, error);
        if (error || !request.is_object())
            return write(refusal("The request is not one JSON object per line."));
        (*handler_)(
            request.as_object(), caller_,
            [self = shared_from_this()](const json::object& response) { self->write(response); });
    }
    void close()
    {
        error_code ignored;
        socket_.close(ignored);
    }

    stream_protocol::socket socket_;
    boost::asio::steady_timer idle_;
    Caller caller_;
    std::shared_ptr<Handler> handler_;
    std::shared_ptr<unsigned> clients_;
    boost::asio::streambuf input_;
    std::string output_;
};

ControlServer::ControlServer(boost::asio::io_context& io, Handler handler)
    : io_(io), acceptor_(io), handler_(std::make_shared<Handler>(std::move(handler)))
{
}

ControlServer::~ControlServer() { stop(); }

std::string ControlServer::listen(const std::string& path, const std::optional<User>& owner)
{
    if (path.size() >= sizeof(sockaddr_un::sun_path))
        return "The path of the control socket is too long: " + path + ".";
    error_code error;
    stream_protocol::socket probe(io_);
    probe.connect(stream_protocol::endpoint(path), error);
    if (!error)
        return "Another sandgate-control answers at " + path + "; stop it first.";
    struct stat info
    {
    };
    if (lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode))
        unlink(path.c_str());
    acceptor_.open(stream_protocol(), error);
    const mode_t before = umask(0117);
    if (!error)
        acceptor_.bind(stream_protocol::endpoint(path), error);
    umask(before);
    if (!error)
        acceptor_.listen(16, error);
    if (error)
        return "The control socket " + path + " cannot be opened: " + error.message() + ".";
    path_ = path;
    if (owner && geteuid() == 0 && chown(path.c_str(), owner->uid, owner->gid) != 0)
        return "The control socket " + path + " cannot be given to " + owner->name + ".";
    accept();
    return "";
}

void ControlServer::stop()
{
    error_code ignored;
    acceptor_.close(ignored);
    if (!path_.empty())
        unlink(path_.c_str());
    path_.clear();
}

void ControlServer::accept()
{
    acceptor_.async_accept([this](const error_code& error, stream_protocol::socket socket) {
        if (error == boost::asio::error::operation_aborted ||
            error == boost::asio::error::bad_descriptor)
            return;
        if (!error) {
            const auto caller = caller_of(socket.native_handle());
            auto client = std::make_shared<Client>(std::move(socket), caller.value_or(Caller{}),
                                                   handler_, clients_);
            if (!caller)
                client->write(refusal("Only root and the members of Sandgate's group may ask."),
                              false);
            else if (*clients_ > kMaxClients)
                client->write(refusal("Too many clients are connected; try again."), false);
            else
                client->read();
        }
        accept();
    });
}

}  // namespace sandgate::control
