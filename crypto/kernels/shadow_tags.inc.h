// Tags in the shadow of the rounds: while the vectors make keystream, the scalar multiplier, which
// the rounds leave idle, absorbs blocks of packets whose text and one-time key are complete. Two
// packets at a time, in turns of two blocks, because each is a chain of multiplications that wait
// for one another. What the shadow is too short for is left to make_tags().
//
// 80 blocks beside 32 blocks of ChaCha20 cost 3 % more than the rounds alone (Zen 4, AVX-512).
//
// Included inside the namespace of one kernel, after poly1305_scalar.inc.h; its CPU has BMI2.

// h = (h + block + 2^128) r mod 2^130 - 5, as Poly1305::blocks() has it, but in 27 instructions:
// gcc 12 makes a hundred of the same in C++. r1_folded is r1 / 4 * 5.
[[gnu::always_inline]] inline void absorb_block(uint64_t& h0, uint64_t& h1, uint64_t& h2,
                                                const uint8_t* block, const uint64_t& r0,
                                                const uint64_t& r1, const uint64_t& r1_folded)
{
    uint64_t low, carry, middle, high, t0, t1;
    __asm__ volatile(
        "add (%[block]), %[h0]\n\t"
        "adc 8(%[block]), %[h1]\n\t"
        "adc $1, %[h2]\n\t"
        "mov %[r0], %%rdx\n\t"
        "mulx %[h0], %[low], %[carry]\n\t"    // h0 r0
        "mulx %[h1], %[middle], %[high]\n\t"  // h1 r0
        "mov %[r1_folded], %%rdx\n\t"
        "mulx %[h1], %[t0], %[t1]\n\t"  // h1 r1
        "add %[t0], %[low]\n\t"
        "adc %[t1], %[carry]\n\t"
        "imul %[h2], %%rdx\n\t"  // h2 r1
        "add %%rdx, %[middle]\n\t"
        "adc $0, %[high]\n\t"
        "mov %[r1], %%rdx\n\t"
        "mulx %[h0], %[t0], %[t1]\n\t"  // h0 r1
        "add %[t0], %[middle]\n\t"
        "adc %[t1], %[high]\n\t"
        "imul %[r0], %[h2]\n\t"  // h2 r0
        "add %[carry], %[middle]\n\t"
        "adc %[high], %[h2]\n\t"
        // What is above bit 130 comes back times 5.
        "mov %[h2], %[t0]\n\t"
        "shr $2, %[t0]\n\t"
        "and $3, %[h2]\n\t"
        "lea (%[t0], %[t0], 4), %[t0]\n\t"
        "add %[t0], %[low]\n\t"
        "adc $0, %[middle]\n\t"
        "adc $0, %[h2]\n\t"
        : [h0] "+&r"(h0), [h1] "+&r"(h1), [h2] "+&r"(h2), [low] "=&r"(low), [carry] "=&r"(carry),
          [middle] "=&r"(middle), [high] "=&r"(high), [t0] "=&r"(t0), [t1] "=&r"(t1)
        : [block] "r"(block), [r0] "m"(r0), [r1] "m"(r1), [r1_folded] "m"(r1_folded),
          "m"(*reinterpret_cast<const uint8_t(*)[16]>(block))
        : "rdx", "cc");
    h0 = low;
    h1 = middle;
}

// The tag of one text, by the scalar multiplier alone.
inline void scalar_tag(uint8_t* tag, const uint8_t* one_time_key, const uint8_t* text,
                       uint32_t bytes)
{
    uint64_t r0 = load64(one_time_key) & 0x0ffffffc0fffffff;
    uint64_t r1 = load64(one_time_key + 8) & 0x0ffffffc0ffffffc;
    const uint64_t r1_folded = r1 + (r1 >> 2);
    uint64_t h0 = 0, h1 = 0, h2 = 0;
    for (uint32_t left = bytes / 16; left != 0; --left, text += 16)
        absorb_block(h0, h1, h2, text, r0, r1, r1_folded);
    uint8_t last[16] = {};
    if (bytes % 16 != 0) {
        std::memcpy(last, text, bytes % 16);
        absorb_block(h0, h1, h2, last, r0, r1, r1_folded);
    }
    store64(last, 0);
    store64(last + 8, bytes);
    absorb_block(h0, h1, h2, last, r0, r1, r1_folded);
    finish_tag(tag, h0, h1, h2, load64(one_time_key + 16), load64(one_time_key + 24));
}

// Blocks that a turn absorbs, and turns of each of the two packets beside the rounds of one group
// of lanes. Found by timing rounds with one to four blocks and one to four packets.
constexpr uint32_t kTurnBlocks = 2;
constexpr uint32_t kTurnsPerGroup = 10;

// The least text that the shadow takes: its last bytes are read as sixteen.
constexpr uint32_t kLeastShadowBytes = 16;

class ShadowTags
{
  public:
    // Of a slice's packets, with the places that the tags go to. They are taken in the order of
    // `sequence`.
    void begin(const uint8_t (*one_time_keys)[32], uint8_t* const* data, const uint32_t* bytes,
               uint8_t* const* tags, const uint8_t* sequence)
    {
        sequence_ = sequence;
        one_time_keys_ = one_time_keys;
        data_ = data;
        bytes_ = bytes;
        tags_ = tags;
        next_ = ready_ = 0;
        done_ = 0;
    }

