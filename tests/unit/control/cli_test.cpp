// The command line as a person or a script meets it. Control is played by a socket with canned
// answers.
#include "control/cli/cli.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "control/cli/base64.h"
#include "control/cli/text.h"
#include "tests/unit/control/temp_dir.h"

namespace sandgate::test {

namespace json = boost::json;
using boost::asio::local::stream_protocol;

namespace {

struct Ran
{
    int code;
    std::string out, err;
};

Ran run(std::vector<std::string> words, const std::string& input = "")
{
    words.insert(words.begin(), "sandgate");
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    std::istringstream in(input);
    std::ostringstream out, err;
    const int code = control::run(static_cast<int>(argv.size()), argv.data(), in, out, err,
                                  [] { return int64_t{1'800'000'000}; });
    return {code, out.str(), err.str()};
}

// Answers each verb with a fixed line.
class FakeControl
{
  public:
    FakeControl(const std::string& path, std::map<std::string, std::string> answers)
        : path_(path), answers_(std::move(answers)), acceptor_(io_, stream_protocol::endpoint(path))
    {
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeControl()
    {
        is_stopping_ = true;
        stream_protocol::socket wake(io_);
        boost::system::error_code ignored;
        wake.connect({path_}, ignored);
        thread_.join();
    }

  private:
    void serve()
    {
        while (true) {
            stream_protocol::socket client(io_);
            acceptor_.accept(client);
            if (is_stopping_)
                return;
            boost::asio::streambuf line;
            boost::system::error_code error;
            boost::asio::read_until(client, line, '\n', error);
            const auto request =
                json::parse(std::string(static_cast<const char*>(line.data().data()), line.size()));
            std::string verb(request.at("verb").as_string());
            if (request.as_object().contains("first") && request.at("first").as_int64() != 0)
                verb += json::serialize(request.at("first"));
            boost::asio::write(client, boost::asio::buffer(answers_[verb] + "\n"), error);
        }
    }
    std::string path_;
    std::map<std::string, std::string> answers_;
    boost::asio::io_context io_;
    stream_protocol::acceptor acceptor_;
    std::thread thread_;
    std::atomic<bool> is_stopping_{false};
};

struct CliTest : testing::Test
{
    TempDir dir;
    std::string socket = dir / "control.sock";

    void write_policy(const std::string& more = "")
    {
        dir.write("gateway.key", run({"keygen"}).out, 0600);
        dir.write("agent.key", run({"keygen"}).out, 0600);
        dir.write("agent.psk", run({"genpsk"}).out, 0600);
        const std::string key = run({"pubkey", dir / "agent.key"}).out;
        dir.write(
            "p.yaml",
            "gateway:\n  private_key_file: gateway.key\n  public_endpoint: gate.example:51820\n"
            "  tunnel_addresses: [10.66.0.254]\n  dns: [10.66.0.254]\n  tunnel_mtu: 1400\n"
            "dataplane: {workers: [1, 2], test_mode: true, host_port: false}\n"
            "ports:\n  - {name: wan, device: \"net_af_xdp0,iface=w0\", roles: [wan], addresses:"
            " [192.0.2.1/24]}\n"
            "agents:\n  - {name: bot, public_key: \"" +
                key.substr(0, 44) +
                "\", addresses: [10.66.0.1, \"fd66::1\"], psk_file: agent.psk, keepalive: 25}\n" +
                more);
    }
};

TEST_F(CliTest, agrees_with_wg_about_public_keys)
{
    if (std::system("wg --version >/dev/null 2>&1") != 0)
        GTEST_SKIP() << "the program wg is not installed (Debian package wireguard-tools)";
    for (int i = 0; i < 5; i++) {
        const Ran made = run({"keygen"});
        ASSERT_EQ(made.code, 0);
        ASSERT_EQ(made.out.size(), 45u);
        dir.write("key", made.out);
        const std::string command = "wg pubkey < " + (dir / "key") + " > " + (dir / "pub");
        ASSERT_EQ(std::system(command.c_str()), 0);
        EXPECT_EQ(run({"pubkey"}, made.out).out, dir.read("pub"));
    }
}

TEST_F(CliTest, writes_a_key_for_its_owner_alone_and_never_over_another)
{
    const std::string path = dir / "new.key";
    const mode_t before = umask(0);
    EXPECT_EQ(run({"keygen", "--out", path}).code, 0);
    umask(before);
    struct stat info
    {
    };
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600u);
    const std::string key = dir.read("new.key");
    const Ran again = run({"keygen", "--out", path});
    EXPECT_EQ(again.code, 1);
    EXPECT_NE(again.err.find("never overwritten"), std::string::npos);
    EXPECT_EQ(dir.read("new.key"), key);
    EXPECT_EQ(run({"pubkey", path}).out, run({"pubkey"}, key).out);
}

TEST_F(CliTest, refuses_what_is_no_key)
{
    for (const char* text : {"", "short", "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!=",
                             "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}) {
        const Ran got = run({"pubkey"}, text);
        EXPECT_EQ(got.code, 1) << text;
        EXPECT_TRUE(got.out.empty());
    }
    EXPECT_NE(run({"genpsk"}).out, run({"genpsk"}).out);
}

TEST_F(CliTest, prints_a_client_configuration)
{
    write_policy();
    const Ran got = run({"--config", dir / "p.yaml", "agent", "config", "bot", "--private-key-file",
                         dir / "agent.key"});
    ASSERT_EQ(got.code, 0) << got.err;
    const auto first = [](const std::string& text) { return text.substr(0, 44); };
    EXPECT_EQ(got.out,
              "[Interface]\nPrivateKey = " + first(dir.read("agent.key")) +
                  "\nAddress = 10.66.0.1/32, fd66::1/128\nDNS = 10.66.0.254\nMTU = 1400\n\n"
                  "[Peer]\nPublicKey = " +
                  first(run({"pubkey", dir / "gateway.key"}).out) +
                  "\nPresharedKey = " + first(dir.read("agent.psk")) +
                  "\nEndpoint = gate.example:51820\nAllowedIPs = 0.0.0.0/0, ::/0\n"
                  "PersistentKeepalive = 25\n");
    const Ran placeholder = run({"agent", "config", "bot", "--config", dir / "p.yaml",
                                 "--allowed-ips", "10.0.0.0/8,10.66.0.254/32"});
    EXPECT_NE(placeholder.out.find("PrivateKey = PUT-"), std::string::npos);
    EXPECT_NE(placeholder.out.find("AllowedIPs = 10.0.0.0/8, 10.66.0.254/32\n"), std::string::npos);
}

TEST_F(CliTest, refuses_a_configuration_with_another_agents_key)
{
    write_policy();
    const Ran wrong = run({"--config", dir / "p.yaml", "agent", "config", "bot",
                           "--private-key-file", dir / "gateway.key"});
    EXPECT_EQ(wrong.code, 1);
    EXPECT_TRUE(wrong.out.empty());
    EXPECT_NE(wrong.err.find("does not hold the key of agent bot"), std::string::npos);
    const Ran nobody = run({"--config", dir / "p.yaml", "--json", "agent", "config", "nobody"});
    EXPECT_EQ(nobody.code, 1);
    EXPECT_EQ(json::parse(nobody.out).at("ok"), false);
}

TEST_F(CliTest, draws_a_qr_code_of_half_blocks)
{
    write_policy();
    const Ran got = run({"--config", dir / "p.yaml", "agent", "config", "bot", "--qr"});
    ASSERT_EQ(got.code, 0) << got.err;
    EXPECT_NE(got.out.find("\xe2\x96\x80"), std::string::npos);
    EXPECT_EQ(got.out.find("PrivateKey"), std::string::npos);
    const auto lines = std::count(got.out.begin(), got.out.end(), '\n');
    EXPECT_GT(lines, 20);
}

TEST_F(CliTest, prints_the_dataplanes_arguments_for_people_scripts_and_shells)
{
    write_policy();
    const Ran lines = run({"dataplane-args", dir / "p.yaml"});
    ASSERT_EQ(lines.code, 0) << lines.err;
    EXPECT_NE(lines.out.find("--worker-core\n1\n--worker-core\n2\n"), std::string::npos);
    EXPECT_NE(lines.out.find("wan=wan=net_af_xdp0,iface=w0\n"), std::string::npos);
    const Ran shell = run({"dataplane-args", "--shell", dir / "p.yaml"});
    std::string joined = lines.out;
    std::replace(joined.begin(), joined.end(), '\n', ' ');
    joined.back() = '\n';
    EXPECT_EQ(shell.out, joined);
    const auto list =
        json::parse(run({"--json", "dataplane-args", dir / "p.yaml"}).out).at("arguments");
    EXPECT_EQ(static_cast<long>(list.as_array().size()),
              std::count(lines.out.begin(), lines.out.end(), '\n'));
}

TEST_F(CliTest, checks_a_policy_file)
{
    write_policy();
    const Ran good = run({"policy", "check", dir / "p.yaml", "--keys"});
    EXPECT_EQ(good.code, 0) << good.err;
    EXPECT_EQ(good.out, (dir / "p.yaml") + " is good: 1 agent, 0 grants.\n");
    write_policy(
        "grants:\n  - {name: g, src: [\"agent:ghost\"], dst: [\"*\"], ip: [\"tcp:80\"]}\nnew: 1\n");
    const Ran bad = run({"policy", "check", dir / "p.yaml"});
    EXPECT_EQ(bad.code, 1);
    EXPECT_NE(bad.err.find("p.yaml:14:1"), std::string::npos) << bad.err;
    const auto answer = json::parse(run({"policy", "check", dir / "p.yaml", "--json"}).out);
    EXPECT_EQ(answer.at("ok"), false);
    EXPECT_FALSE(answer.at("errors").as_array().empty());
    EXPECT_EQ(run({"policy", "check", dir / "missing.yaml"}).code, 1);
}

TEST_F(CliTest, lists_agents_as_wg_does)
{
    FakeControl control(
        socket,
        {{"agents",
          R"({"ok":true,"warning":null,"next":7,"agents":[{"name":"build-bot","owner":"ana","state":"enabled",)"
          R"("endpoint":"198.51.100.7:51820","last_handshake_unix":1799999928,"rx_bytes":148,"tx_bytes":94371840}]})"},
         {"agents7",
          R"({"ok":true,"warning":null,"next":0,"agents":[{"name":"b","owner":"","state":"expired",)"
          R"("endpoint":null,"last_handshake_unix":0,"rx_bytes":0,"tx_bytes":0}]})"}});
    const Ran got = run({"agents", "--socket", socket});
    EXPECT_EQ(got.code, 0);
    EXPECT_EQ(got.out,
              "NAME       OWNER  STATE    ENDPOINT            LATEST HANDSHAKE          RECEIVED   "
              "    SENT\n"
              "build-bot  ana    enabled  198.51.100.7:51820  1 minute, 12 seconds ago     148 B  "
              "90.00 MiB\n"
              "b          -      expired  -                   never                          0 B   "
              "     0 B\n");
    const auto all = json::parse(run({"agents", "--socket", socket, "--json"}).out);
    EXPECT_EQ(all.at("ok"), true);
    EXPECT_EQ(all.at("agents").as_array().size(), 2u);
    EXPECT_EQ(all.at("agents").at(0).at("tx_bytes").as_int64(), 94371840);
    EXPECT_EQ(run({"agents", "b", "--socket", socket}).code, 0);
    EXPECT_EQ(run({"agents", "zz", "--socket", socket}).code, 1);
}

TEST_F(CliTest, lists_drops_that_occurred_and_all_when_asked)
{
    FakeControl control(
        socket,
        {{"drops",
          R"({"ok":true,"drops":[{"reason":"tag_mismatch","count":0,"sentence":"The tag is wrong."},)"
          R"({"reason":"policy_denied","count":120,"sentence":"No grant allows this flow."}]})"}});
    EXPECT_EQ(run({"drops", "--socket", socket}).out,
              "COUNT  REASON         MEANING\n"
              "  120  policy_denied  No grant allows this flow.\n");
    EXPECT_EQ(run({"drops", "--all", "--socket", socket}).out,
              "COUNT  REASON         MEANING\n"
              "    0  tag_mismatch   The tag is wrong.\n"
              "  120  policy_denied  No grant allows this flow.\n");
    EXPECT_EQ(
        run({"drops", "--json", "--socket", socket}).out,
        R"({"ok":true,"drops":[{"reason":"policy_denied","count":120,"sentence":"No grant allows this flow."}]})"
        "\n");
}

TEST_F(CliTest, says_how_the_gateway_is_and_exits_accordingly)
{
    const auto answer = [](const std::string& state, const std::string& problem) {
        return R"({"ok":true,"state":")" + state + R"(","problems":[)" + problem +
               R"(],"control":{"pid":17,"uptime_seconds":61},"dataplane":{"connected":true,"socket":"/s",)"
               R"("started_unix":1799996400,"aead_kernel":"ipsec_mb","workers":2,"ports":[{"name":"wan",)"
               R"("is_host":false,"rx_packets":5,"rx_bytes":2048,"tx_packets":1,"tx_bytes":10}],)"
               R"("flow_tables":[{"current":1,"capacity":1024,"refused":0},)"
               R"({"current":0,"capacity":1024,"refused":)" +
               std::string(problem.empty() ? "0" : "12") +
               R"(}],)"
               R"("counters":{"opened":3,"sealed":4,"flows_current":1,"handshakes_completed":2}},)"
               R"("policy":{"file":"/etc/p.yaml","in_force":true,"epoch":9,"agents":2,"grants":1,"errors":[]}})";
    };
    {
        FakeControl control(socket, {{"status", answer("ok", "")}});
        const Ran got = run({"status", "--socket", socket});
        EXPECT_EQ(got.code, 0);
        EXPECT_EQ(got.out,
                  "state:      ok\n"
                  "policy:     /etc/p.yaml, epoch 9, 2 agents, 1 grant, in force\n"
                  "dataplane:  up 1 hour, 2 workers, AEAD kernel ipsec_mb\n"
                  "traffic:    3 packets opened, 4 sealed, 1 flow, 2 handshakes\n"
                  "flows:      1 of 2048\n"
                  "control:    up 1 minute, 1 second, process 17\n\n"
                  "PORT  RECEIVED  PACKETS  SENT  PACKETS\n"
                  "wan   2.00 KiB        5  10 B        1\n");
    }
    {
        FakeControl control(dir / "2",
                            {{"status", answer("degraded", "\"The policy file is refused.\"")}});
        const Ran got = run({"status", "--socket", dir / "2"});
        EXPECT_EQ(got.code, 1);
        EXPECT_NE(got.out.find("problem:    The policy file is refused.\n"), std::string::npos);
        EXPECT_NE(got.out.find("flows:      1 of 2048; 12 packets of new flows refused since the "
                               "start because a table was full\n"),
                  std::string::npos);
    }
    FakeControl control(dir / "3", {{"status", answer("down", "")}});
    EXPECT_EQ(run({"status", "--socket", dir / "3"}).code, 2);
}

TEST_F(CliTest, says_what_to_do_when_control_is_away)
{
    const Ran got = run({"drops", "--socket", dir / "nobody.sock"});
    EXPECT_EQ(got.code, 3);
    EXPECT_NE(got.err.find("Is sandgate-control running?"), std::string::npos);
    EXPECT_EQ(run({"agents", "--socket", dir / "nobody.sock"}).code, 3);
    EXPECT_EQ(run({"policy", "apply", "--socket", dir / "nobody.sock"}).code, 3);
    const Ran status = run({"status", "--json", "--socket", dir / "nobody.sock"});
    EXPECT_EQ(status.code, 2);
    EXPECT_EQ(json::parse(status.out).at("state"), "down");
}

TEST_F(CliTest, tells_a_refused_policy_from_one_in_force)
{
    {
        FakeControl control(
            socket, {{"policy-apply", R"({"ok":true,"error":null,"errors":[],"epoch":12})"}});
        const Ran got = run({"policy", "apply", "--socket", socket});
        EXPECT_EQ(got.code, 0);
        EXPECT_EQ(got.out, "The policy is in force, epoch 12.\n");
    }
    FakeControl control(
        dir / "2",
        {{"policy-apply",
          R"({"ok":false,"error":"p.yaml:3:4: bad","errors":["p.yaml:3:4: bad"],"epoch":0})"}});
    const Ran got = run({"policy", "apply", "--socket", dir / "2"});
    EXPECT_EQ(got.code, 1);
    EXPECT_NE(got.err.find("p.yaml:3:4: bad\n"), std::string::npos);
}

TEST_F(CliTest, helps_everywhere_and_calls_misuse_by_its_code)
{
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{"--help"},
                                               {"keygen", "--help"},
                                               {"pubkey", "--help"},
                                               {"genpsk", "--help"},
                                               {"agent", "config", "--help"},
                                               {"agents", "--help"},
                                               {"status", "--help"},
                                               {"drops", "--help"},
                                               {"policy", "check", "--help"},
                                               {"policy", "apply", "--help"},
                                               {"dataplane-args", "--help"},
                                               {"completion", "bash", "--help"}}) {
        const Ran got = run(words);
        EXPECT_EQ(got.code, 0) << words.front();
        EXPECT_FALSE(got.out.empty()) << words.front();
    }
    EXPECT_EQ(run({}).code, 2);
    EXPECT_EQ(run({"nonsense"}).code, 2);
    EXPECT_EQ(run({"drops", "--nonsense"}).code, 2);
    EXPECT_EQ(run({"agent", "config"}).code, 2);
}

TEST_F(CliTest, imports_a_tailscale_file_and_tells_what_it_leaves_out)
{
    dir.write("t.hujson",
              "{\n\"acls\": [ // all\n{\"action\": \"accept\", \"src\": [\"tag:ci\", "
              "\"autogroup:member\"], \"dst\": [\"10.0.0.1:22\"]},],\n}");
    const std::string file = dir / "t.hujson";
    const Ran printed = run({"policy", "import", "tailscale", file});
    EXPECT_EQ(printed.code, 0);
    EXPECT_NE(printed.out.find("    src: [tag:ci]\n"), std::string::npos) << printed.out;
    EXPECT_EQ(printed.err,
              file +
                  ":3:40: \"autogroup:member\" is left out: autogroups have no counterpart.\n"
                  "sandgate: 1 remark; agents are still to be added.\n");

    EXPECT_EQ(run({"policy", "import", "tailscale", file, "--out", dir / "new.yaml"}).code, 0);
    EXPECT_EQ(dir.read("new.yaml"), printed.out);
    const Ran again = run({"policy", "import", "tailscale", file, "--out", dir / "new.yaml"});
    EXPECT_EQ(again.code, 1);
    EXPECT_NE(again.err.find("new.yaml exists"), std::string::npos) << again.err;
    const Ran checked = run({"policy", "check", dir / "new.yaml"});
    EXPECT_EQ(checked.code, 1);
    EXPECT_NE(checked.err.find("No agent has the tag \"ci\"."), std::string::npos) << checked.err;

    const auto answer = json::parse(run({"policy", "import", "tailscale", file, "--json"}).out);
    EXPECT_EQ(answer.at("policy").as_string(), printed.out);
    EXPECT_EQ(answer.at("remarks").at(0).at("where").as_string(), file + ":3:40");

    dir.write("bad.hujson", "{\n/* \n}");
    const Ran bad = run({"policy", "import", "tailscale", dir / "bad.hujson"});
    EXPECT_EQ(bad.code, 1);
    EXPECT_EQ(bad.err, "sandgate: " + (dir / "bad.hujson") + ":2:1: The comment does not end.\n");
    EXPECT_EQ(run({"policy", "import", "tailscale", dir / "none"}).code, 1);
    EXPECT_EQ(run({"policy", "import", "tailscale", dir / "."}).code, 1);
    EXPECT_EQ(run({"policy", "import"}).code, 2);
}

TEST_F(CliTest, prints_a_completion_that_bash_takes_and_that_knows_every_command)
{
    const Ran got = run({"completion", "bash"});
    ASSERT_EQ(got.code, 0);
    dir.write("completion", got.out);
    EXPECT_EQ(std::system(("bash -n " + (dir / "completion")).c_str()), 0);
    const auto complete = [&](const std::string& words, int at) {
        const std::string command = "bash -c 'source " + (dir / "completion") + "; COMP_WORDS=(" +
                                    words + "); COMP_CWORD=" + std::to_string(at) +
                                    "; _sandgate; printf \"%s \" \"${COMPREPLY[@]}\"' > " +
                                    (dir / "words");
        EXPECT_EQ(std::system(command.c_str()), 0);
        return dir.read("words");
    };
    for (const char* noun : {"keygen", "pubkey", "genpsk", "agent", "agents", "status", "drops",
                             "policy", "dataplane-args", "completion"})
        EXPECT_NE(complete("sandgate \"\"", 1).find(std::string(noun) + " "), std::string::npos)
            << noun;
    EXPECT_EQ(complete("sandgate policy a", 2), "apply ");
    EXPECT_EQ(complete("sandgate policy import t", 3), "tailscale ");
    EXPECT_EQ(complete("sandgate drops --a", 2), "--all ");
}

TEST(HumanText, uses_the_units_and_words_of_wg)
{
    EXPECT_EQ(control::human_bytes(0), "0 B");
    EXPECT_EQ(control::human_bytes(1023), "1023 B");
    EXPECT_EQ(control::human_bytes(1024), "1.00 KiB");
    EXPECT_EQ(control::human_bytes(uint64_t{5} << 30), "5.00 GiB");
    EXPECT_EQ(control::human_bytes(~uint64_t{0}), "16.00 EiB");
    EXPECT_EQ(control::human_ago(0, 100), "never");
    EXPECT_EQ(control::human_ago(100, 100), "now");
    EXPECT_EQ(control::human_ago(99, 100), "1 second ago");
    EXPECT_EQ(control::human_ago(100, 100 + 86400 * 2 + 3600), "2 days, 1 hour ago");
    EXPECT_NE(control::human_ago(200, 100).find("clock"), std::string::npos);
}

TEST_F(CliTest, lists_applied_policies_and_goes_back_to_one)
{
    dir.write("p.yaml", "new\n", 0640);
    const std::string hash(64, 'a');
    FakeControl control(
        socket,
        {{"policy-history",
          R"({"ok":true,"policies":[{"number":2,"time_unix":1800000000,"author":0,"hash":")" +
              hash + R"("},{"number":1,"time_unix":1799999990,"author":null,"hash":")" + hash +
              R"("}]})"},
         {"policy-text", R"({"ok":true,"number":1,"files":[{"file":")" + (dir / "p.yaml") +
                             R"(","text":"old\n"}]})"},
         {"policy-apply", R"({"ok":true,"epoch":7})"}});
    EXPECT_EQ(run({"--socket", socket, "policy", "history"}).out,
              "NUMBER  WHEN                  BY            HASH\n"
              "     2  2027-01-15 08:00:00Z  root          aaaaaaaaaaaa\n"
              "     1  2027-01-15 07:59:50Z  (file saved)  aaaaaaaaaaaa\n");
    const Ran back = run({"--socket", socket, "policy", "rollback", "1"});
    EXPECT_EQ(back.code, 0) << back.err;
    EXPECT_EQ(back.out,
              (dir / "p.yaml") + " is as it was in policy 1.\nThe policy is in force, epoch 7.\n");
    std::ifstream file(dir / "p.yaml");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "old\n");
    EXPECT_EQ(std::filesystem::status(dir / "p.yaml").permissions(), std::filesystem::perms{0640});
}

