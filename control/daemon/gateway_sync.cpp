// See gateway_sync.h.
#include "control/daemon/gateway_sync.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "config/make_delta.h"
#include "dataplane/api/snapshot_reader.h"

namespace sandgate::control {

namespace {

// The clock may be set: what begins and ends is looked for at least this often.
constexpr std::chrono::seconds kLongestSleep{60};
// The clock has whole seconds: the last one before a change is watched this closely.
constexpr std::chrono::milliseconds kWatch{50};

api::Epoch epoch_in(std::span<const uint8_t> snapshot)
{
    api::SnapshotHeader header;
    std::memcpy(&header, snapshot.data(), sizeof(header));
    return header.epoch;
}

bool has_agent(const api::SnapshotView& view, api::IdentityId identity)
{
    const auto at = std::lower_bound(
        view.agents.begin(), view.agents.end(), identity,
        [](const api::AgentRow& row, api::IdentityId id) { return row.identity < id; });
    return at != view.agents.end() && at->identity == identity;
}

}  // namespace

GatewaySync::GatewaySync(boost::asio::io_context& io, PolicyService& service, StateStore& store,
                         const std::string& dataplane_socket, Clock now_unix)
    : service_(service),
      store_(store),
      now_unix_(std::move(now_unix)),
      change_timer_(io),
      link_(io, dataplane_socket,
            {[this](const api::WelcomeBody& welcome) { on_up(welcome); },
             [this](const std::string& why) { on_down(why); },
             [this](std::span<const api::SeedBody> notes) {
                 for (const api::SeedBody& note : notes) store_.note(note);
             }})
{
    last_.error = "The dataplane has not answered yet.";
}

GatewaySync::~GatewaySync() { *alive_ = false; }

void GatewaySync::start()
{
    link_.start();
    // A socket that is not there is known at once.
    if (!link_.is_connecting())
        spdlog::warn(
            "the dataplane cannot be reached: {}; control tries again at least once a second",
            link_.fault());
    arm_timer();
}

void GatewaySync::stop()
{
    change_timer_.cancel();
    link_.stop();
}

void GatewaySync::on_up(const api::WelcomeBody& welcome)
{
    connections_++;
    boot_id_ = welcome.boot_id;
    dataplane_epoch_ = welcome.epoch;
    has_base_ = false;
    sent_key_.wipe();
    sent_psks_.clear();
    spdlog::info("the dataplane is connected, boot {:016x}, policy epoch {}", welcome.boot_id,
                 welcome.epoch);
    is_wanted_ = true;
    advance();
}

void GatewaySync::on_down(const std::string& why)
{
    has_base_ = false;
    spdlog::warn("the dataplane went away: {}; control tries again at least once a second", why);
    last_ = {};
    last_.error = "The dataplane went away: " + why;
}

void GatewaySync::sync(OnOutcome done)
{
    if (done)
        waiting_.push_back(std::move(done));
    is_wanted_ = true;
    advance();
}

void GatewaySync::advance()
{
    if (is_busy_ || !is_wanted_)
        return;
    is_wanted_ = false;
    is_busy_ = true;
    round_ = std::exchange(waiting_, {});
    if (!service_.has_policy())
        return finish({false, "There is no valid policy yet; the dataplane keeps what it has.", 0,
                       0, false, 0});
    if (!link_.is_up())
        return finish({false,
                       "The dataplane cannot be reached (" + link_.fault() +
                           "); the policy will be pushed as soon as it answers.",
                       0, 0, false, 0});
    next_compiled_ = service_.bytes_at(now_unix_());
    send_key();
}

bool GatewaySync::is_refused(const Reply& reply, const char* what)
{
    if (!reply.is_error)
        return false;
    finish({false,
            reply.is_lost ? reply.text
                          : std::string("The dataplane refused ") + what + ": " + reply.text,
            0, 0, false, 0});
    return true;
}

void GatewaySync::send_key()
{
    if (has_base_ && sent_key_ == service_.private_key())
        return send_psks();
    // The policy may be replaced before the answer comes.
    auto sending = std::make_shared<Secret32>(service_.private_key().clone());
    link_.send_static_key(*sending, [this, alive = alive_, sending](const Reply& reply) {
        if (!*alive || is_refused(reply, "the static key"))
            return;
        sent_key_ = std::move(*sending);
        send_psks();
    });
}

void GatewaySync::send_psks()
{
    std::vector<PskOrder> orders;
    for (const auto& [identity, psk] : service_.psks()) {
        const auto sent = sent_psks_.find(identity);
        if (sent == sent_psks_.end() || !(sent->second == psk))
            orders.push_back({identity, &psk});
    }
    if (orders.empty())
        return send_seeds();
    std::map<api::IdentityId, Secret32> sending;
    for (const PskOrder& order : orders) sending.emplace(order.identity, order.key->clone());
    link_.send_psks(orders, [this, alive = alive_,
                             sent = std::make_shared<std::map<api::IdentityId, Secret32>>(
                                 std::move(sending))](const Reply& reply) {
        if (!*alive || is_refused(reply, "the pre-shared keys"))
            return;
        for (auto& [identity, psk] : *sent) sent_psks_.insert_or_assign(identity, std::move(psk));
        send_seeds();
    });
}

void GatewaySync::send_seeds()
{
    // Agents that the dataplane does not know yet, or no longer: their old initiations stay
    // refused.
    std::vector<api::SeedBody> seeds;
    std::string error;
    const auto before = has_base_ ? api::read_snapshot(published_, error) : std::nullopt;
    for (const config::NamedAgent& named : service_.compiled().agents) {
        const api::SeedBody* seed = store_.find(named.identity);
        if (seed == nullptr)
            continue;
        if (before && has_agent(*before, named.identity))
            continue;
        seeds.push_back(*seed);
    }
    if (seeds.empty())
        return send_policy(false);
    link_.send_seeds(seeds, [this, alive = alive_](const Reply& reply) {
        if (*alive && !is_refused(reply, "what control kept over the restart"))
            send_policy(false);
    });
}

void GatewaySync::send_policy(bool as_snapshot)
{
    if (has_base_ && !as_snapshot && next_compiled_ == published_compiled_)
        return remove_psks();
    const api::Epoch epoch =
        std::max({store_.epoch(), dataplane_epoch_, epoch_in(next_compiled_)}) + 1;
    std::string error;
    const auto before = published_.empty() ? std::nullopt : api::read_snapshot(published_, error);
    next_ = config::publish(next_compiled_, before ? &*before : nullptr, epoch);
    store_.note_epoch(epoch);

    if (has_base_ && !as_snapshot && before) {
        auto delta = config::make_delta(published_, next_);
        if (delta && delta->size() < next_.size()) {
            const size_t bytes = delta->size();
            link_.push_delta(*delta, [this, alive = alive_, bytes](const Reply& reply) {
                if (!*alive)
                    return;
                if (reply.is_error && !reply.is_lost) {
                    spdlog::warn(
                        "the dataplane did not take a delta ({}); the whole policy follows",
                        reply.text);
                    return send_policy(true);
                }
                if (is_refused(reply, "the policy"))
                    return;
                published_ = std::move(next_);
                published_compiled_ = next_compiled_;
                last_ = {true, "", reply.epoch, reply.took_ns, true, bytes};
                remove_psks();
            });
            return;
        }
    }
    link_.push_snapshot(next_, [this, alive = alive_](const Reply& reply) {
        if (!*alive || is_refused(reply, "the policy"))
            return;
        has_base_ = true;
        published_ = std::move(next_);
        published_compiled_ = next_compiled_;
        last_ = {true, "", reply.epoch, reply.took_ns, false, published_.size()};
        remove_psks();
    });
}

void GatewaySync::remove_psks()
{
    std::vector<PskOrder> orders;
    for (const auto& [identity, psk] : sent_psks_)
        if (service_.psks().count(identity) == 0)
            orders.push_back({identity, nullptr});
    Outcome outcome = last_;
    outcome.is_in_force = true;
    outcome.error.clear();
    outcome.epoch = epoch_in(published_);
    if (orders.empty())
        return finish(std::move(outcome));
    for (const PskOrder& order : orders) sent_psks_.erase(order.identity);
    link_.send_psks(orders, [this, alive = alive_, outcome](const Reply& reply) {
        if (*alive && !is_refused(reply, "the removal of pre-shared keys"))
            finish(outcome);
    });
}

void GatewaySync::finish(Outcome outcome)
{
    is_busy_ = false;
    arm_timer();
    dataplane_epoch_ = std::max(dataplane_epoch_, outcome.epoch);
    if (outcome.is_in_force && outcome.epoch != last_logged_)
        spdlog::info("policy epoch {} is in force: {} of {} bytes, {:.1f} ms in the dataplane",
                     outcome.epoch, outcome.is_delta ? "a delta" : "a snapshot", outcome.bytes,
                     static_cast<double>(outcome.took_ns) / 1e6);
    else if (!outcome.is_in_force && outcome.error != last_.error)
        spdlog::error("{}", outcome.error);
    last_logged_ = outcome.is_in_force ? outcome.epoch : 0;
    last_ = std::move(outcome);
    const Outcome told = last_;
    const auto alive = alive_;
    for (const OnOutcome& done : std::exchange(round_, {})) done(told);
    if (*alive)
        advance();
}

void GatewaySync::arm_timer()
{
    const int64_t now = now_unix_();
    const int64_t next = service_.next_change();
    std::chrono::milliseconds sleep = kLongestSleep;
    // Without a dataplane there is nothing to do; the next connection brings everything.
    if (next != 0 && has_base_)
        sleep =
            next - now <= 1
                ? kWatch
                : std::min(sleep, std::chrono::milliseconds(std::chrono::seconds(next - now - 1)));
    const bool is_watching = sleep == kWatch;
    change_timer_.expires_after(sleep);
    change_timer_.async_wait(
        [this, alive = alive_, next, is_watching](const boost::system::error_code& error) {
            if (error || !*alive)
                return;
            // Nothing is sent when nothing began or ended.
            if (has_base_ && service_.has_policy() && !(is_watching && now_unix_() < next))
                sync();
            else
                arm_timer();
        });
}

}  // namespace sandgate::control
