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
// Included inside the namespace of one kernel, after kLanes.

// Packets planned at a time: the vector of the packet path (a burst).
constexpr uint32_t kSlicePackets = 64;
// A group picks its keys from a window of packets, which starts at the packet of its first lane.
constexpr uint32_t kWindowPackets = 2 * kLanes;
constexpr uint32_t kBlockBytes = 64;

struct Group
{
    uint32_t lanes;                       // used, 1 to kLanes
    uint32_t first_packet;                // the window
    bool one_packet;                      // all used lanes belong to first_packet
    alignas(64) uint32_t packet[kLanes];  // within the window
    alignas(64) uint32_t block[kLanes];
};

// The blocks first[i] to last[i] - 1 of the packets 0 to packets - 1.
class LanePlan
{
  public:
    LanePlan(const uint32_t* first, const uint32_t* last, uint32_t packets)
        : first_(first), last_(last), packets_(packets)
    {
        enter(0);
    }

    // False when no block is left.
    bool next(Group& group)
    {
        if (packet_ == packets_)
            return false;
        group.first_packet = packet_;
        uint32_t lane = 0;
        do {
            const uint32_t free = kLanes - lane, left = last_[packet_] - block_;
            const uint32_t run = left < free ? left : free;
            for (uint32_t i = 0; i < run; ++i) {
                group.packet[lane + i] = packet_ - group.first_packet;
                group.block[lane + i] = block_ + i;
            }
            lane += run;
            block_ += run;
            group.one_packet = group.first_packet == packet_;
            if (run == left)
                enter(packet_ + 1);
        } while (lane < kLanes && packet_ - group.first_packet < kWindowPackets &&
                 packet_ < packets_);
        group.lanes = lane;
        for (; lane < kLanes; ++lane) group.packet[lane] = group.block[lane] = 0;
        return true;
    }

  private:
    // The first packet from here on that has a block.
    void enter(uint32_t packet)
    {
        while (packet < packets_ && first_[packet] == last_[packet]) ++packet;
        packet_ = packet;
        if (packet < packets_)
            block_ = first_[packet];
    }

    const uint32_t* first_;
    const uint32_t* last_;
    uint32_t packets_;
    uint32_t packet_ = 0;
    uint32_t block_ = 0;
};
