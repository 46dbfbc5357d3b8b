// Poly1305 (RFC 8439 section 2.5) of eight packets in the eight 64-bit lanes of AVX-512 IFMA. A
// number of 130 bits is three limbs of 44, 44 and 42 bits; a product of limbs comes in a low half
// of 52 bits and a high half, which weighs 2^52 = 2^8 * 2^44.
//
// The packets of a group end together: a shorter one begins with blocks that are not there, which
// are zero without the bit 2^128, so its accumulator stays zero until its first block. Four blocks
// are absorbed in a step, h = (h + m0) r^4 + m1 r^3 + m2 r^2 + m3 r, which reduces once.
//
// Included inside the namespace of the kernel, after Slice.

typedef __m512i Limb;

struct Number
{
    Limb limb[3];
};

// A power of r, with the multiples of its upper limbs by which what exceeds 2^130 comes back:
// 2^132 is 20.
struct Power
{
    Limb r0, r1, r2, s1, s2;
};

struct Products
{
    Limb low[3], high[3];
};

[[gnu::always_inline]] inline Limb mask44() { return _mm512_set1_epi64(0xfffffffffff); }
[[gnu::always_inline]] inline Limb mask42() { return _mm512_set1_epi64(0x3ffffffffff); }
[[gnu::always_inline]] inline Limb times5(Limb x)
{
    return _mm512_add_epi64(x, _mm512_slli_epi64(x, 2));
}

[[gnu::always_inline]] inline void multiply_add(Products& p, const Number& h, const Power& r)
{
    const auto add = [&](int i, Limb a, Limb b) {
        p.low[i] = _mm512_madd52lo_epu64(p.low[i], a, b);
        p.high[i] = _mm512_madd52hi_epu64(p.high[i], a, b);
    };
    add(0, h.limb[2], r.s1);
    add(1, h.limb[2], r.s2);
    add(2, h.limb[2], r.r0);
    add(0, h.limb[1], r.s2);
    add(1, h.limb[1], r.r0);
    add(2, h.limb[1], r.r1);
    add(0, h.limb[0], r.r0);
    add(1, h.limb[0], r.r1);
    add(2, h.limb[0], r.r2);
}

// Limbs of 44, little more than 44, and 42 bits. Bounds, for the sum of four products: low sums
// stay below 2^56, high sums below 2^42, so no 64-bit lane overflows, and the second carry out of
// limb 0 brings every limb below 2^45, as the 52-bit multiplier needs.
[[gnu::always_inline]] inline Number reduce(const Products& p)
{
    const Limb t1 = _mm512_add_epi64(_mm512_add_epi64(p.low[1], _mm512_slli_epi64(p.high[0], 8)),
                                     _mm512_srli_epi64(p.low[0], 44));
    const Limb t2 = _mm512_add_epi64(_mm512_add_epi64(p.low[2], _mm512_slli_epi64(p.high[1], 8)),
                                     _mm512_srli_epi64(t1, 44));
    const Limb over = _mm512_add_epi64(_mm512_slli_epi64(p.high[2], 10), _mm512_srli_epi64(t2, 42));
    const Limb t0 = _mm512_add_epi64(_mm512_and_si512(p.low[0], mask44()), times5(over));
    return {{_mm512_and_si512(t0, mask44()),
             _mm512_add_epi64(_mm512_and_si512(t1, mask44()), _mm512_srli_epi64(t0, 44)),
             _mm512_and_si512(t2, mask42())}};
}

[[gnu::always_inline]] inline Power power_of(const Number& n)
{
    const auto times20 = [](Limb x) { return _mm512_slli_epi64(times5(x), 2); };
    return {n.limb[0], n.limb[1], n.limb[2], times20(n.limb[1]), times20(n.limb[2])};
}

[[gnu::always_inline]] inline Number multiply(const Number& a, const Power& b)
{
    Products p = {};
    multiply_add(p, a, b);
    return reduce(p);
}

