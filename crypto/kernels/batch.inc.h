// Sealing and opening a batch, written once for all kernels with lanes across packets.
//
//   seal:  block 0 of all packets -> one-time keys;  the other blocks -> ciphertext;  tags
//   open:  block 0 of all packets -> one-time keys;  tags;  the other blocks of what passed
//
// Included inside the namespace of one kernel, after lane_plan.inc.h and chacha20.inc.h, and after
// what the vectors of that kernel must do:
//   pick(column, group)            one word of the packet of each lane
//   spread(value)                  one value in every lane
//   store_blocks(to, words)        from words of kLanes blocks to kLanes blocks of words
//   xor_bytes(text, stream, n)     text ^= stream, n bytes
//   for_each_tag(slice, use)       Poly1305 of all packets: use(packet, tag of 16 bytes)
//   wipe(data, bytes)

constexpr uint32_t kKeyWords = 8;
// Behind the last packet's column stands what a window may read and no lane uses.
constexpr uint32_t kColumnLength = kSlicePackets + kWindowPackets;

// What is known of one slice of a batch. It holds keys, and is wiped when it goes.
struct Slice
{
    uint32_t packets;
    uint32_t first_block[kSlicePackets];
    uint32_t last_block[kSlicePackets];
    uint8_t* data[kSlicePackets];
    uint32_t bytes[kSlicePackets];
    // Words 4 to 11 of each packet's state, and 14 and 15. Word 13 is zero (see nonce.h).
    alignas(64) uint32_t key[kKeyWords][kColumnLength];
    alignas(64) uint32_t counter_low[kColumnLength];
    alignas(64) uint32_t counter_high[kColumnLength];
    alignas(64) uint8_t one_time_key[kSlicePackets][32];
    int groups;  // of which the keystream is there
    Group group[kGroupsAtOnce];
    Words start[kGroupsAtOnce][16];
    alignas(64) uint8_t keystream[kGroupsAtOnce][kLanes * kBlockBytes];
    uint8_t order[kSlicePackets + kPolyLanes];  // packets by length, for Poly1305
    uint32_t used_packets = 0;                  // the most so far: what must be wiped
    int used_groups = 0;

    Slice() {}
    Slice(const Slice&) = delete;
    Slice& operator=(const Slice&) = delete;
    ~Slice()
    {
        constexpr uint32_t kPart = 16;  // packets; sizes that the compiler knows are wiped fast
        for (uint32_t i = 0; i < used_packets; i += kPart) {
            for (auto& word : key) wipe(word + i, kPart * sizeof word[0]);
            wipe(one_time_key + i, kPart * sizeof one_time_key[0]);
        }
        for (int g = 0; g < used_groups; ++g) {
            wipe(start + g, sizeof start[0]);
            wipe(keystream + g, sizeof keystream[0]);
        }
    }
};

[[gnu::always_inline]] inline void load_slice(Slice& slice, const AeadJob* jobs, uint32_t packets)
{
    slice.packets = packets;
    slice.used_packets = packets > slice.used_packets ? packets : slice.used_packets;
    for (uint32_t i = 0; i < packets; ++i) {
        const AeadJob& job = jobs[i];
        slice.data[i] = job.data;
        slice.bytes[i] = job.text_bytes;
        uint32_t words[kKeyWords];
        std::memcpy(words, job.key, sizeof words);
        for (uint32_t word = 0; word < kKeyWords; ++word) slice.key[word][i] = words[word];
        slice.counter_low[i] = static_cast<uint32_t>(job.counter);
        slice.counter_high[i] = static_cast<uint32_t>(job.counter >> 32);
    }
}

inline uint32_t text_blocks(uint32_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes; }

// Words 0 to 3 of every state.
constexpr uint32_t kConstants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

// The state of each lane's block before the rounds (RFC 8439 section 2.3).
[[gnu::always_inline]] inline void start_state(Words (&state)[16], const Slice& slice,
                                               const Group& group)
{
    for (uint32_t i = 0; i < 4; ++i) state[i] = spread(kConstants[i]);
    for (uint32_t i = 0; i < kKeyWords; ++i) state[4 + i] = pick(slice.key[i], group);
    state[12] = group.block;
    state[13] = spread(0);
    state[14] = pick(slice.counter_low, group);
    state[15] = pick(slice.counter_high, group);
}

