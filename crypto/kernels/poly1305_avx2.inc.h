// Poly1305 (RFC 8439 section 2.5) of four packets in the four 64-bit lanes of AVX2, whose
// multiplier takes 32 bits: a number of 130 bits is five limbs of 26.
//
// The packets of a group end together: a shorter one begins with blocks that are not there, which
// are zero without the bit 2^128, so its accumulator stays zero until its first block. Two blocks
// are absorbed in a step, h = (h + m0) r^2 + m1 r, which reduces once.
//
// Included inside the namespace of the kernel, after Slice and poly1305_scalar.inc.h.

typedef __m256i Limb;

struct Number
{
    Limb limb[5];
};

// A power of r, and five times its upper limbs: 2^130 is 5.
struct Power
{
    Limb r[5], s[5];
};

[[gnu::always_inline]] inline Limb mask26() { return _mm256_set1_epi64x(0x3ffffff); }

[[gnu::always_inline]] inline Power power_of(const Number& n)
{
    Power p;
    for (int i = 0; i < 5; ++i) {
        p.r[i] = n.limb[i];
        p.s[i] = _mm256_add_epi64(n.limb[i], _mm256_slli_epi64(n.limb[i], 2));
    }
    return p;
}

// p += h r. Limbs of h stay below 2^28 and those of s below 2^29, so ten products fit 64 bits.
[[gnu::always_inline]] inline void multiply_add(Number& p, const Number& h, const Power& r)
{
    for (int i = 0; i < 5; ++i)
        for (int k = 0; k < 5; ++k) {
            const Limb factor = i + k < 5 ? r.r[k] : r.s[k];
            Limb& sum = p.limb[(i + k) % 5];
            sum = _mm256_add_epi64(sum, _mm256_mul_epu32(h.limb[i], factor));
        }
}

// Limbs of 26 bits, limb 1 and limb 4 a little more. Two chains of carries side by side.
[[gnu::always_inline]] inline Number reduce(Number p)
{
    const auto carry = [&](int from, int to) {
        Limb over = _mm256_srli_epi64(p.limb[from], 26);
        p.limb[from] = _mm256_and_si256(p.limb[from], mask26());
        if (to == 0)
            over = _mm256_add_epi64(over, _mm256_slli_epi64(over, 2));
        p.limb[to] = _mm256_add_epi64(p.limb[to], over);
    };
    carry(0, 1);
    carry(3, 4);
    carry(1, 2);
    carry(4, 0);
    carry(2, 3);
    carry(0, 1);
    carry(3, 4);
    return p;
}

[[gnu::always_inline]] inline Number multiply(const Number& a, const Power& b)
{
    Number p = {};
    multiply_add(p, a, b);
    return reduce(p);
}

// 128 bits in limbs. `top` is the bit 2^128 in the lanes whose block is there.
[[gnu::always_inline]] inline Number split(Limb low, Limb high, Limb top)
{
    const auto bits = [](Limb x) { return _mm256_and_si256(x, mask26()); };
    return {{bits(low), bits(_mm256_srli_epi64(low, 26)),
             bits(_mm256_or_si256(_mm256_srli_epi64(low, 52), _mm256_slli_epi64(high, 12))),
             bits(_mm256_srli_epi64(high, 14)), _mm256_or_si256(_mm256_srli_epi64(high, 40), top)}};
}

// Low and high halves of one block of each lane.
struct Block
{
    Limb low, high;
};

[[gnu::always_inline]] inline Block transpose_block(__m128i a, __m128i b, __m128i c, __m128i d)
{
    const __m256i ac = _mm256_set_m128i(c, a), bd = _mm256_set_m128i(d, b);
    return {_mm256_unpacklo_epi64(ac, bd), _mm256_unpackhi_epi64(ac, bd)};
}

constexpr int64_t kTopBit = 1 << 24;

// What Poly1305 must know of the texts of four packets, in the order of the lanes.
struct Texts
{
    const uint8_t* at[4];
    int64_t bytes[4];
    int64_t begin[4];   // where position 0 of the group lies in the text: 0 or before it
    int64_t positions;  // blocks of the longest, with the block of the lengths; at least 2
    int64_t absent;     // the most positions that any lane lacks at the beginning
};

[[gnu::always_inline]] inline Texts load_texts(const Slice& slice, const uint8_t* order)
{
    Texts t;
    int64_t blocks[4], fewest = INT64_MAX;
    t.positions = 2;
    for (int i = 0; i < 4; ++i) {
        t.at[i] = slice.data[order[i]];
        t.bytes[i] = slice.bytes[order[i]];
        blocks[i] = (t.bytes[i] + 15) / 16 + 1;
        t.positions = blocks[i] > t.positions ? blocks[i] : t.positions;
        fewest = blocks[i] < fewest ? blocks[i] : fewest;
    }
    for (int i = 0; i < 4; ++i) t.begin[i] = 16 * (blocks[i] - t.positions);
    t.absent = t.positions - fewest;
    return t;
}

