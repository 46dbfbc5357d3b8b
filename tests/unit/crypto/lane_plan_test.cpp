// The lane plan of the kernels with lanes across packets, on its own: with four lanes, which every
// build has, and no cryptography.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

namespace sandgate::crypto::test {
namespace {

namespace planned {

constexpr uint32_t kLanes = 4;
typedef uint32_t Words __attribute__((vector_size(16)));

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

struct Blocks
{
    std::vector<uint32_t> first, last;

    void add(uint32_t from, uint32_t to)
    {
        first.push_back(from);
        last.push_back(to);
    }
    LanePlan plan() const { return {first.data(), last.data(), packets()}; }
    uint32_t packets() const { return static_cast<uint32_t>(first.size()); }
    std::vector<Lane> lanes() const
    {
        std::vector<Lane> all;
        for (uint32_t i = 0; i < packets(); ++i)
            for (uint32_t block = first[i]; block < last[i]; ++block) all.push_back({i, block});
        return all;
    }
};

// The lanes of a group as its runs say; the vectors must say the same.
std::vector<Lane> lanes_of(const Group& group)
{
    std::vector<Lane> lanes;
    for (uint32_t i = 0; i < group.runs; ++i)
        for (uint32_t k = 0; k < group.run[i].blocks; ++k) {
            const Lane lane{group.run[i].packet, group.run[i].first_block + k};
            EXPECT_EQ(group.first_packet + group.packet[lanes.size()], lane.packet);
            EXPECT_EQ(group.block[lanes.size()], lane.block);
            lanes.push_back(lane);
        }
    return lanes;
}

std::vector<std::vector<Lane>> groups_of(const Blocks& blocks)
{
    std::vector<std::vector<Lane>> groups;
    LanePlan plan = blocks.plan();
    Group group;
    while (plan.next(group)) {
        EXPECT_FALSE(group.is_keys);
        groups.push_back(lanes_of(group));
        EXPECT_LE(groups.back().back().packet - group.first_packet, kWindowPackets - 1);
    }
    return groups;
}

TEST(LanePlan, has_no_group_without_blocks)
{
    EXPECT_TRUE(groups_of({}).empty());
    Blocks empty;
    for (int i = 0; i < 5; ++i) empty.add(1, 1);
    EXPECT_TRUE(groups_of(empty).empty());
}

TEST(LanePlan, fills_lanes_across_packets)
{
    // A A A B | B C C C | C C C D | D
    Blocks blocks;
    blocks.add(0, 3);
    blocks.add(0, 2);
    blocks.add(0, 6);
    blocks.add(0, 2);
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
        const uint32_t first = static_cast<uint32_t>(random() % 2);
        for (uint32_t i = 0; i < packets; ++i)
            blocks.add(first, first + 1 + static_cast<uint32_t>(random() % (repeat % 30 + 1)));
        std::vector<Lane> planned;
        const auto groups = groups_of(blocks);
        for (size_t g = 0; g < groups.size(); ++g) {
            if (g + 1 < groups.size()) {
                EXPECT_EQ(groups[g].size(), kLanes);
            }
            planned.insert(planned.end(), groups[g].begin(), groups[g].end());
        }
        ASSERT_EQ(planned, blocks.lanes()) << "repeat " << repeat;
    }
}

// Packets without text in between: a group ends early rather than reach behind its window.
TEST(LanePlan, skips_packets_without_blocks_and_stays_in_the_window)
{
    std::mt19937 random(43);
    for (int repeat = 0; repeat < 2000; ++repeat) {
        Blocks blocks;
        for (uint32_t i = 0; i < 64; ++i)
            blocks.add(1, random() % 20 == 0 ? 1 + static_cast<uint32_t>(random() % 5) : 1);
        std::vector<Lane> planned;
        for (const auto& group : groups_of(blocks))
            planned.insert(planned.end(), group.begin(), group.end());
        ASSERT_EQ(planned, blocks.lanes()) << "repeat " << repeat;
    }
}

TEST(LanePlan, gives_a_lane_to_the_one_time_key_of_each_packet)
{
    const Group group = planned::key_group(kLanes);
    EXPECT_TRUE(group.is_keys);
    EXPECT_EQ(group.first_packet, kLanes);
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
        EXPECT_EQ(group.packet[lane], lane);
        EXPECT_EQ(group.block[lane], 0u);
    }
}

}  // namespace
}  // namespace sandgate::crypto::test