// The same as multiply() by itself: what would be added twice is doubled once.
[[gnu::always_inline]] inline Number square(const Number& a, const Power& p)
{
    const auto twice = [](Limb x) { return _mm512_add_epi64(x, x); };
    Products sums = {};
    const auto add = [&](int i, Limb x, Limb y) {
        sums.low[i] = _mm512_madd52lo_epu64(sums.low[i], x, y);
        sums.high[i] = _mm512_madd52hi_epu64(sums.high[i], x, y);
    };
    add(0, twice(a.limb[1]), p.s2);
    add(1, twice(a.limb[0]), p.r1);
    add(2, twice(a.limb[0]), p.r2);
    add(0, a.limb[0], p.r0);
    add(1, a.limb[2], p.s2);
    add(2, a.limb[1], p.r1);
    return reduce(sums);
}

// 128 bits in limbs. `top` is the bit 2^128 in the lanes whose block is there.
[[gnu::always_inline]] inline Number split(Limb low, Limb high, Limb top)
{
    return {{_mm512_and_si512(low, mask44()),
             // (a | b) & c
             _mm512_ternarylogic_epi64(_mm512_srli_epi64(low, 44), _mm512_slli_epi64(high, 20),
                                       mask44(), 0xa8),
             _mm512_or_si512(_mm512_srli_epi64(high, 24), top)}};
}

// Four blocks of each lane: low and high halves.
struct FourBlocks
{
    Limb low[4], high[4];
};

// From the 64 bytes of eight packets.
[[gnu::always_inline]] inline FourBlocks transpose_blocks(const __m512i (&row)[8])
{
    FourBlocks out;
    const auto quarters = [](Limb(&to)[4], __m512i a, __m512i b, __m512i c, __m512i d) {
        const __m512i ab = _mm512_shuffle_i64x2(a, b, 0x44), cd = _mm512_shuffle_i64x2(c, d, 0x44);
        const __m512i AB = _mm512_shuffle_i64x2(a, b, 0xee), CD = _mm512_shuffle_i64x2(c, d, 0xee);
        to[0] = _mm512_shuffle_i64x2(ab, cd, 0x88);
        to[1] = _mm512_shuffle_i64x2(ab, cd, 0xdd);
        to[2] = _mm512_shuffle_i64x2(AB, CD, 0x88);
        to[3] = _mm512_shuffle_i64x2(AB, CD, 0xdd);
    };
    quarters(out.low, _mm512_unpacklo_epi64(row[0], row[1]), _mm512_unpacklo_epi64(row[2], row[3]),
             _mm512_unpacklo_epi64(row[4], row[5]), _mm512_unpacklo_epi64(row[6], row[7]));
    quarters(out.high, _mm512_unpackhi_epi64(row[0], row[1]), _mm512_unpackhi_epi64(row[2], row[3]),
             _mm512_unpackhi_epi64(row[4], row[5]), _mm512_unpackhi_epi64(row[6], row[7]));
    return out;
}

// h = (h + m0) r^n + m1 r^(n-1) + ... for n blocks from the first on. power[k] is r^(k+1).
template <int n, int first = 0>
[[gnu::always_inline]] inline Number absorb(Number h, const FourBlocks& m, const Limb (&top)[4],
                                            const Power (&power)[4])
{
    const auto block = [&](int i) { return split(m.low[i], m.high[i], top[i]); };
    Products p = {};
    for (int i = n - 1; i > 0; --i) multiply_add(p, block(first + i), power[n - 1 - i]);
    const Number m0 = block(first);
    for (int i = 0; i < 3; ++i) h.limb[i] = _mm512_add_epi64(h.limb[i], m0.limb[i]);
    multiply_add(p, h, power[n - 1]);
    return reduce(p);
}

