// check_replay: each authentic counter is accepted once. The first write to a session, and the tag
// is verified.
#include "dataplane/pipeline/pipeline.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

void check_replay(Worker& w, Burst& burst)
{
    burst.keep_if(w, [](Packet& packet) {
        if (packet.kind != Kind::kSealed || packet.session->replay.accept(packet.counter))
            return DropReason::kNone;
        return DropReason::kReplayed;
    });
}

}  // namespace sandgate::dp
