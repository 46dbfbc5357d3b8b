// The Montgomery ladder of RFC 7748, section 5, for eight secrets at a time: lane i of each vector
// belongs to secret i. A field element (modulo p = 2^255 - 19) is five vectors of 51-bit limbs.
// IFMA multiplies 52-bit numbers, so a limb may reach 2^52 - 1 as a factor; each function says what
// it takes and what it gives:
//   tight   limbs below 2^51 + 2^15: what multiplications and additions give, and all of them take
// No branch and no address depends on a key; the swaps of the ladder are blends by lane.
//
// All of this file is compiled for AVX-512 F, DQ and IFMA: see crypto/meson.build.
#include "crypto/kernels/x25519_avx512.h"

#include <immintrin.h>

#include <cstring>

#include "crypto/declassify.h"

namespace sandgate::crypto::x25519_avx512 {
namespace {

typedef uint64_t Words __attribute__((vector_size(64)));

constexpr int kLimbs = 5;
constexpr int kLimbBits = 51;
constexpr uint64_t kLimbMask = (uint64_t{1} << kLimbBits) - 1;
constexpr int kWords = 4;  // of 64 bits, in 32 bytes

struct Element
{
    Words limb[kLimbs];
};

[[gnu::always_inline]] inline Words spread(uint64_t value)
{
    return reinterpret_cast<Words>(_mm512_set1_epi64(static_cast<int64_t>(value)));
}

// sum + the low, or the high, 52 bits of a * b.
[[gnu::always_inline]] inline Words add_low(Words sum, Words a, Words b)
{
    return reinterpret_cast<Words>(_mm512_madd52lo_epu64(reinterpret_cast<__m512i>(sum),
                                                         reinterpret_cast<__m512i>(a),
                                                         reinterpret_cast<__m512i>(b)));
}
[[gnu::always_inline]] inline Words add_high(Words sum, Words a, Words b)
{
    return reinterpret_cast<Words>(_mm512_madd52hi_epu64(reinterpret_cast<__m512i>(sum),
                                                         reinterpret_cast<__m512i>(a),
                                                         reinterpret_cast<__m512i>(b)));
}

// 2^255 is 19 modulo p.
[[gnu::always_inline]] inline Words times_19(Words x) { return x + (x << 1) + (x << 4); }

// Takes limbs below 2^62, gives a tight element: what exceeds 51 bits, below 2^11, goes to the next
// limb, or 19 times to the first.
[[gnu::always_inline]] inline Element carry(const Element& x)
{
    Element out;
    out.limb[0] = (x.limb[0] & kLimbMask) + times_19(x.limb[4] >> kLimbBits);
    for (int i = 1; i < kLimbs; ++i)
        out.limb[i] = (x.limb[i] & kLimbMask) + (x.limb[i - 1] >> kLimbBits);
    return out;
}

// Tight to tight.
[[gnu::always_inline]] inline Element operator+(const Element& a, const Element& b)
{
    Element sum;
    for (int i = 0; i < kLimbs; ++i) sum.limb[i] = a.limb[i] + b.limb[i];
    return carry(sum);
}

// Tight to tight: a + 2p - b, and every limb of 2p is above a tight one.
[[gnu::always_inline]] inline Element operator-(const Element& a, const Element& b)
{
    Element difference;
    for (int i = 0; i < kLimbs; ++i)
        difference.limb[i] = a.limb[i] + 2 * (kLimbMask - (i == 0 ? 18 : 0)) - b.limb[i];
    return carry(difference);
}

// The sums of the products of limbs: a column k weighs 2^(51 k). A high half weighs 2^52, twice the
// weight of the column after its low half's.
struct Columns
{
    Words low[2 * kLimbs];   // the last stays zero
    Words high[2 * kLimbs];  // the first stays zero

    Columns()
    {
        for (int k = 0; k < 2 * kLimbs; ++k) low[k] = high[k] = Words{};
    }

    [[gnu::always_inline]] void add(const Element& a, int i, const Element& b, int j)
    {
        low[i + j] = add_low(low[i + j], a.limb[i], b.limb[j]);
        high[i + j + 1] = add_high(high[i + j + 1], a.limb[i], b.limb[j]);
    }