[[gnu::always_inline]] inline __m128i load16(const uint8_t* at)
{
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

// A position where every lane has a whole block of text.
[[gnu::always_inline]] inline Number load_full(const Texts& t, int64_t position)
{
    const auto part = [&](int i) { return load16(t.at[i] + t.begin[i] + 16 * position); };
    const Block m = transpose_block(part(0), part(1), part(2), part(3));
    return split(m.low, m.high, _mm256_set1_epi64x(kTopBit));
}

// Any position: before a text, in it, at its end, or the block of the lengths, whose upper half is
// the number of bytes.
[[gnu::always_inline]] inline Number load_edge(const Texts& t, int64_t position)
{
    __m128i part[4];
    int64_t top[4];
    for (int i = 0; i < 4; ++i) {
        const int64_t from = t.begin[i] + 16 * position, left = t.bytes[i] - from;
        top[i] = from < 0 ? 0 : kTopBit;
        if (from < 0) {
            part[i] = _mm_setzero_si128();
        } else if (left >= 16) {
            part[i] = load16(t.at[i] + from);
        } else if (left > 0) {
            alignas(16) uint8_t block[16] = {};
            std::memcpy(block, t.at[i] + from, static_cast<size_t>(left));
            part[i] = load16(block);
        } else {
            part[i] = _mm_set_epi64x(t.bytes[i], 0);
        }
    }
    const Block m = transpose_block(part[0], part[1], part[2], part[3]);
    // The lanes after unpacking are the packets 0, 1, 2, 3.
    return split(m.low, m.high, _mm256_set_epi64x(top[3], top[2], top[1], top[0]));
}

// r in its limbs, from the one-time keys of four packets.
[[gnu::always_inline]] inline Number load_r(const Slice& slice, const uint8_t* order)
{
    const auto part = [&](int i) { return load16(slice.one_time_key[order[i]]); };
    const Block r = transpose_block(part(0), part(1), part(2), part(3));
    return split(_mm256_and_si256(r.low, _mm256_set1_epi64x(0x0ffffffc0fffffff)),
                 _mm256_and_si256(r.high, _mm256_set1_epi64x(0x0ffffffc0ffffffc)),
                 _mm256_setzero_si256());
}

// The accumulators of four packets after their last block.
inline Number accumulate(const Slice& slice, const uint8_t* order)
{
    const Texts texts = load_texts(slice, order);
    const Number r = load_r(slice, order);
    const Power power1 = power_of(r);
    const Power power2 = power_of(multiply(r, power1));
    Number h = {};
    int64_t position = 0;
    if (texts.positions % 2 != 0)
        h = multiply(load_edge(texts, position++), power1);
    const auto absorb = [&](const Number& m0, const Number& m1) {
        Number p = {};
        multiply_add(p, m1, power1);
        for (int i = 0; i < 5; ++i) h.limb[i] = _mm256_add_epi64(h.limb[i], m0.limb[i]);
        multiply_add(p, h, power2);
        h = reduce(p);
    };
    for (; position + 2 < texts.positions; position += 2) {
        if (position < texts.absent)
            absorb(load_edge(texts, position), load_edge(texts, position + 1));
        else
            absorb(load_full(texts, position), load_full(texts, position + 1));
    }
    absorb(load_edge(texts, position), load_edge(texts, position + 1));
    return h;
}

inline void lone_tag(uint8_t* tag, const uint8_t* one_time_key, const uint8_t* text, uint32_t bytes)
{
    scalar_tag(tag, one_time_key, text, bytes);
}

[[gnu::always_inline]] inline void make_tags(Slice& slice)
{
    if (slice.ordered == 1) {
        const uint32_t packet = slice.order[0];
        lone_tag(slice.tag_to[packet], slice.one_time_key[packet], slice.data[packet],
                 slice.bytes[packet]);
        return;
    }
    alignas(32) uint64_t limb[5][4];
    for (uint32_t i = 0; i < slice.ordered; i += kPolyLanes) {
        const Number h = accumulate(slice, slice.order + i);
        for (int k = 0; k < 5; ++k)
            _mm256_store_si256(reinterpret_cast<__m256i*>(limb[k]), h.limb[k]);
        for (uint32_t lane = 0; lane < kPolyLanes; ++lane) {
            const uint32_t packet = slice.order[i + lane];
            Poly1305 poly(slice.one_time_key[packet]);
            poly.set_limbs26(limb[0][lane], limb[1][lane], limb[2][lane], limb[3][lane],
                             limb[4][lane]);
            poly.finish(slice.tag_to[packet]);
        }
    }
    wipe(limb, sizeof limb);
}
