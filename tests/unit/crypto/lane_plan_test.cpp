// The lane plan of the kernels with lanes across packets, on its own: with four lanes, which every
// build has, and no cryptography.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace sandgate::crypto::test {
namespace {

namespace planned {

constexpr uint32_t kLanes = 4;
typedef uint32_t Words __attribute__((vector_size(16)));

bool is_zero(Words x) { return (x[0] | x[1] | x[2] | x[3]) == 0; }

#include "crypto/kernels/lane_plan.inc.h"

}  // namespace planned

using planned::Group;
using planned::kLanes;
using planned::kWindowPackets;
using planned::LanePlan;

struct Lane
{
    uint32_t packet;
    uint32_t block;
    bool operator==(const Lane&) const = default;
};

// The blocks `first` to last[i] - 1 of each packet.
struct Blocks
{
    uint32_t first = 0;
    std::vector<uint32_t> last;

    LanePlan plan(uint32_t from = 0) const { return {first, last.data(), packets(), from}; }
    uint32_t packets() const { return static_cast<uint32_t>(last.size()); }
    std::vector<Lane> lanes(uint32_t from = 0) const
    {
        std::vector<Lane> all;
        for (uint32_t i = from; i < packets(); ++i)
            for (uint32_t block = first; block < last[i]; ++block) all.push_back({i, block});
        return all;
    }
};

// The lanes of a group as its runs say; the vectors must say the same.
std::vector<Lane> lanes_of(const Group& group)
{
    std::vector<Lane> lanes;
    if (group.runs == 0)
        for (uint32_t i = 0; i < kLanes; ++i)
            lanes.push_back({group.first_packet + group.packet[i], group.block[i]});
    for (uint32_t i = 0; i < group.runs; ++i)
        for (uint32_t k = 0; k < group.run[i].blocks; ++k) {
            const Lane lane{group.run[i].packet, group.run[i].first_block + k};
            EXPECT_EQ(group.first_packet + group.packet[lanes.size()], lane.packet);
            EXPECT_EQ(group.block[lanes.size()], lane.block);
            lanes.push_back(lane);
        }
    return lanes;
}

std::vector<std::vector<Lane>> groups_of(const Blocks& blocks, uint32_t from = 0)
{
    std::vector<std::vector<Lane>> groups;
    LanePlan plan = blocks.plan(from);
    Group group;
    while (plan.next(group)) {
        groups.push_back(lanes_of(group));
        EXPECT_LE(groups.back().back().packet - group.first_packet, kWindowPackets - 1);
        // What packet() says is done has no lane in a later group.
        if (!groups.back().empty()) {
            EXPECT_GE(plan.packet(), groups.back().back().packet);
        }
    }
    EXPECT_EQ(plan.packet(), blocks.packets());
    return groups;
}

TEST(LanePlan, has_no_group_without_blocks)
{
    EXPECT_TRUE(groups_of({}).empty());
    const Blocks empty{1, {1, 1, 1, 1, 1}};
    EXPECT_TRUE(groups_of(empty).empty());
}

TEST(LanePlan, fills_lanes_across_packets)
{
    // A A A B | B C C C | C C C D | D
    const Blocks blocks{0, {3, 2, 6, 2}};
    const std::vector<std::vector<Lane>> expected = {
        {{0, 0}, {0, 1}, {0, 2}, {1, 0}},
        {{1, 1}, {2, 0}, {2, 1}, {2, 2}},
        {{2, 3}, {2, 4}, {2, 5}, {3, 0}},
        {{3, 1}},
    };
    EXPECT_EQ(groups_of(blocks), expected);
}

TEST(LanePlan, has_every_block_once_in_order_and_only_the_last_group_is_not_full)
{
    std::mt19937 random(42);
    for (int repeat = 0; repeat < 2000; ++repeat) {
        Blocks blocks;
        const uint32_t packets = 1 + static_cast<uint32_t>(random() % 64);
        const uint32_t from = static_cast<uint32_t>(random() % packets);
        blocks.first = static_cast<uint32_t>(random() % 2);
        for (uint32_t i = 0; i < packets; ++i)
            blocks.last.push_back(blocks.first + 1 +
                                  static_cast<uint32_t>(random() % (repeat % 30 + 1)));
        std::vector<Lane> planned;
        const auto groups = groups_of(blocks, from);
        for (size_t g = 0; g < groups.size(); ++g) {
            if (g + 1 < groups.size()) {
                EXPECT_EQ(groups[g].size(), kLanes);
            }
            planned.insert(planned.end(), groups[g].begin(), groups[g].end());
        }
        ASSERT_EQ(planned, blocks.lanes(from)) << "repeat " << repeat;
    }
}

// Packets without text in between: a group ends early rather than reach behind its window.
TEST(LanePlan, skips_packets_without_blocks_and_stays_in_the_window)
{
    std::mt19937 random(43);
    for (int repeat = 0; repeat < 2000; ++repeat) {
        Blocks blocks;
        blocks.first = 1;
        for (uint32_t i = 0; i < 64; ++i)
            blocks.last.push_back(random() % 20 == 0 ? 1 + static_cast<uint32_t>(random() % 5) : 1);
        std::vector<Lane> planned;
        for (const auto& group : groups_of(blocks))
            planned.insert(planned.end(), group.begin(), group.end());
        ASSERT_EQ(planned, blocks.lanes()) << "repeat " << repeat;
    }
}

// Short packets need no runs.
TEST(LanePlan, gives_a_lane_to_each_of_packets_with_one_block)
{
    Blocks blocks{1, std::vector<uint32_t>(2 * kLanes, 2)};
    LanePlan plan = blocks.plan();
    Group group;
    ASSERT_TRUE(plan.next(group));
    EXPECT_EQ(group.runs, 0u);
    EXPECT_EQ(plan.packet(), kLanes);
    EXPECT_EQ(groups_of(blocks).size(), 2u);

    blocks.last[kLanes - 1] = 3;
    plan = blocks.plan();
    ASSERT_TRUE(plan.next(group));
    EXPECT_EQ(group.runs, kLanes);
}

TEST(LanePlan, gives_a_lane_to_the_one_time_key_of_each_packet)
{
    Group group;
    planned::set_block_each(group, kLanes, 0);
    EXPECT_EQ(group.first_packet, kLanes);
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
        EXPECT_EQ(group.packet[lane], lane);
        EXPECT_EQ(group.block[lane], 0u);
    }
}

}  // namespace
}  // namespace sandgate::crypto::test
