// A refused push leaves everything as it was: nothing is touched before the new view is complete.
#include "dataplane/slowpath/builder_thread.h"

#include <pthread.h>

#include "dataplane/api/delta_reader.h"

namespace sandgate::dp {

BuilderThread::BuilderThread(Shared& shared, api::CountersRegion& counters,
                             HandshakeThread& handshakes, uint64_t hash_seed)
    : shared_(shared), counters_(counters), handshakes_(handshakes), hash_seed_(hash_seed)
{
}

BuilderThread::~BuilderThread() { shared_.policy.store(nullptr, std::memory_order_release); }

void BuilderThread::push(std::vector<uint8_t> bytes, bool is_delta, Done done)
{
    std::unique_lock lock(mutex_);
    if (jobs_.size() >= kMostWaiting) {
        lock.unlock();
        return done("too many pushes wait: await an answer before the next push", 0);
    }
    jobs_.push_back({std::move(bytes), is_delta, std::move(done)});
    changed_.notify_one();
}

void BuilderThread::stop()
{
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    changed_.notify_one();
}

void BuilderThread::run()
{
    pthread_setname_np(pthread_self(), "sg-builder");
    std::unique_lock lock(mutex_);
    while (!is_stopping_) {
        if (jobs_.empty()) {
            changed_.wait(lock);
            continue;
        }
        std::vector<Job> jobs;
        jobs.swap(jobs_);
        lock.unlock();
        for (Job& job : jobs) {
            const std::string error = apply(job);
            job.done(error, view_ == nullptr ? 0 : view_->rows.header->epoch);
        }
        lock.lock();
    }
}

std::string BuilderThread::apply(Job& job)
{
    std::string error;
    if (job.is_delta) {
        if (view_ == nullptr)
            return "a delta needs a policy in force, and there is none: push a snapshot";
        const auto delta = api::read_delta(job.bytes, error);
        if (!delta)
            return error;
        std::vector<uint8_t> merged = api::apply_delta(view_->rows, *delta, error);
        if (merged.empty())
            return error;
        job.bytes = std::move(merged);
    }
    std::unique_ptr<PolicyView> built = build_policy_view(std::move(job.bytes), hash_seed_, error);
    if (built == nullptr)
        return error;
    if (built->rows.ports.size() != shared_.ports)
        return "the policy names " + std::to_string(built->rows.ports.size()) +
               " ports, the dataplane was started with " + std::to_string(shared_.ports) +
               ": restart it with the ports of the policy";

    for (const api::AgentRow& row : built->rows.agents) shared_.agents.build(row.identity);
    // The policy first: it denies what it no longer grants before sessions are forgotten, and the
    // handshakes that a new peer asks for find the ways out.
    shared_.policy.store(built.get(), std::memory_order_release);
    tell_peers(view_.get(), *built);
    counters_.policy_epoch.store(built->rows.header->epoch, std::memory_order_relaxed);

    const uint64_t token = rte_rcu_qsbr_start(shared_.qsbr);
    rte_rcu_qsbr_check(shared_.qsbr, token, true);
    view_ = std::move(built);  // frees the old one: no reader has it any more
    return {};
}

namespace {

// Disabled agents are no peers: their handshakes are refused like a stranger's.
bool is_peer(const api::AgentRow& row) { return (row.flags & api::kAgentEnabled) != 0; }

bool is_same_peer(const api::AgentRow& a, const api::AgentRow& b)
{
    return std::memcmp(a.public_key, b.public_key, 32) == 0 &&
           a.keepalive_seconds == b.keepalive_seconds &&
           ((a.flags ^ b.flags) & api::kAgentHasPsk) == 0;
}

}  // namespace

// Merges the two sorted tables of agents.
void BuilderThread::tell_peers(const PolicyView* before, const PolicyView& after)
{
    std::vector<IdentityId> removed;
    std::vector<wg::PeerConfig> changed;
    const std::span<const api::AgentRow> old_rows =
        before == nullptr ? std::span<const api::AgentRow>{} : before->rows.agents;
    const std::span<const api::AgentRow> new_rows = after.rows.agents;
    size_t o = 0, n = 0;
    while (o < old_rows.size() || n < new_rows.size()) {
        const bool has_old = o < old_rows.size() &&
                             (n == new_rows.size() || old_rows[o].identity <= new_rows[n].identity);
        const bool has_new = n < new_rows.size() &&
                             (o == old_rows.size() || new_rows[n].identity <= old_rows[o].identity);
        const bool was = has_old && is_peer(old_rows[o]);
        const bool is = has_new && is_peer(new_rows[n]);
        if (was && !is)
            removed.push_back(old_rows[o].identity);
        if (is && (!was || !is_same_peer(old_rows[o], new_rows[n]))) {
            const api::AgentRow& row = new_rows[n];
            wg::PeerConfig config{};
            config.identity = row.identity;
            std::memcpy(config.public_key.data(), row.public_key, 32);
            config.keepalive_seconds = row.keepalive_seconds;
            config.needs_psk = (row.flags & api::kAgentHasPsk) != 0;
            Agent& agent = *shared_.agents.find(row.identity);
            config.activity = &agent.activity;
            config.owner = agent.owner.load(std::memory_order_relaxed);
            changed.push_back(config);
        }
        o += has_old ? 1 : 0;
        n += has_new ? 1 : 0;
    }
    if (removed.empty() && changed.empty())
        return;
    handshakes_.order_and_wait([&](wg::HandshakeEngine& engine, wg::Time now) {
        for (const IdentityId identity : removed) engine.remove_peer(identity, now);
        for (const wg::PeerConfig& config : changed) engine.upsert_peer(config, now);
    });
}

}  // namespace sandgate::dp
