// Sealing and opening a batch, written once for all kernels with lanes across packets.
//
//   seal:  block 0 of all packets -> one-time keys;  the other blocks -> ciphertext;  tags
//   open:  block 0 of all packets -> one-time keys;  tags;  the other blocks of what passed
//
// Tags are made in the shadow of other packets' rounds as far as it reaches (shadow_tags.inc.h):
// sealing takes the steps packet by packet, opening in two halves of a slice.
//
// Included inside the namespace of one kernel, after lane_plan.inc.h and chacha20.inc.h, and after
// what the vectors of that kernel must do:
//   pick(column, group)            one word of the packet of each lane
//   spread(value)                  one value in every lane
//   load_jobs(slice, at, jobs)     what load_job() does, for kLanes jobs
//   store_blocks(to, words)        from words of kLanes blocks to kLanes blocks of words
//   store_keys(to, words, scratch) the first 32 bytes of each of those blocks
//   xor_blocks(lanes, words, scratch)  each of those blocks xored into the text of its lane
//   xor_bytes(text, stream, n)     text ^= stream, n bytes
//   make_tags(slice)               Poly1305 of the packets in slice.order
//   wipe(data, bytes)
//   kKeystreamStaysInRegisters     whether xor_blocks() and store_keys() need no scratch

// Behind the last packet's column stands what a window may read and no lane uses.
constexpr uint32_t kColumnLength = kSlicePackets + kWindowPackets;

// Where the block of each lane goes: into up to 64 bytes of a text, or, of a block 0, the first 32
// bytes into the packet's one-time key. A lane that is not used has no bytes.
struct Lanes
{
    uint8_t* to[kLanes];
    uint32_t bytes[kLanes];
    uint32_t packet[kLanes];
};

// What is known of one slice of a batch. It holds keys, and is wiped when it goes.
struct Slice
{
    uint32_t packets;
    uint32_t last_block[kSlicePackets];  // the one behind the packet's last
    uint8_t* data[kSlicePackets];
    uint32_t bytes[kSlicePackets];
    bool same_length;  // all of them
    // Words 4 to 11 of each packet's state, and 14 and 15. Word 13 is zero (see nonce.h).
    alignas(64) uint32_t key[kKeyWords][kColumnLength];
    alignas(64) uint32_t counter_low[kColumnLength];
    alignas(64) uint32_t counter_high[kColumnLength];
    alignas(64) uint8_t one_time_key[kSlicePackets][32];
    Group group[kGroupsAtOnce];
    Lanes lanes[kGroupsAtOnce];
    alignas(64) uint8_t keystream[kGroupsAtOnce][kLanes * kBlockBytes];
    int held_groups;                 // of which the keystream waits there
    uint8_t* tag_to[kSlicePackets];  // the packet's end, or tag[packet] to be compared with it
    alignas(64) uint8_t tag[kSlicePackets][kTagBytes];
    ShadowTags shadow;
    uint8_t sequence[kSlicePackets];  // in which the shadow takes the packets
    uint32_t runs_left;  // of the rounds, while which the shadow may work; not more than there are
    uint32_t ordered;    // how many packets `order` has
    uint8_t order[kSlicePackets + kPolyLanes];  // packets by length, for Poly1305
    uint32_t used_packets = 0;                  // the most so far: what must be wiped
    bool used_keystream = !kKeystreamStaysInRegisters;
    bool used_tags = false;

    Slice() {}
    Slice(const Slice&) = delete;
    Slice& operator=(const Slice&) = delete;
    ~Slice()
    {
        constexpr uint32_t kPart = 16;  // packets; sizes that the compiler knows are wiped fast
        for (uint32_t i = 0; i < used_packets; i += kPart) {
            for (auto& word : key) wipe(word + i, kPart * sizeof word[0]);
            wipe(one_time_key + i, kPart * sizeof one_time_key[0]);
            if (used_tags)
                wipe(tag + i, kPart * sizeof tag[0]);
        }
        if (used_keystream)
            wipe(keystream, sizeof keystream);
    }
};

inline uint32_t text_blocks(uint32_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes; }