// A policy of two agents to ask about; the file's name is in every answer.
struct PolicyQuestions : testing::Test
{
    TempDir dir;
    std::string old_file = dir / "old.yaml", new_file = dir / "new.yaml";

    PolicyQuestions()
    {
        const std::string agents =
            "gateway: {tunnel_addresses: [10.66.0.254]}\n"
            "agents:\n"
            "  - {name: bot, owner: alice@x, tags: [ci], addresses: [10.66.0.1],\n"
            "     public_key: AQAAAAEAAAABAAAAAQAAAAEAAAABAAAAAQAAAAEAAAA=}\n"
            "  - {name: vault, addresses: [10.66.0.2],\n"
            "     public_key: AgAAAAIAAAACAAAAAgAAAAIAAAACAAAAAgAAAAIAAAA=}\n"
            "hosts: {web: 10.0.0.10}\n"
            "grants:\n"
            "  - {name: ci-web, src: [tag:ci], dst: [host:web], ip: [tcp:80], reason: builds}\n";
        dir.write("old.yaml", agents);
        dir.write(
            "new.yaml",
            agents +
                "  - {name: all, src: [tag:ci], dst: ['*'], ip: ['*']}\n"
                "  - {name: no-mail, action: deny, src: ['*'], dst: ['*'], ip: [tcp:25]}\n"
                "  - {name: off, action: deny, src: ['*'], dst: [10.9.0.0/16], ip: ['*']}\n"
                "tests:\n  - {src: tag:ci, accept: ['host:web tcp:80'], deny: [10.0.0.1:25]}\n");
    }
};

