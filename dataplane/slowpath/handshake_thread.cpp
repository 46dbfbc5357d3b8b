// Handshakes are not the packet path: this thread may sleep, allocate and take its time, within the
// budget that the engine keeps.
#include "dataplane/slowpath/handshake_thread.h"

#include <pthread.h>
#include <sodium.h>
#include <time.h>

#include <condition_variable>
#include <memory>

#include "dataplane/worker/clock.h"

namespace sandgate::dp {

namespace {

uint64_t unix_ns()
{
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

uint64_t thread_cpu_ns()
{
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

constexpr unsigned kMessagesAtOnce = 64;

}  // namespace

HandshakeThread::HandshakeThread(Shared& shared, api::CounterBlock& counters, Persist on_persistent)
    : shared_(shared),
      counters_(counters),
      on_persistent_(std::move(on_persistent)),
      engine_(
          *shared.sessions, *this, counters,
          [](std::span<uint8_t> out) { randombytes_buf(out.data(), out.size()); },
          wg::EngineLimits{.workers = shared.workers})
{
}

void HandshakeThread::run()
{
    pthread_setname_np(pthread_self(), "sg-handshake");
    const Clock clock(shared_.tsc_hz);
    uint64_t timers_due = 0;
    while (!shared_.is_stopping.load(std::memory_order_relaxed)) {
        const wg::Time now{clock.now_ns(), unix_ns()};
        unsigned work = take_orders(now) ? 1 : 0;
        work += take_events(now);
        work += take_messages(now);
        if (now.monotonic_ns >= timers_due || work != 0)
            timers_due = engine_.on_timers(now);
        send_unsent();
        release_retired();
        if (work == 0) {
            const timespec nap = {0, 200'000};
            nanosleep(&nap, nullptr);
        }
    }
    close_orders({clock.now_ns(), unix_ns()});
}

bool HandshakeThread::order(Order order)
{
    const std::lock_guard lock(orders_mutex_);
    if (is_closed_)
        return false;
    orders_.push_back(std::move(order));
    return true;
}

bool HandshakeThread::order_and_wait(Order wanted)
{
    struct Done
    {
        std::mutex mutex;
        std::condition_variable changed;
        bool is_done = false;
    };
    auto done = std::make_shared<Done>();
    const bool is_taken =
        order([wanted = std::move(wanted), done](wg::HandshakeEngine& engine, wg::Time now) {
            wanted(engine, now);
            const std::lock_guard lock(done->mutex);
            done->is_done = true;
            done->changed.notify_one();
        });
    if (!is_taken)
        return false;
    std::unique_lock lock(done->mutex);
    done->changed.wait(lock, [&] { return done->is_done; });
    return true;
}

// Every order that was taken is carried out, the last ones on the way out: somebody waits for them.
void HandshakeThread::close_orders(wg::Time now)
{
    {
        const std::lock_guard lock(orders_mutex_);
        is_closed_ = true;
    }
    take_orders(now);
}

bool HandshakeThread::take_orders(wg::Time now)
{
    std::vector<Order> orders;
    {
        const std::lock_guard lock(orders_mutex_);
        orders.swap(orders_);
    }
    for (const Order& order : orders) order(engine_, now);
    return !orders.empty();
}

unsigned HandshakeThread::take_events(wg::Time now)
{
    wg::PeerEvent events[64];
    const unsigned count = shared_.events->pop(events, 64);
    for (unsigned i = 0; i < count; i++) engine_.on_event(events[i], now);
    return count;
}

unsigned HandshakeThread::take_messages(wg::Time now)
{
    rte_mbuf* mbufs[kMessagesAtOnce];
    const unsigned count = rte_ring_sc_dequeue_burst(
        shared_.messages, reinterpret_cast<void**>(mbufs), kMessagesAtOnce, nullptr);
    if (count == 0)
        return 0;
    const uint64_t before = thread_cpu_ns();
    std::vector<wg::IncomingMessage> messages;
    messages.reserve(count);
    for (unsigned i = 0; i < count; i++) {
        const Packet& packet = *parked(mbufs[i]);
        messages.push_back(
            {{rte_pktmbuf_mtod(mbufs[i], const uint8_t*), rte_pktmbuf_pkt_len(mbufs[i])},
             packet.endpoint,
             packet.received_by});
    }
    engine_.on_messages(messages, now);
    rte_pktmbuf_free_bulk(mbufs, count);
    engine_.note_cost(thread_cpu_ns() - before, now);
    return count;
}

void HandshakeThread::tell(WorkerId worker, const WorkerMessage& message)
{
    if (!unsent_[worker].empty() || !shared_.mailboxes[worker]->push(message))
        unsent_[worker].push_back(message);
}

void HandshakeThread::send_unsent()
{
    for (unsigned worker = 0; worker < shared_.workers; worker++)
        while (!unsent_[worker].empty() && shared_.mailboxes[worker]->push(unsent_[worker].front()))
            unsent_[worker].pop_front();
}

void HandshakeThread::tell_owner(IdentityId identity, WorkerMessage::Kind kind)
{
    const Agent* agent = shared_.agents.find(identity);
    if (agent == nullptr)
        return;
    const WorkerId owner = agent->owner.load(std::memory_order_relaxed);
    if (owner != wg::kNoWorker)
        tell(owner, {kind, identity, nullptr, nullptr, {}, 0});
}

void HandshakeThread::send_datagram(WorkerId via, const Endpoint& to,
                                    std::span<const uint8_t> bytes)
{
    rte_mbuf* mbuf = rte_pktmbuf_alloc(shared_.pool);
    if (mbuf == nullptr) {
        api::add(counters_.drops[static_cast<unsigned>(DropReason::kNoBuffer)], 1);
        return;
    }
    std::memcpy(rte_pktmbuf_append(mbuf, static_cast<uint16_t>(bytes.size())), bytes.data(),
                bytes.size());
    const WorkerMessage message{WorkerMessage::Kind::kSendDatagram, 0, nullptr, mbuf, to, 0};
    // A datagram may be lost; its timers repeat it. It must not overtake the session that it
    // announces.
    if (!unsent_[via].empty() || !shared_.mailboxes[via]->push(message)) {
        api::add(counters_.drops[static_cast<unsigned>(DropReason::kSlowPathFull)], 1);
        rte_pktmbuf_free(mbuf);
    }
}

void HandshakeThread::assign_owner(IdentityId identity, WorkerId owner)
{
    shared_.agents.find(identity)->owner.store(owner, std::memory_order_release);
}

void HandshakeThread::install_session(Session* session, const Endpoint& source)
{
    tell(session->owner,
         {WorkerMessage::Kind::kInstallSession, session->identity, session, nullptr, source, 0});
}

void HandshakeThread::request_keepalive(IdentityId identity)
{
    tell_owner(identity, WorkerMessage::Kind::kKeepalive);
}
void HandshakeThread::forget_sessions(IdentityId identity)
{
    tell_owner(identity, WorkerMessage::Kind::kForgetSessions);
}
void HandshakeThread::drop_staged(IdentityId identity)
{
    tell_owner(identity, WorkerMessage::Kind::kDropStaged);
}

void HandshakeThread::retire_session(Session* session)
{
    retired_.push_back({session, rte_rcu_qsbr_start(shared_.qsbr)});
}

void HandshakeThread::release_retired()
{
    while (!retired_.empty() &&
           rte_rcu_qsbr_check(shared_.qsbr, retired_.front().token, false) == 1) {
        shared_.sessions->release(retired_.front().session);
        retired_.pop_front();
    }
}

void HandshakeThread::note_persistent(IdentityId identity, const wg::Timestamp& greatest,
                                      const Endpoint& endpoint)
{
    api::SeedBody note{};
    note.identity = identity;
    std::memcpy(note.timestamp, greatest.data(), greatest.size());
    note.endpoint = endpoint;
    on_persistent_(note);
}

}  // namespace sandgate::dp
