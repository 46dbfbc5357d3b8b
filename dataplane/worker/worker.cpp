// The poll loop: take the policy once, receive from every port and run the bursts, then what other
// threads sent, then a slice of housekeeping.
#include "dataplane/worker/worker.h"

#include <rte_ethdev.h>
#include <rte_pause.h>
#include <time.h>

#include "dataplane/pipeline/exits.h"
#include "dataplane/pipeline/outer_header.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/pipeline/sessions.h"
#include "dataplane/wireguard/messages.h"
#include "dataplane/worker/clock.h"

namespace sandgate::dp {

namespace {

// The first valid policy has not come yet: nothing passes, nothing leaks.
void drop_all(Worker& w, rte_mbuf** mbufs, unsigned count)
{
    w.count(DropReason::kNotReady, count);
    rte_pktmbuf_free_bulk(mbufs, count);
}

void count_received(Worker& w, uint8_t port, rte_mbuf** mbufs, unsigned count)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < count; i++) bytes += rte_pktmbuf_pkt_len(mbufs[i]);
    api::add(w.counters.ports[port].rx_packets, count);
    api::add(w.counters.ports[port].rx_bytes, bytes);
    api::add(w.counters.bursts, 1);
    api::add(w.counters.burst_packets, count);
}

// Packets that come back resume at different stages; neighbours in the ring mostly agree.
void resume_parked(Worker& w, const PolicyView* policy, rte_mbuf** mbufs, unsigned count)
{
    if (policy == nullptr)
        return drop_all(w, mbufs, count);
    Burst burst;
    for (unsigned i = 0; i < count; i++) {
        const Stage stage = parked(mbufs[i])->resume;
        burst.add_parked(mbufs[i]);
        if (i + 1 < count && parked(mbufs[i + 1])->resume == stage)
            continue;
        resume_burst(stage, w, *policy, burst);
        burst.clear();
    }
}

void send_datagram(Worker& w, const PolicyView& policy, const WorkerMessage& message)
{
    const OuterWay way = find_outer_way(policy, message.endpoint);
    if (!way.is_known)
        return w.drop(message.mbuf, DropReason::kNoRoute);
    Burst burst;
    Packet& packet = burst.add(message.mbuf);
    packet.kind = Kind::kReply;
    packet.egress = way.port;
    packet.next_hop = way.next_hop;
    if (!prepend_outer(message.mbuf, way, wg::kHandshakeTrafficClass, w.next_ip_id++))
        return w.drop(message.mbuf, DropReason::kNoBuffer);
    transmit(w, burst);
}

void handle_message(Worker& w, const PolicyView& policy, const WorkerMessage& message)
{
    switch (message.kind) {
        case WorkerMessage::Kind::kInstallSession:
            return install_session(w, policy, message.session, message.endpoint);
        case WorkerMessage::Kind::kKeepalive:
            return send_keepalive(w, policy, *w.shared.agents.find(message.identity));
        case WorkerMessage::Kind::kForgetSessions:
            return forget_sessions(w, *w.shared.agents.find(message.identity));
        case WorkerMessage::Kind::kDropStaged:
            return drop_staged(w, *w.shared.agents.find(message.identity),
                               DropReason::kHandshakeTimedOut);
        case WorkerMessage::Kind::kSendDatagram:
            return send_datagram(w, policy, message);
    }
}

// Sleeps longer the longer nothing came, and never longer than a burst can wait.
class Idle
{
  public:
    void note(bool was_busy)
    {
        polls_ = was_busy ? 0 : polls_ + 1;
        if (polls_ < kSpinPolls)
            return;
        if (polls_ < kPausePolls) {
            rte_pause();
            return;
        }
        const timespec nap = {0, polls_ < kShortNapPolls ? 20'000 : 100'000};
        nanosleep(&nap, nullptr);
    }

  private:
    static constexpr uint32_t kSpinPolls = 256, kPausePolls = 1024, kShortNapPolls = 4096;
    uint32_t polls_ = 0;
};

}  // namespace