// r in its limbs, and s, from the one-time keys of eight packets.
[[gnu::always_inline]] inline Number load_one_time_keys(const Slice& slice, const uint8_t* order,
                                                        Limb& s_low, Limb& s_high)
{
    const auto key = [&](int i) {
        return _mm256_load_si256(reinterpret_cast<const __m256i*>(slice.one_time_key[order[i]]));
    };
    __m512i row[4];  // r and s of the packets i and i + 4
    for (int i = 0; i < 4; ++i)
        row[i] = _mm512_inserti64x4(_mm512_castsi256_si512(key(i)), key(i + 4), 1);
    const __m512i low01 = _mm512_unpacklo_epi64(row[0], row[1]);
    const __m512i low23 = _mm512_unpacklo_epi64(row[2], row[3]);
    const __m512i high01 = _mm512_unpackhi_epi64(row[0], row[1]);
    const __m512i high23 = _mm512_unpackhi_epi64(row[2], row[3]);
    const __m512i of_r = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    const __m512i of_s = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    s_low = _mm512_permutex2var_epi64(low01, of_s, low23);
    s_high = _mm512_permutex2var_epi64(high01, of_s, high23);
    const Limb low = _mm512_and_si512(_mm512_permutex2var_epi64(low01, of_r, low23),
                                      _mm512_set1_epi64(0x0ffffffc0fffffff));
    const Limb high = _mm512_and_si512(_mm512_permutex2var_epi64(high01, of_r, high23),
                                       _mm512_set1_epi64(0x0ffffffc0ffffffc));
    return split(low, high, _mm512_setzero_si512());
}

// (h mod 2^130 - 5) + s, modulo 2^128. h is below 2 (2^130 - 5); it is q = (h + 5) / 2^130 times
// p too large, and what is subtracted, q (2^130 - 5), is -5 q modulo 2^128.
[[gnu::always_inline]] inline void finish(Number h, Limb s_low, Limb s_high, Limb& low, Limb& high)
{
    const auto carried = [](Limb upper, Limb lower) {
        return _mm512_add_epi64(upper, _mm512_srli_epi64(lower, 44));
    };
    const Limb plus5 = _mm512_add_epi64(h.limb[0], _mm512_set1_epi64(5));
    const Limb q = _mm512_srli_epi64(carried(h.limb[2], carried(h.limb[1], plus5)), 42);
    const Limb l0 = _mm512_add_epi64(h.limb[0], times5(q));
    const Limb l1 = carried(h.limb[1], l0), l2 = carried(h.limb[2], l1);
    low = _mm512_or_si512(_mm512_and_si512(l0, mask44()), _mm512_slli_epi64(l1, 44));
    high = _mm512_or_si512(_mm512_srli_epi64(_mm512_and_si512(l1, mask44()), 20),
                           _mm512_slli_epi64(l2, 24));
    low = _mm512_add_epi64(low, s_low);
    const __mmask8 over = _mm512_cmplt_epu64_mask(low, s_low);
    high = _mm512_add_epi64(high, s_high);
    high = _mm512_mask_add_epi64(high, over, high, _mm512_set1_epi64(1));
}

