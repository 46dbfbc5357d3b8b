// Control as a whole, against a dataplane that the test plays and a policy file in a directory of
// its own.
#include "control/daemon/daemon.h"

#include <gtest/gtest.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <chrono>
#include <set>

#include "control/cli/base64.h"
#include "crypto/x25519.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/temp_dir.h"

namespace sandgate::test {

using namespace std::chrono_literals;
using api::MessageType;
using control::Daemon;
using control::DaemonOptions;
using Outcome = control::GatewaySync::Outcome;

namespace {

std::string key_text(uint8_t seed)
{
    crypto::PrivateKey key;
    key.data()[3] = seed;
    crypto::clamp(key);
    return control::key_to_base64(key.span());
}

std::string public_text(uint8_t seed)
{
    crypto::PrivateKey key;
    key.data()[3] = seed;
    crypto::clamp(key);
    return control::key_to_base64(crypto::public_key_of(key));
}

class DaemonTest : public testing::Test
{
  protected:
    DaemonTest()
    {
        dir.write("gateway.key", key_text(200), 0600);
        dir.write("a.psk", key_text(50), 0600);
    }

    std::string agent(const std::string& name, uint8_t seed, const std::string& more = "") const
    {
        return "  - {name: " + name + ", public_key: \"" + public_text(seed) +
               "\", addresses: [10.66.0." + std::to_string(seed) + "]" + more + "}\n";
    }
    void write_policy(const std::string& agents, const std::string& more = "") const
    {
        dir.write("sandgate.yaml",
                  "gateway:\n  private_key_file: gateway.key\n  tunnel_addresses: [10.66.0.254]\n"
                  "dataplane:\n  control_socket: " +
                      socket + "\ncontrol:\n  state_dir: " + (dir / "state") +
                      "\n  socket: " + (dir / "control.sock") +
                      "\nports:\n  - {name: lan, device: net_null0, roles: [wan, lan],"
                      " addresses: [192.0.2.1/24]}\nagents:\n" +
                      agents + more);
    }

    void start()
    {
        DaemonOptions options;
        options.config_file = dir / "sandgate.yaml";
        daemon = std::make_unique<Daemon>(io, options, [this] { return now; });
        ASSERT_EQ(daemon->prepare(), "");
        ASSERT_EQ(daemon->start(), "");
        daemon->begin();
    }
    void stop()
    {
        daemon->stop();
        daemon.reset();
        io.restart();
        io.poll();
    }
    ~DaemonTest() override
    {
        if (daemon)
            stop();
    }

    template <typename Condition>
    bool run_until(Condition condition, std::chrono::milliseconds limit = 5s)
    {
        const auto deadline = std::chrono::steady_clock::now() + limit;
        while (!condition() && std::chrono::steady_clock::now() < deadline) {
            io.restart();
            io.run_for(2ms);
        }
        return condition();
    }
    bool in_force() { return daemon->gateway().last().is_in_force; }
    Outcome apply()
    {
        std::optional<Outcome> outcome;
        daemon->apply(true, [&](const Outcome& got) { outcome = got; });
        EXPECT_TRUE(run_until([&] { return outcome.has_value(); }));
        return outcome.value_or(Outcome{});
    }
    // The rows of the policy that the dataplane has.
    std::vector<api::AgentRow> rows(FakeDataplane& dataplane)
    {
        const auto bytes = dataplane.policy();
        std::string error;
        const auto view = api::read_snapshot(bytes, error);
        EXPECT_TRUE(view) << error;
        return view ? std::vector<api::AgentRow>(view->agents.begin(), view->agents.end())
                    : std::vector<api::AgentRow>{};
    }
    boost::json::object ask(const std::string& line)
    {
        boost::asio::local::stream_protocol::socket client(io);
        client.connect({dir / "control.sock"});
        const std::string text = line + "\n";
        EXPECT_EQ(::send(client.native_handle(), text.data(), text.size(), 0),
                  static_cast<ssize_t>(text.size()));
        std::string answer;
        client.non_blocking(true);
        EXPECT_TRUE(run_until([&] {
            char buffer[65536];
            const ssize_t n = ::recv(client.native_handle(), buffer, sizeof(buffer), MSG_DONTWAIT);
            if (n > 0)
                answer.append(buffer, static_cast<size_t>(n));
            return answer.find('\n') != std::string::npos;
        }));
        return boost::json::parse(answer.substr(0, answer.find('\n'))).as_object();
    }