// Takes the one-time keys of a group, and xors the texts of the packets in `release` (bit i: packet
// i).
[[gnu::always_inline]] inline void use_keystream(Slice& slice, int g, uint64_t release)
{
    const Group& group = slice.group[g];
    const uint8_t* stream = slice.keystream[g];
    if (group.is_keys) {
        for (uint32_t i = 0; i < kLanes; ++i)
            std::memcpy(slice.one_time_key[group.first_packet + i], stream + kBlockBytes * i, 32);
        return;
    }
    for (uint32_t i = 0; i < group.runs; ++i) {
        Run run = group.run[i];
        if (run.first_block == 0) {
            std::memcpy(slice.one_time_key[run.packet], stream, 32);
            stream += kBlockBytes;
            if (run.blocks == 1)
                continue;
            ++run.first_block;
            --run.blocks;
        }
        const uint32_t done = kBlockBytes * (run.first_block - 1);
        const uint32_t left = slice.bytes[run.packet] - done, made = kBlockBytes * run.blocks;
        if ((release >> run.packet & 1) != 0)
            xor_bytes(slice.data[run.packet] + done, stream, left < made ? left : made);
        stream += made;
    }
}

// The blocks of the first groups of the slice, from the state to the bytes.
template <int groups>
void run_groups(Slice& slice, uint64_t release)
{
    Words x[groups][16];
    for (int g = 0; g < groups; ++g) {
        start_state(slice.start[g], slice, slice.group[g]);
        for (int i = 0; i < 16; ++i) x[g][i] = slice.start[g][i];
    }
    twenty_rounds(x);
    for (int g = 0; g < groups; ++g) {
        for (int i = 0; i < 16; ++i) x[g][i] += slice.start[g][i];
        store_blocks(slice.keystream[g], x[g]);
        use_keystream(slice, g, release);
    }
    slice.groups = groups;
    slice.used_groups = groups > slice.used_groups ? groups : slice.used_groups;
}

inline void run_blocks(Slice& slice, uint64_t release)
{
    LanePlan plan(slice.first_block, slice.last_block, slice.packets);
    while (plan.next(slice.group[0])) {
        if (kGroupsAtOnce == 2 && plan.next(slice.group[kGroupsAtOnce - 1]))
            run_groups<kGroupsAtOnce>(slice, release);
        else
            run_groups<1>(slice, release);
    }
}

inline void run_keys(Slice& slice)
{
    for (uint32_t i = 0; i < slice.packets; i += kGroupsAtOnce * kLanes) {
        for (int g = 0; g < kGroupsAtOnce; ++g)
            slice.group[g] = key_group(i + static_cast<uint32_t>(g) * kLanes);
        if (slice.packets - i > kLanes)
            run_groups<kGroupsAtOnce>(slice, 0);
        else
            run_groups<1>(slice, 0);
    }
}

// Poly1305 steps all packets of a group together, so packets of about the same length share one:
// a counting sort by blocks of 64 bytes, the longest lengths in one bucket.
inline void order_by_length(Slice& slice)
{
    constexpr uint32_t kBuckets = 32;
    uint8_t start[kBuckets + 1] = {};
    const auto bucket_of = [&](uint32_t i) {
        const uint32_t blocks = text_blocks(slice.bytes[i]);
        return blocks < kBuckets ? blocks : kBuckets - 1;
    };
    bool in_order = true;
    for (uint32_t i = 1; i < slice.packets; ++i) in_order &= slice.bytes[i] == slice.bytes[0];
    if (in_order) {
        for (uint32_t i = 0; i < slice.packets; ++i) slice.order[i] = static_cast<uint8_t>(i);
    } else {
        for (uint32_t i = 0; i < slice.packets; ++i) ++start[bucket_of(i) + 1];
        for (uint32_t i = 1; i <= kBuckets; ++i)
            start[i] = static_cast<uint8_t>(start[i] + start[i - 1]);
        for (uint32_t i = 0; i < slice.packets; ++i)
            slice.order[start[bucket_of(i)]++] = static_cast<uint8_t>(i);
    }
    // A last group that is not full computes its last packet more than once.
    for (uint32_t i = 0; i < kPolyLanes; ++i)
        slice.order[slice.packets + i] = slice.order[slice.packets - 1];
}