TEST_F(PolicyQuestions, explain_names_the_line_and_what_would_allow_it)
{
    const auto explain = [&](const std::string& dst, const std::string& port,
                             const std::string& file) {
        return run({"policy", "explain", "--src", "agent:bot", "--dst", dst, "--port", port, file});
    };
    const Ran allowed = explain("10.0.0.10", "tcp:80", old_file);
    EXPECT_EQ(allowed.code, 0);
    EXPECT_EQ(allowed.out,
              "agent:bot (10.66.0.1) to 10.0.0.10 tcp:80\n"
              "allowed: The grant \"ci-web\" (" +
                  old_file + ":9) allows it: builds.\n");
    const Ran refused = explain("host:web", "tcp:443", old_file);
    EXPECT_EQ(refused.code, 1);
    EXPECT_EQ(refused.out,
              "agent:bot (10.66.0.1) to 10.0.0.10 tcp:443\n"
              "refused: No grant lets agent:bot open it.\n"
              "\n"
              "Nearest is the grant \"ci-web\" (" +
                  old_file +
                  ":9), but its ip is tcp:80.\n"
                  "\n"
                  "This would allow it, below grants:\n"
                  "  - name: bot-to-10.0.0.10-tcp-443\n"
                  "    src: [agent:bot]\n"
                  "    dst: [host:web]\n"
                  "    ip: [tcp:443]\n");
    EXPECT_EQ(explain("8.8.8.8", "tcp:25", new_file).out,
              "agent:bot (10.66.0.1) to 8.8.8.8 tcp:25\n"
              "refused: The grant \"no-mail\" (" +
                  new_file + ":11) denies it.\n");
    EXPECT_EQ(explain("gateway", "tcp:22", new_file).out,
              "agent:bot (10.66.0.1) to the gateway (10.66.0.254) tcp:22\n"
              "refused: The gateway offers no such service; services with \"gateway: true\" "
              "declare them.\n");
    EXPECT_EQ(explain("agent:valt", "icmp", new_file).err,
              "sandgate: --dst: The policy has no \"agent:valt\"; did you mean \"vault\"?\n");
    EXPECT_EQ(explain("10.0.0.1", "tcp", new_file).code, 2);
    const Ran asked = run({"--json", "policy", "explain", "--src", "agent:bot", "--dst",
                           "10.0.0.10", "--port", "tcp:443", old_file});
    EXPECT_EQ(json::parse(asked.out).at("allowed"), false);
}