// The lowest `count` bits of 64; count may be anything.
[[gnu::always_inline]] inline uint64_t low_bits(int64_t count)
{
    return count <= 0 ? 0 : count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

// What Poly1305 must know of the texts of eight packets.
struct Texts
{
    const uint8_t* at[8];
    int64_t bytes[8];
    int64_t begin[8];   // where position 0 of the group lies in the text: 0 or before it
    int64_t positions;  // blocks of the longest, with the block of the lengths; at least 4
    int64_t absent;     // the most positions that any lane lacks at the beginning
    bool same_length;   // all eight
};

[[gnu::always_inline]] inline Texts load_texts(const Slice& slice, const uint8_t* order)
{
    Texts t;
    int64_t longest = 0, shortest = kMaxTextBytes;
    for (int i = 0; i < 8; ++i) {
        t.at[i] = slice.data[order[i]];
        t.bytes[i] = slice.bytes[order[i]];
        longest = t.bytes[i] > longest ? t.bytes[i] : longest;
        shortest = t.bytes[i] < shortest ? t.bytes[i] : shortest;
    }
    const auto blocks = [](int64_t bytes) { return (bytes + 15) / 16 + 1; };
    t.positions = blocks(longest) > 4 ? blocks(longest) : 4;
    t.absent = t.positions - blocks(shortest);
    t.same_length = longest == shortest;
    for (int i = 0; i < 8; ++i)
        t.begin[i] = t.same_length ? -16 * t.absent : 16 * (blocks(t.bytes[i]) - t.positions);
    return t;
}

constexpr uint64_t kTopBit = uint64_t{1} << 40;

// Whole blocks of text in every lane.
[[gnu::always_inline]] inline FourBlocks load_full(const Texts& t, int64_t position)
{
    __m512i row[8];
    for (int i = 0; i < 8; ++i) row[i] = _mm512_loadu_si512(t.at[i] + t.begin[i] + 16 * position);
    return transpose_blocks(row);
}

// The same, from equally far into each text.
[[gnu::always_inline]] inline FourBlocks load_row(const uint8_t* const (&at)[8], int64_t done)
{
    __m512i row[8];
    for (int i = 0; i < 8; ++i) row[i] = _mm512_loadu_si512(at[i] + done);
    return transpose_blocks(row);
}

// What is left of texts of one length after `done` bytes, less than 64, and the block of the
// lengths.
[[gnu::always_inline]] inline Number absorb_end(Number h, const Texts& t, int64_t done,
                                                const Limb (&top)[4], const Power (&power)[4])
{
    const int64_t rest = t.bytes[0] - done;
    const Limb bytes = _mm512_set1_epi64(t.bytes[0]);
    FourBlocks m;
    if (rest == 0) {
        m.low[0] = _mm512_setzero_si512();
        m.high[0] = bytes;
        return absorb<1>(h, m, top, power);
    }
    __m512i row[8];
    const __mmask64 mask = low_bits(rest);
    for (int i = 0; i < 8; ++i) row[i] = _mm512_maskz_loadu_epi8(mask, t.at[i] + done);
    m = transpose_blocks(row);
    const auto end = [&](int at) { m.high[at] = bytes; };
    if (rest <= 16) {
        end(1);
        return absorb<2>(h, m, top, power);
    }
    if (rest <= 32) {
        end(2);
        return absorb<1, 2>(absorb<2>(h, m, top, power), m, top, power);
    }
    if (rest <= 48) {
        end(3);
        return absorb<2, 2>(absorb<2>(h, m, top, power), m, top, power);
    }
    h = absorb<2, 2>(absorb<2>(h, m, top, power), m, top, power);
    m.low[0] = _mm512_setzero_si512();
    m.high[0] = bytes;
    return absorb<1>(h, m, top, power);
}

// Four positions, any of which may lie before a text, at its end, or be the block of the lengths,
// whose upper half is the number of bytes.
[[gnu::always_inline]] inline FourBlocks load_edge(const Texts& t, int64_t position, Limb (&top)[4])
{
    const bool is_last = position + 4 == t.positions;
    const auto from = [&](int i) { return t.begin[i] + 16 * position; };
    const auto mask_of = [&](int i) {
        return low_bits(t.bytes[i] - from(i)) & ~low_bits(-from(i));
    };
    // The address may lie before the buffer: masked bytes are not accessed.
    const auto load = [&](int i, __mmask64 mask) {
        const auto at = reinterpret_cast<uintptr_t>(t.at[i]) + static_cast<uintptr_t>(from(i));
        return _mm512_maskz_loadu_epi8(mask, reinterpret_cast<const void*>(at));
    };
    __m512i row[8], starts = _mm512_set1_epi64(from(0));
    const __mmask8 lengths = is_last ? 0x80 : 0;
    if (t.same_length) {
        const __mmask64 mask = mask_of(0);
        const __m512i bytes = _mm512_set1_epi64(t.bytes[0]);
        for (int i = 0; i < 8; ++i) row[i] = _mm512_mask_mov_epi64(load(i, mask), lengths, bytes);
    } else {
        for (int i = 0; i < 8; ++i) {
            row[i] = _mm512_mask_set1_epi64(load(i, mask_of(i)), lengths, t.bytes[i]);
            starts = _mm512_mask_set1_epi64(starts, static_cast<__mmask8>(1 << i), from(i));
        }
    }
    for (int k = 0; k < 4; ++k)
        top[k] = _mm512_maskz_set1_epi64(
            _mm512_cmpge_epi64_mask(starts, _mm512_set1_epi64(-16 * k)), kTopBit);
    return transpose_blocks(row);
}

// Up to this many, r^3 and r^4 are not worth their computation.
constexpr int64_t kFewPositions = 7;

// The tags of `groups` times eight packets whose texts have the same positions, lane by lane. One
// group is a chain of multiplications, each waiting for the last; two fill each other's gaps.
template <int groups>
void tags_of(const Slice& slice, const Texts (&texts)[groups], const uint8_t* order,
             Limb (&low)[groups], Limb (&high)[groups])
{
    constexpr auto each = [](auto&& act) {
        for (int g = 0; g < groups; ++g) act(g);
    };
    Number h[groups] = {}, r[groups], r2[groups];
    Power power[groups][4];
    Limb s_low[groups], s_high[groups], top[4];
    each([&](int g) {
        r[g] = load_one_time_keys(slice, order + 8 * g, s_low[g], s_high[g]);
        power[g][0] = power_of(r[g]);
    });
    each([&](int g) {
        r2[g] = square(r[g], power[g][0]);
        power[g][1] = power_of(r2[g]);
    });
    const int64_t positions = texts[0].positions;
    if (positions > kFewPositions)
        each([&](int g) {
            power[g][2] = power_of(multiply(r[g], power[g][1]));
            power[g][3] = power_of(square(r2[g], power[g][1]));
        });

    bool same_length = true;
    each([&](int g) {
        same_length &= texts[g].same_length && texts[g].bytes[0] == texts[0].bytes[0];
    });
    if (same_length) {
        // Nothing is absent, so the steps are counted from the beginning and only the last is
        // short.
        for (Limb& bit : top) bit = _mm512_set1_epi64(kTopBit);
        int64_t done = 0;
        for (; done + 64 <= texts[0].bytes[0]; done += 64)
            each([&](int g) {
                const FourBlocks m = load_row(texts[g].at, done);
                if (positions > kFewPositions) {
                    h[g] = absorb<4>(h[g], m, top, power[g]);
                } else {
                    h[g] = absorb<2>(h[g], m, top, power[g]);
                    h[g] = absorb<2, 2>(h[g], m, top, power[g]);
                }
            });
        each([&](int g) { h[g] = absorb_end(h[g], texts[g], done, top, power[g]); });
        each([&](int g) { finish(h[g], s_low[g], s_high[g], low[g], high[g]); });
        return;
    }

    int64_t position = positions % 4, absent = 0;
    each([&](int g) { absent = texts[g].absent > absent ? texts[g].absent : absent; });
    if (position != 0)
        each([&](int g) {
            const FourBlocks m = load_edge(texts[g], 0, top);
            h[g] = position == 1 ? absorb<1>(h[g], m, top, power[g])
                   : position == 2
                       ? absorb<2>(h[g], m, top, power[g])
                       : absorb<1, 2>(absorb<2>(h[g], m, top, power[g]), m, top, power[g]);
        });
    if (positions <= kFewPositions) {
        each([&](int g) {
            const FourBlocks m = load_edge(texts[g], position, top);
            h[g] = absorb<2>(h[g], m, top, power[g]);
            h[g] = absorb<2, 2>(h[g], m, top, power[g]);
        });
        each([&](int g) { finish(h[g], s_low[g], s_high[g], low[g], high[g]); });
        return;
    }
    const auto edge_step = [&](int g) {
        const FourBlocks m = load_edge(texts[g], position, top);
        h[g] = absorb<4>(h[g], m, top, power[g]);
    };
    for (; position < absent && position + 4 < positions; position += 4) each(edge_step);
    for (Limb& bit : top) bit = _mm512_set1_epi64(kTopBit);
    for (; position + 4 < positions; position += 4)
        each([&](int g) { h[g] = absorb<4>(h[g], load_full(texts[g], position), top, power[g]); });
    each(edge_step);
    each([&](int g) { finish(h[g], s_low[g], s_high[g], low[g], high[g]); });
}

// The block in each lane, of eight neighbouring ones, as unpacking two loads leaves them.
[[gnu::always_inline]] inline Limb block_of_lane()
{
    return _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
}

// Powers of one packet's r: r^8 and r^16 in all lanes, for a step of sixteen blocks, and for the
// last step in each lane r^n and r^(n + 8), where n = 8 - block_of_lane.
struct LonePowers
{
    Power step[4], last[4];
};

[[gnu::always_inline]] inline LonePowers lone_powers(const Number& r)
{
    const auto choose = [](__mmask8 lanes, const Number& other, Number n) {
        for (int i = 0; i < 3; ++i)
            n.limb[i] = _mm512_mask_mov_epi64(n.limb[i], lanes, other.limb[i]);
        return n;
    };
    const Power power1 = power_of(r);
    const Number r2 = square(r, power1);
    const Power power2 = power_of(r2);
    const Number r3 = multiply(r2, power1), r4 = square(r2, power2);
    const Power power4 = power_of(r4);
    // 4 4 3 3 2 2 1 1, and four more in the even lanes.
    const Number low = choose(0x03, r4, choose(0x0c, r3, choose(0x30, r2, r)));
    const Number r8 = square(r4, power4);
    const Number n = choose(0x55, multiply(low, power4), low);
    LonePowers powers;
    powers.step[0] = power_of(r8);
    powers.step[1] = power_of(square(r8, powers.step[0]));
    powers.last[0] = power_of(n);
    powers.last[1] = power_of(multiply(n, powers.step[0]));
    return powers;
}

// Sixteen blocks of a text with their lengths, `from` bytes in; those before the text are zero.
[[gnu::always_inline]] inline FourBlocks load_sixteen(const uint8_t* text, int64_t bytes,
                                                      int64_t from, int64_t end)
{
    __m512i part[4];
    for (int i = 0; i < 4; ++i, from += 64) {
        const auto at = reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(text) +
                                                      static_cast<uintptr_t>(from));
        if (from >= 0 && from + 64 <= bytes) {
            part[i] = _mm512_loadu_si512(at);
            continue;
        }
        part[i] = _mm512_maskz_loadu_epi8(low_bits(bytes - from) & ~low_bits(-from), at);
        if (from + 64 == end)
            part[i] = _mm512_mask_set1_epi64(part[i], 0x80, bytes);
    }
    FourBlocks m;
    for (int i = 0; i < 2; ++i) {
        m.low[i] = _mm512_unpacklo_epi64(part[2 * i], part[2 * i + 1]);
        m.high[i] = _mm512_unpackhi_epi64(part[2 * i], part[2 * i + 1]);
    }
    return m;
}

