// START HERE. This file is the product: what happens to a packet, in order.
#include "dataplane/pipeline/pipeline.h"

#include <utility>

#include "dataplane/pipeline/sessions.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

// Replies and fragments that the stages made are packets like others: they go on from `route`.
// Making some while these run fills the other of the worker's two bursts.
void run_made(Worker& w, const PolicyView& policy)
{
    while (!w.made->is_empty()) {
        Burst& burst = *w.made;
        std::swap(w.made, w.made_next);
        route(w, policy, burst);
        seal_packets(w, policy, burst);
        transmit(w, burst);
        burst.clear();
    }
}

// What waited for a session that a packet of this burst confirmed.
void flush_confirmed(Worker& w, const PolicyView& policy)
{
    for (unsigned i = 0; i < w.to_flush_count; i++) flush_staged(w, policy, *w.to_flush[i]);
    w.to_flush_count = 0;
}

}  // namespace

// The packet's way through the gateway, in order. A stage keeps the packets it accepts and names a
// reason for each one it refuses; no stage sees a packet that an earlier one refused. The sentences
// between the stages are promises, and tests/pipeline/ holds us to them.
void run_burst(Worker& w, const PolicyView& policy, Burst& burst)
{
    parse_outer(w, policy, burst);  // sealed, handshake or plain; lengths agree
    find_owners(w, policy, burst);  // exits: handshakes, ARP/ND, and other workers' packets
    resume_burst(Stage::kFindSessions, w, policy, burst);
}

// Packets that an exit brought back enter where they left: each case falls through to the next
// stages.
void resume_burst(Stage stage, Worker& w, const PolicyView& policy, Burst& burst)
{
    switch (stage) {
        case Stage::kFindSessions:
            find_sessions(w, burst);

            open_packets(w, burst);
            // From here on every payload is authentic. Nothing before this line has written to a
            // session.

            check_replay(w, burst);
            note_received(w, burst);
            check_inner(w, policy, burst);
            [[fallthrough]];
        case Stage::kIdentify:
            identify(w, policy, burst);
            // From here on every packet has an identity, plain ones included.

            find_flows(w, burst);
            classify(w, policy, burst);
            apply_verdicts(w, policy, burst);
            // From here on every packet is allowed to leave.
            [[fallthrough]];
        case Stage::kRoute:
            route(w, policy, burst);
            [[fallthrough]];
        case Stage::kSeal:
            seal_packets(w, policy, burst);
            [[fallthrough]];
        case Stage::kTransmit:
            transmit(w, burst);
    }
    run_made(w, policy);
    flush_confirmed(w, policy);
}

}  // namespace sandgate::dp