// What is suggested does what it says.
TEST_F(PolicyQuestions, explain_suggests_a_grant_that_works)
{
    for (const char* dst : {"10.0.0.10", "agent:vault", "8.8.8.8"}) {
        const std::vector<std::string> question = {
            "policy", "explain", "--src", "agent:bot", "--dst", dst, "--port", "udp:53", old_file};
        const Ran before = run(question);
        ASSERT_EQ(before.code, 1) << dst;
        const size_t at = before.out.find("below grants:\n");
        ASSERT_NE(at, std::string::npos) << before.out;
        std::ofstream(old_file, std::ios::app) << before.out.substr(at + 14);
        EXPECT_EQ(run(question).code, 0) << run(question).out;
    }
}

TEST_F(PolicyQuestions, diff_says_who_gains_and_loses_what)
{
    EXPECT_EQ(run({"policy", "diff", old_file, new_file}).out,
              "bot\n"
              "  gains everything but tcp:25 to everywhere, except the gateway, 10.9.0.0/16\n"
              "  gains everything but tcp:25, tcp:80 to host:web\n");
    EXPECT_EQ(run({"policy", "diff", new_file, old_file}).out,
              "bot\n"
              "  loses everything but tcp:25 to everywhere, except the gateway, 10.9.0.0/16\n"
              "  loses everything but tcp:25, tcp:80 to host:web\n");
    EXPECT_EQ(run({"policy", "diff", new_file, new_file}).out, "Nobody gains or loses anything.\n");
}

