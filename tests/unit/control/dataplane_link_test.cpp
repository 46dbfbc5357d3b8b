// The link against a dataplane that a test plays.
#include "control/link/dataplane_link.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/temp_dir.h"

namespace sandgate::test {

using namespace std::chrono_literals;
using api::MessageType;
using control::DataplaneLink;
using control::PeersPage;
using control::Reply;

namespace {

uint64_t total_of(const control::CountersView& counters, const std::string& name)
{
    for (const auto& total : counters.totals())
        if (total.name == name)
            return total.value;
    ADD_FAILURE() << name << " is not among the totals";
    return 0;
}

class LinkTest : public testing::Test
{
  protected:
    LinkTest()
        : link(io, dir / "dataplane.sock",
               {[this](const api::WelcomeBody& welcome) {
                    ups++;
                    last_welcome = welcome;
                },
                [this](const std::string& why) {
                    downs++;
                    down_reason = why;
                },
                [this](std::span<const api::SeedBody> seeds) {
                    notes.insert(notes.end(), seeds.begin(), seeds.end());
                }})
    {
    }

    template <typename Condition>
    bool run_until(Condition condition, std::chrono::milliseconds limit = 5s)
    {
        const auto deadline = std::chrono::steady_clock::now() + limit;
        while (!condition() && std::chrono::steady_clock::now() < deadline) {
            io.restart();
            io.run_for(5ms);
        }
        return condition();
    }

