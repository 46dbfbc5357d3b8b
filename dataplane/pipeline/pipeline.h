// The packet's way through the gateway. Start with pipeline.cpp.
#pragma once

#include "dataplane/worker/worker.h"

namespace sandgate::dp {

// Takes a burst of received packets through all stages. Every packet has left it afterwards: sent,
// staged, moved to an exit or dropped by name.
void run_burst(Worker& w, const PolicyView& policy, Burst& burst);

// The same from a later stage on, for packets that an exit brought back.
void resume_burst(Stage stage, Worker& w, const PolicyView& policy, Burst& burst);

// A slice of the walk over the worker's flows, once per turn of the loop and between bursts: at
// most 64 entries, of which it ends those that are over or that no rule allows any more.
void sweep_flows(Worker& w, const PolicyView& policy);

// The stages, one file each.
void parse_outer(Worker& w, const PolicyView& policy, Burst& burst);
void find_owners(Worker& w, const PolicyView& policy, Burst& burst);
void find_sessions(Worker& w, Burst& burst);
void open_packets(Worker& w, Burst& burst);
void check_replay(Worker& w, Burst& burst);
void note_received(Worker& w, Burst& burst);
void check_inner(Worker& w, const PolicyView& policy, Burst& burst);
void identify(Worker& w, const PolicyView& policy, Burst& burst);
void find_flows(Worker& w, Burst& burst);
void classify(Worker& w, const PolicyView& policy, Burst& burst);
void apply_verdicts(Worker& w, const PolicyView& policy, Burst& burst);
void route(Worker& w, const PolicyView& policy, Burst& burst);
void seal_packets(Worker& w, const PolicyView& policy, Burst& burst);
void transmit(Worker& w, Burst& burst);

}  // namespace sandgate::dp
