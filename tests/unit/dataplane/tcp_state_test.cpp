// The state of a TCP connection as a table: what is sent, by whom, what becomes of it. Numbers are
// relative to the initial ones, which lie just before the wrap.
#include "dataplane/flow/tcp_state.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <vector>

namespace sandgate::test {
namespace {

using namespace dp;

constexpr uint32_t kIss[2] = {0xfffffff0, 0xffffff00};
constexpr TcpFault kPasses = TcpFault::kNone, kState = TcpFault::kOutOfState,
                   kWindow = TcpFault::kOutOfWindow;

std::array<uint8_t, sizeof(Flow)> bytes_of(const Flow& flow)
{
    return std::bit_cast<std::array<uint8_t, sizeof(Flow)>>(flow);
}

// side, flags, sequence and acknowledgement relative to the sender's and the other's initial ones.
TcpSegment segment(uint8_t side, uint8_t flags, uint32_t sequence, uint32_t acknowledged = 0,
                   uint32_t text = 0)
{
    TcpSegment s;
    s.side = side;
    s.flags = flags;
    s.sequence = kIss[side] + sequence;
    s.acknowledged = (flags & kAck) != 0 ? kIss[1 - side] + acknowledged : 0;
    s.text_bytes = text;
    s.has_scale = true;
    return s;
}

struct Step
{
    TcpSegment segment;
    TcpFault fault;
    uint8_t state;  // afterwards
};

struct Connection
{
    Flow flow;
    uint32_t next_syn_end = 0;

