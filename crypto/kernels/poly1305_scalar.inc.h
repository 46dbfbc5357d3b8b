// Poly1305 (RFC 8439 section 2.5) of one message in 64-bit limbs with 128-bit products: the
// portable kernel's, and the one for short lone packets in the kernels with lanes, where a vector
// would wait longer than it works.
//
// Included inside the namespace of one kernel, after wipe(data, bytes).

__extension__ typedef unsigned __int128 Wide;

[[gnu::always_inline]] inline uint64_t load64(const uint8_t* from)
{
    uint64_t word;
    __builtin_memcpy(&word, from, 8);
    return word;
}

[[gnu::always_inline]] inline void store64(uint8_t* to, uint64_t word)
{
    __builtin_memcpy(to, &word, 8);
}

// (h mod 2^130 - 5) + s, modulo 2^128. h is below 2 (2^130 - 5); it is q = (h + 5) / 2^130 times
// p too large, and what is subtracted, q (2^130 - 5), is -5 q modulo 2^128.
[[gnu::always_inline]] inline void finish_tag(uint8_t* tag, uint64_t h0, uint64_t h1, uint64_t h2,
                                              uint64_t s0, uint64_t s1)
{
    const auto high = [](Wide sum) { return static_cast<uint64_t>(sum >> 64); };
    const uint64_t q = (h2 + high(Wide{h1} + high(Wide{h0} + 5))) >> 2;
    const Wide low = Wide{h0} + 5 * q;
    const Wide sum = Wide{static_cast<uint64_t>(low)} + s0;
    store64(tag, static_cast<uint64_t>(sum));
    store64(tag + 8, h1 + high(low) + s1 + high(sum));
}

// h = (h + block) * r mod 2^130 - 5, with h in limbs of 64, 64 and a few bits.
class Poly1305
{
  public:
    explicit Poly1305(const uint8_t* one_time_key)
        : r0_(load64(one_time_key) & 0x0ffffffc0fffffff),
          r1_(load64(one_time_key + 8) & 0x0ffffffc0ffffffc),
          s0_(load64(one_time_key + 16)),
          s1_(load64(one_time_key + 24))
    {
    }
    ~Poly1305() { wipe(this, sizeof *this); }
    Poly1305(const Poly1305&) = delete;
    Poly1305& operator=(const Poly1305&) = delete;

    // Whole blocks only, each with the bit 2^128 on top.
    void blocks(const uint8_t* data, size_t bytes)
    {
        // 2^130 is 5, and r1 is a multiple of 4, so r1 * 2^128 is r1 / 4 * 5.
        const uint64_t r1_folded = r1_ + (r1_ >> 2);
        uint64_t h0 = h0_, h1 = h1_, h2 = h2_;
        for (; bytes >= 16; data += 16, bytes -= 16) {
            Wide sum = Wide{h0} + load64(data);
            h0 = static_cast<uint64_t>(sum);
            sum = Wide{h1} + load64(data + 8) + static_cast<uint64_t>(sum >> 64);
            h1 = static_cast<uint64_t>(sum);
            h2 += static_cast<uint64_t>(sum >> 64) + 1;

            const Wide low = Wide{h0} * r0_ + Wide{h1} * r1_folded;
            Wide middle = Wide{h0} * r1_ + Wide{h1} * r0_ + Wide{h2} * r1_folded;
            middle += static_cast<uint64_t>(low >> 64);
            const uint64_t high = h2 * r0_ + static_cast<uint64_t>(middle >> 64);

            // What is above bit 130 comes back times 5.
            sum = Wide{static_cast<uint64_t>(low)} + (high & ~uint64_t{3}) + (high >> 2);
            h0 = static_cast<uint64_t>(sum);
            sum = Wide{static_cast<uint64_t>(middle)} + static_cast<uint64_t>(sum >> 64);
            h1 = static_cast<uint64_t>(sum);
            h2 = (high & 3) + static_cast<uint64_t>(sum >> 64);
        }
        h0_ = h0;
        h1_ = h1;
        h2_ = h2;
    }

    // Section 2.8: a part is filled up with zeros to 16 bytes.
    void padded(const uint8_t* data, size_t bytes)
    {
        blocks(data, bytes);
        const size_t rest = bytes % 16;
        if (rest != 0) {
            uint8_t block[16] = {};
            std::memcpy(block, data + bytes - rest, rest);
            blocks(block, 16);
        }
    }

    void lengths(uint64_t ad_bytes, uint64_t text_bytes)
    {
        uint8_t block[16];
        std::memcpy(block, &ad_bytes, 8);
        std::memcpy(block + 8, &text_bytes, 8);
        blocks(block, 16);
    }

    // Section 2.5: a last block that is short gets its own end bit in place of 2^128.
    void short_block(const uint8_t* data, size_t bytes)
    {
        uint8_t block[16] = {};
        std::memcpy(block, data, bytes);
        block[bytes] = 1;
        h2_ -= 1;  // blocks() adds the bit that this block does not have
        blocks(block, 16);
    }

    // Takes over an accumulator in limbs that stand 44 bits apart and may be up to 48 bits wide.
    void set_limbs44(uint64_t l0, uint64_t l1, uint64_t l2)
    {
        l0 += 5 * (l2 >> 42);
        const Wide low = Wide{l0} + (Wide{l1} << 44);
        const Wide high = (low >> 64) + (Wide{l2 & 0x3ffffffffff} << 24);
        h0_ = static_cast<uint64_t>(low);
        h1_ = static_cast<uint64_t>(high);
        h2_ = static_cast<uint64_t>(high >> 64);
    }

    // The same for limbs that stand 26 bits apart and may be up to 28 bits wide.
    void set_limbs26(uint64_t l0, uint64_t l1, uint64_t l2, uint64_t l3, uint64_t l4)
    {
        const Wide low = Wide{l0} + (Wide{l1} << 26) + (Wide{l2} << 52);
        const Wide high = (low >> 64) + (Wide{l3} << 14) + (Wide{l4} << 40);
        h0_ = static_cast<uint64_t>(low);
        h1_ = static_cast<uint64_t>(high);
        h2_ = static_cast<uint64_t>(high >> 64);
    }

    void finish(uint8_t* tag) { finish_tag(tag, h0_, h1_, h2_, s0_, s1_); }

  private:
    uint64_t r0_, r1_;
    uint64_t s0_, s1_;
    uint64_t h0_ = 0, h1_ = 0, h2_ = 0;
};
