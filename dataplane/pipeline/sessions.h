// The owner's side of an agent's three keypairs (WireGuard paper, section 6.1 and Linux noise.c):
// previous still opens late packets, current seals, next waits for its first authenticated packet.
// Only the owning worker calls these.
#pragma once

#include "dataplane/worker/worker.h"

namespace sandgate::dp {

// An authenticated packet came by this session: a responder's `next` becomes current, and what was
// staged may go.
void confirm_session(Worker& w, Agent& agent, Session& session, const Endpoint& from);

// A fresh session from the handshake thread: an initiator's becomes current at once, a responder's
// waits as next.
void install_session(Worker& w, const PolicyView& policy, Session* session, const Endpoint& source);

// Forgets all sessions of an agent; each is reported as unused.
void forget_sessions(Worker& w, Agent& agent);

// Drops what waits for a handshake that was given up.
void drop_staged(Worker& w, Agent& agent, api::DropReason why);

// Seals an empty packet on the current session, if there is one.
void send_keepalive(Worker& w, const PolicyView& policy, Agent& agent);

// Sends what was staged, in order, now that there is a session. Also runs at the end of a burst
// that confirmed one.
void flush_staged(Worker& w, const PolicyView& policy, Agent& agent);

}  // namespace sandgate::dp
