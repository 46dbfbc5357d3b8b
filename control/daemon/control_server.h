// The control socket: a UNIX stream of JSON, one request and one response per line, both bounded.
// Who asks is known from SO_PEERCRED: root and the service's own user may do everything, members of
// the service's group may read, everyone else is refused. It carries requests to a handler and
// knows none of them itself.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/json.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "control/daemon/privileges.h"

namespace sandgate::control {

constexpr size_t kMaxRequestBytes = 64 * 1024;
constexpr unsigned kMaxClients = 64;

struct Caller
{
    uid_t uid = 0;
    bool may_write = false;
};

class ControlServer
{
  public:
    using Respond = std::function<void(const boost::json::object&)>;
    // Answers by calling `respond` once, now or later.
    using Handler = std::function<void(const boost::json::object& request, const Caller&, Respond)>;

    ControlServer(boost::asio::io_context& io, Handler handler);
    ~ControlServer();

    // Binds the socket, mode 0660, owned by `owner` when given. A socket left by a dead process is
    // replaced; one that answers is not. Returns the fault as a sentence, or an empty string.
    std::string listen(const std::string& path, const std::optional<User>& owner);
    void stop();

  private:
    class Client;
    void accept();

    boost::asio::io_context& io_;
    boost::asio::local::stream_protocol::acceptor acceptor_;
    std::string path_;
    // Shared with the clients, which may outlive a stop.
    std::shared_ptr<Handler> handler_;
    std::shared_ptr<unsigned> clients_ = std::make_shared<unsigned>(0);
};

}  // namespace sandgate::control