[[gnu::always_inline]] inline void load_job(Slice& slice, uint32_t i, const AeadJob& job)
{
    slice.data[i] = job.data;
    slice.bytes[i] = job.text_bytes;
    slice.last_block[i] = 1 + text_blocks(job.text_bytes);
    slice.counter_low[i] = static_cast<uint32_t>(job.counter);
    slice.counter_high[i] = static_cast<uint32_t>(job.counter >> 32);
    uint32_t words[kKeyWords];
    std::memcpy(words, job.key, sizeof words);
    for (uint32_t word = 0; word < kKeyWords; ++word) slice.key[word][i] = words[word];
}

[[gnu::always_inline]] inline void load_slice(Slice& slice, const AeadJob* jobs, uint32_t packets)
{
    slice.packets = packets;
    slice.used_packets = packets > slice.used_packets ? packets : slice.used_packets;
    uint32_t i = 0;
    for (; i + kLanes <= packets; i += kLanes) load_jobs(slice, i, jobs + i);
    for (; i < packets; ++i) load_job(slice, i, jobs[i]);
    uint32_t differ = 0;
    for (uint32_t k = 0; k < packets; ++k) differ |= slice.bytes[k] ^ slice.bytes[0];
    slice.same_length = differ == 0;
}

// Words 0 to 3 of every state.
constexpr uint32_t kConstants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

// Word i of each lane's state before the rounds (RFC 8439 section 2.3).
[[gnu::always_inline]] inline Words start_word(int i, const Slice& slice, const Group& group)
{
    if (i < 4)
        return spread(kConstants[i]);
    if (i < 12)
        return pick(slice.key[i - 4], group);
    if (i == 12)
        return group.block;
    return i == 13 ? spread(0) : pick(i == 14 ? slice.counter_low : slice.counter_high, group);
}

// Whether a group makes one-time keys, of neighbouring packets.
inline bool has_keys(const Group& group) { return group.runs == 0 && group.block[0] == 0; }

// Where each lane of group g goes.
inline void place_lanes(Slice& slice, int g)
{
    const Group& group = slice.group[g];
    Lanes& lanes = slice.lanes[g];
    uint32_t lane = 0;
    // `count` blocks of a packet; the last one may be short.
    const auto place = [&](uint32_t packet, uint32_t block, uint32_t count) {
        if (block == 0) {
            lanes.to[lane] = slice.one_time_key[packet];
            lanes.bytes[lane] = sizeof slice.one_time_key[0];
            lanes.packet[lane++] = packet;
            ++block;
            --count;
        }
        const uint32_t done = kBlockBytes * (block - 1), left = slice.bytes[packet] - done;
        for (uint32_t k = 0; k < count; ++k, ++lane) {
            lanes.to[lane] = slice.data[packet] + done + kBlockBytes * k;
            lanes.bytes[lane] = kBlockBytes;
            lanes.packet[lane] = packet;
        }
        if (count != 0 && left < kBlockBytes * count)
            lanes.bytes[lane - 1] = left - kBlockBytes * (count - 1);
    };
    if (has_keys(group)) {
        while (lane < kLanes) place(group.first_packet + lane, 0, 1);
    } else if (group.runs == 0) {
        const uint32_t done = kBlockBytes * (group.block[0] - 1);
        for (; lane < kLanes; ++lane) {
            const uint32_t packet = group.first_packet + lane, left = slice.bytes[packet] - done;
            lanes.to[lane] = slice.data[packet] + done;
            lanes.bytes[lane] = left < kBlockBytes ? left : kBlockBytes;
            lanes.packet[lane] = packet;
        }
    }
    for (uint32_t i = 0; i < group.runs; ++i)
        place(group.run[i].packet, group.run[i].first_block, group.run[i].blocks);
    for (; lane < kLanes; ++lane) {
        lanes.to[lane] = slice.keystream[0];
        lanes.bytes[lane] = 0;
        lanes.packet[lane] = 0;
    }
}

// What becomes of the blocks that a run of the rounds makes.
enum class Use
{
    kPlaced,  // one-time keys and texts, as place_lanes() said
    kHeld,    // they wait in slice.keystream
};

