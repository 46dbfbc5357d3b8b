// What the timers of the handshake thread need to know of an agent's data packets. The owning
// worker writes at most once per run of packets; the handshake thread reads when its timer wheel
// comes around, so a data packet never touches a timer (WireGuard paper, section 6).
#pragma once

#include <atomic>
#include <cstdint>

namespace sandgate::wg {

// All times are monotonic nanoseconds; 0 means "nothing pending". writer: the agent's owning
// worker; reader: handshake thread; relaxed.
struct Activity
{
    // The first data packet (no keepalive) sent since the last authenticated packet came in, a
    // handshake being one too: cleared on install_session(). 15 s later a new handshake.
    std::atomic<uint64_t> unanswered_since_ns{0};
    // The first data packet (no keepalive) received since we last sent anything: 10 s later a
    // passive keepalive.
    std::atomic<uint64_t> unacknowledged_since_ns{0};
    // The last authenticated packet in either direction: drives the persistent keepalive.
    std::atomic<uint64_t> last_traversal_ns{0};
};

}  // namespace sandgate::wg
