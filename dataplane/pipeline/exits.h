// The ways out of a burst other than by a port: each is a bounded ring with one consumer. A packet
// that finds its exit full is dropped by name.
#pragma once

#include "dataplane/worker/worker.h"

namespace sandgate::dp {

// To another worker (or later to this one), to resume at a stage.
void hand_over(Worker& w, Packet& packet, WorkerId to, Stage resume);

// To the handshake thread: initiations, responses, cookie replies.
void exit_to_handshakes(Worker& w, Packet& packet);

// To the server thread: ARP, neighbour discovery, echo to a port's own address, and packets whose
// next hop is not resolved yet (they come back to `transmit`).
void exit_to_server(Worker& w, Packet& packet);

// Keeps a packet until its agent has a session; drops the oldest one when too many wait. Asks for a
// handshake.
void stage_packet(Worker& w, Agent& agent, Packet& packet);

// Tells the handshake thread that an agent needs a session, at most once per 100 ms per agent. A
// lost request is repeated by the next packet.
void ask_for_session(Worker& w, Agent& agent, wg::PeerEvent::Kind why);

}  // namespace sandgate::dp