// The blocks of the first groups of the slice, from the state on. A run whose shadow is not used is
// a few percent faster without it.
template <int groups, Use use, bool has_shadow>
void run_groups(Slice& slice)
{
    Words x[groups][16];
#pragma GCC unroll 2
    for (int g = 0; g < groups; ++g)
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) x[g][i] = start_word(i, slice, slice.group[g]);
    if constexpr (has_shadow)
        twenty_rounds(
            x, [&](uint32_t round, int n) __attribute__((always_inline)) {
                slice.shadow.turn(static_cast<uint32_t>(n) % 2,
                                  groups * (kTurnsPerGroup - round) - static_cast<uint32_t>(n) / 2);
            });
    else
        twenty_rounds(x, [](uint32_t, int) {});
#pragma GCC unroll 2
    for (int g = 0; g < groups; ++g) {
        const Group& group = slice.group[g];
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) x[g][i] += start_word(i, slice, group);
        if (use == Use::kHeld)
            store_blocks(slice.keystream[g], x[g]);
        else if (has_keys(group))
            store_keys(slice.one_time_key + group.first_packet, x[g], slice.keystream[g]);
        else
            xor_blocks(slice.lanes[g], x[g], slice.keystream[g]);
    }
}

template <int groups>
void run_placed(Slice& slice)
{
    slice.runs_left -= slice.runs_left > 0;
    slice.shadow.set_turns_to_come(slice.runs_left * kTurnsPerGroup * kGroupsAtOnce);
    if (slice.shadow.is_idle())
        run_groups<groups, Use::kPlaced, false>(slice);
    else
        run_groups<groups, Use::kPlaced, true>(slice);
}

// Runs the groups that next(group) makes, until it says that there are none; after each run,
// done().
template <typename Next, typename Done>
[[gnu::always_inline]] inline void run_all(Slice& slice, Next next, Done done)
{
    const auto next_placed = [&](int g) {
        if (!next(slice.group[g]))
            return false;
        if (!has_keys(slice.group[g]))
            place_lanes(slice, g);
        return true;
    };
    while (next_placed(0)) {
        if (kGroupsAtOnce == 2 && next_placed(kGroupsAtOnce - 1)) {
            run_placed<kGroupsAtOnce>(slice);
        } else {
            run_placed<1>(slice);
        }
        done();
    }
}

// Packets of a slice, from the first to before the last.
struct Part
{
    uint32_t begin, end;

    uint64_t bits() const
    {
        const auto below = [](uint32_t n) {
            return n < 64 ? (uint64_t{1} << n) - 1 : ~uint64_t{0};
        };
        return below(end) & ~below(begin);
    }
};

// The one-time keys of a part, which begins at a multiple of kLanes.
inline void run_keys(Slice& slice, Part part)
{
    const auto next = [&](Group& group) {
        if (part.begin >= part.end)
            return false;
        set_block_each(group, part.begin, 0);
        part.begin += kLanes;
        return true;
    };
    run_all(slice, next, [] {});
}

// What is xored into nothing is itself.
inline void clear_keys(Slice& slice)
{
    std::memset(slice.one_time_key, 0, slice.packets * sizeof slice.one_time_key[0]);
}

// The texts of a part's packets.
inline void run_texts(Slice& slice, Part part)
{
    LanePlan plan(1, slice.last_block, part.end, part.begin);
    run_all(
        slice, [&](Group& group) { return plan.next(group); }, [] {});
}

// Poly1305 steps all packets of a group together, so packets of about the same length share one:
// a counting sort by blocks of 64 bytes, the longest lengths in one bucket.
inline void order_by_length(Slice& slice, uint64_t packets)
{
    constexpr uint32_t kBuckets = 32;
    uint8_t start[kBuckets + 1] = {};
    const auto bucket_of = [&](uint32_t i) {
        const uint32_t blocks = text_blocks(slice.bytes[i]);
        return blocks < kBuckets ? blocks : kBuckets - 1;
    };
    slice.ordered = static_cast<uint32_t>(__builtin_popcountll(packets));
    if (packets == 0)
        return;
    const uint32_t count = slice.ordered;
    const auto first = static_cast<uint32_t>(__builtin_ctzll(packets));
    if (packets == Part{first, first + count}.bits()) {
        for (uint32_t n = 0; n < count; ++n) slice.order[n] = static_cast<uint8_t>(first + n);
    } else {
        uint32_t n = 0;
        for (uint64_t left = packets; left != 0; left &= left - 1)
            slice.order[n++] = static_cast<uint8_t>(__builtin_ctzll(left));
    }
    if (!slice.same_length) {
        for (uint32_t n = 0; n < count; ++n) ++start[bucket_of(slice.order[n]) + 1];
        for (uint32_t i = 1; i <= kBuckets; ++i)
            start[i] = static_cast<uint8_t>(start[i] + start[i - 1]);
        for (uint64_t left = packets; left != 0; left &= left - 1) {
            const auto i = static_cast<uint32_t>(__builtin_ctzll(left));
            slice.order[start[bucket_of(i)]++] = static_cast<uint8_t>(i);
        }
    }
    // A last group that is not full computes its last packet more than once.
    for (uint32_t i = 0; i < kPolyLanes; ++i) slice.order[count + i] = slice.order[count - 1];
}

