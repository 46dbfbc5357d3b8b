// follow_tcp on any sequence of segments with sane flags: eight bytes each, most with numbers near
// those that the flow remembers, so that deep states are reached. A bare SYN that follows a
// connection which is over begins the next one, as classify has it. Held against what the state
// machine promises to a gateway whose attackers guess: a refused segment changes nothing, a reset
// ends a connection only where it is exact, and nobody but its sender moves where a text ends.
#include "dataplane/flow/tcp_state.h"

#include <bit>
#include <cstring>

#include "tests/fuzz/fuzz_world.h"

using namespace sandgate;
using namespace sandgate::dp;

namespace {

constexpr size_t kStepBytes = 8;
constexpr uint8_t kBothSeen = seen_of(kOpener) | seen_of(kAnswerer);

struct Connection
{
    Flow flow;
    uint32_t next_syn_end = 0;
};

bool is_same(const Flow& a, const Flow& b) { return std::memcmp(&a, &b, sizeof(Flow)) == 0; }

// Offsets are 16 bits, shifted by up to 15: near a number, or anywhere.
uint32_t offset_of(const uint8_t* bytes, unsigned shift)
{
    const auto near = static_cast<int16_t>(bytes[0] | bytes[1] << 8);
    return static_cast<uint32_t>(int32_t{near}) << shift;
}

TcpSegment segment_of(const uint8_t* bytes, const Connection& connection)
{
    static constexpr uint8_t kFlags[] = {kSyn, kSyn | kAck, kRst, kRst | kAck, kAck, kFin | kAck};
    TcpSegment s;
    s.flags = kFlags[(bytes[0] & 7) % 6];
    s.flags |= (bytes[0] & 0x20) != 0 ? kPsh : 0;
    s.side = bytes[0] >> 3 & 1;
    s.has_scale = (bytes[0] & 0x10) != 0;
    s.scale = s.has_scale ? (bytes[1] & 15) % 15 : 0;
    const uint32_t own = connection.flow.end[s.side], other = connection.flow.end[1 - s.side];
    const uint32_t sequences[] = {own, other, connection.next_syn_end, 0};
    const uint32_t acknowledgements[] = {other, own, connection.next_syn_end, 0};
    s.sequence = sequences[bytes[1] >> 4 & 3] + offset_of(bytes + 2, bytes[4] & 15);
    if ((s.flags & kAck) != 0)
        s.acknowledged = acknowledgements[bytes[1] >> 6] + offset_of(bytes + 5, bytes[4] >> 4);
    s.text_bytes = bytes[7] * 257u;
    return s;
}

bool is_exact_answer_to_next_syn(const Connection& before, const TcpSegment& s)
{
    return s.side == kAnswerer && (before.flow.marks & kSynAgain) != 0 && (s.flags & kAck) != 0 &&
           s.acknowledged == before.next_syn_end;
}

// RFC 5961 section 3.2, and RFC 9293 section 3.10.7.3 for the reset of a SYN.
bool is_exact_reset(const Connection& before, const TcpSegment& s)
{
    if (before.flow.state == kFlowOpening)
        return s.side == kAnswerer && (s.flags & kAck) != 0 &&
               s.acknowledged == before.flow.end[kOpener];
    return s.sequence == before.flow.end[s.side] || is_exact_answer_to_next_syn(before, s);
}

// A reset changes the state of a connection to closed, or leaves a mark, and nothing else.
void check_reset(const Connection& before, const TcpSegment& s, const Connection& after)
{
    Flow expected = before.flow;
    if (before.flow.state != after.flow.state) {
        fuzz::require(after.flow.state == kFlowClosed && is_exact_reset(before, s));
        expected.state = kFlowClosed;
    } else {
        expected.marks |= after.flow.marks & reset_of(s.side);
    }
    fuzz::require(is_same(expected, after.flow) && before.next_syn_end == after.next_syn_end);
}

// A SYN leaves a connection that has its answer as it is, but for the note that it came.
void check_syn(const Connection& before, const TcpSegment& s, const Connection& after)
{
    fuzz::require(before.flow.state == after.flow.state);
    if (before.flow.state == kFlowOpening)
        return;
    Flow expected = before.flow;
    expected.marks |= kSynAgain;
    fuzz::require(s.side == kOpener && is_same(expected, after.flow));
}

void check_syn_ack(const Connection& before, const TcpSegment& s, const Connection& after)
{
    if (is_same(before.flow, after.flow))
        return;
    fuzz::require(after.flow.state == kFlowAnswered);
    fuzz::require(before.flow.state == kFlowOpening || is_exact_answer_to_next_syn(before, s));
}

// A text ends later or where it did. That of the other side moves only where its beginning was not
// seen, and only before anything else is known of it.
void check_text(const Connection& before, const TcpSegment& s, const Connection& after)
{
    const unsigned from = s.side, to = 1 - from;
    fuzz::require(static_cast<int32_t>(after.flow.end[from] - before.flow.end[from]) >= 0);
    fuzz::require(static_cast<int32_t>(after.flow.end[to] - before.flow.end[to]) >= 0);
    const unsigned scales = before.flow.scales;
    if ((scales & 15) != kUnknownScale && scales >> 4 != kUnknownScale)
        fuzz::require(after.flow.end[to] == before.flow.end[to]);
    fuzz::require(after.flow.scales == before.flow.scales);
    fuzz::require(after.next_syn_end == before.next_syn_end);
    fuzz::require(before.flow.state != kFlowClosed || after.flow.state == kFlowClosed);
    // Only the opener completes the handshake.
    if (before.flow.state == kFlowAnswered && after.flow.state == kFlowEstablished)
        fuzz::require(from == kOpener);
}

void check_flow(const Flow& before, const Flow& after)
{
    fuzz::require(before.key == after.key && before.rule == after.rule &&
                  before.epoch == after.epoch && before.last_seen_ms == after.last_seen_ms &&
                  before.direction == after.direction);
    switch (after.state) {
        case kFlowOpening:
        case kFlowPickedUp:
        case kFlowClosed:
            return;
        case kFlowAnswered:
        case kFlowEstablished:
        case kFlowClosing:
            return fuzz::require((after.marks & kBothSeen) == kBothSeen);
        default:
            return fuzz::require(false);
    }
}

void follow(Connection& connection, const TcpSegment& s)
{
    const Connection before = connection;
    const TcpFault fault = follow_tcp(connection.flow, connection.next_syn_end, s);
    check_flow(before.flow, connection.flow);
    if (fault != TcpFault::kNone) {
        fuzz::require(is_same(before.flow, connection.flow) &&
                      before.next_syn_end == connection.next_syn_end);
    } else if ((s.flags & kRst) != 0) {
        check_reset(before, s, connection);
    } else if (is_bare_syn(s.flags)) {
        check_syn(before, s, connection);
    } else if ((s.flags & kSyn) != 0) {
        check_syn_ack(before, s, connection);
    } else {
        check_text(before, s, connection);
    }
    is_recent_sequence(connection.flow, s.side, s.sequence);
}

void open(Connection& connection, TcpSegment s)
{
    if (is_bare_syn(s.flags))
        s.side = kOpener;
    else
        s.flags = kAck | (s.flags & kFin);
    Connection fresh;
    fresh.flow.direction = connection.flow.direction ^ 1;
    open_tcp(fresh.flow, s);
    connection = fresh;
    fuzz::require(connection.flow.state == kFlowOpening || connection.flow.state == kFlowPickedUp);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    Connection connection;
    for (size_t at = 0; at + kStepBytes <= size; at += kStepBytes) {
        const TcpSegment s = segment_of(data + at, connection);
        const bool is_next = is_bare_syn(s.flags) && is_over_for_syn(connection.flow);
        if (connection.flow.state == kFlowFree || is_next)
            open(connection, s);
        else
            follow(connection, s);
    }
    return 0;
}
