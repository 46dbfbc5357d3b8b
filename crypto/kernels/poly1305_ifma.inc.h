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

// h = (h + m0) r^n + m1 r^(n-1) + ... for the first n blocks. power[k] is r^(k+1).
template <int n>
[[gnu::always_inline]] inline Number absorb(Number h, const FourBlocks& m, const Limb (&top)[4],
                                            const Power (&power)[4])
{
    Products p = {};
    for (int i = n - 1; i > 0; --i)
        multiply_add(p, split(m.low[i], m.high[i], top[i]), power[n - 1 - i]);
    const Number first = split(m.low[0], m.high[0], top[0]);
    for (int i = 0; i < 3; ++i) h.limb[i] = _mm512_add_epi64(h.limb[i], first.limb[i]);
    multiply_add(p, h, power[n - 1]);
    return reduce(p);
}

// Eight values of 128 bits from eight places of 16 bytes each.
[[gnu::always_inline]] inline void load_halves(Limb& low, Limb& high, const uint8_t* const (&at)[8])
{
    const auto four = [&](int i) {
        const auto part = [&](int k) {
            return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at[k]));
        };
        __m512i x = _mm512_castsi128_si512(part(i));
        x = _mm512_inserti64x2(x, part(i + 2), 1);
        x = _mm512_inserti64x2(x, part(i + 4), 2);
        return _mm512_inserti64x2(x, part(i + 6), 3);
    };
    const __m512i even = four(0), odd = four(1);
    low = _mm512_unpacklo_epi64(even, odd);
    high = _mm512_unpackhi_epi64(even, odd);
}

// r in its limbs, and s, from the one-time keys of eight packets.
[[gnu::always_inline]] inline Number load_one_time_keys(const Slice& slice, const uint8_t* order,
                                                        Limb& s_low, Limb& s_high)
{
    const uint8_t *r_at[8], *s_at[8];
    for (int i = 0; i < 8; ++i) {
        r_at[i] = slice.one_time_key[order[i]];
        s_at[i] = r_at[i] + 16;
    }
    Limb low, high;
    load_halves(low, high, r_at);
    load_halves(s_low, s_high, s_at);
    low = _mm512_and_si512(low, _mm512_set1_epi64(0x0ffffffc0fffffff));
    high = _mm512_and_si512(high, _mm512_set1_epi64(0x0ffffffc0ffffffc));
    return split(low, high, _mm512_setzero_si512());
}

// (h mod 2^130 - 5) + s, modulo 2^128.
[[gnu::always_inline]] inline void finish(Number h, Limb s_low, Limb s_high, Limb& low, Limb& high)
{
    const auto carry = [](Number& n) {
        n.limb[1] = _mm512_add_epi64(n.limb[1], _mm512_srli_epi64(n.limb[0], 44));
        n.limb[0] = _mm512_and_si512(n.limb[0], mask44());
        n.limb[2] = _mm512_add_epi64(n.limb[2], _mm512_srli_epi64(n.limb[1], 44));
        n.limb[1] = _mm512_and_si512(n.limb[1], mask44());
    };
    // Twice: the first carry out of the top can make a second one.
    for (int i = 0; i < 2; ++i) {
        carry(h);
        h.limb[0] = _mm512_add_epi64(h.limb[0], times5(_mm512_srli_epi64(h.limb[2], 42)));
        h.limb[2] = _mm512_and_si512(h.limb[2], mask42());
    }
    carry(h);
    // h - p is h + 5 - 2^130; take it when h + 5 reaches 2^130.
    Number g = h;
    g.limb[0] = _mm512_add_epi64(g.limb[0], _mm512_set1_epi64(5));
    carry(g);
    const __m512i take = _mm512_sub_epi64(_mm512_setzero_si512(), _mm512_srli_epi64(g.limb[2], 42));
    for (int i = 0; i < 3; ++i)  // take ? g : h
        h.limb[i] = _mm512_ternarylogic_epi64(take, g.limb[i], h.limb[i], 0xca);
    low = _mm512_or_si512(h.limb[0], _mm512_slli_epi64(h.limb[1], 44));
    high = _mm512_or_si512(_mm512_srli_epi64(h.limb[1], 20), _mm512_slli_epi64(h.limb[2], 24));
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
    int64_t absent;     // the most blocks that any lane lacks at the beginning
};

