// Every reason to refuse a packet is provoked by a test and explained in docs/packet-path.md. A new
// reason fails here until it names its test.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "dataplane/api/drop_reason.h"

namespace sandgate::test {
namespace {

using api::DropReason;

struct Provoked
{
    const char* file;  // below tests/
    const char* suite;
    const char* test;
};

const std::map<DropReason, Provoked> kProvokedBy = {
    {DropReason::kExplicitlyDenied,
     {"pipeline/deny_test.cpp", "Deny", "wins_over_a_grant_in_its_direction"}},
    {DropReason::kHardRule,
     {"pipeline/deny_test.cpp", "HardRule", "stands_above_a_grant_to_everywhere"}},
    {DropReason::kNotReady,
     {"pipeline/route_test.cpp", "Worker", "refuses_everything_before_the_first_policy"}},
    {DropReason::kChainedMbuf,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "refuses_a_chained_buffer"}},
    {DropReason::kFrameTooShort,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "names_each_refusal"}},
    {DropReason::kUnknownEthertype,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "names_each_refusal"}},
    {DropReason::kNotOurMac, {"pipeline/parse_outer_test.cpp", "ParseOuter", "names_each_refusal"}},
    {DropReason::kOuterBadHeader,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "names_each_refusal"}},
    {DropReason::kOuterLengthMismatch,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "names_each_refusal"}},
    {DropReason::kOuterFragment,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "names_each_refusal"}},
    {DropReason::kOuterNotForUs,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "names_each_refusal"}},
    {DropReason::kOuterBadSource,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "names_each_refusal"}},
    {DropReason::kMessageMalformed,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "names_each_refusal"}},
    {DropReason::kUnknownIndex,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "names_each_refusal"}},
    {DropReason::kSessionExpired,
     {"pipeline/sessions_test.cpp", "Sessions", "a_session_ends_at_180_seconds"}},
    {DropReason::kCounterStale,
     {"pipeline/sessions_test.cpp", "Sessions", "a_counter_passes_once"}},
    {DropReason::kOpenBudgetSpent,
     {"pipeline/sessions_test.cpp", "Sessions",
      "forgeries_from_elsewhere_have_a_budget_and_the_agent_has_none"}},
    {DropReason::kTagMismatch,
     {"pipeline/sessions_test.cpp", "Sessions", "forgeries_change_no_byte_of_a_session_or_agent"}},
    {DropReason::kReplayed, {"pipeline/sessions_test.cpp", "Sessions", "a_counter_passes_once"}},
    {DropReason::kInnerMalformed,
     {"pipeline/check_inner_test.cpp", "CheckInner", "names_each_refusal"}},
    {DropReason::kInnerSourceNotOurs,
     {"pipeline/check_inner_test.cpp", "CheckInner", "names_each_refusal"}},
    {DropReason::kInnerBadAddress,
     {"pipeline/check_inner_test.cpp", "CheckInner", "names_each_refusal"}},
    {DropReason::kInnerOptions,
     {"pipeline/check_inner_test.cpp", "CheckInner", "names_each_refusal"}},
    {DropReason::kInnerFragment,
     {"pipeline/check_inner_test.cpp", "CheckInner", "names_each_refusal"}},
    {DropReason::kEcnNotCapableMarked,
     {"pipeline/check_inner_test.cpp", "CheckInner", "merges_ecn_as_rfc_6040_has_it"}},
    {DropReason::kHopLimitExceeded,
     {"pipeline/route_test.cpp", "Route", "counts_hops_and_tells_when_they_run_out"}},
    {DropReason::kAgentDisabled,
     {"pipeline/classify_test.cpp", "Classify",
      "disabled_and_expired_agents_are_refused_both_ways"}},
    {DropReason::kNoSuchAgent,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "names_each_refusal"}},
    {DropReason::kSpoofedAgentSource,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "names_each_refusal"}},
    {DropReason::kPolicyDenied,
     {"pipeline/classify_test.cpp", "Classify", "allows_what_a_grant_names_and_nothing_else"}},
    {DropReason::kFlowTableFull,
     {"pipeline/classify_test.cpp", "Classify",
      "a_full_flow_table_refuses_new_flows_and_keeps_known_ones"}},
    {DropReason::kIcmpUnrelated,
     {"pipeline/icmp_test.cpp", "Icmp", "errors_pass_with_the_flow_that_they_quote"}},
    {DropReason::kIcmpTypeRefused,
     {"pipeline/icmp_test.cpp", "Icmp", "nothing_passes_but_echoes_and_errors_of_flows"}},
    {DropReason::kHostServiceNotDeclared,
     {"pipeline/classify_test.cpp", "Classify", "the_gateway_serves_what_it_declares"}},
    {DropReason::kNoRoute, {"pipeline/route_test.cpp", "Route", "refuses_what_no_port_leads_to"}},
    {DropReason::kTooBig, {"pipeline/route_test.cpp", "Route", "says_how_large_a_packet_may_be"}},
    {DropReason::kNoSession,
     {"pipeline/classify_test.cpp", "Classify",
      "an_agent_never_heard_of_is_unreachable_from_outside"}},
    {DropReason::kStagingOverflow,
     {"pipeline/sessions_test.cpp", "Sessions",
      "the_oldest_staged_packet_makes_room_and_given_up_handshakes_drop_all"}},
    {DropReason::kHandshakeTimedOut,
     {"pipeline/sessions_test.cpp", "Sessions",
      "the_oldest_staged_packet_makes_room_and_given_up_handshakes_drop_all"}},
    {DropReason::kNeighbourQueueFull,
     {"unit/dataplane/neighbour_service_test.cpp", "NeighbourService", "bounds_what_waits"}},
    {DropReason::kNeighbourUnreachable,
     {"unit/dataplane/neighbour_service_test.cpp", "NeighbourService",
      "asks_three_times_and_gives_up"}},
    {DropReason::kHandoverFull,
     {"pipeline/workers_test.cpp", "Workers", "a_full_ring_drops_by_name"}},
    {DropReason::kSlowPathFull,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "counts_a_full_queue_to_the_slow_path"}},
    {DropReason::kHostPortFull,
     {"pipeline/route_test.cpp", "Transmit", "drops_by_name_what_a_port_does_not_take"}},
    {DropReason::kTransmitFull,
     {"pipeline/route_test.cpp", "Transmit", "drops_by_name_what_a_port_does_not_take"}},
    {DropReason::kNoBuffer,
     {"pipeline/route_test.cpp", "Route",
      "without_buffers_a_packet_to_fragment_is_dropped_by_name"}},
    {DropReason::kUnknownProtocol,
     {"pipeline/parse_outer_test.cpp", "ParseOuter", "names_each_refusal"}},
    {DropReason::kNeighbourMalformed,
     {"unit/dataplane/neighbour_service_test.cpp", "NeighbourService",
      "refuses_malformed_messages_by_name"}},
    {DropReason::kKeepalive,
     {"pipeline/sessions_test.cpp", "Sessions", "keepalives_confirm_and_end_there"}},
    {DropReason::kTcpBadFlags,
     {"pipeline/check_inner_test.cpp", "CheckInner", "names_each_refusal"}},
    {DropReason::kTcpOutOfState,
     {"pipeline/tcp_test.cpp", "Tcp", "a_connection_is_opened_from_one_side"}},
    {DropReason::kTcpOutOfWindow,
     {"pipeline/tcp_test.cpp", "Tcp", "strangers_change_nothing_with_what_they_guess"}},
    {DropReason::kFlowNotOpened,
     {"pipeline/tcp_test.cpp", "Tcp", "a_packet_of_no_connection_is_refused_and_its_sender_told"}},
};