// From how many blocks on the lanes of the vector pay for the powers of r. Found by sealing lone
// packets of 64 to 1,024 bytes both ways.
constexpr int64_t kLoneVectorBlocks = 20;

// The tag of one packet, in lanes of its own neighbouring blocks.
inline void lone_tag(uint8_t* tag, const uint8_t* one_time_key, const uint8_t* text, int64_t bytes)
{
    const int64_t blocks = (bytes + 15) / 16 + 1;
    if (blocks < kLoneVectorBlocks)
        return scalar_tag(tag, one_time_key, text, static_cast<uint32_t>(bytes));
    const auto broadcast = [&](int i) {
        return _mm512_set1_epi64(static_cast<int64_t>(load64(one_time_key + 8 * i)));
    };
    const Number r = split(_mm512_and_si512(broadcast(0), _mm512_set1_epi64(0x0ffffffc0fffffff)),
                           _mm512_and_si512(broadcast(1), _mm512_set1_epi64(0x0ffffffc0ffffffc)),
                           _mm512_setzero_si512());
    const LonePowers powers = lone_powers(r);

    // The text ends with a step; the blocks that the first one lacks are zero.
    const int64_t steps = (blocks + 15) / 16, absent = 16 * steps - blocks;
    const int64_t end = 16 * blocks;
    Limb top[4];
    for (int i = 0; i < 2; ++i)
        top[i] = _mm512_maskz_set1_epi64(
            _mm512_cmpge_epi64_mask(block_of_lane(), _mm512_set1_epi64(absent - 8 * i)), kTopBit);
    Number h = {};
    for (int64_t step = 0; step < steps; ++step) {
        h = absorb<2>(h, load_sixteen(text, bytes, 256 * step - 16 * absent, end), top,
                      step + 1 < steps ? powers.step : powers.last);
        top[0] = top[1] = _mm512_set1_epi64(kTopBit);
    }
    const auto sum = [&](int i) {
        return static_cast<uint64_t>(_mm512_reduce_add_epi64(h.limb[i]));
    };
    Poly1305 poly(one_time_key);
    poly.set_limbs44(sum(0), sum(1), sum(2));
    poly.finish(tag);
}

