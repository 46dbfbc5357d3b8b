// Every way in which the gateway refuses a packet: one line each, with the sentence an operator
// reads. The order is the counters' layout (counters.h); append, never reuse. `sandgate drops` and
// docs/packet-path.md print the same sentences, and tests/pipeline holds a test for each reason.
#pragma once

#include <cstdint>

namespace sandgate::api {

// constant, name of the metric behind "drop_", sentence
// clang-format off
#define SANDGATE_DROP_REASONS(X)                                                                                \
    X(kNone, none, "The packet was kept.") \
    X(kNotReady, not_ready, "No valid policy is active yet; everything is refused.") \
    X(kChainedMbuf, chained_mbuf, "The packet does not lie in one buffer; use a larger data room for jumbo frames.") \
    X(kFrameTooShort, frame_too_short, "The frame ends before its headers do.") \
    X(kUnknownEthertype, unknown_ethertype, "The frame is neither IPv4, IPv6, ARP nor anything else the gateway speaks.") \
    X(kNotOurMac, not_our_mac, "The frame is addressed to another station.") \
    X(kOuterBadHeader, outer_bad_header, "The outer IP header is malformed or its checksum is wrong.") \
    X(kOuterLengthMismatch, outer_length_mismatch, "The outer IP or UDP length disagrees with the bytes received.") \
    X(kOuterFragment, outer_fragment, "An outer fragment; a WireGuard datagram must arrive whole.") \
    X(kOuterNotForUs, outer_not_for_us, "The packet came from the wan side and is not for the gateway's tunnel port.") \
    X(kOuterBadSource, outer_bad_source, "The outer source address is multicast, unspecified, loopback or our own.") \
    X(kMessageMalformed, message_malformed, "A datagram on the tunnel port that is no WireGuard message of its length.") \
    X(kUnknownIndex, unknown_index, "The receiver index names no session.") \
    X(kSessionExpired, session_expired, "The session is older than 180 s or has used up its messages.") \
    X(kCounterStale, counter_stale, "The counter was received before, or is left of the replay window; refused before decryption.") \
    X(kOpenBudgetSpent, open_budget_spent, "Too many forgeries for this session from an unconfirmed endpoint.") \
    X(kTagMismatch, tag_mismatch, "The Poly1305 tag is wrong: forged, corrupted or sealed with another key.") \
    X(kReplayed, replayed, "The counter was received before, by another packet of the same burst.") \
    X(kInnerMalformed, inner_malformed, "The decrypted packet is not a well-formed IPv4 or IPv6 packet.") \
    X(kInnerSourceNotOurs, inner_source_not_ours, "The inner source address does not belong to this agent.") \
    X(kInnerBadAddress, inner_bad_address, "An inner address is multicast, unspecified, loopback or broadcast.") \
    X(kInnerOptions, inner_options, "The inner IPv4 header carries options or the IPv6 header a refused extension.") \
    X(kInnerFragment, inner_fragment, "A fragment of an inner packet; its ports cannot be known.") \
    X(kEcnNotCapableMarked, ecn_not_capable_marked, "The outer header says congestion, the inner transport cannot hear it.") \
    X(kHopLimitExceeded, hop_limit_exceeded, "The inner hop limit ran out; the sender was told.") \
    X(kAgentDisabled, agent_disabled, "The agent is disabled or has expired.") \
    X(kNoSuchAgent, no_such_agent, "The destination address belongs to no agent.") \
    X(kSpoofedAgentSource, spoofed_agent_source, "A packet from outside a tunnel carries an agent's source address.") \
    X(kPolicyDenied, policy_denied, "No grant allows this flow.") \
    X(kFlowTableFull, flow_table_full, "The flow table is full; only known flows pass.") \
    X(kIcmpUnrelated, icmp_unrelated, "An ICMP error that quotes no known flow.") \
    X(kHostServiceNotDeclared, host_service_not_declared, "The gateway offers no such service.") \
    X(kNoRoute, no_route, "No port leads to the destination.") \
    X(kTooBig, too_big, "Larger than the next link and must not be fragmented; the sender was told.") \
    X(kNoSession, no_session, "The agent has no session and no known endpoint.") \
    X(kStagingOverflow, staging_overflow, "Too many packets wait for a handshake; the oldest was dropped.") \
    X(kHandshakeTimedOut, handshake_timed_out, "Packets waited for a handshake that was never answered.") \
    X(kNeighbourQueueFull, neighbour_queue_full, "Too many packets wait for a neighbour's address.") \
    X(kNeighbourUnreachable, neighbour_unreachable, "The neighbour did not answer; the packets that waited are dropped.") \
    X(kHandoverFull, handover_full, "The ring to the owning worker is full.") \
    X(kSlowPathFull, slow_path_full, "The queue to the handshake or server thread is full.") \
    X(kHostPortFull, host_port_full, "The host port takes no more packets.") \
    X(kTransmitFull, transmit_full, "The port's transmit queue is full.") \
    X(kNoBuffer, no_buffer, "No packet buffer was free.") \
    X(kMac1Invalid, mac1_invalid, "A handshake message whose mac1 is wrong: not made for this gateway.") \
    X(kMac2Required, mac2_required, "Under load and without a valid cookie; a cookie was sent.") \
    X(kHandshakeRateLimited, handshake_rate_limited, "Too many handshakes from this source address.") \
    X(kHandshakeNotAuthentic, handshake_not_authentic, "A handshake message that failed to decrypt.") \
    X(kHandshakeUnknownPeer, handshake_unknown_peer, "A handshake from a public key that is in no policy.") \
    X(kHandshakeReplayed, handshake_replayed, "An initiation whose timestamp is not newer than the last.") \
    X(kHandshakeFlooded, handshake_flooded, "Initiations of one agent arrive faster than 50 per second.") \
    X(kHandshakeUnexpected, handshake_unexpected, "A response or cookie that answers none of our messages.") \
    X(kHandshakeLowOrder, handshake_low_order, "A public key of low order.") \
    X(kHandshakePskMissing, handshake_psk_missing, "The agent has a pre-shared key, and control has not handed it over yet.") \
    X(kSessionTableFull, session_table_full, "No session slot is free.") \
    X(kUnknownProtocol, unknown_protocol, "A frame for one of the port's own addresses that it does not serve.") \
    X(kNeighbourMalformed, neighbour_malformed, "An ARP or neighbour discovery message that breaks its rules.") \
    X(kKeepalive, keepalive, "An authentic empty packet: nothing to forward, counted as received.") \
    X(kTcpBadFlags, tcp_bad_flags, "A TCP segment with flags that no TCP sends together.") \
    X(kTcpOutOfState, tcp_out_of_state, "A TCP segment that its connection cannot have in its state.") \
    X(kTcpOutOfWindow, tcp_out_of_window, "A TCP segment whose numbers lie outside its connection.") \
    X(kFlowNotOpened, flow_not_opened, "The packet belongs to no flow and opens none.") \
    X(kIcmpTypeRefused, icmp_type_refused, "An ICMP message that is neither an echo nor an error of a flow.") \
    X(kExplicitlyDenied, explicitly_denied, "A grant with action: deny forbids this flow.") \
    X(kHardRule, hard_rule, "A hard rule forbids this destination: a cloud's metadata service, link-local, or the gateway's own port.")
// clang-format on

enum class DropReason : uint8_t
{
#define SANDGATE_ONE(constant, name, sentence) constant,
    SANDGATE_DROP_REASONS(SANDGATE_ONE)
#undef SANDGATE_ONE
        kCount
};

constexpr unsigned kDropReasons = static_cast<unsigned>(DropReason::kCount);
static_assert(kDropReasons <= 128);

struct DropText
{
    const char* name;  // of the metric, without the prefix "drop_"
    const char* sentence;
};

constexpr DropText kDropTexts[kDropReasons] = {
#define SANDGATE_ONE(constant, name, sentence) {#name, sentence},
    SANDGATE_DROP_REASONS(SANDGATE_ONE)
#undef SANDGATE_ONE
};

constexpr DropText text_of(DropReason reason) { return kDropTexts[static_cast<unsigned>(reason)]; }

}  // namespace sandgate::api
