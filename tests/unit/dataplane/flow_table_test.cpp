// The flow table against std::map, filled to its capacity, aged and reused.
#include "dataplane/flow/flow_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/support/packet_builder.h"

namespace sandgate::test {
namespace {

using namespace dp;

FlowKey key_of_number(uint32_t n, uint8_t protocol = 17)
{
    FlowKey key;
    key.agent = address_of("10.9.1.1");
    key.peer = address_of("fd00::");
    std::memcpy(&key.peer.bytes[8], &n, 4);
    key.ends = FlowKey::pack(static_cast<uint16_t>(n * 31), 0, n % 5 + 1, protocol);
    return key;
}

Flow* insert(FlowTable& table, const FlowKey& key, uint64_t now_ns = 0)
{
    return table.insert(key, table.hash_of(key), now_ns);
}
Flow* find(FlowTable& table, const FlowKey& key) { return table.find(key, table.hash_of(key)); }

// One slice of a walk that ends what was silent too long.
uint32_t age(FlowTable& table, uint32_t limit, uint32_t now_ms, const api::FlowTimeouts& timeouts)
{
    uint32_t ended = 0;
    for (Flow& flow : table.walk(limit)) {
        if (flow.state == kFlowFree || !has_timed_out(flow, now_ms, timeouts))
            continue;
        table.erase(&flow);
        ended++;
    }
    return ended;
}

TEST(FlowTable, behaves_as_a_map)
{
    FlowTable table(512, 99);
    std::map<uint32_t, Flow*> model;
    std::mt19937 random(1);
    for (int i = 0; i < 200'000; i++) {
        const uint32_t n = random() % 1200;
        const FlowKey key = key_of_number(n);
        const auto known = model.find(n);
        ASSERT_EQ(find(table, key), known == model.end() ? nullptr : known->second) << i;
        if (known == model.end() && random() % 2 == 0) {
            Flow* flow = insert(table, key);
            ASSERT_EQ(flow == nullptr, model.size() == table.capacity());
            if (flow == nullptr)
                continue;
            EXPECT_EQ(flow->state, kFlowOpening);
            flow->rule = n + 1;
            model[n] = flow;
        } else if (known != model.end() && random() % 3 == 0) {
            ASSERT_EQ(known->second->rule, n + 1);
            table.erase(known->second);
            model.erase(known);
        }
        ASSERT_EQ(table.used(), model.size());
    }
}

TEST(FlowTable, fills_to_its_capacity_and_empties)
{
    for (const uint32_t capacity : {1u, 16u, 1000u, 1u << 16}) {
        FlowTable table(capacity, 5);
        for (uint32_t n = 0; n < capacity; n++)
            ASSERT_NE(insert(table, key_of_number(n)), nullptr) << n << " of " << capacity;
        EXPECT_EQ(insert(table, key_of_number(capacity)), nullptr);
        for (uint32_t n = 0; n < capacity; n++) ASSERT_NE(find(table, key_of_number(n)), nullptr);
        for (uint32_t n = 0; n < capacity; n++) table.erase(find(table, key_of_number(n)));
        EXPECT_EQ(table.used(), 0u);
        EXPECT_EQ(find(table, key_of_number(0)), nullptr);
        EXPECT_NE(insert(table, key_of_number(7)), nullptr);
    }
}

TEST(FlowTable, tells_keys_with_one_hash_apart)
{
    FlowTable table(64, 5);
    for (uint32_t n = 0; n < 40; n++) {
        Flow* flow = table.insert(key_of_number(n), 0x1234, 0);
        ASSERT_NE(flow, nullptr);
        flow->rule = n + 1;
    }
    for (uint32_t n = 0; n < 40; n += 2) table.erase(table.find(key_of_number(n), 0x1234));
    for (uint32_t n = 0; n < 40; n++) {
        const Flow* flow = table.find(key_of_number(n), 0x1234);
        ASSERT_EQ(flow == nullptr, n % 2 == 0);
        EXPECT_TRUE(flow == nullptr || flow->rule == n + 1);
    }
}

TEST(FlowTable, ages_each_flow_by_its_protocol_and_state)
{
    const api::FlowTimeouts timeouts;
    const struct
    {
        uint8_t protocol, state, marks;
        uint32_t timeout_ms;
    } cases[] = {{6, kFlowOpening, 0, timeouts.tcp_opening_ms},
                 {6, kFlowAnswered, 0, timeouts.tcp_opening_ms},
                 {6, kFlowPickedUp, 0, timeouts.tcp_opening_ms},
                 {6, kFlowEstablished, 0, timeouts.tcp_established_ms},
                 {6, kFlowEstablished, reset_of(kAnswerer), timeouts.tcp_closed_ms},
                 {6, kFlowClosing, 0, timeouts.tcp_closing_ms},
                 {6, kFlowClosed, 0, timeouts.tcp_closed_ms},
                 {17, kFlowOpening, 0, timeouts.udp_opening_ms},
                 {17, kFlowEstablished, 0, timeouts.udp_established_ms},
                 {1, kFlowOpening, 0, timeouts.icmp_ms},
                 {58, kFlowEstablished, 0, timeouts.icmp_ms},
                 {47, kFlowOpening, 0, timeouts.other_ms}};
    EXPECT_GE(timeouts.tcp_established_ms, 2u * 3600 * 1000 + 4 * 60 * 1000) << "RFC 5382 REQ-5";
    EXPECT_GE(timeouts.tcp_opening_ms, 4u * 60 * 1000) << "RFC 5382 REQ-5";
    EXPECT_GE(timeouts.udp_opening_ms, 2u * 60 * 1000) << "RFC 4787 REQ-5";
    EXPECT_GE(timeouts.icmp_ms, 60u * 1000) << "RFC 5508 REQ-1";
    for (const uint32_t start : {1000u, 0xffffff00u})  // the clock of milliseconds wraps
        for (const auto& c : cases) {
            FlowTable table(64, 1);
            const FlowKey key = key_of_number(1, c.protocol);
            Flow* flow = insert(table, key, 77'123'456'789);
            flow->state = c.state;
            flow->marks = c.marks;
            flow->last_seen_ms = start;
            EXPECT_EQ(table.cold_of(flow).start_s, 77u);
            EXPECT_EQ(table.cold_of(flow).start_ms, 123u);
            EXPECT_EQ(age(table, 64, start + c.timeout_ms, timeouts), 0u);
            EXPECT_EQ(age(table, 64, start + c.timeout_ms + 1, timeouts), 1u);
            EXPECT_EQ(find(table, key), nullptr);
        }
}

TEST(FlowTable, ages_all_in_slices_and_reuses_entries_clean)
{
    FlowTable table(256, 1);
    for (uint32_t n = 0; n < 256; n++)
        table.cold_of(insert(table, key_of_number(n))).packets[0] = 9;
    uint32_t ended = 0;
    for (int slice = 0; slice < 40; slice++) ended += age(table, 8, 200'000, api::FlowTimeouts{});
    EXPECT_EQ(table.erased(), 256u);
    EXPECT_EQ(ended, 256u);
    Flow* flow = insert(table, key_of_number(1), 5);
    EXPECT_EQ(table.cold_of(flow).packets[0], 0u);
    EXPECT_EQ(flow->marks, 0);
}

TEST(FlowTable, walks_over_every_entry_again_and_again)
{
    FlowTable table(100, 1);
    EXPECT_TRUE(table.walk(64).empty());
    for (uint32_t n = 0; n < 70; n++) insert(table, key_of_number(n));
    EXPECT_EQ(table.walk_length(), 70u);
    std::map<const Flow*, int> seen;
    for (int round = 0; round < 6; round++)
        for (const Flow& flow : table.walk(32)) seen[&flow]++;
    EXPECT_EQ(seen.size(), 70u);
    for (const auto& [flow, times] : seen) EXPECT_EQ(times, 2);
}

}  // namespace
}  // namespace sandgate::test
