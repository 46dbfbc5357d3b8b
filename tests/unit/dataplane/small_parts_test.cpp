// Address table, neighbours, token bucket, open budget, the arithmetic of checksums and the command
// line's timeouts.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "dataplane/options.h"
#include "dataplane/pipeline/inner_header.h"
#include "dataplane/policy/address_table.h"
#include "dataplane/slowpath/neighbours.h"
#include "dataplane/worker/open_budget.h"
#include "dataplane/worker/token_bucket.h"
#include "tests/support/packet_builder.h"

namespace sandgate::test {
namespace {

using namespace dp;

TEST(AddressTable, finds_the_longest_prefix_as_a_naive_search_does)
{
    std::mt19937 random(4);
    for (int round = 0; round < 20; round++) {
        const auto address = [&] {
            api::Address a = address_of(random() % 2 == 0 ? "10.0.0.0" : "fd00::");
            for (int i = 0; i < 3; i++)
                a.bytes[13 + random() % 3] = static_cast<uint8_t>(random() % 4);
            return a;
        };
        std::vector<api::AddressRow> rows;
        for (uint32_t i = 1; i <= 300; i++) {
            const auto prefix = static_cast<uint8_t>(random() % 3 == 0 ? 128 : 96 + random() % 33);
            const api::Address network = masked(address(), prefix);
            const bool is_there = std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
                return row.prefix == prefix && row.address == network;
            });
            if (!is_there)
                rows.push_back({network, i, prefix, {}});
        }
        if (round % 2 == 0)
            rows.push_back({{}, 999, 0, {}});
        AddressTable table;
        table.build(rows, random());
        for (int i = 0; i < 3000; i++) {
            const api::Address wanted = address();
            const api::AddressRow* best = nullptr;
            for (const auto& row : rows)
                if (is_within(wanted, row.address, row.prefix) &&
                    (best == nullptr || row.prefix > best->prefix))
                    best = &row;
            ASSERT_EQ(table.find(wanted), best == nullptr ? api::kNoIdentity : best->identity);
        }
    }
    EXPECT_EQ(AddressTable().find(address_of("10.0.0.1")), api::kNoIdentity);
}

TEST(AddressTable, masks_and_compares_bit_by_bit)
{
    std::mt19937 random(4);
    for (int i = 0; i < 2000; i++) {
        api::Address a, b;
        for (int k = 0; k < 16; k++) a.bytes[k] = b.bytes[k] = static_cast<uint8_t>(random());
        const unsigned bit = random() % 128;
        b.bytes[bit / 8] ^= static_cast<uint8_t>(0x80 >> bit % 8);
        for (const unsigned prefix : {0u, bit, bit + 1, 128u}) {
            EXPECT_EQ(is_within(a, b, prefix), prefix <= bit);
            EXPECT_EQ(masked(a, prefix) == masked(b, prefix), prefix <= bit);
        }
    }
}

TEST(Neighbours, remember_replace_and_forget)
{
    Neighbours neighbours;
    const uint8_t mac[6] = {2, 1, 1, 1, 1, 1}, other[6] = {2, 2, 2, 2, 2, 2};
    uint8_t found[6];
    const auto four = address_of("192.0.2.7"), six = address_of("2001:db8::7");
    EXPECT_FALSE(neighbours.find(0, four, found));
    neighbours.set(0, four, mac);
    neighbours.set(1, six, other);
    ASSERT_TRUE(neighbours.find(0, four, found));
    EXPECT_EQ(0, std::memcmp(found, mac, 6));
    EXPECT_FALSE(neighbours.find(1, four, found)) << "a port has its own neighbours";
    neighbours.set(0, four, other);
    ASSERT_TRUE(neighbours.find(0, four, found));
    EXPECT_EQ(0, std::memcmp(found, other, 6));
    neighbours.erase(0, four);
    EXPECT_FALSE(neighbours.find(0, four, found));
    EXPECT_TRUE(neighbours.find(1, six, found));
}

TEST(Neighbours, stay_within_their_places_when_flooded)
{
    Neighbours neighbours;
    for (uint32_t n = 0; n < 4 * Neighbours::kEntries; n++) {
        api::Address address = address_of("fd00::");
        std::memcpy(&address.bytes[12], &n, 4);
        const uint8_t mac[6] = {2, 0, 0, 0, 0, static_cast<uint8_t>(n)};
        uint8_t found[6];
        neighbours.set(0, address, mac);
        ASSERT_TRUE(neighbours.find(0, address, found)) << "what was set last is there";
        ASSERT_EQ(found[5], mac[5]);
    }
}

