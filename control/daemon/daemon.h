// sandgate-control as one object: the policy service, the dataplane's link, the state that outlives
// a restart, the watch on the files and the control socket, all on one event loop. main.cpp adds
// signals and privileges.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/daemon/control_server.h"
#include "control/daemon/file_watch.h"
#include "control/daemon/gateway_sync.h"
#include "control/daemon/policy_service.h"
#include "control/daemon/state_store.h"

namespace sandgate::control {

struct DaemonOptions
{
    std::string config_file;
    // Empty: what the policy file says.
    std::string state_dir;
    std::string control_socket;
    std::string dataplane_socket;
    std::optional<User> user;  // to become
};

class Daemon
{
  public:
    Daemon(boost::asio::io_context& io, DaemonOptions options, GatewaySync::Clock now_unix);
    ~Daemon();

    // The four steps of starting, in order; each returns its fault as a sentence, or "".
    // Directories and the control socket, as root where that is needed.
    std::string prepare();
    // The saved state. Called as the user that will go on writing it.
    std::string start();
    // Reads key files while root may; a policy that is wrong says so in begin().
    void warm_keys();
    // The first policy, the watch and the link. A bad policy file is no fault here: it is logged
    // and kept for status, and the dataplane keeps what it has.
    void begin();
    // Saves what is unsaved and closes everything.
    void stop();

    // Reads the policy again, now; `done` when it is in force or refused.
    // author: who asked for it, if somebody did.
    void apply(bool rereads_keys, GatewaySync::OnOutcome done = {},
               std::optional<uid_t> author = {});

    const std::string& control_socket() const { return options_.control_socket; }
    GatewaySync& gateway() { return *sync_; }
    PolicyService& service() { return *service_; }

  private:
    using Respond = ControlServer::Respond;
    void on_request(const boost::json::object& request, const Caller& caller, Respond respond);
    boost::json::object status();
    boost::json::object drops();
    void agents(const boost::json::object& request, Respond respond);
    std::vector<std::string> problems();
    void watch_files();
    void note_applied(std::optional<uid_t> author);
    boost::json::object history();
    boost::json::object policy_text(const boost::json::object& request);
    void save_later();
    void log_policy();
    void log_errors();

    boost::asio::io_context& io_;
    DaemonOptions options_;
    GatewaySync::Clock now_unix_;
    std::string state_path_;
    std::string id_map_path_;
    std::unique_ptr<PolicyService> service_;
    std::unique_ptr<StateStore> store_;
    std::unique_ptr<PolicyHistory> history_;
    std::unique_ptr<GatewaySync> sync_;
    std::unique_ptr<FileWatch> watch_;
    ControlServer server_;
    boost::asio::steady_timer save_timer_;
    std::string save_fault_;
    std::string watch_fault_;
    // The dataplane's command line as the policy had it when this boot of the dataplane was first
    // seen.
    uint64_t arguments_boot_ = 0;
    std::vector<std::string> arguments_;
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace sandgate::control
