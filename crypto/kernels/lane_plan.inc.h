// The lane plan: which 64-byte block of which packet each vector lane computes. It walks the
// packets in order and each packet's blocks in order, and cuts that row of blocks into groups of
// kLanes, so that lanes are full whatever the mix of lengths; only the last group of a slice may
// have empty lanes.
//
//   blocks    | A0 A1 A2 | B0 B1 | C0 C1 C2 C3 C4 C5 ... | D0 D1 |
//   groups    |<------- kLanes ------->|<------- kLanes ------->|
//
// Block 0 makes the one-time key of Poly1305, block n the keystream of text bytes 64 (n - 1) on
// (RFC 8439 section 2.8). Lengths are public, so the plan may branch on them.
//
// Included inside the namespace of one kernel, after Words, a vector of kLanes 32-bit words, and
// is_zero(Words).

// NOLINTBEGIN(misc-definitions-in-headers): a test includes this file, too, in its own namespace.
// Packets planned at a time: the vector of the packet path (a burst).
constexpr uint32_t kSlicePackets = 64;
// A group picks its keys from a window of packets, which starts at the packet of its first lane.
constexpr uint32_t kWindowPackets = 2 * kLanes;
constexpr uint32_t kBlockBytes = 64;
// NOLINTEND(misc-definitions-in-headers)

// Neighbouring lanes with consecutive blocks of one packet.
struct Run
{
    uint32_t packet;
    uint32_t first_block;
    uint32_t blocks;
};

struct Group
{
    uint32_t runs;          // 0: lane n has block[n] of packet first_packet + n, and nothing else
    Run run[kLanes];        // in the order of the lanes, from lane 0 on
    uint32_t first_packet;  // the window
    Words packet;           // of each lane, within the window
    Words block;            // of each lane
};

[[gnu::always_inline]] inline Words lane_numbers()
{
    Words lanes;
    for (uint32_t i = 0; i < kLanes; ++i) lanes[i] = i;
    return lanes;
}

// The same block of kLanes packets. Of block 0, that is all that verification needs.
[[gnu::always_inline]] inline void set_block_each(Group& group, uint32_t first_packet,
                                                  uint32_t block)
{
    group.runs = 0;
    group.first_packet = first_packet;
    group.packet = lane_numbers();
    group.block = Words{} + block;
}

// The blocks `first` to last[i] - 1 of the packets from `from` on and before `packets`.
class LanePlan
{
  public:
    LanePlan(uint32_t first, const uint32_t* last, uint32_t packets, uint32_t from = 0)
        : first_(first), last_(last), packets_(packets)
    {
        enter(from);
    }

    // All packets before this one are planned to their last block.
    uint32_t packet() const { return packet_; }

    // False when no block is left.
    bool next(Group& group)
    {
        if (packet_ == packets_)
            return false;
        if (each_has_one()) {
            set_block_each(group, packet_, block_);
            enter(packet_ + kLanes);
            return true;
        }
        group.first_packet = packet_;
        group.runs = 0;
        group.packet = group.block = Words{};
        const Words lanes = lane_numbers();
        uint32_t lane = 0;
        do {
            const uint32_t free = kLanes - lane, left = last_[packet_] - block_;
            const uint32_t blocks = left < free ? left : free;
            group.run[group.runs++] = {packet_, block_, blocks};
            // From this lane on; a later run corrects what is too much.
            const auto is_behind = lanes >= lane;
            group.packet = is_behind ? Words{} + (packet_ - group.first_packet) : group.packet;
            group.block = is_behind ? lanes + (block_ - lane) : group.block;
            lane += blocks;
            block_ += blocks;
            if (blocks == left)
                enter(packet_ + 1);
        } while (lane < kLanes && packet_ - group.first_packet < kWindowPackets &&
                 packet_ < packets_);
        return true;
    }

  private:
    // Whether the next kLanes packets have one block left each, and the same: short packets, which
    // need no plan.
    bool each_has_one() const
    {
        if (packet_ + kLanes > packets_ || block_ != first_ || last_[packet_] != first_ + 1)
            return false;
        Words last;
        std::memcpy(&last, last_ + packet_, sizeof last);
        return is_zero(last ^ (first_ + 1));
    }

    // The first packet from here on that has a block.
    void enter(uint32_t packet)
    {
        while (packet < packets_ && last_[packet] == first_) ++packet;
        packet_ = packet;
        block_ = first_;
    }

    uint32_t first_;
    const uint32_t* last_;
    uint32_t packets_;
    uint32_t packet_ = 0;
    uint32_t block_ = 0;
};