inline uint32_t all_blocks(const Slice& slice, Part part)
{
    uint32_t blocks = 0;
    for (uint32_t i = part.begin; i < part.end; ++i) blocks += slice.last_block[i];
    return blocks;
}

// act(lane's place, bytes, packet, keystream) for each lane whose keystream waits.
template <typename Act>
[[gnu::always_inline]] inline void for_each_held(const Slice& slice, Act act)
{
    for (int g = 0; g < slice.held_groups; ++g) {
        const Lanes& lanes = slice.lanes[g];
        for (uint32_t i = 0; i < kLanes; ++i)
            act(lanes.to[i], lanes.bytes[i], lanes.packet[i], slice.keystream[g] + kBlockBytes * i);
    }
}

// All blocks of a short slice: the one-time keys come to their place, the texts' keystream waits.
inline void run_held(Slice& slice)
{
    clear_keys(slice);
    LanePlan plan(0, slice.last_block, slice.packets);
    slice.used_keystream = true;
    slice.held_groups = 0;
    while (slice.held_groups < kGroupsAtOnce && plan.next(slice.group[slice.held_groups]))
        place_lanes(slice, slice.held_groups++);
    if (slice.held_groups == 1)
        run_groups<1, Use::kHeld, false>(slice);
    else
        run_groups<kGroupsAtOnce, Use::kHeld, false>(slice);
    for_each_held(slice, [&](uint8_t* to, uint32_t bytes, uint32_t packet, const uint8_t* stream) {
        if (to == slice.one_time_key[packet])
            xor_bytes(to, stream, bytes);
    });
}

// What waits, for the packets in `release` (bit i: packet i).
inline void release_held(Slice& slice, uint64_t release)
{
    for_each_held(slice, [&](uint8_t* to, uint32_t bytes, uint32_t packet, const uint8_t* stream) {
        if (to != slice.one_time_key[packet] && (release >> packet & 1) != 0)
            xor_bytes(to, stream, bytes);
    });
}

inline void begin_shadow(Slice& slice)
{
    for (uint32_t i = 0; i < kSlicePackets; ++i) slice.sequence[i] = static_cast<uint8_t>(i);
    slice.shadow.begin(slice.one_time_key, slice.data, slice.bytes, slice.tag_to, slice.sequence);
}

// Half of a slice; a multiple of the lanes of all groups.
constexpr uint32_t kHalf = kSlicePackets / 2;

inline Part half_from(const Slice& slice, uint32_t begin)
{
    return {begin, begin + kHalf < slice.packets ? begin + kHalf : slice.packets};
}

constexpr uint32_t kBlocksPerRun = kGroupsAtOnce * kLanes;