void poll_ports(Worker& w, const PolicyView* policy)
{
    const unsigned ports = w.shared.ports + (w.shared.has_host_port ? 1 : 0);
    for (unsigned port = 0; port < ports; port++) {
        rte_mbuf* mbufs[Burst::kMost];
        const Shared::Queue& queue = w.shared.queues[port][w.id];
        const unsigned count = rte_eth_rx_burst(queue.device, queue.queue, mbufs, Burst::kMost);
        if (count == 0)
            continue;
        count_received(w, static_cast<uint8_t>(port), mbufs, count);
        if (policy == nullptr) {
            drop_all(w, mbufs, count);
            continue;
        }
        Burst burst;
        for (unsigned i = 0; i < count; i++) {
            Packet& packet = burst.add(mbufs[i]);
            packet.port = static_cast<uint8_t>(port);
            packet.received_by = w.id;
        }
        run_burst(w, *policy, burst);
    }
}

void poll_handed_over(Worker& w, const PolicyView* policy)
{
    rte_mbuf* mbufs[Burst::kMost];
    for (unsigned from = 0; from < w.shared.workers; from++) {
        const unsigned count = rte_ring_sc_dequeue_burst(
            w.shared.handover[from][w.id], reinterpret_cast<void**>(mbufs), Burst::kMost, nullptr);
        if (count != 0)
            resume_parked(w, policy, mbufs, count);
    }
    const unsigned count = rte_ring_sc_dequeue_burst(
        w.shared.returns[w.id], reinterpret_cast<void**>(mbufs), Burst::kMost, nullptr);
    if (count != 0)
        resume_parked(w, policy, mbufs, count);
}

void poll_mailbox(Worker& w, const PolicyView* policy)
{
    // Peers come with the first policy, so what waits here waits for that one, a moment at most.
    if (policy == nullptr)
        return;
    WorkerMessage messages[32];
    const unsigned count = w.shared.mailboxes[w.id]->pop(messages, 32);
    for (unsigned i = 0; i < count; i++) handle_message(w, *policy, messages[i]);
}

void run_worker(Worker& w, bool is_adaptive)
{
    const Clock clock(w.shared.tsc_hz);
    Idle idle;
    crypto::prepare_thread();
    uint64_t next_wall_clock_ns = 0;
    w.pick_up_until_ns = clock.now_ns() + uint64_t{w.timeouts.tcp_pick_up_ms} * 1'000'000;
    rte_rcu_qsbr_thread_online(w.shared.qsbr, w.id);
    while (!w.shared.is_stopping.load(std::memory_order_relaxed)) {
        const uint64_t started = rte_rdtsc();
        w.now_ns = clock.ns_of(started);
        if (w.now_ns >= next_wall_clock_ns) {
            next_wall_clock_ns = w.now_ns + 100'000'000;
            w.unix_seconds = static_cast<uint64_t>(time(nullptr));
        }
        const uint64_t work_before = w.counters.burst_packets.load(std::memory_order_relaxed);
        const unsigned waiting =
            w.shared.mailboxes[w.id]->used() + rte_ring_count(w.shared.returns[w.id]);

        const PolicyView* policy = w.shared.policy.load(std::memory_order_acquire);
        poll_ports(w, policy);
        poll_handed_over(w, policy);
        poll_mailbox(w, policy);
        flush_transmit(w);
        if (policy != nullptr)
            sweep_flows(w, *policy);
        rte_rcu_qsbr_quiescent(w.shared.qsbr, w.id);

        const bool was_busy =
            waiting != 0 || w.counters.burst_packets.load(std::memory_order_relaxed) != work_before;
        api::add(was_busy ? w.counters.busy_cycles : w.counters.idle_polls,
                 was_busy ? rte_rdtsc() - started : 1);
        // A revoked flow does not wait for a nap to end.
        if (is_adaptive)
            idle.note(was_busy || w.flow_review.left != 0);
    }
    rte_rcu_qsbr_thread_offline(w.shared.qsbr, w.id);
}

}  // namespace sandgate::dp