    TempDir dir;
    std::string socket = dir / "dataplane.sock";
    boost::asio::io_context io;
    int64_t now = 1'800'000'000;
    std::unique_ptr<Daemon> daemon;
};

TEST_F(DaemonTest, sends_key_psks_and_snapshot_in_this_order)
{
    write_policy(agent("a", 1, ", psk_file: a.psk") + agent("b", 2));
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    EXPECT_EQ(dataplane.types(),
              (std::vector<MessageType>{MessageType::kHello, MessageType::kStaticKey,
                                        MessageType::kPsk, MessageType::kPushSnapshot}));
    EXPECT_EQ(control::key_to_base64(
                  std::span<const uint8_t, 32>(dataplane.messages()[1].body.data(), 32)),
              key_text(200));
    EXPECT_EQ(rows(dataplane).size(), 2u);
    EXPECT_GT(dataplane.epoch(), 0u);
}

TEST_F(DaemonTest, pushes_everything_again_to_a_dataplane_that_died)
{
    write_policy(agent("a", 1, ", psk_file: a.psk"));
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    const api::Epoch before = dataplane.epoch();
    api::SeedBody note{};
    note.identity = rows(dataplane).at(0).identity;
    note.timestamp[0] = 0x40;
    note.endpoint.port = 4242;
    dataplane.send_notes({note});
    ASSERT_TRUE(run_until([&] { return daemon->gateway().link().is_up(); }));
    run_until([] { return false; }, 100ms);
    dataplane.stop();
    ASSERT_TRUE(run_until([&] { return !in_force(); }));
    dataplane.forget();
    dataplane.start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    EXPECT_EQ(
        dataplane.types(),
        (std::vector<MessageType>{MessageType::kHello, MessageType::kStaticKey, MessageType::kPsk,
                                  MessageType::kSeed, MessageType::kPushSnapshot}));
    api::SeedBody seed;
    std::memcpy(&seed, dataplane.messages()[3].body.data(), sizeof(seed));
    EXPECT_EQ(seed.identity, note.identity);
    EXPECT_EQ(seed.endpoint.port, 4242);
    EXPECT_GT(dataplane.epoch(), before);
}

TEST_F(DaemonTest, keeps_the_last_good_policy_when_the_file_turns_bad)
{
    write_policy(agent("a", 1));
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    const auto good = dataplane.policy();
    write_policy(agent("a", 1), "grants:\n  - {name: g, src: [\"agent:nobody\"], dst: [\"*\"]}\n");
    ASSERT_TRUE(run_until([&] { return !daemon->service().errors().empty(); }));
    run_until([] { return false; }, 50ms);
    EXPECT_EQ(dataplane.policy(), good);
    const std::string fault = daemon->service().errors().front().text();
    EXPECT_NE(fault.find("sandgate.yaml:14:"), std::string::npos) << fault;
    const auto status = ask(R"({"verb":"status"})");
    EXPECT_EQ(status.at("state").as_string(), "degraded");
    EXPECT_TRUE(status.at("policy").at("in_force").as_bool());
    EXPECT_EQ(status.at("policy").at("errors").as_array().size(), 1u);

    write_policy(agent("a", 1) + agent("b", 2));
    ASSERT_TRUE(run_until([&] { return rows(dataplane).size() == 2; }));
    EXPECT_EQ(ask(R"({"verb":"status"})").at("state").as_string(), "ok");
}

TEST_F(DaemonTest, keeps_running_without_a_policy_and_pushes_nothing)
{
    dir.write("sandgate.yaml", "control:\n  state_dir: " + (dir / "state") +
                                   "\n  socket: " + (dir / "control.sock") +
                                   "\ndataplane:\n  control_socket: " + socket + "\nnonsense: 1\n");
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return daemon->gateway().link().is_up(); }));
    run_until([] { return false; }, 50ms);
    EXPECT_EQ(dataplane.types(), std::vector<MessageType>{MessageType::kHello});
    EXPECT_EQ(ask(R"({"verb":"status"})").at("state").as_string(), "degraded");
    write_policy(agent("a", 1));
    ASSERT_TRUE(run_until([&] { return in_force(); })) << "the repaired file was not noticed";
}