    // At most five products end in a column: it is below 5 * 2^52 + 2 * 5 * 2^52 < 2^56, and
    // with 19 times another below 2^61.
    [[gnu::always_inline]] Element reduce() const
    {
        Element out;
        for (int k = 0; k < kLimbs; ++k)
            out.limb[k] = low[k] + 2 * high[k] + times_19(low[k + kLimbs] + 2 * high[k + kLimbs]);
        return carry(out);
    }
};

// Tight to tight.
[[gnu::always_inline]] inline Element operator*(const Element& a, const Element& b)
{
    Columns columns;
#pragma GCC unroll 5
    for (int i = 0; i < kLimbs; ++i)
#pragma GCC unroll 5
        for (int j = 0; j < kLimbs; ++j) columns.add(a, i, b, j);
    return columns.reduce();
}

// Tight to tight. a_i * a_j and a_j * a_i are the same product, so it is computed once and doubled.
[[gnu::always_inline]] inline Element square(const Element& a)
{
    Columns columns;
#pragma GCC unroll 5
    for (int i = 0; i < kLimbs; ++i)
#pragma GCC unroll 5
        for (int j = i + 1; j < kLimbs; ++j) columns.add(a, i, a, j);
    for (int k = 0; k < 2 * kLimbs; ++k) {
        columns.low[k] += columns.low[k];
        columns.high[k] += columns.high[k];
    }
#pragma GCC unroll 5
    for (int i = 0; i < kLimbs; ++i) columns.add(a, i, a, i);
    return columns.reduce();
}

// Tight to tight; factor below 2^18.
[[gnu::always_inline]] inline Element times(const Element& a, uint64_t factor)
{
    Columns columns;
    const Element one_limb = {{spread(factor)}};
    for (int i = 0; i < kLimbs; ++i) columns.add(a, i, one_limb, 0);
    return columns.reduce();
}

[[gnu::noinline]] Element squared(Element a, int times)
{
    for (int i = 0; i < times; ++i) a = square(a);
    return a;
}
[[gnu::noinline]] Element product(const Element& a, const Element& b) { return a * b; }

// a^(p - 2): 1/a, and 0 for 0. The usual chain of 254 squarings and 11 products.
Element inverse(const Element& a)
{
    const Element a2 = squared(a, 1);
    const Element a9 = product(a, squared(a2, 2));
    const Element a11 = product(a9, a2);
    const Element ones5 = product(squared(a11, 1), a9);  // a^(2^5 - 1)
    const Element ones10 = product(squared(ones5, 5), ones5);
    const Element ones20 = product(squared(ones10, 10), ones10);
    const Element ones40 = product(squared(ones20, 20), ones20);
    const Element ones50 = product(squared(ones40, 10), ones10);
    const Element ones100 = product(squared(ones50, 50), ones50);
    const Element ones200 = product(squared(ones100, 100), ones100);
    const Element ones250 = product(squared(ones200, 50), ones50);
    return product(squared(ones250, 5), a11);
}

// The little-endian words of eight numbers of 32 bytes.
struct Numbers
{
    Words word[kWords];
};

Numbers load(const uint8_t* const (&from)[kLanes])
{
    const auto word_of = [&](int lane, int i) {
        int64_t word;
        std::memcpy(&word, from[lane] + 8 * i, sizeof word);
        return word;
    };
    Numbers out;
    for (int i = 0; i < kWords; ++i)
        out.word[i] = reinterpret_cast<Words>(
            _mm512_setr_epi64(word_of(0, i), word_of(1, i), word_of(2, i), word_of(3, i),
                              word_of(4, i), word_of(5, i), word_of(6, i), word_of(7, i)));
    return out;
}

void store(const Numbers& numbers, uint8_t* const (&to)[kLanes])
{
    for (int i = 0; i < kWords; ++i) {
        alignas(64) uint64_t word[kLanes];
        std::memcpy(word, &numbers.word[i], sizeof word);
        for (int lane = 0; lane < kLanes; ++lane) std::memcpy(to[lane] + 8 * i, &word[lane], 8);
        std::memset(word, 0, sizeof word);
        __asm__ volatile("" : : "r"(word) : "memory");  // so that the zeros are stored
    }
}

// Bit 255 is masked off, as section 5 asks; a number from p to 2^255 - 1 stands for itself less p.
Element decode(const Numbers& x)
{
    return {{x.word[0] & kLimbMask, (x.word[0] >> 51 | x.word[1] << 13) & kLimbMask,
             (x.word[1] >> 38 | x.word[2] << 26) & kLimbMask,
             (x.word[2] >> 25 | x.word[3] << 39) & kLimbMask, x.word[3] >> 12 & kLimbMask}};
}

// One carry after the other, so that limbs are below 2^51; what leaves the last is lost.
Element carry_in_order(Element x)
{
    for (int i = 1; i < kLimbs; ++i) {
        x.limb[i] += x.limb[i - 1] >> kLimbBits;
        x.limb[i - 1] &= kLimbMask;
    }
    x.limb[4] &= kLimbMask;
    return x;
}

// Takes a tight element, gives the number below p.
Numbers encode(const Element& tight)
{
    // Below 2p, as no limb is above 2^51 + 18. It is at least p when adding 19 reaches 2^255; then
    // adding 19 and losing 2^255 takes p off.
    const Element x = carry(tight);
    Words carried = (x.limb[0] + 19) >> kLimbBits;
    for (int i = 1; i < kLimbs; ++i) carried = (x.limb[i] + carried) >> kLimbBits;
    Element y = x;
    y.limb[0] += times_19(carried);
    y = carry_in_order(y);
    return {{y.limb[0] | y.limb[1] << 51, y.limb[1] >> 13 | y.limb[2] << 38,
             y.limb[2] >> 26 | y.limb[3] << 25, y.limb[3] >> 39 | y.limb[4] << 12}};
}

Numbers clamped(Numbers key)
{
    key.word[0] &= ~uint64_t{7};
    key.word[3] = (key.word[3] & ~(uint64_t{1} << 63)) | uint64_t{1} << 62;
    return key;
}

// Bit t: whether bits t and t + 1 differ, so whether the ladder swaps before step t.
Numbers changes_of(const Numbers& key)
{
    Numbers out;
    for (int i = 0; i < kWords; ++i) {
        const Words above = i + 1 < kWords ? key.word[i + 1] : Words{};
        out.word[i] = key.word[i] ^ (key.word[i] >> 1 | above << 63);
    }
    return out;
}

[[gnu::always_inline]] inline void swap_if(__mmask8 lanes, Element& a, Element& b)
{
    for (int i = 0; i < kLimbs; ++i) {
        const auto x = reinterpret_cast<__m512i>(a.limb[i]);
        const auto y = reinterpret_cast<__m512i>(b.limb[i]);
        a.limb[i] = reinterpret_cast<Words>(_mm512_mask_blend_epi64(lanes, x, y));
        b.limb[i] = reinterpret_cast<Words>(_mm512_mask_blend_epi64(lanes, y, x));
    }
}

// Section 5's loop. The lowest bit of a clamped key is 0, so nothing is swapped behind the loop.
Element ladder(const Numbers& key, const Element& u)
{
    constexpr uint64_t kA24 = 121665;
    const Numbers changes = changes_of(key);
    Element x2 = {{spread(1)}}, z2 = {}, x3 = u, z3 = {{spread(1)}};
    for (int t = 254; t >= 0; --t) {
        const __mmask8 swaps =
            _mm512_test_epi64_mask(reinterpret_cast<__m512i>(changes.word[t / 64]),
                                   reinterpret_cast<__m512i>(spread(uint64_t{1} << t % 64)));
        swap_if(swaps, x2, x3);
        swap_if(swaps, z2, z3);
        const Element a = x2 + z2, b = x2 - z2;
        const Element da = (x3 - z3) * a, cb = (x3 + z3) * b;
        x3 = square(da + cb);
        z3 = u * square(da - cb);
        const Element aa = square(a), bb = square(b), e = aa - bb;
        x2 = aa * bb;
        z2 = e * (aa + times(e, kA24));
    }
    return product(x2, inverse(z2));
}

// The one place of this kernel where something derived from secrets becomes public.
[[gnu::noinline]] uint64_t declassify_verdicts(uint64_t valid) { return declassify(valid); }

}  // namespace

uint64_t multiply(const Lanes& lanes)
{
    const Numbers shared =
        encode(ladder(clamped(load(lanes.private_key)), decode(load(lanes.public_key))));
    store(shared, lanes.shared);
    const Words any = shared.word[0] | shared.word[1] | shared.word[2] | shared.word[3];
    const auto bits = reinterpret_cast<__m512i>(any);
    return declassify_verdicts(_mm512_test_epi64_mask(bits, bits));
}

}  // namespace sandgate::crypto::x25519_avx512
