// Numbers are compared by their difference, as RFC 9293 section 3.4 has it: they wrap.
#include "dataplane/flow/tcp_state.h"

#include "dataplane/pipeline/forbidden.h"  // last

namespace sandgate::dp {

namespace {

// From an earlier number to a later one.
int32_t distance(uint32_t from, uint32_t to) { return static_cast<int32_t>(to - from); }

unsigned scale_of(const Flow& flow, unsigned side) { return flow.scales >> (4 * side) & 15; }

void set_scale(Flow& flow, unsigned side, unsigned scale)
{
    flow.scales = static_cast<uint8_t>((flow.scales & ~(15u << (4 * side))) | scale << (4 * side));
}

// More than this side can ever offer to receive.
int32_t window_of(const Flow& flow, unsigned side)
{
    const unsigned scale = scale_of(flow, side);
    return scale == kUnknownScale ? 1 << 30 : 1 << (16 + scale);
}

// Everything passes through the gateway, so nobody acknowledges what it has not seen; except where
// it came in the middle.
bool is_seen_from_its_start(const Flow& flow)
{
    return scale_of(flow, kOpener) != kUnknownScale && scale_of(flow, kAnswerer) != kUnknownScale;
}

uint32_t end_of(const TcpSegment& segment)
{
    const bool has_number = (segment.flags & (kSyn | kFin)) != 0;
    return segment.sequence + segment.text_bytes + (has_number ? 1 : 0);
}

void set_end(Flow& flow, unsigned side, uint32_t end)
{
    flow.end[side] = end;
    flow.marks |= seen_of(side);
}

bool is_in_window(const Flow& flow, const TcpSegment& segment)
{
    const unsigned from = segment.side, to = 1 - from;
    if (distance(flow.end[from], end_of(segment)) > window_of(flow, to) ||
        distance(flow.end[from], segment.sequence) < -window_of(flow, to) - 1)
        return false;
    if ((segment.flags & kAck) == 0)
        return true;
    const int32_t acknowledged = distance(flow.end[to], segment.acknowledged);
    const int32_t most = is_seen_from_its_start(flow) ? 0 : window_of(flow, from);
    return acknowledged <= most && acknowledged >= -window_of(flow, from) - 1;
}

// A SYN ACK may leave out the text that a SYN can carry (RFC 7413).
bool is_answer_to_syn(const TcpSegment& segment, uint32_t syn_end)
{
    const int32_t left = distance(segment.acknowledged, syn_end);
    return left >= 0 && left <= 65'535;
}

// RFC 9293 section 3.10.7.1: a reset acknowledges all of what it answers.
bool is_reset_of_syn(const TcpSegment& segment, uint32_t syn_end)
{
    return (segment.flags & kAck) != 0 && segment.acknowledged == syn_end;
}

TcpFault follow_syn(Flow& flow, uint32_t& next_syn_end, const TcpSegment& segment)
{
    if (segment.side == kAnswerer) {
        // RFC 9293 figure 7: both ends open at once. In any other state it would be a connection
        // in the other direction, which nobody has decided on.
        if (flow.state != kFlowOpening)
            return TcpFault::kOutOfState;
        set_end(flow, kAnswerer, end_of(segment));
        set_scale(flow, kAnswerer, segment.has_scale ? segment.scale : 0u);
        return TcpFault::kNone;
    }
    if (flow.state == kFlowOpening) {  // again, or another attempt
        set_end(flow, kOpener, end_of(segment));
        set_scale(flow, kOpener, segment.has_scale ? segment.scale : 0u);
        return TcpFault::kNone;
    }
    // RFC 5961 section 4: the answerer knows whether this connection lives, and says so. Until it
    // has, the SYN changes nothing.
    next_syn_end = end_of(segment);
    flow.marks |= kSynAgain;
    return TcpFault::kNone;
}

bool is_answer_to_next_syn(const Flow& flow, uint32_t next_syn_end, const TcpSegment& segment)
{
    return segment.side == kAnswerer && (flow.marks & kSynAgain) != 0 &&
           (segment.flags & kAck) != 0 && segment.acknowledged == next_syn_end;
}

void begin_anew(Flow& flow, uint32_t syn_end, const TcpSegment& answer)
{
    flow.state = kFlowAnswered;
    flow.marks = 0;
    flow.scales = kUnknownScale | kUnknownScale << 4;
    set_end(flow, kOpener, syn_end);
    set_end(flow, kAnswerer, end_of(answer));
}

TcpFault follow_syn_ack(Flow& flow, uint32_t next_syn_end, const TcpSegment& segment)
{
    const unsigned from = segment.side, to = 1 - from;
    if (flow.state != kFlowOpening) {
        if (is_in_window(flow, segment))
            return TcpFault::kNone;  // again
        if (!is_answer_to_next_syn(flow, next_syn_end, segment))
            return TcpFault::kOutOfWindow;
        begin_anew(flow, next_syn_end, segment);
        return TcpFault::kNone;
    }
    if ((flow.marks & seen_of(to)) == 0)
        return TcpFault::kOutOfState;  // the opener answers a SYN that nobody sent
    if (!is_answer_to_syn(segment, flow.end[to]))
        return TcpFault::kOutOfWindow;
    set_end(flow, from, end_of(segment));
    set_scale(flow, from, segment.scale);
    if (!segment.has_scale)
        flow.scales = 0;  // RFC 7323 section 2.2: both ends or none
    flow.state = kFlowAnswered;
    return TcpFault::kNone;
}

// RFC 5961 section 3.2: a reset is believed at once where it is exact. Where it lies in the window
// it passes, and its receiver either ends the connection silently or speaks on.
TcpFault follow_reset(Flow& flow, uint32_t next_syn_end, const TcpSegment& segment)
{
    const unsigned from = segment.side, to = 1 - from;
    if (flow.state == kFlowOpening) {
        // RFC 9293 section 3.5.1: the opener resets an old connection that its SYN has found. Its
        // number is of that one.
        if (from == kOpener)
            return TcpFault::kNone;
        if (!is_reset_of_syn(segment, flow.end[kOpener]))
            return TcpFault::kOutOfWindow;
        flow.state = kFlowClosed;
        return TcpFault::kNone;
    }
    const int32_t off = distance(flow.end[from], segment.sequence);
    if (off == 0 || is_answer_to_next_syn(flow, next_syn_end, segment)) {
        flow.state = kFlowClosed;
        return TcpFault::kNone;
    }
    if (off > window_of(flow, to) || off < -window_of(flow, to))
        return TcpFault::kOutOfWindow;
    flow.marks |= reset_of(from);
    return TcpFault::kNone;
}

void note_text(Flow& flow, const TcpSegment& segment)
{
    const unsigned from = segment.side, to = 1 - from;
    if (distance(flow.end[from], end_of(segment)) > 0)
        flow.end[from] = end_of(segment);
    // Only of a connection that was picked up: it was sent before we looked.
    if (distance(flow.end[to], segment.acknowledged) > 0)
        flow.end[to] = segment.acknowledged;
    flow.marks |= seen_of(from);
    // Who speaks on has not believed the other's reset, and has begun nothing new.
    const uint8_t over = from == kOpener ? reset_of(to) | kSynAgain : reset_of(to);
    flow.marks &= static_cast<uint8_t>(~over);
    if ((segment.flags & kFin) != 0)
        flow.marks |= fin_of(from);
}

// The state by what has been seen of both sides.
void note_state(Flow& flow, unsigned from)
{
    constexpr uint8_t kBothSeen = seen_of(kOpener) | seen_of(kAnswerer);
    constexpr uint8_t kBothFins = fin_of(kOpener) | fin_of(kAnswerer);
    if (flow.state == kFlowClosed)
        return;
    if (flow.state == kFlowAnswered && from == kOpener)
        flow.state = kFlowEstablished;
    if (flow.state == kFlowPickedUp && (flow.marks & kBothSeen) == kBothSeen)
        flow.state = kFlowEstablished;
    if ((flow.marks & kBothFins) == kBothFins)
        flow.state = kFlowClosed;
    else if ((flow.marks & kBothFins) != 0 && flow.state != kFlowPickedUp)
        flow.state = kFlowClosing;
}

}  // namespace

void open_tcp(Flow& flow, const TcpSegment& segment)
{
    const unsigned from = segment.side, to = 1 - from;
    flow.marks = 0;
    flow.scales = kUnknownScale | kUnknownScale << 4;
    set_end(flow, from, end_of(segment));
    if (is_bare_syn(segment.flags)) {
        flow.state = kFlowOpening;
        set_scale(flow, from, segment.has_scale ? segment.scale : 0u);
        return;
    }
    flow.state = kFlowPickedUp;
    flow.end[to] = segment.acknowledged;
    if ((segment.flags & kFin) != 0)
        flow.marks |= fin_of(from);
}

TcpFault follow_tcp(Flow& flow, uint32_t& next_syn_end, const TcpSegment& segment)
{
    if ((segment.flags & kRst) != 0)
        return follow_reset(flow, next_syn_end, segment);
    if (is_bare_syn(segment.flags))
        return follow_syn(flow, next_syn_end, segment);
    if ((segment.flags & kSyn) != 0)
        return follow_syn_ack(flow, next_syn_end, segment);
    if (flow.state == kFlowOpening) {
        // RFC 9293 section 3.5.1: an answerer that still has an old connection says where it is.
        const bool is_half_open = segment.side == kAnswerer && segment.text_bytes == 0;
        return is_half_open ? TcpFault::kNone : TcpFault::kOutOfState;
    }
    if (!is_in_window(flow, segment)) [[unlikely]]
        return TcpFault::kOutOfWindow;
    note_text(flow, segment);
    note_state(flow, segment.side);
    return TcpFault::kNone;
}

bool is_recent_sequence(const Flow& flow, unsigned side, uint32_t sequence)
{
    if ((flow.marks & seen_of(side)) == 0)
        return false;
    const int32_t off = distance(flow.end[side], sequence);
    // Of a side whose SYN was seen, the end of its text is known.
    const int32_t most = scale_of(flow, side) != kUnknownScale ? 0 : window_of(flow, 1 - side);
    return off <= most && off >= -window_of(flow, 1 - side) - 1;
}

}  // namespace sandgate::dp