TEST_F(DaemonTest, sends_a_small_change_as_a_delta)
{
    std::string agents;
    for (uint8_t i = 1; i <= 100; i++) agents += agent("agent-" + std::to_string(i), i);
    write_policy(agents);
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    write_policy(agents + agent("late", 101));
    const Outcome outcome = apply();
    EXPECT_TRUE(outcome.is_in_force);
    EXPECT_TRUE(outcome.is_delta);
    EXPECT_EQ(dataplane.count(MessageType::kPushSnapshot), 1u);
    EXPECT_EQ(rows(dataplane).size(), 101u)
        << "the delta did not lead where the snapshot would have";
    EXPECT_EQ(outcome.epoch, dataplane.epoch());
}

TEST_F(DaemonTest, sends_nothing_when_nothing_changed)
{
    write_policy(agent("a", 1));
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    const auto sent = dataplane.types().size();
    EXPECT_TRUE(apply().is_in_force);
    EXPECT_EQ(dataplane.types().size(), sent);
}

TEST_F(DaemonTest, follows_a_refused_delta_with_the_snapshot)
{
    std::string agents;
    for (uint8_t i = 1; i <= 50; i++) agents += agent("agent-" + std::to_string(i), i);
    write_policy(agents);
    FakeDataplane dataplane(socket, [](const auto& message) -> std::string {
        return message.type == MessageType::kPushDelta ? "No memory for a delta." : "";
    });
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    write_policy(agents + agent("late", 101));
    EXPECT_TRUE(apply().is_in_force);
    EXPECT_EQ(dataplane.count(MessageType::kPushDelta), 1u);
    EXPECT_EQ(dataplane.count(MessageType::kPushSnapshot), 2u);
    EXPECT_EQ(rows(dataplane).size(), 51u);
}

TEST_F(DaemonTest, tells_the_dataplanes_refusal_and_the_old_policy_stays)
{
    write_policy(agent("a", 1));
    std::atomic<bool> refuses{false};
    FakeDataplane dataplane(socket, [&](const auto& message) -> std::string {
        const bool is_push =
            message.type == MessageType::kPushDelta || message.type == MessageType::kPushSnapshot;
        return refuses && is_push ? "Too many agents." : "";
    });
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    const auto good = dataplane.policy();
    refuses = true;
    write_policy(agent("a", 1) + agent("b", 2));
    const Outcome outcome = apply();
    EXPECT_FALSE(outcome.is_in_force);
    EXPECT_NE(outcome.error.find("Too many agents."), std::string::npos);
    EXPECT_EQ(dataplane.policy(), good);
    refuses = false;
    EXPECT_TRUE(apply().is_in_force);
    EXPECT_EQ(rows(dataplane).size(), 2u);
}

TEST_F(DaemonTest, cuts_an_agent_at_the_moment_it_expires)
{
    now = std::time(nullptr);
    const std::time_t soon = now + 2;
    char text[32];
    std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&soon));
    write_policy(agent("brief", 1, std::string(", expires: ") + text) + agent("b", 2));
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    const auto before = rows(dataplane);
    ASSERT_EQ(before.size(), 2u);
    EXPECT_EQ(before[0].flags & api::kAgentEnabled, uint32_t{api::kAgentEnabled});
    now += 2;
    ASSERT_TRUE(
        run_until([&] { return (rows(dataplane).at(0).flags & api::kAgentEnabled) == 0; }, 4s));
    EXPECT_EQ(rows(dataplane)[1].flags & api::kAgentEnabled, uint32_t{api::kAgentEnabled});
    EXPECT_EQ(rows(dataplane)[0].changed_epoch, dataplane.epoch())
        << "its flows must be decided again";
    EXPECT_EQ(rows(dataplane)[1].changed_epoch, before[1].changed_epoch);
    const auto agents = ask(R"({"verb":"agents"})");
    EXPECT_EQ(agents.at("agents").as_array().at(0).at("state").as_string(), "expired");
}