    TempDir dir;
    boost::asio::io_context io;
    int ups = 0, downs = 0;
    std::string down_reason;
    api::WelcomeBody last_welcome{};
    std::vector<api::SeedBody> notes;
    DataplaneLink link;
};

TEST_F(LinkTest, maps_the_counters_that_come_with_the_welcome)
{
    FakeDataplane dataplane(dir / "dataplane.sock");
    dataplane.counters()->blocks[0].drops[static_cast<unsigned>(api::DropReason::kReplayed)] = 3;
    dataplane.counters()->blocks[2].drops[static_cast<unsigned>(api::DropReason::kReplayed)] = 4;
    dataplane.counters()->blocks[3].drops[static_cast<unsigned>(api::DropReason::kReplayed)] = 8;
    dataplane.counters()->blocks[1].ports[1].tx_bytes = 99;
    dataplane.counters()->blocks[0].flows_revoked = 2;
    dataplane.counters()->blocks[1].flows_revoked = 3;
    link.start();
    ASSERT_TRUE(run_until([&] { return link.is_up(); }));
    EXPECT_EQ(last_welcome.boot_id, dataplane.boot_id);
    ASSERT_NE(link.counters(), nullptr);
    EXPECT_EQ(link.counters()->workers(), 2u);
    EXPECT_EQ(link.counters()->kernel(), "portable");
    EXPECT_EQ(link.counters()->drops(api::DropReason::kReplayed), 15u);
    EXPECT_EQ(link.counters()->ports().at(1).name, "lan");
    EXPECT_EQ(link.counters()->ports().at(1).tx_bytes, 99u);
    EXPECT_EQ(total_of(*link.counters(), "flows_revoked"), 5u);
    dataplane.counters()->blocks[0].drops[static_cast<unsigned>(api::DropReason::kReplayed)] = 5;
    EXPECT_EQ(link.counters()->drops(api::DropReason::kReplayed), 17u) << "the view is not live";
}

TEST_F(LinkTest, sends_a_snapshot_as_a_memfd_that_nobody_can_change_any_more)
{
    FakeDataplane dataplane(dir / "dataplane.sock",
                            [](const auto&) { return "checked elsewhere"; });
    link.start();
    ASSERT_TRUE(run_until([&] { return link.is_up(); }));
    const std::vector<uint8_t> bytes(200000, 0x5a);
    bool is_answered = false;
    link.push_snapshot(bytes, [&](const Reply&) { is_answered = true; });
    ASSERT_TRUE(run_until([&] { return is_answered; }));
    const auto message = dataplane.messages().back();
    EXPECT_EQ(message.type, MessageType::kPushSnapshot);
    EXPECT_EQ(message.file, bytes);
    EXPECT_EQ(message.seals, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    api::PushBody body;
    ASSERT_EQ(message.body.size(), sizeof(body));
    std::memcpy(&body, message.body.data(), sizeof(body));
    EXPECT_EQ(body.bytes, bytes.size());
}

TEST_F(LinkTest, reports_a_refusal_with_the_dataplanes_sentence)
{
    FakeDataplane dataplane(dir / "dataplane.sock", [](const auto& message) -> std::string {
        return message.type == MessageType::kStaticKey ? "The key is of low order." : "";
    });
    link.start();
    ASSERT_TRUE(run_until([&] { return link.is_up(); }));
    Reply refused, accepted;
    bool is_done = false;
    crypto::Secret<32> key;
    link.send_static_key(key, [&](const Reply& reply) { refused = reply; });
    link.ping([&](const Reply& reply) {
        accepted = reply;
        is_done = true;
    });
    ASSERT_TRUE(run_until([&] { return is_done; }));
    EXPECT_TRUE(refused.is_error);
    EXPECT_FALSE(refused.is_lost);
    EXPECT_EQ(refused.text, "The key is of low order.");
    EXPECT_FALSE(accepted.is_error);
    EXPECT_TRUE(link.is_up()) << "a refusal is no reason to hang up";
}

TEST_F(LinkTest, cuts_long_lists_into_messages_that_fit)
{
    FakeDataplane dataplane(dir / "dataplane.sock");
    link.start();
    ASSERT_TRUE(run_until([&] { return link.is_up(); }));
    crypto::Secret<32> psk;
    psk.data()[0] = 7;
    std::vector<control::PskOrder> orders;
    for (uint32_t i = 1; i <= 4000; i++) orders.push_back({i, i % 2 == 0 ? &psk : nullptr});
    int answers = 0;
    link.send_psks(orders, [&](const Reply& reply) {
        EXPECT_FALSE(reply.is_error);
        answers++;
    });
    ASSERT_TRUE(run_until([&] { return answers != 0; }));
    EXPECT_EQ(answers, 1);
    uint32_t next = 1;
    for (const auto& message : dataplane.messages()) {
        if (message.type != MessageType::kPsk)
            continue;
        EXPECT_LE(message.body.size() + sizeof(api::MessageHeader), api::kMaxMessageBytes);
        ASSERT_EQ(message.body.size() % sizeof(api::PskBody), 0u);
        for (size_t at = 0; at < message.body.size(); at += sizeof(api::PskBody), next++) {
            api::PskBody row;
            std::memcpy(&row, message.body.data() + at, sizeof(row));
            ASSERT_EQ(row.identity, next);
            ASSERT_EQ(row.is_present, next % 2 == 0 ? 1u : 0u);
            ASSERT_EQ(row.psk[0], next % 2 == 0 ? 7 : 0);
        }
    }
    EXPECT_EQ(next, 4001u);
    EXPECT_EQ(dataplane.count(MessageType::kPsk), 3u);
}

TEST_F(LinkTest, connects_again_within_a_second_after_the_dataplane_died)
{
    auto dataplane = std::make_unique<FakeDataplane>(dir / "dataplane.sock");
    link.start();
    ASSERT_TRUE(run_until([&] { return ups == 1; }));
    dataplane->stop();
    ASSERT_TRUE(run_until([&] { return downs == 1; }));
    EXPECT_EQ(link.counters(), nullptr);
    run_until([] { return false; }, 1500ms);  // the pauses between attempts reach their longest
    dataplane->start();
    EXPECT_TRUE(run_until([&] { return ups == 2; }, 1200ms));
}

TEST_F(LinkTest, answers_what_waits_when_the_connection_ends)
{
    FakeDataplane dataplane(dir / "dataplane.sock");
    link.start();
    ASSERT_TRUE(run_until([&] { return link.is_up(); }));
    dataplane.is_mute = true;
    std::vector<Reply> replies;
    for (int i = 0; i < 3; i++) link.ping([&](const Reply& reply) { replies.push_back(reply); });
    run_until([] { return false; }, 50ms);
    EXPECT_TRUE(replies.empty());
    dataplane.drop_connection();
    ASSERT_TRUE(run_until([&] { return replies.size() == 3; }));
    for (const Reply& reply : replies) EXPECT_TRUE(reply.is_error && reply.is_lost);
}

TEST_F(LinkTest, answers_at_once_while_the_dataplane_is_away)
{
    link.start();
    Reply got;
    bool is_answered = false;
    link.ping([&](const Reply& reply) {
        got = reply;
        is_answered = true;
    });
    ASSERT_TRUE(run_until([&] { return is_answered; }, 500ms));
    EXPECT_TRUE(got.is_lost);
    EXPECT_NE(got.text.find("No such file"), std::string::npos) << got.text;
}

TEST_F(LinkTest, refuses_a_dataplane_of_another_version_and_says_so)
{
    FakeDataplane dataplane(dir / "dataplane.sock");
    dataplane.version = 77;
    link.start();
    ASSERT_TRUE(run_until([&] { return link.fault().find("version 77") != std::string::npos; }));
    EXPECT_EQ(ups, 0);
    EXPECT_EQ(dataplane.count(MessageType::kStaticKey), 0u);
}

TEST_F(LinkTest, refuses_counters_of_another_layout)
{
    FakeDataplane dataplane(dir / "dataplane.sock");
    for (const auto& [spoil, sentence] :
         std::vector<std::pair<std::function<void(api::CountersRegion*)>, std::string>>{
             {[](auto* region) { region->magic = 1; }, "magic"},
             {[](auto* region) { region->version = 9; }, "version 9"},
             {[](auto* region) { region->workers = 60; }, "too small"},
             {[](auto* region) { region->workers = 0; }, "too small"}}) {
        auto* region = dataplane.counters();
        region->magic = api::kCountersMagic;
        region->version = api::kCountersVersion;
        region->workers = 2;
        spoil(region);
        std::string error;
        EXPECT_FALSE(control::CountersView::map(dataplane.counters_fd(), error));
        EXPECT_NE(error.find(sentence), std::string::npos) << error;
    }
}

TEST_F(LinkTest, refuses_counters_that_could_shrink)
{
    FakeDataplane dataplane(dir / "dataplane.sock");
    const int loose = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ASSERT_EQ(ftruncate(loose, 1 << 20), 0);
    std::string error;
    EXPECT_FALSE(control::CountersView::map(loose, error));
    EXPECT_NE(error.find("not sealed"), std::string::npos) << error;
    close(loose);
}

TEST_F(LinkTest, hands_on_the_notes_about_handshakes)
{
    FakeDataplane dataplane(dir / "dataplane.sock");
    link.start();
    ASSERT_TRUE(run_until([&] { return link.is_up(); }));
    api::SeedBody note{};
    note.identity = 12;
    note.timestamp[0] = 0x40;
    dataplane.send_notes({note, note});
    ASSERT_TRUE(run_until([&] { return notes.size() == 2; }));
    EXPECT_EQ(notes[1].identity, 12u);
    EXPECT_EQ(notes[1].timestamp[0], 0x40);
}

TEST_F(LinkTest, reads_peers_page_by_page)
{
    FakeDataplane dataplane(dir / "dataplane.sock");
    std::vector<api::PeerStatus> peers(5);
    for (uint32_t i = 0; i < 5; i++) peers[i].identity = 10 + i;
    dataplane.set_peers(peers);
    dataplane.page = 2;
    link.start();
    ASSERT_TRUE(run_until([&] { return link.is_up(); }));
    std::vector<api::IdentityId> seen;
    bool is_done = false;
    std::function<void(api::IdentityId)> read = [&](api::IdentityId first) {
        link.get_peers(first, 0, [&](const PeersPage& page) {
            for (const auto& peer : page.peers) seen.push_back(peer.identity);
            if (page.next != 0)
                read(page.next);
            else
                is_done = true;
        });
    };
    read(0);
    ASSERT_TRUE(run_until([&] { return is_done; }));
    EXPECT_EQ(seen, (std::vector<api::IdentityId>{10, 11, 12, 13, 14}));
}

}  // namespace
}  // namespace sandgate::test
