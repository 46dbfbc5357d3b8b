// The handshake thread: feeds the HandshakeEngine with messages, events and time, and carries out
// what it asks for by the workers' mailboxes. Owns the session table's writing side and the static
// keys.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "dataplane/api/requests.h"
#include "dataplane/wireguard/handshake_engine.h"
#include "dataplane/worker/worker.h"

namespace sandgate::dp {

class HandshakeThread final : public wg::HandshakeActions
{
  public:
    using Order = std::function<void(wg::HandshakeEngine&, wg::Time)>;
    using Persist = std::function<void(const api::SeedBody&)>;

    // on_persistent is called on this thread.
    HandshakeThread(Shared& shared, api::CounterBlock& counters, Persist on_persistent);

    // Runs until shared.is_stopping.
    void run();

    // From the builder and server threads: does something with the engine, soon, in order.
    // False when the thread has ended.
    bool order(Order order);
    // The same, and waits until it is done.
    bool order_and_wait(Order order);

    // HandshakeActions
    void send_datagram(WorkerId via, const Endpoint& to, std::span<const uint8_t> bytes) override;
    void assign_owner(IdentityId identity, WorkerId owner) override;
    void install_session(Session* session, const Endpoint& source) override;
    void request_keepalive(IdentityId identity) override;
    void forget_sessions(IdentityId identity) override;
    void drop_staged(IdentityId identity) override;
    void retire_session(Session* session) override;
    void note_persistent(IdentityId identity, const wg::Timestamp& greatest,
                         const Endpoint& endpoint) override;

  private:
    struct Retired
    {
        Session* session;
        uint64_t token;
    };

    // A message that must not be lost: kept when the mailbox is full and sent later, in order.
    void tell(WorkerId worker, const WorkerMessage& message);
    void tell_owner(IdentityId identity, WorkerMessage::Kind kind);
    void send_unsent();
    unsigned take_messages(wg::Time now);
    unsigned take_events(wg::Time now);
    bool take_orders(wg::Time now);
    void close_orders(wg::Time now);
    void release_retired();

    Shared& shared_;
    api::CounterBlock& counters_;
    Persist on_persistent_;
    wg::HandshakeEngine engine_;
    std::deque<WorkerMessage> unsent_[kMaxWorkers];  // writer: this thread
    std::deque<Retired> retired_;                    // writer: this thread

    std::mutex orders_mutex_;
    std::vector<Order> orders_;  // under orders_mutex_
    bool is_closed_ = false;     // under orders_mutex_
};

}  // namespace sandgate::dp