inline void seal_slice(Slice& slice)
{
    for (uint32_t i = 0; i < slice.packets; ++i) slice.tag_to[i] = slice.data[i] + slice.bytes[i];
    begin_shadow(slice);
    const Part all = {0, slice.packets};
    const uint32_t blocks = all_blocks(slice, all);
    slice.runs_left = blocks / kBlocksPerRun;
    // With fewer packets than lanes a group of one-time keys would not be full: then block 0 of a
    // packet stands beside its others. Otherwise the keys are a group ahead of the texts.
    const bool has_key_groups = slice.packets >= kLanes && blocks > kBlocksPerRun;
    if (!has_key_groups)
        clear_keys(slice);
    LanePlan plan(has_key_groups ? 1 : 0, slice.last_block, slice.packets);
    uint32_t keyed = has_key_groups ? 0 : slice.packets;
    const auto next = [&](Group& group) {
        if (keyed >= slice.packets || plan.packet() + kLanes <= keyed)
            return plan.next(group);
        set_block_each(group, keyed, 0);
        keyed += kLanes;
        return true;
    };
    run_all(slice, next,
            [&] { slice.shadow.offer(0, keyed < plan.packet() ? keyed : plan.packet()); });
    order_by_length(slice, all.bits() & ~slice.shadow.end());
    make_tags(slice);
}

// Whether a tag is right is public, and the only thing that a secret decides.
[[gnu::noinline]] uint64_t declassify_verdicts(uint64_t authentic) { return declassify(authentic); }

// 1 when two tags are equal, else 0. No early exit.
[[gnu::always_inline]] inline uint64_t is_equal(const uint8_t* tag, const uint8_t* other)
{
    const auto load = [](const uint8_t* from) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    };
    const __m128i difference = _mm_xor_si128(load(tag), load(other));
    return static_cast<uint64_t>(_mm_testz_si128(difference, difference));
}

// Of the packets of a part: bit i says that the tag of packet i is right.
inline uint64_t check_tags(Slice& slice, Part part)
{
    order_by_length(slice, part.bits() & ~slice.shadow.end());
    make_tags(slice);
    uint64_t authentic = 0;
    for (uint32_t i = part.begin; i < part.end; ++i)
        authentic |= is_equal(slice.tag[i], slice.data[i] + slice.bytes[i]) << i;
    return declassify_verdicts(authentic);
}

// Offers the shadow of some runs a part's packets, the longest first, since the vectors are best at
// many packets of one length.
inline void offer_part(Slice& slice, Part part, uint32_t runs)
{
    if (!slice.same_length) {
        order_by_length(slice, part.bits());
        for (uint32_t i = 0; i < slice.ordered; ++i)
            slice.sequence[part.end - 1 - i] = slice.order[i];
    }
    // Of one length, as many that full vectors are left.
    const uint32_t count = part.end - part.begin;
    uint32_t left = 0;
    if (slice.same_length) {
        const uint32_t turns = 2 * kTurnsPerGroup * kGroupsAtOnce * runs;
        const uint32_t each = ShadowTags::turns_of(slice.bytes[0]);
        while (left < count && each * (count - left) > turns) left += kPolyLanes;
    }
    slice.shadow.offer(part.begin, left < count ? part.end - left : part.begin);
    slice.runs_left = runs;
}

// The same, bit by bit. Nothing is decrypted before its tag was verified; the keystream of a short
// batch, though, is made with its one-time keys, in one go, and waits.
inline uint64_t open_slice(Slice& slice)
{
    for (uint32_t i = 0; i < slice.packets; ++i) slice.tag_to[i] = slice.tag[i];
    slice.used_tags = true;
    begin_shadow(slice);
    slice.runs_left = 0;
    // All blocks fit one run: the one-time keys are made with the texts' keystream.
    if (all_blocks(slice, {0, slice.packets}) <= kBlocksPerRun) {
        run_held(slice);
        const uint64_t authentic = check_tags(slice, {0, slice.packets});
        release_held(slice, authentic);
        return authentic;
    }
    uint64_t all_authentic = 0;
    Part half = half_from(slice, 0);
    run_keys(slice, half);
    while (half.begin < slice.packets) {
        const Part next = half_from(slice, half.end);
        if (next.begin < next.end) {
            offer_part(slice, half, kHalf / kBlocksPerRun);
            run_keys(slice, next);
        }
        const uint64_t authentic = check_tags(slice, half);
        for (uint32_t i = half.begin; i < half.end; ++i)
            slice.last_block[i] = (authentic >> i & 1) != 0 ? slice.last_block[i] : 1;
        const uint32_t blocks = all_blocks(slice, half) - (half.end - half.begin);
        offer_part(slice, next, blocks / kBlocksPerRun);
        run_texts(slice, half);
        all_authentic |= authentic;
        half = next;
    }
    return all_authentic;
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
