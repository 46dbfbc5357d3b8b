// A lone packet: what batch.inc.h does, without a plan, as all of the keystream is made before any
// of it is used. The state's words stay in registers and are read again from the job, and what must
// be wiped is the keystream alone.
//
// Included inside the namespace of one kernel, after batch.inc.h and
//   kLonePackets                               the most packets that go one by one
//   kLoneBlocks                                the most blocks that a lone packet has, with block 0
//   make_lone_keystream(to, job, blocks)       blocks 0 to blocks - 1 and perhaps some more; how
//   many lone_tag(tag, one_time_key, text, bytes)   Poly1305 of one packet

// One block in each lane, from block 0 on.
[[gnu::always_inline]] inline void lanes_of_blocks(uint8_t* to, const AeadJob& job)
{
    const auto start = [&](uint32_t i) -> Words {
        if (i < 4)
            return spread(kConstants[i]);
        if (i < 12) {
            uint32_t word;
            std::memcpy(&word, job.key + 4 * (i - 4), sizeof word);
            return spread(word);
        }
        if (i == 12)
            return lane_numbers();
        return spread(i == 13 ? 0 : static_cast<uint32_t>(job.counter >> (i == 15 ? 32 : 0)));
    };
    Words x[1][16];
#pragma GCC unroll 16
    for (uint32_t i = 0; i < 16; ++i) x[0][i] = start(i);
    twenty_rounds(x, [](uint32_t, int) {});
#pragma GCC unroll 16
    for (uint32_t i = 0; i < 16; ++i) x[0][i] += start(i);
    store_blocks(to, x[0]);
}

// The keystream of one packet, block 0 first. It is wiped when it goes.
struct LoneKeystream
{
    alignas(64) uint8_t block[kLoneBlocks][kBlockBytes];
    uint32_t made;  // blocks

    explicit LoneKeystream(const AeadJob& job)
        : made(make_lone_keystream(block[0], job, 1 + text_blocks(job.text_bytes)))
    {
    }
    ~LoneKeystream()
    {
        constexpr uint32_t kPart = 4;  // blocks; sizes that the compiler knows are wiped fast
        for (uint32_t i = 0; i < made; i += kPart) wipe(block[i], kPart * kBlockBytes);
    }
    LoneKeystream(const LoneKeystream&) = delete;
    LoneKeystream& operator=(const LoneKeystream&) = delete;

    void xor_text(const AeadJob& job) const { xor_bytes(job.data, block[1], job.text_bytes); }
    void make_tag(uint8_t* tag, const AeadJob& job) const
    {
        lone_tag(tag, block[0], job.data, job.text_bytes);
    }
};

inline void seal_lone(const AeadJob& job)
{
    const LoneKeystream keystream(job);
    keystream.xor_text(job);
    keystream.make_tag(job.data + job.text_bytes, job);
}

// The keystream of the text is made with the one-time key, but waits for the verdict.
inline void open_lone(AeadJob& job)
{
    const LoneKeystream keystream(job);
    uint8_t tag[kTagBytes];
    keystream.make_tag(tag, job);
    job.is_authentic = declassify_verdicts(is_equal(tag, job.data + job.text_bytes)) != 0;
    if (job.is_authentic)
        keystream.xor_text(job);
    else
        wipe(tag, sizeof tag);
}

// Whether a batch's packets are better taken one by one.
inline bool are_lone(const AeadJob* jobs, size_t count)
{
    bool are = count <= kLonePackets;
    for (size_t i = 0; i < count && are; ++i)
        are = 1 + text_blocks(jobs[i].text_bytes) <= kLoneBlocks;
    return are;
}

inline void seal_any(AeadJob* jobs, size_t count)
{
    if (!are_lone(jobs, count))
        return seal_lanes(jobs, count);
    for (size_t i = 0; i < count; ++i) seal_lone(jobs[i]);
}

inline void open_any(AeadJob* jobs, size_t count)
{
    if (!are_lone(jobs, count))
        return open_lanes(jobs, count);
    for (size_t i = 0; i < count; ++i) open_lone(jobs[i]);
}