TEST_F(DaemonTest, begins_and_ends_grants_and_attributes_by_themselves)
{
    // A Tuesday, 08:59:58 in UTC.
    now = 1'795'510'798;
    write_policy(
        agent("a", 1, ", attributes: {ok: {value: x, expires: 2026-11-24T09:00:04Z}}"),
        "grants:\n"
        "  - {name: hours, src: [agent:a], dst: [10.1.0.1], ip: [icmp],"
        " schedule: {days: tue, hours: '09:00-17:00'}}\n"
        "  - {name: brief, src: [agent:a], dst: [10.1.0.2], ip: [icmp],"
        " expires: 2026-11-24T09:00:02Z}\n"
        "  - {name: asked, src: [agent:a], dst: [10.1.0.3], ip: [icmp], when: ok is set}\n");
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    const auto granted = [&] {
        const auto bytes = dataplane.policy();
        std::string error, found;
        const auto view = api::read_snapshot(bytes, error);
        if (!view)
            return error;
        const api::ClassRow& row = view->classes[view->agents[0].policy_class];
        for (const api::MatchRow& match : view->matches.subspan(row.first, row.count))
            found += std::to_string(match.peer.bytes[15]);
        return found;
    };
    EXPECT_EQ(granted(), "23");
    now += 2;
    EXPECT_TRUE(run_until([&] { return granted() == "123"; }, 3s)) << granted();
    now += 2;
    // Nothing but the clock tells control.
    EXPECT_TRUE(run_until([&] { return granted() == "13"; }, 3s)) << granted();
    now += 2;
    EXPECT_TRUE(run_until([&] { return granted() == "1"; }, 3s)) << granted();
    EXPECT_EQ(rows(dataplane).at(0).flags & api::kAgentEnabled, uint32_t{api::kAgentEnabled});
}

TEST_F(DaemonTest, keeps_every_applied_policy_with_time_author_and_hash)
{
    write_policy(agent("a", 1));
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    now += 10;
    write_policy(agent("a", 1) + agent("b", 2));
    ASSERT_TRUE(run_until([&] { return rows(dataplane).size() == 2; }));
    now += 100;
    // Not a new policy, and one that is refused.
    EXPECT_TRUE(apply().is_in_force);
    write_policy("nonsense");
    EXPECT_EQ(ask(R"({"verb":"policy-apply"})").at("ok"), false);
    const auto kept = ask(R"({"verb":"policy-history"})").at("policies").as_array();
    ASSERT_EQ(kept.size(), 2u);
    EXPECT_EQ(kept.at(0).at("number"), 2);
    EXPECT_EQ(kept.at(0).at("time_unix").as_int64(), now - 100);
    EXPECT_TRUE(kept.at(0).at("author").is_null()) << "the file was saved";
    EXPECT_NE(kept.at(0).at("hash"), kept.at(1).at("hash"));
    const auto text = ask(R"({"verb":"policy-text","number":1})");
    EXPECT_EQ(text.at("files").as_array().size(), 1u);
    const std::string first(text.at("files").at(0).at("text").as_string());
    EXPECT_NE(first.find("name: a,"), std::string::npos);
    EXPECT_EQ(first.find("name: b,"), std::string::npos);
    EXPECT_EQ(ask(R"({"verb":"policy-text","number":3})").at("error").as_string(),
              "There is no applied policy 3.");
    EXPECT_EQ(ask(R"({"verb":"policy-text"})").at("ok"), false);

    // It outlives a restart, and what somebody asks for after saving it is theirs.
    stop();
    dir.write("sandgate.yaml", first);
    start();
    const auto again = ask(R"({"verb":"policy-history"})").at("policies").as_array();
    ASSERT_EQ(again.size(), 3u);
    EXPECT_EQ(again.at(0).at("hash"), again.at(2).at("hash"));
    ask(R"({"verb":"policy-apply"})");
    const auto claimed = ask(R"({"verb":"policy-history"})").at("policies").as_array();
    ASSERT_EQ(claimed.size(), 3u);
    EXPECT_EQ(claimed.at(0).at("author").as_int64(), getuid());
}

