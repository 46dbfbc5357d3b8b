// Keeps the dataplane equal to the policy. On every new connection it sends everything: static key,
// PSKs, seeds, snapshot, in this order, so that no handshake can complete with less than the policy
// asks. After that, changes travel as deltas; a delta that the dataplane does not take is followed
// by the snapshot. What is refused leaves the dataplane as it was and is kept for status.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/daemon/policy_service.h"
#include "control/daemon/state_store.h"
#include "control/link/dataplane_link.h"

namespace sandgate::control {

class GatewaySync
{
  public:
    struct Outcome
    {
        bool is_in_force = false;
        std::string error;  // a sentence when not in force
        api::Epoch epoch = 0;
        uint64_t took_ns = 0;  // as the dataplane measured it
        bool is_delta = false;
        size_t bytes = 0;  // of the snapshot or delta; 0 when nothing had to be sent
    };
    using OnOutcome = std::function<void(const Outcome&)>;
    using Clock = std::function<int64_t()>;  // seconds since 1970

    GatewaySync(boost::asio::io_context& io, PolicyService& service, StateStore& store,
                const std::string& dataplane_socket, Clock now_unix);
    ~GatewaySync();

    void start();
    void stop();

    // Brings the dataplane to the service's current policy; `done` is called once, when that is in
    // force, or refused, or cannot be sent now (it will be when the dataplane is back).
    void sync(OnOutcome done = {});

    DataplaneLink& link() { return link_; }
    // Of the last attempt to bring a policy in force.
    const Outcome& last() const { return last_; }
    uint64_t connections() const { return connections_; }
    uint64_t boot_id() const { return boot_id_; }

  private:
    void on_up(const api::WelcomeBody& welcome);
    void on_down(const std::string& why);
    void advance();
    void send_key();
    void send_psks();
    void send_seeds();
    void send_policy(bool as_snapshot);
    void remove_psks();
    void finish(Outcome outcome);
    // Ends the round with the sentence when the reply is a refusal.
    bool is_refused(const Reply& reply, const char* what);
    void arm_timer();

    PolicyService& service_;
    StateStore& store_;
    Clock now_unix_;
    boost::asio::steady_timer change_timer_;
    DataplaneLink link_;

    bool is_busy_ = false;
    bool is_wanted_ = false;
    std::vector<OnOutcome> waiting_;  // for a round that has not begun
    std::vector<OnOutcome> round_;

    // What this connection's dataplane holds.
    bool has_base_ = false;
    Secret32 sent_key_;
    std::map<api::IdentityId, Secret32> sent_psks_;
    api::Epoch dataplane_epoch_ = 0;
    uint64_t boot_id_ = 0;

    // What was published last, over connections; rows that did not change keep their epochs.
    std::vector<uint8_t> published_;
    std::vector<uint8_t> published_compiled_;
    // Of the round.
    std::vector<uint8_t> next_;
    std::vector<uint8_t> next_compiled_;

    Outcome last_;
    api::Epoch last_logged_ = 0;
    uint64_t connections_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sandgate::control