TEST(Neighbours, never_show_half_a_change)
{
    Neighbours neighbours;
    const auto address = address_of("192.0.2.7");
    std::atomic<bool> is_done{false};
    std::thread writer([&] {
        for (unsigned i = 0; !is_done; i++) {
            const auto b = static_cast<uint8_t>(i);
            const uint8_t mac[6] = {b, b, b, b, b, b};
            neighbours.set(0, address, mac);
            if (i % 16 == 0)
                neighbours.erase(0, address);
        }
    });
    unsigned torn = 0;
    for (unsigned found = 0; found < 300'000;) {
        uint8_t mac[6];
        if (!neighbours.find(0, address, mac))
            continue;
        found++;
        for (int i = 1; i < 6; i++) torn += mac[i] != mac[0];
    }
    is_done = true;
    writer.join();
    EXPECT_EQ(torn, 0u);
}

TEST(TokenBucket, spends_what_time_earns_and_saves_no_more_than_a_burst)
{
    TokenBucket bucket(1000, 10);
    const auto spend = [&](uint64_t now_ns) {
        unsigned taken = 0;
        while (bucket.take(now_ns)) taken++;
        return taken;
    };
    EXPECT_EQ(spend(1'000'000'000), 10u);
    EXPECT_EQ(spend(1'000'000'000), 0u);
    EXPECT_EQ(spend(1'000'999'999), 0u);
    EXPECT_EQ(spend(1'003'000'000), 3u);
    EXPECT_EQ(spend(900'000'000'000), 10u);
    EXPECT_EQ(spend(1), 0u) << "time does not run back";
}

TEST(OpenBudget, is_per_index_and_window)
{
    OpenBudget budget;
    for (unsigned i = 0; i < OpenBudget::kPerWindow; i++) {
        EXPECT_TRUE(budget.has_credit(77, 1000));
        budget.note_forgery(77, 1000);
    }
    EXPECT_FALSE(budget.has_credit(77, 1000));
    for (int i = 0; i < 1000; i++) budget.note_forgery(77, 1000);
    EXPECT_FALSE(budget.has_credit(77, OpenBudget::kWindowNs - 1)) << "it does not wrap";
    EXPECT_TRUE(budget.has_credit(77, OpenBudget::kWindowNs));
    EXPECT_TRUE(budget.has_credit(78, 1000));
}

TEST(Checksum, agrees_with_rfc_1071_and_rfc_1624)
{
    std::mt19937 random(9);
    for (int i = 0; i < 5000; i++) {
        Bytes bytes = pattern(random() % 80 + 2, random());
        EXPECT_EQ(fold_checksum(sum_of(bytes.data(), bytes.size())), internet_checksum(bytes));
        const uint16_t before = internet_checksum(bytes);
        const size_t at = random() % (bytes.size() / 2) * 2;
        const uint16_t old_word = get16(bytes, at);
        put16(bytes, at, static_cast<unsigned>(random() % 65536));
        if (internet_checksum(bytes) != 0xffff) {  // RFC 1624 section 3: the two zeroes
            EXPECT_EQ(updated_checksum(before, old_word, get16(bytes, at)),
                      internet_checksum(bytes));
        }
    }
}

Options options_with(const char* timeout)
{
    std::vector<std::string> words = {
        "sandgate-dataplane", "--control-socket", "x",    "--worker-core", "1", "--port",
        "wan=wan=x",          "--flow-timeout",   timeout};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

TEST(Options, set_one_timeout_of_flows_by_its_name)
{
    for (const api::FlowTimeoutName& known : api::kFlowTimeoutNames) {
        const std::string text = std::string(known.option) + "=12345";
        const api::FlowTimeouts timeouts = options_with(text.c_str()).flow_timeouts, defaults;
        for (const api::FlowTimeoutName& other : api::kFlowTimeoutNames)
            EXPECT_EQ(timeouts.*other.field,
                      other.field == known.field ? 12'345'000 : defaults.*other.field)
                << text << ": " << other.option;
    }
    EXPECT_EQ(options_with("tcp-pick-up=0").flow_timeouts.tcp_pick_up_ms, 0u);
    for (const char* wrong :
         {"udp-opening", "udp-opening=", "udp-opening=x", "udp-opening=1x", "udp-opening=-1",
          "udp-opening=0", "udp-opening=2592001", "udp=5", "udp_opening=5", "=5", ""})
        EXPECT_EXIT(options_with(wrong), testing::ExitedWithCode(2), "NAME=SECONDS") << wrong;
}

}  // namespace
}  // namespace sandgate::test