// Counted by the handshake engine, so provoked by its own tests: these files name the constants.
constexpr DropReason kOfHandshakes[] = {
    DropReason::kMac1Invalid,          DropReason::kMac2Required,
    DropReason::kHandshakeRateLimited, DropReason::kHandshakeNotAuthentic,
    DropReason::kHandshakeUnknownPeer, DropReason::kHandshakeReplayed,
    DropReason::kHandshakeFlooded,     DropReason::kHandshakeUnexpected,
    DropReason::kHandshakeLowOrder,    DropReason::kSessionTableFull,
    DropReason::kHandshakePskMissing,
};

constexpr const char* kConstants[api::kDropReasons] = {
#define SANDGATE_ONE(constant, name, sentence) #constant,
    SANDGATE_DROP_REASONS(SANDGATE_ONE)
#undef SANDGATE_ONE
};

std::string contents_of(const std::filesystem::path& path)
{
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

const std::filesystem::path kTests = SANDGATE_TESTS;

TEST(DropReasons, each_has_a_test_that_provokes_it)
{
    std::string wireguard_tests;
    for (const char* folder : {"unit/wireguard", "conformance"})
        for (const auto& entry : std::filesystem::directory_iterator(kTests / folder))
            wireguard_tests += contents_of(entry.path());
    for (unsigned i = 1; i < api::kDropReasons; i++) {
        const auto reason = static_cast<DropReason>(i);
        const bool is_of_handshakes = std::find(std::begin(kOfHandshakes), std::end(kOfHandshakes),
                                                reason) != std::end(kOfHandshakes);
        if (is_of_handshakes) {
            EXPECT_NE(wireguard_tests.find(kConstants[i]), std::string::npos) << kConstants[i];
            continue;
        }
        const auto found = kProvokedBy.find(reason);
        ASSERT_NE(found, kProvokedBy.end()) << kConstants[i] << " has no test";
        const auto& [file, suite, test] = found->second;
        const std::string text = contents_of(kTests / file);
        const size_t at = text.find("TEST(" + std::string(suite) + ", " + test + ")");
        ASSERT_NE(at, std::string::npos)
            << kConstants[i] << ": " << suite << "." << test << " is not in " << file;
        const std::string body = text.substr(at, text.find("\n}\n", at) - at);
        const bool names_it = body.find(api::text_of(reason).name) != std::string::npos ||
                              body.find(kConstants[i]) != std::string::npos;
        EXPECT_TRUE(names_it) << suite << "." << test << " does not mention "
                              << api::text_of(reason).name;
    }
}

TEST(DropReasons, each_is_explained_in_the_documentation)
{
    const std::string text = contents_of(SANDGATE_PACKET_PATH_DOC);
    ASSERT_FALSE(text.empty()) << SANDGATE_PACKET_PATH_DOC << " is missing";
    for (unsigned i = 1; i < api::kDropReasons; i++)
        EXPECT_NE(text.find(api::kDropTexts[i].sentence), std::string::npos)
            << kConstants[i] << ": " << api::kDropTexts[i].sentence;
}

}  // namespace
}  // namespace sandgate::test
