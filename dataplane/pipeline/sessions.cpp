// Previous, current, next: confirmed by the first authenticated data packet and never earlier.
#include "dataplane/pipeline/sessions.h"

#include "dataplane/pipeline/exits.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/wireguard/data.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

// The owner's last reference is gone. Half of the ring is kept for what is said only once.
void report_unused(Worker& w, Session*& session)
{
    if (session == nullptr)
        return;
    w.shared.events->push({wg::PeerEvent::Kind::kSessionUnused, session->identity, session, {}});
    session = nullptr;
}

void ask_to_flush(Worker& w, Agent& agent)
{
    if (agent.staged_count != 0 && w.to_flush_count < Burst::kMost)
        w.to_flush[w.to_flush_count++] = &agent;
}

}  // namespace

void confirm_session(Worker& w, Agent& agent, Session& session, const Endpoint& from)
{
    if (session.is_confirmed)
        return;
    session.is_confirmed = true;
    if (agent.next == &session) {
        report_unused(w, agent.previous);
        agent.previous = agent.current;
        agent.current = &session;
        agent.next = nullptr;
    }
    w.shared.events->push({wg::PeerEvent::Kind::kConfirmed, agent.identity, &session, from});
    ask_to_flush(w, agent);
}

void install_session(Worker& w, const PolicyView& policy, Session* session, const Endpoint& source)
{
    Agent& agent = *w.shared.agents.find(session->identity);
    if (!session->is_initiator) {
        // Its first data packet may overtake this message when another worker sent the response.
        report_unused(w, session->is_confirmed ? agent.previous : agent.next);
        if (session->is_confirmed) {
            agent.previous = agent.current;
            agent.current = session;
            flush_staged(w, policy, agent);
        } else {
            agent.next = session;
        }
    } else {
        // Linux add_new_keypair(): our fresh session is current at once; an unconfirmed next
        // becomes previous, for the peer may already send on it.
        report_unused(w, agent.previous);
        if (agent.next != nullptr) {
            agent.previous = agent.next;
            agent.next = nullptr;
            report_unused(w, agent.current);
        } else {
            agent.previous = agent.current;
        }
        agent.current = session;
    }
    if (!agent.is_endpoint_confirmed)
        agent.endpoint =
            source;  // provisional: the first authenticated packet confirms or moves it
    agent.asked_session_ns = 0;
    // The handshake message that led here was authentic, so what we sent is not unanswered.
    agent.activity.unanswered_since_ns.store(0, std::memory_order_relaxed);
    agent.activity.last_traversal_ns.store(w.now_ns, std::memory_order_relaxed);
    if (!session->is_initiator)
        return;
    agent.endpoint = source;  // the response was authentic and fresh
    if (agent.staged_count != 0)
        flush_staged(w, policy, agent);
    else
        send_keepalive(w, policy, agent);
}

void forget_sessions(Worker& w, Agent& agent)
{
    report_unused(w, agent.next);
    report_unused(w, agent.current);
    report_unused(w, agent.previous);
}

void drop_staged(Worker& w, Agent& agent, api::DropReason why)
{
    while (agent.staged_first != nullptr) {
        rte_mbuf* mbuf = agent.staged_first;
        agent.staged_first = parked(mbuf)->next_staged;
        w.drop(mbuf, why);
    }
    agent.staged_last = nullptr;
    agent.staged_count = 0;
}

void send_keepalive(Worker& w, const PolicyView& policy, Agent& agent)
{
    if (agent.current == nullptr || !agent.endpoint.is_known() ||
        !wg::can_send(*agent.current, w.now_ns))
        return;
    rte_mbuf* mbuf = rte_pktmbuf_alloc(w.shared.pool);
    if (mbuf == nullptr) {
        w.count(DropReason::kNoBuffer);
        return;
    }
    Burst burst;
    Packet& packet = burst.add(mbuf);
    packet.kind = Kind::kReply;
    packet.agent = packet.to = &agent;
    api::add(w.counters.keepalives_sent, 1);
    resume_burst(Stage::kSeal, w, policy, burst);
}

void flush_staged(Worker& w, const PolicyView& policy, Agent& agent)
{
    // The list is taken first: packets that find no session are staged again behind it.
    rte_mbuf* mbuf = agent.staged_first;
    agent.staged_first = agent.staged_last = nullptr;
    agent.staged_count = 0;
    Burst burst;
    while (mbuf != nullptr) {
        rte_mbuf* next = parked(mbuf)->next_staged;
        burst.add_parked(mbuf);
        mbuf = next;
        if (burst.is_full() || mbuf == nullptr) {
            seal_packets(w, policy, burst);
            transmit(w, burst);
            burst.clear();
        }
    }
}

}  // namespace sandgate::dp