// Up to this many packets, when they are long enough, each takes the lanes for itself. Found by
// sealing and opening batches of 1 to 8 packets of 64 to 4,000 bytes both ways.
constexpr uint32_t kLoneTags = 4;

[[gnu::always_inline]] inline void make_tags(Slice& slice)
{
    const auto store_eight = [&](uint32_t first, Limb low, Limb high) {
        const auto store = [&](uint32_t i, __m128i tag) {
            _mm_storeu_si128(reinterpret_cast<__m128i*>(slice.tag_to[slice.order[first + i]]), tag);
        };
        const auto store_four = [&](uint32_t i, __m512i tags) {
            store(i, _mm512_castsi512_si128(tags));
            store(i + 2, _mm512_extracti64x2_epi64(tags, 1));
            store(i + 4, _mm512_extracti64x2_epi64(tags, 2));
            store(i + 6, _mm512_extracti64x2_epi64(tags, 3));
        };
        store_four(0, _mm512_unpacklo_epi64(low, high));
        store_four(1, _mm512_unpackhi_epi64(low, high));
    };
    for (uint32_t i = 0; i < slice.ordered; i += 8) {
        const uint8_t* order = slice.order + i;
        const uint32_t left = slice.ordered - i;
        const Texts first = load_texts(slice, order);
        if (left == 1 || (left <= kLoneTags && first.positions >= kLoneVectorBlocks)) {
            for (uint32_t k = 0; k < left; ++k) {
                const uint32_t packet = order[k];
                lone_tag(slice.tag_to[packet], slice.one_time_key[packet], slice.data[packet],
                         slice.bytes[packet]);
            }
            break;
        }
        if (left > 8) {
            const Texts second = load_texts(slice, order + 8);
            if (first.positions == second.positions) {
                Limb low[2], high[2];
                tags_of<2>(slice, {first, second}, order, low, high);
                store_eight(i, low[0], high[0]);
                i += 8;
                store_eight(i, low[1], high[1]);
                continue;
            }
        }
        Limb low[1], high[1];
        tags_of<1>(slice, {first}, order, low, high);
        store_eight(i, low[0], high[0]);
    }
}
