// See daemon.h. The verbs of the control socket are answered in verbs.cpp.
#include "control/daemon/daemon.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "config/load.h"

namespace sandgate::control {

namespace {

constexpr std::chrono::milliseconds kSaveEvery{500};

// Makes a directory for the service's user alone (mode), unless it is there.
std::string make_directory(const std::string& path, mode_t mode, const std::optional<User>& owner)
{
    std::error_code error;
    if (std::filesystem::is_directory(path, error))
        return "";
    std::filesystem::create_directories(path, error);
    if (error)
        return "The directory " + path + " cannot be made: " + error.message() +
               "; make it, owned by the service's user.";
    chmod(path.c_str(), mode);
    if (owner && geteuid() == 0 && lchown(path.c_str(), owner->uid, owner->gid) != 0)
        return "The directory " + path + " cannot be given to " + owner->name + ".";
    return "";
}

std::string parent_of(const std::string& path)
{
    const auto parent = std::filesystem::path(path).parent_path().string();
    return parent.empty() ? "." : parent;
}

}  // namespace

Daemon::Daemon(boost::asio::io_context& io, DaemonOptions options, GatewaySync::Clock now_unix)
    : io_(io),
      options_(std::move(options)),
      now_unix_(std::move(now_unix)),
      server_(io, [this](const boost::json::object& request, const Caller& caller,
                         Respond respond) { on_request(request, caller, std::move(respond)); }),
      save_timer_(io)
{
}

Daemon::~Daemon() = default;

std::string Daemon::prepare()
{
    // Also a file with errors may say where state and sockets are; what it does not say has its
    // default.
    config::BulkCache cache;
    const config::LoadResult loaded = config::load_file(options_.config_file, cache);
    const auto default_to = [](std::string& option, const std::string& value) {
        if (option.empty())
            option = value;
    };
    default_to(options_.state_dir, loaded.policy.control.state_dir);
    default_to(options_.control_socket, loaded.policy.control.socket);
    default_to(options_.dataplane_socket, loaded.policy.dataplane.control_socket);
    state_path_ = options_.state_dir + "/agents.state";
    id_map_path_ = options_.state_dir + "/id-map";

    service_ = std::make_unique<PolicyService>(options_.config_file, id_map_path_);

    if (auto fault = make_directory(options_.state_dir, 0700, options_.user); !fault.empty())
        return fault;
    if (auto fault = make_directory(parent_of(options_.control_socket), 0755, options_.user);
        !fault.empty())
        return fault;
    if (options_.user && geteuid() == 0) {
        for (const std::string& path : {options_.state_dir, state_path_, id_map_path_})
            if (lchown(path.c_str(), options_.user->uid, options_.user->gid) != 0 &&
                errno != ENOENT)
                return "The file " + path + " cannot be given to " + options_.user->name + ": " +
                       std::strerror(errno) + ".";
    }
    return server_.listen(options_.control_socket, options_.user);
}

std::string Daemon::start()
{
    if (auto ids = service_->load_ids(); !ids)
        return ids.error().text() +
               " The identities of agents must not change: restore the file from a backup.";
    store_ = std::make_unique<StateStore>(state_path_);
    if (auto fault = store_->open(); !fault.empty())
        return fault;
    if (store_->discarded_bytes() != 0)
        spdlog::warn("{}: {} bytes of its tail were torn by a crash and are discarded", state_path_,
                     store_->discarded_bytes());
    history_ = std::make_unique<PolicyHistory>(options_.state_dir + "/policies");
    if (auto fault = history_->open(); !fault.empty())
        return fault;
    sync_ = std::make_unique<GatewaySync>(io_, *service_, *store_, options_.dataplane_socket,
                                          now_unix_);
    watch_ = std::make_unique<FileWatch>(io_, [this] { apply(false); });
    return "";
}

void Daemon::begin()
{
    // The link brings the policy in force when it is up.
    if (service_->reload(true, now_unix_())) {
        log_policy();
        note_applied({});
    } else {
        log_errors();
    }
    watch_files();
    sync_->start();
    save_later();
}

void Daemon::warm_keys() { service_->warm_keys(); }

void Daemon::stop()
{
    save_timer_.cancel();
    server_.stop();
    if (sync_)
        sync_->stop();
    if (store_)
        if (const auto fault = store_->flush(); !fault.empty())
            spdlog::error("{}", fault);
    watch_.reset();
}

void Daemon::apply(bool rereads_keys, GatewaySync::OnOutcome done, std::optional<uid_t> author)
{
    const bool is_good = service_->reload(rereads_keys, now_unix_());
    watch_files();
    if (!is_good) {
        log_errors();
        if (done) {
            GatewaySync::Outcome outcome;
            outcome.error = service_->errors().front().text();
            done(outcome);
        }
        return;
    }
    log_policy();
    note_applied(author);
    sync_->sync(std::move(done));
}

void Daemon::note_applied(std::optional<uid_t> author)
{
    // A policy that cannot be kept is in force all the same.
    if (const auto fault = history_->note(service_->texts(), now_unix_(), author); !fault.empty())
        spdlog::error("{}", fault);
}

void Daemon::log_policy()
{
    spdlog::info("{} is good: agents {}, grants {}", service_->file(),
                 service_->policy().agent_count(), service_->policy().grants.size());
}

void Daemon::log_errors()
{
    for (const Error& error : service_->errors()) spdlog::error("policy refused: {}", error.text());
    spdlog::error("{}", service_->has_policy()
                            ? "The last good policy stays in force."
                            : "There is no policy to push; the dataplane keeps what it has.");
}

void Daemon::watch_files()
{
    const std::string fault = watch_->watch(service_->files());
    if (!fault.empty() && fault != watch_fault_)
        spdlog::warn("{} Changes there need `sandgate policy apply`.", fault);
    watch_fault_ = fault;
}

void Daemon::save_later()
{
    save_timer_.expires_after(kSaveEvery);
    save_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error)
            return;
        const std::string fault = store_->flush();
        if (!fault.empty() && fault != save_fault_)
            spdlog::error("{}; control tries again", fault);
        save_fault_ = fault;
        save_later();
    });
}

}  // namespace sandgate::control