TEST_F(DaemonTest, notices_a_change_of_a_bulk_file)
{
    const auto line = [](const std::string& name, uint8_t seed) {
        return R"({"name":")" + name + R"(","public_key":")" + public_text(seed) +
               R"(","addresses":["10.66.0.)" + std::to_string(seed) + "\"]}\n";
    };
    dir.write("bulk.jsonl", line("x", 10) + line("y", 11));
    write_policy(agent("a", 1), "agents_from: [bulk.jsonl]\n");
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); })) << daemon->service().errors().front().text();
    EXPECT_EQ(rows(dataplane).size(), 3u);
    dir.write("bulk.jsonl", line("x", 10));
    ASSERT_TRUE(run_until([&] { return rows(dataplane).size() == 2; }));
    dir.write("bulk.jsonl", "{broken\n");
    ASSERT_TRUE(run_until([&] { return !daemon->service().errors().empty(); }));
    EXPECT_NE(daemon->service().errors().front().text().find("bulk.jsonl:1"), std::string::npos);
    EXPECT_EQ(rows(dataplane).size(), 2u);
}

TEST_F(DaemonTest, removes_the_psk_of_an_agent_that_needs_none_any_more)
{
    write_policy(agent("a", 1, ", psk_file: a.psk"));
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    write_policy(agent("a", 1));
    EXPECT_TRUE(apply().is_in_force);
    const auto message = dataplane.messages().back();
    ASSERT_EQ(message.type, MessageType::kPsk);
    api::PskBody row;
    std::memcpy(&row, message.body.data(), sizeof(row));
    EXPECT_EQ(row.is_present, 0u);
}

TEST_F(DaemonTest, sends_a_psk_that_changed_when_asked_to_apply)
{
    write_policy(agent("a", 1, ", psk_file: a.psk"));
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    dir.write("a.psk", key_text(51), 0600);
    EXPECT_TRUE(apply().is_in_force);
    const auto message = dataplane.messages().back();
    ASSERT_EQ(message.type, MessageType::kPsk);
    api::PskBody row;
    std::memcpy(&row, message.body.data(), sizeof(row));
    EXPECT_EQ(control::key_to_base64(std::span<const uint8_t, 32>(row.psk)), key_text(51));
}

TEST_F(DaemonTest, refuses_a_key_file_that_others_can_read)
{
    write_policy(agent("a", 1, ", psk_file: a.psk"));
    dir.write("a.psk", key_text(50), 0644);
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return daemon->gateway().link().is_up(); }));
    ASSERT_FALSE(daemon->service().errors().empty());
    EXPECT_NE(daemon->service().errors().front().text().find("chmod 600"), std::string::npos);
    EXPECT_EQ(dataplane.count(MessageType::kPushSnapshot), 0u);
}

TEST_F(DaemonTest, gives_the_same_identities_after_a_restart)
{
    write_policy(agent("a", 1) + agent("b", 2));
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    const auto before = rows(dataplane);
    const api::Epoch epoch = dataplane.epoch();
    stop();
    write_policy(agent("c", 3) + agent("b", 2));
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    const auto after = rows(dataplane);
    ASSERT_EQ(after.size(), 2u);
    EXPECT_EQ(after[0].identity, before[1].identity);
    EXPECT_GT(after[1].identity, before[1].identity) << "an identity was given twice";
    EXPECT_GT(dataplane.epoch(), epoch);
}

TEST_F(DaemonTest, loses_no_note_when_it_is_stopped)
{
    write_policy(agent("a", 1));
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    api::SeedBody note{};
    note.identity = rows(dataplane).at(0).identity;
    note.timestamp[5] = 9;
    dataplane.send_notes({note});
    run_until([] { return false; }, 60ms);
    stop();
    control::StateStore store(dir / "state/agents.state");
    ASSERT_EQ(store.open(), "");
    ASSERT_NE(store.find(note.identity), nullptr);
    EXPECT_EQ(store.find(note.identity)->timestamp[5], 9);
}