[[gnu::always_inline]] inline Texts load_texts(const Slice& slice, const uint8_t* order)
{
    Texts t;
    int64_t blocks[8], fewest = INT64_MAX;
    t.positions = 4;
    for (int i = 0; i < 8; ++i) {
        t.at[i] = slice.data[order[i]];
        t.bytes[i] = slice.bytes[order[i]];
        blocks[i] = (t.bytes[i] + 15) / 16 + 1;
        t.positions = blocks[i] > t.positions ? blocks[i] : t.positions;
        fewest = blocks[i] < fewest ? blocks[i] : fewest;
    }
    for (int i = 0; i < 8; ++i) t.begin[i] = 16 * (blocks[i] - t.positions);
    t.absent = t.positions - fewest;
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

// Four positions, any of which may lie before a text, at its end, or be the block of the lengths,
// whose upper half is the number of bytes.
[[gnu::always_inline]] inline FourBlocks load_edge(const Texts& t, int64_t position, Limb (&top)[4])
{
    __m512i row[8];
    alignas(64) int64_t from[8];
    const bool is_last = position + 4 == t.positions;
    for (int i = 0; i < 8; ++i) {
        from[i] = t.begin[i] + 16 * position;
        const __mmask64 mask = low_bits(t.bytes[i] - from[i]) & ~low_bits(-from[i]);
        // The address may lie before the buffer: masked bytes are not accessed.
        const void* at = reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(t.at[i]) +
                                                       static_cast<uintptr_t>(from[i]));
        row[i] = _mm512_maskz_loadu_epi8(mask, at);
        if (is_last)
            row[i] = _mm512_mask_set1_epi64(row[i], 0x80, t.bytes[i]);
    }
    const __m512i starts = _mm512_load_si512(from);
    for (int k = 0; k < 4; ++k)
        top[k] = _mm512_maskz_set1_epi64(
            _mm512_cmpge_epi64_mask(starts, _mm512_set1_epi64(-16 * k)), kTopBit);
    return transpose_blocks(row);
}

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
        r2[g] = multiply(r[g], power[g][0]);
        power[g][1] = power_of(r2[g]);
    });
    each([&](int g) {
        power[g][2] = power_of(multiply(r[g], power[g][1]));
        power[g][3] = power_of(multiply(r2[g], power[g][1]));
    });

    const int64_t positions = texts[0].positions;
    int64_t position = positions % 4, absent = 0;
    each([&](int g) { absent = texts[g].absent > absent ? texts[g].absent : absent; });
    if (position != 0)
        each([&](int g) {
            const FourBlocks m = load_edge(texts[g], 0, top);
            h[g] = position == 1   ? absorb<1>(h[g], m, top, power[g])
                   : position == 2 ? absorb<2>(h[g], m, top, power[g])
                                   : absorb<3>(h[g], m, top, power[g]);
        });
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

// Calls use(first, low, high) with the tags of the packets order[first] to order[first + 7].
template <typename Use>
[[gnu::always_inline]] inline void for_each_tags(const Slice& slice, Use use)
{
    for (uint32_t i = 0; i < slice.packets;) {
        Texts texts[2] = {load_texts(slice, slice.order + i), {}};
        if (i + 8 < slice.packets) {
            texts[1] = load_texts(slice, slice.order + i + 8);
            if (texts[0].positions == texts[1].positions) {
                Limb low[2], high[2];
                tags_of<2>(slice, texts, slice.order + i, low, high);
                use(i, low[0], high[0]);
                use(i + 8, low[1], high[1]);
                i += 16;
                continue;
            }
        }
        Limb low[1], high[1];
        tags_of<1>(slice, {texts[0]}, slice.order + i, low, high);
        use(i, low[0], high[0]);
        i += 8;
    }
}