    // The packets from `first` on and before `end`, as the sequence has them, have their text and
    // one-time key, and none before `first` is begun any more.
    void offer(uint32_t first, uint32_t end)
    {
        next_ = next_ < first ? first : next_;
        ready_ = end;
    }
    bool is_idle() const { return next_ >= ready_ && !message_[0].is_busy && !message_[1].is_busy; }
    // Turns that each of the two packets will still get, apart from the run that begins.
    void set_turns_to_come(uint32_t turns) { turns_to_come_ = turns; }

    // One turn of one of the two packets, of kTurnBlocks blocks; `turns` are left to it in this
    // run, with this one.
    [[gnu::always_inline]] void turn(uint32_t which, uint32_t turns)
    {
        Message& m = message_[which];
        if (m.full_turns == 0) [[unlikely]] {
            if (!m.is_busy && next_ >= ready_)
                return;
            change(m, turns);
            if (m.full_turns == 0)
                return;
        }
        uint64_t h0 = m.h0, h1 = m.h1, h2 = m.h2;
#pragma GCC unroll 2
        for (uint32_t i = 0; i < kTurnBlocks; ++i)
            absorb_block(h0, h1, h2, m.at + 16 * i, m.r0, m.r1, m.r1_folded);
        m.h0 = h0;
        m.h1 = h1;
        m.h2 = h2;
        m.at += 16 * kTurnBlocks;
        --m.full_turns;
    }

    // How many turns a packet takes; its end goes with the beginning of the next one.
    static uint32_t turns_of(uint32_t bytes)
    {
        const uint32_t full_turns = bytes / (16 * kTurnBlocks);
        return full_turns > 0 ? full_turns : 1;
    }

    // Ends the packets that are under way. Bit i of the result: packet i has its tag.
    uint64_t end()
    {
        for (Message& m : message_) {
            if (!m.is_busy)
                continue;
            for (; m.full_turns != 0; --m.full_turns, m.at += 16 * kTurnBlocks)
                for (uint32_t i = 0; i < kTurnBlocks; ++i)
                    absorb_block(m.h0, m.h1, m.h2, m.at + 16 * i, m.r0, m.r1, m.r1_folded);
            finish(m);
        }
        return done_;
    }

    ~ShadowTags() { wipe(message_, sizeof message_); }

  private:
    struct Message
    {
        uint64_t r0, r1, r1_folded;
        uint64_t h0, h1, h2;
        const uint8_t* at;
        uint32_t full_turns = 0;
        uint32_t packet;
        bool is_busy = false;
    };

    // Ends a packet that has no whole turn left, and begins the next one that the shadow is long
    // enough for.
    [[gnu::always_inline]] void change(Message& m, uint32_t turns)
    {
        if (m.is_busy)
            finish(m);
        while (next_ < ready_) {
            const uint32_t packet = sequence_[next_++];
            const uint32_t full_turns = bytes_[packet] / (16 * kTurnBlocks);
            if (bytes_[packet] < kLeastShadowBytes || full_turns >= turns + turns_to_come_)
                continue;
            const uint8_t* key = one_time_keys_[packet];
            m.r0 = load64(key) & 0x0ffffffc0fffffff;
            m.r1 = load64(key + 8) & 0x0ffffffc0ffffffc;
            m.r1_folded = m.r1 + (m.r1 >> 2);
            m.h0 = m.h1 = m.h2 = 0;
            m.at = data_[packet];
            m.full_turns = full_turns;
            m.packet = packet;
            m.is_busy = true;
            return;
        }
    }

    // The blocks that make no whole turn, the lengths, and the tag.
    [[gnu::always_inline]] void finish(Message& m)
    {
        uint64_t h0 = m.h0, h1 = m.h1, h2 = m.h2;
        const auto absorb = [&](const uint8_t* block) __attribute__((always_inline))
        {
            absorb_block(h0, h1, h2, block, m.r0, m.r1, m.r1_folded);
            // What is needed again is read again: a register that is short here would be saved in
            // a vector, which queues up behind the rounds.
            __asm__ volatile("" : : : "memory");
        };
        uint64_t words[2];
        const auto block = reinterpret_cast<const uint8_t*>(words);
        if (bytes_[m.packet] / 16 % kTurnBlocks != 0)
            absorb(m.at);
        if (const uint32_t rest = bytes_[m.packet] % 16; rest != 0) {
            const uint8_t* last = data_[m.packet] + bytes_[m.packet] - 16;
            const Wide part = (Wide{load64(last + 8)} << 64 | load64(last)) >> 8 * (16 - rest);
            words[0] = static_cast<uint64_t>(part);
            words[1] = static_cast<uint64_t>(part >> 64);
            absorb(block);
        }
        words[0] = 0;
        words[1] = bytes_[m.packet];
        absorb(block);
        const uint8_t* key = one_time_keys_[m.packet];
        finish_tag(tags_[m.packet], h0, h1, h2, load64(key + 16), load64(key + 24));
        done_ |= uint64_t{1} << m.packet;
        m.is_busy = false;
    }

    const uint8_t (*one_time_keys_)[32];
    uint8_t* const* data_;
    const uint32_t* bytes_;
    uint8_t* const* tags_;
    const uint8_t* sequence_;
    uint32_t next_, ready_, turns_to_come_;
    uint64_t done_;
    Message message_[2];
};