TEST_F(DaemonTest, answers_agents_page_by_page_with_what_the_dataplane_knows)
{
    write_policy(agent("a", 1) + agent("b", 2) + agent("c", 3));
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    const auto known = rows(dataplane);
    std::vector<api::PeerStatus> peers(3);
    for (size_t i = 0; i < 3; i++) {
        peers[i].identity = known[i].identity;
        peers[i].rx_bytes = 100 + i;
    }
    const uint8_t four[4] = {198, 51, 100, 7};
    peers[1].endpoint = {api::Address::v4(four), 51820, 0};
    dataplane.set_peers(peers);
    dataplane.page = 2;
    const auto first = ask(R"({"verb":"agents"})");
    EXPECT_EQ(first.at("agents").as_array().size(), 2u);
    EXPECT_EQ(first.at("agents").at(1).at("endpoint").as_string(), "198.51.100.7:51820");
    const auto rest =
        ask(R"({"verb":"agents","first":)" + boost::json::serialize(first.at("next")) + "}");
    ASSERT_EQ(rest.at("agents").as_array().size(), 1u);
    EXPECT_EQ(rest.at("agents").at(0).at("rx_bytes").as_int64(), 102);
    EXPECT_EQ(rest.at("next").as_int64(), 0);
}

TEST_F(DaemonTest, answers_bad_requests_with_a_sentence)
{
    write_policy(agent("a", 1));
    start();
    for (const std::string line : {"nonsense", "[]", "{}", R"({"verb":7})", R"({"verb":"explode"})",
                                   R"({"verb":"agents","first":-1})"}) {
        const auto answer = ask(line);
        EXPECT_FALSE(answer.at("ok").as_bool()) << line;
        EXPECT_FALSE(answer.at("error").as_string().empty()) << line;
    }
    EXPECT_FALSE(ask(std::string(70000, 'x')).at("ok").as_bool());
    EXPECT_EQ(ask(R"({"verb":"status"})").at("state").as_string(), "down")
        << "no dataplane is running";
}

TEST_F(DaemonTest, says_which_flow_table_is_full_or_nearly_so)
{
    write_policy(agent("a", 1));
    FakeDataplane dataplane(socket);
    start();
    ASSERT_TRUE(run_until([&] { return in_force(); }));
    api::CounterBlock* blocks = dataplane.counters()->blocks;
    blocks[0].flows_current = 899;
    blocks[1].flows_current = 899;
    EXPECT_EQ(ask(R"({"verb":"status"})").at("state"), "ok");

    blocks[1].flows_current = 900;
    auto status = ask(R"({"verb":"status"})");
    EXPECT_EQ(status.at("state"), "degraded");
    ASSERT_EQ(status.at("problems").as_array().size(), 1u);
    EXPECT_EQ(
        status.at("problems").at(0),
        "The flow table of worker 1 is nearly full (900 of 1000 flows): when it is, new flows "
        "will be refused. Raise dataplane.max_flows, or see whether an agent opens more flows "
        "than it should.");

    blocks[1].flows_current = 1000;
    blocks[1].drops[static_cast<unsigned>(api::DropReason::kFlowTableFull)] = 17;
    status = ask(R"({"verb":"status"})");
    ASSERT_EQ(status.at("problems").as_array().size(), 1u);
    EXPECT_EQ(status.at("problems").at(0),
              "The flow table of worker 1 is full (1000 flows): new flows are refused "
              "(flow_table_full, 17 packets so far), known ones go on. Raise dataplane.max_flows, "
              "or see whether an agent opens more flows than it should.");
    const auto& table = status.at("dataplane").at("flow_tables").at(1);
    EXPECT_EQ(table.at("current"), 1000);
    EXPECT_EQ(table.at("capacity"), 1000);
    EXPECT_EQ(table.at("refused"), 17);

    // What is over is no problem any more, but stays counted.
    blocks[1].flows_current = 10;
    status = ask(R"({"verb":"status"})");
    EXPECT_EQ(status.at("state"), "ok");
    EXPECT_EQ(status.at("dataplane").at("flow_tables").at(1).at("refused"), 17);
}

TEST_F(DaemonTest, does_not_take_the_socket_of_a_control_that_lives)
{
    write_policy(agent("a", 1));
    start();
    DaemonOptions options;
    options.config_file = dir / "sandgate.yaml";
    Daemon second(io, options, [] { return int64_t{0}; });
    EXPECT_NE(second.prepare().find("Another sandgate-control"), std::string::npos);
}

}  // namespace
}  // namespace sandgate::test