// Short: all blocks fit the groups that run at once, and the one-time keys are made with the texts'
// keystream. Otherwise they come first, in groups of their own.
[[gnu::always_inline]] inline bool is_short(const Slice& slice)
{
    uint32_t blocks = 0;
    for (uint32_t i = 0; i < slice.packets; ++i) blocks += 1 + text_blocks(slice.bytes[i]);
    return blocks <= kGroupsAtOnce * kLanes;
}

// The blocks of the packets in `chosen`, from first_block on, xored into their texts if `release`
// has them, too.
inline void run_texts(Slice& slice, uint32_t first_block, uint64_t chosen, uint64_t release)
{
    for (uint32_t i = 0; i < slice.packets; ++i) {
        slice.first_block[i] = first_block;
        slice.last_block[i] =
            (chosen >> i & 1) != 0 ? 1 + text_blocks(slice.bytes[i]) : first_block;
    }
    run_blocks(slice, release);
}

constexpr uint64_t kAll = ~uint64_t{0};

inline void seal_slice(Slice& slice)
{
    // Fewer packets than lanes: a group of one-time keys would not be full.
    if (slice.packets < kLanes || is_short(slice)) {
        run_texts(slice, 0, kAll, kAll);
    } else {
        run_keys(slice);
        run_texts(slice, 1, kAll, kAll);
    }
    order_by_length(slice);
    for_each_tag(slice, [&](uint32_t packet, const uint8_t* tag) {
        std::memcpy(slice.data[packet] + slice.bytes[packet], tag, kTagBytes);
    });
}

// Whether a tag is right is public, and the only thing that a secret decides.
[[gnu::noinline]] uint64_t declassify_verdicts(uint64_t authentic) { return declassify(authentic); }

// 1 when two tags are equal, else 0. No early exit.
[[gnu::always_inline]] inline uint64_t is_equal(const uint8_t* tag, const uint8_t* other)
{
    uint64_t a[2], b[2];
    std::memcpy(a, tag, kTagBytes);
    std::memcpy(b, other, kTagBytes);
    const uint64_t difference = (a[0] ^ b[0]) | (a[1] ^ b[1]);
    return ~(difference | -difference) >> 63;
}

// Bit i: the tag of packet i is right.
inline uint64_t check_tags(const Slice& slice)
{
    uint64_t authentic = 0;
    for_each_tag(slice, [&](uint32_t packet, const uint8_t* tag) {
        authentic |= is_equal(tag, slice.data[packet] + slice.bytes[packet]) << packet;
    });
    return declassify_verdicts(authentic);
}

// The same, bit by bit. Nothing is decrypted before its tag was verified; the keystream of a short
// batch, though, is made with its one-time keys, in one go, and waits.
inline uint64_t open_slice(Slice& slice)
{
    const bool holds_keystream = is_short(slice);
    if (holds_keystream)
        run_texts(slice, 0, kAll, 0);
    else
        run_keys(slice);
    order_by_length(slice);
    const uint64_t authentic = check_tags(slice);
    if (!holds_keystream)
        run_texts(slice, 1, authentic, authentic);
    for (int g = 0; holds_keystream && g < slice.groups; ++g) use_keystream(slice, g, authentic);
    return authentic;
}

inline uint32_t slice_packets(size_t left)
{
    return left < kSlicePackets ? static_cast<uint32_t>(left) : kSlicePackets;
}

inline void seal_lanes(AeadJob* jobs, size_t count)
{
    Slice slice;
    for (size_t done = 0; done < count; done += slice.packets) {
        load_slice(slice, jobs + done, slice_packets(count - done));
        seal_slice(slice);
    }
}

inline void open_lanes(AeadJob* jobs, size_t count)
{
    Slice slice;
    for (size_t done = 0; done < count; done += slice.packets) {
        load_slice(slice, jobs + done, slice_packets(count - done));
        const uint64_t authentic = open_slice(slice);
        for (uint32_t i = 0; i < slice.packets; ++i)
            jobs[done + i].is_authentic = (authentic >> i & 1) != 0;
    }
}