    explicit Connection(const TcpSegment& first) { open_tcp(flow, first); }
    Connection() : Connection(segment(kOpener, kSyn, 0)) {}
    TcpFault follow(const TcpSegment& s) { return follow_tcp(flow, next_syn_end, s); }
    void run(const char* name, const std::vector<Step>& steps)
    {
        for (size_t i = 0; i < steps.size(); i++) {
            EXPECT_EQ(follow(steps[i].segment), steps[i].fault) << name << ", step " << i;
            EXPECT_EQ(flow.state, steps[i].state) << name << ", step " << i;
        }
    }
};

const Step kAnswer{segment(kAnswerer, kSyn | kAck, 0, 1), kPasses, kFlowAnswered};
const Step kThird{segment(kOpener, kAck, 1, 1), kPasses, kFlowEstablished};

Connection established()
{
    Connection c;
    c.run("handshake", {kAnswer, kThird});
    return c;
}

TEST(TcpState, opens_and_closes)
{
    const struct
    {
        const char* name;
        std::vector<Step> steps;
    } cases[] = {
        {"both ends close, the opener first",
         {kAnswer,
          kThird,
          {segment(kOpener, kAck | kPsh, 1, 1, 100), kPasses, kFlowEstablished},
          {segment(kAnswerer, kAck, 1, 101), kPasses, kFlowEstablished},
          {segment(kOpener, kFin | kAck, 101, 1), kPasses, kFlowClosing},
          {segment(kAnswerer, kAck, 1, 102, 500), kPasses, kFlowClosing},
          {segment(kOpener, kAck, 102, 501), kPasses, kFlowClosing},
          {segment(kAnswerer, kFin | kAck, 501, 102), kPasses, kFlowClosed},
          {segment(kOpener, kAck, 102, 502), kPasses, kFlowClosed},
          {segment(kAnswerer, kFin | kAck, 501, 102), kPasses, kFlowClosed}}},
        {"the answerer closes before the handshake ends",
         {kAnswer,
          {segment(kAnswerer, kFin | kAck, 1, 1), kPasses, kFlowClosing},
          {segment(kOpener, kAck, 1, 1), kPasses, kFlowClosing},
          {segment(kOpener, kFin | kAck, 1, 2), kPasses, kFlowClosed}}},
        {"refused", {{segment(kAnswerer, kRst | kAck, 0, 1), kPasses, kFlowClosed}}},
        {"reset by the opener",
         {kAnswer, kThird, {segment(kOpener, kRst, 1), kPasses, kFlowClosed}}},
        {"SYN and SYN ACK twice",
         {{segment(kOpener, kSyn, 0), kPasses, kFlowOpening},
          kAnswer,
          {segment(kOpener, kSyn, 0), kPasses, kFlowAnswered},
          kAnswer,
          kThird,
          {segment(kAnswerer, kSyn | kAck, 0, 1), kPasses, kFlowEstablished}}},
        {"text in the SYN, not taken (RFC 7413)",
         {{segment(kOpener, kSyn, 0, 0, 50), kPasses, kFlowOpening},
          {segment(kAnswerer, kSyn | kAck, 0, 1), kPasses, kFlowAnswered},
          {segment(kOpener, kAck, 1, 1, 50), kPasses, kFlowEstablished}}},
        {"both open at once (RFC 9293 figure 7)",
         {{segment(kAnswerer, kSyn, 0), kPasses, kFlowOpening},
          {segment(kOpener, kSyn | kAck, 0, 1), kPasses, kFlowAnswered},
          {segment(kAnswerer, kSyn | kAck, 0, 1), kPasses, kFlowAnswered},
          {segment(kOpener, kAck, 1, 1), kPasses, kFlowEstablished}}},
        {"an old connection is found and reset (RFC 9293 figure 9)",
         {{segment(kAnswerer, kAck, 70'000'000, 90'000'000), kPasses, kFlowOpening},
          {segment(kOpener, kRst, 90'000'000), kPasses, kFlowOpening},
          {segment(kOpener, kSyn, 0), kPasses, kFlowOpening},
          kAnswer,
          kThird}},
        {"another attempt with another number",
         {{segment(kOpener, kSyn, 5'000'000), kPasses, kFlowOpening},
          {segment(kAnswerer, kSyn | kAck, 0, 5'000'001), kPasses, kFlowAnswered}}},
    };
    for (const auto& c : cases) Connection().run(c.name, c.steps);
}

TEST(TcpState, refuses_what_no_tcp_sends_in_its_state)
{
    Connection().run("before the answer",
                     {{segment(kOpener, kAck, 1, 1), kState, kFlowOpening},
                      {segment(kOpener, kAck, 1, 1, 9), kState, kFlowOpening},
                      {segment(kOpener, kSyn | kAck, 0, 1), kState, kFlowOpening},
                      {segment(kAnswerer, kAck, 1, 1, 9), kState, kFlowOpening},
                      {segment(kAnswerer, kSyn | kAck, 0, 2), kWindow, kFlowOpening},
                      {segment(kAnswerer, kSyn | kAck, 0, 70'000'000), kWindow, kFlowOpening},
                      {segment(kAnswerer, kRst, 0), kWindow, kFlowOpening},
                      {segment(kAnswerer, kRst | kAck, 0, 2), kWindow, kFlowOpening},
                      {segment(kAnswerer, kRst | kAck, 0, 0), kWindow, kFlowOpening}});
    Connection answered;
    answered.run("a SYN of the answerer, answered",
                 {kAnswer, {segment(kAnswerer, kSyn, 0), kState, kFlowAnswered}});
    established().run("a SYN of the answerer would open the other direction",
                      {{segment(kAnswerer, kSyn, 0), kState, kFlowEstablished},
                       {segment(kAnswerer, kSyn, 77'777'777), kState, kFlowEstablished}});
}

TEST(TcpState, refuses_numbers_outside_the_window)
{
    constexpr uint32_t kWidest = 1 << 16;  // no scale: 65,535 and a little
    const struct
    {
        TcpSegment segment;
        TcpFault fault;
    } cases[] = {
        {segment(kAnswerer, kAck, 1, 1, 1400), kPasses},
        {segment(kAnswerer, kAck, kWidest, 1, 1), kPasses},
        {segment(kAnswerer, kAck, kWidest + 1, 1, 1), kWindow},
        {segment(kAnswerer, kAck, 0u - kWidest, 1), kPasses},
        {segment(kAnswerer, kAck, 0u - kWidest - 1, 1), kWindow},
        {segment(kAnswerer, kAck, 1u << 31, 1), kWindow},
        {segment(kAnswerer, kAck, 1, 2), kWindow},  // nobody has sent that
        {segment(kAnswerer, kAck, 1, 0u - kWidest), kPasses},
        {segment(kAnswerer, kAck, 1, 0u - kWidest - 1), kWindow},
        {segment(kAnswerer, kFin | kAck, 1, 2), kWindow},
        {segment(kAnswerer, kSyn | kAck, 200'000, 1), kWindow},
        {segment(kOpener, kAck, 0, 1), kPasses},  // keep-alive
    };
    for (const auto& c : cases) {
        Connection connection = established();
        const Flow before = connection.flow;
        EXPECT_EQ(connection.follow(c.segment), c.fault) << (&c - cases);
        if (c.fault != kPasses) {
            EXPECT_EQ(bytes_of(before), bytes_of(connection.flow)) << (&c - cases);
        }
    }
}

TEST(TcpState, follows_the_window_scale_if_both_ends_have_it)
{
    for (const bool has_answer : {true, false}) {
        TcpSegment syn = segment(kOpener, kSyn, 0), answer = kAnswer.segment;
        syn.scale = 7;
        answer.scale = 2;
        answer.has_scale = has_answer;
        Connection connection(syn);
        connection.follow(answer);
        connection.follow(kThird.segment);
        // The answerer sends into the opener's window, and the other way round.
        const uint32_t to_opener = has_answer ? 1 << 23 : 1 << 16;
        const uint32_t to_answerer = has_answer ? 1 << 18 : 1 << 16;
        EXPECT_EQ(connection.follow(segment(kAnswerer, kAck, to_opener + 1, 1, 1)), kWindow);
        EXPECT_EQ(connection.follow(segment(kAnswerer, kAck, to_opener, 1, 1)), kPasses);
        EXPECT_EQ(connection.follow(segment(kOpener, kAck, to_answerer + 1, 1, 1)), kWindow);
        EXPECT_EQ(connection.follow(segment(kOpener, kAck, to_answerer, 1, 1)), kPasses);
    }
}

// RFC 5961 section 3: a stranger's reset must be exact, or it is its receiver who decides.
TEST(TcpState, believes_exact_resets_alone)
{
    for (const uint8_t side : {kOpener, kAnswerer}) {
        Connection c = established();
        EXPECT_EQ(c.follow(segment(side, kRst, 1'000'000)), kWindow);
        EXPECT_EQ(c.follow(segment(side, kRst, 1u << 31)), kWindow);
        EXPECT_EQ(c.flow.marks & (reset_of(0) | reset_of(1)), 0);
        EXPECT_EQ(c.follow(segment(side, kRst, 900)), kPasses);
        EXPECT_EQ(c.flow.state, kFlowEstablished);
        EXPECT_EQ(c.flow.marks & (reset_of(0) | reset_of(1)), reset_of(side));
        // The resetter's own words prove nothing, its receiver's do.
        EXPECT_EQ(c.follow(segment(side, kAck, 1, 1)), kPasses);
        EXPECT_NE(c.flow.marks & reset_of(side), 0);
        EXPECT_EQ(c.follow(segment(1 - side, kAck, 1, 1)), kPasses);
        EXPECT_EQ(c.flow.marks & reset_of(side), 0);
        EXPECT_EQ(c.follow(segment(side, kRst | kAck, 1, 1)), kPasses);
        EXPECT_EQ(c.flow.state, kFlowClosed);
        EXPECT_TRUE(is_over_for_syn(c.flow));
    }
}

// RFC 5961 section 4: both ends of the old connection are gone, and its ports are used again.
TEST(TcpState, a_syn_in_a_living_connection_waits_for_the_answerers_word)
{
    const TcpSegment syn = segment(kOpener, kSyn, 123'456'789);
    Connection answered = established();
    answered.run(
        "answered",
        {{syn, kPasses, kFlowEstablished},
         {segment(kAnswerer, kSyn | kAck, 7'000'000, 123'456'788), kWindow, kFlowEstablished},
         {segment(kAnswerer, kSyn | kAck, 7'000'000, 123'456'790), kPasses, kFlowAnswered},
         {segment(kOpener, kAck, 123'456'790, 7'000'001), kPasses, kFlowEstablished},
         {segment(kAnswerer, kAck, 7'000'001, 123'456'790, 99), kPasses, kFlowEstablished}});
    Connection refused = established();
    refused.run(
        "refused",
        {{segment(kAnswerer, kRst | kAck, 7'000'000, 123'456'790), kWindow, kFlowEstablished},
         {syn, kPasses, kFlowEstablished},
         {segment(kAnswerer, kRst | kAck, 7'000'000, 123'456'790), kPasses, kFlowClosed}});
    Connection alive = established();
    alive.run("a stranger's SYN", {{syn, kPasses, kFlowEstablished},
                                   {segment(kAnswerer, kAck, 1, 1), kPasses, kFlowEstablished},
                                   {segment(kOpener, kAck, 1, 1, 10), kPasses, kFlowEstablished},
                                   {segment(kAnswerer, kRst | kAck, 7'000'000, 123'456'790),
                                    kWindow, kFlowEstablished}});
}

TEST(TcpState, picks_up_in_the_middle_and_closes_there)
{
    for (const uint8_t side : {kOpener, kAnswerer}) {
        const uint8_t other = 1 - side;
        Connection c(segment(side, kAck, 5000, 9000, 10));
        EXPECT_TRUE(is_over_for_syn(c.flow));
        c.run("both speak", {{segment(side, kAck, 5010, 9000, 10), kPasses, kFlowPickedUp},
                             // It acknowledges what had passed before we looked.
                             {segment(other, kAck, 9000, 90'000, 10), kPasses, kFlowEstablished},
                             {segment(side, kAck, 5020, 300'000), kPasses, kFlowEstablished},
                             {segment(other, kAck, 1u << 31, 5010), kWindow, kFlowEstablished},
                             {segment(side, kFin | kAck, 90'000, 300'000), kPasses, kFlowClosing},
                             {segment(other, kFin | kAck, 300'000, 90'001), kPasses, kFlowClosed}});
        EXPECT_FALSE(is_over_for_syn(established().flow));
    }
    Connection reset(segment(kOpener, kAck, 5000, 9000));
    reset.run("reset", {{segment(kAnswerer, kRst, 9000), kPasses, kFlowClosed}});
}

TEST(TcpState, knows_which_flags_go_together)
{
    for (unsigned flags = 0; flags < 64; flags++) {
        const unsigned rest = flags & ~8u & ~32u;  // PSH and URG
        const bool is_sane = rest == kSyn || rest == (kSyn | kAck) || rest == kRst ||
                             rest == (kRst | kAck) || rest == kAck || rest == (kFin | kAck);
        EXPECT_EQ(are_sane_tcp_flags(static_cast<uint8_t>(flags)), is_sane) << flags;
        EXPECT_EQ(are_sane_tcp_flags(static_cast<uint8_t>(flags | 0xc0)), is_sane)
            << "congestion has bits of its own";
    }
}

TEST(TcpState, an_error_speaks_of_what_was_sent_lately)
{
    Connection c = established();
    c.follow(segment(kOpener, kAck, 1, 1, 1000));
    EXPECT_TRUE(is_recent_sequence(c.flow, kOpener, kIss[kOpener] + 1));
    EXPECT_TRUE(is_recent_sequence(c.flow, kOpener, kIss[kOpener] + 1001));
    EXPECT_FALSE(is_recent_sequence(c.flow, kOpener, kIss[kOpener] + 1002));
    EXPECT_FALSE(is_recent_sequence(c.flow, kOpener, kIss[kOpener] - 70'000));
    Connection opening;
    EXPECT_TRUE(is_recent_sequence(opening.flow, kOpener, kIss[kOpener]));
    EXPECT_FALSE(is_recent_sequence(opening.flow, kAnswerer, 0)) << "it has sent nothing";
}

}  // namespace
}  // namespace sandgate::test
