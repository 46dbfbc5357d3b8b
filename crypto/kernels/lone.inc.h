// A lone packet whose blocks fit the lanes of one vector: what batch.inc.h does, without a plan, as
// all of the keystream comes from one run of the rounds. The state's words stay in registers and
// are read again from the job, and what must be wiped is the keystream alone.
//
// Included inside the namespace of one kernel, after batch.inc.h and
//   lone_tag(tag, one_time_key, text, bytes)   Poly1305 of one packet

// The keystream of one packet, block 0 first. It is wiped when it goes.
struct LoneKeystream
{
    alignas(64) uint8_t block[kLanes][kBlockBytes];

    explicit LoneKeystream(const AeadJob& job)
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
        store_blocks(block[0], x[0]);
    }
    ~LoneKeystream() { wipe(this, sizeof *this); }
    LoneKeystream(const LoneKeystream&) = delete;
    LoneKeystream& operator=(const LoneKeystream&) = delete;

    void xor_text(const AeadJob& job) const { xor_bytes(job.data, block[1], job.text_bytes); }
    void make_tag(uint8_t* tag, const AeadJob& job) const
    {
        lone_tag(tag, block[0], job.data, job.text_bytes);
    }
};

inline bool is_lone(const AeadJob* jobs, size_t count)
{
    return count == 1 && text_blocks(jobs[0].text_bytes) < kLanes;
}

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
