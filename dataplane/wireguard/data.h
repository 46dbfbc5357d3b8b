// Questions about data packets and their sessions, for the packet path: padding, expiry, rekeying
// and the send counter. Plain arithmetic; `now_ns` is the burst's monotonic time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/wireguard/messages.h"
#include "dataplane/wireguard/session.h"

namespace sandgate::wg {

// The length that an inner packet is padded to: the next multiple of 16, but never past the
// tunnel's MTU, so that padding cannot make an outer packet exceed the link.
constexpr uint32_t padded_bytes(uint32_t inner_bytes, uint32_t tunnel_mtu)
{
    if (inner_bytes >= tunnel_mtu)
        return inner_bytes;
    constexpr uint32_t kMask = kPaddingMultiple - 1;
    return std::min(tunnel_mtu, (inner_bytes + kMask) & ~kMask);
}

inline uint64_t age_ns(const Session& session, uint64_t now_ns)
{
    return now_ns > session.birth_ns ? now_ns - session.birth_ns : 0;
}

// Neither sends nor receives any more (REJECT_AFTER_TIME).
inline bool is_expired(const Session& session, uint64_t now_ns)
{
    return age_ns(session, now_ns) >= kRejectAfterTime;
}

// May seal at least one more packet: young enough, confirmed, and with a counter left.
inline bool can_send(const Session& session, uint64_t now_ns)
{
    return session.is_confirmed && !is_expired(session, now_ns) &&
           session.send_counter.load(std::memory_order_relaxed) < kRejectAfterMessages;
}

// Takes up to n counters for the session's owner: `first` and the following ones. Returns how many
// it got: fewer than n only where REJECT_AFTER_MESSAGES is reached, so a nonce is never used twice.
inline uint64_t take_counters(Session& session, uint64_t n, uint64_t& first)
{
    first = session.send_counter.load(std::memory_order_relaxed);
    const uint64_t taken =
        first < kRejectAfterMessages ? std::min(n, kRejectAfterMessages - first) : uint64_t{0};
    session.send_counter.store(first + taken, std::memory_order_relaxed);
    return taken;
}

// After sending: an initiator renews at REKEY_AFTER_TIME, either side at REKEY_AFTER_MESSAGES.
inline bool needs_rekey_on_send(const Session& session, uint64_t now_ns)
{
    return session.send_counter.load(std::memory_order_relaxed) > kRekeyAfterMessages ||
           (session.is_initiator && age_ns(session, now_ns) >= kRekeyAfterTime);
}

// After receiving authentic data: an initiator that only receives renews at 165 s.
inline bool needs_rekey_on_receive(const Session& session, uint64_t now_ns)
{
    return session.is_initiator && age_ns(session, now_ns) >= kRekeyOnReceiveTime;
}

}  // namespace sandgate::wg