TEST_F(PolicyQuestions, who_can_and_what_can_list)
{
    EXPECT_EQ(run({"policy", "who-can", "10.0.0.10:80", old_file}).out,
              "AGENT  OWNER    BY\nbot    alice@x  ci-web\n");
    EXPECT_EQ(run({"policy", "who-can", "10.0.0.10:81", old_file}).out,
              "No agent may reach 10.0.0.10:81.\n");
    EXPECT_EQ(run({"policy", "what-can", "bot", new_file}).out,
              "               WHO OR WHERE  TRAFFIC  GRANT\n"
              "may not reach  *             tcp:25   no-mail\n"
              "may not reach  10.9.0.0/16   *        off\n"
              "may reach      host:web      tcp:80   ci-web\n"
              "may reach      *             *        all\n");
    EXPECT_EQ(run({"policy", "what-can", "agent:vault", old_file}).out,
              "agent:vault may reach nothing, and nobody may reach it.\n");
}

TEST_F(PolicyQuestions, test_runs_the_tests_of_the_file_and_check_does_too)
{
    EXPECT_EQ(run({"policy", "test", new_file}).out,
              new_file + ": 1 test with 2 claims, all as they should be.\n");
    std::ofstream(new_file, std::ios::app) << "  - {src: tag:ci, accept: ['8.8.8.8:25']}\n";
    for (const char* verb : {"test", "check"}) {
        const Ran failed = run({"policy", verb, new_file});
        EXPECT_EQ(failed.code, 1);
        EXPECT_NE(failed.err.find("must be accepted and is refused. The grant \"no-mail\""),
                  std::string::npos)
            << failed.err;
    }
}

}  // namespace
}  // namespace sandgate::test
