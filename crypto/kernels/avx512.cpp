// The AVX-512 kernel: what sixteen 32-bit lanes can do, for the algorithms of the .inc.h files. All
// of this file is compiled for CPUs with AVX-512 F, BW, VL, DQ and IFMA, so it includes nothing
// that could leave an inline function behind for others.
#include "crypto/kernels/avx512.h"

#include <immintrin.h>

#include <cstddef>
#include <cstring>

#include "crypto/declassify.h"

namespace sandgate::crypto::avx512 {
namespace {

constexpr uint32_t kLanes = 16;
constexpr int kGroupsAtOnce = 2;
constexpr uint32_t kPolyLanes = 8;
constexpr bool kKeystreamStaysInRegisters = true;
constexpr uint32_t kKeyWords = 8;
typedef uint32_t Words __attribute__((vector_size(64)));

[[gnu::always_inline]] inline bool is_zero(Words x)
{
    const auto v = reinterpret_cast<__m512i>(x);
    return _mm512_test_epi32_mask(v, v) == 0;
}

template <int bits>
[[gnu::always_inline]] inline Words rotate(Words x)
{
    return reinterpret_cast<Words>(_mm512_rol_epi32(reinterpret_cast<__m512i>(x), bits));
}

// Also of the compiler's eyes, so that the stores stay.
inline void wipe(void* data, size_t bytes)
{
    std::memset(data, 0, bytes);
    __asm__ volatile("" : : "r"(data) : "memory");
}

#include "crypto/kernels/lane_plan.inc.h"

#include "crypto/kernels/chacha20.inc.h"

struct Slice;
[[gnu::always_inline]] inline Words spread(uint32_t value)
{
    return reinterpret_cast<Words>(_mm512_set1_epi32(static_cast<int>(value)));
}
[[gnu::always_inline]] inline Words pick(const uint32_t* column, const Group& group)
{
    const uint32_t* window = column + group.first_packet;
    if (group.runs == 0)
        return reinterpret_cast<Words>(_mm512_loadu_si512(window));
    if (group.runs == 1)
        return spread(window[0]);
    return reinterpret_cast<Words>(_mm512_permutex2var_epi32(
        _mm512_loadu_si512(window), reinterpret_cast<__m512i>(group.packet),
        _mm512_loadu_si512(window + kLanes)));
}

struct Lanes;
void load_jobs(Slice& slice, uint32_t at, const AeadJob* jobs);
void store_blocks(uint8_t* to, const Words (&words)[16]);
void store_keys(uint8_t (*to)[32], const Words (&words)[16], uint8_t* scratch);
void xor_blocks(const Lanes& lanes, const Words (&words)[16], uint8_t* scratch);
void xor_bytes(uint8_t* text, const uint8_t* stream, uint32_t bytes);
void make_tags(Slice& slice);

#include "crypto/kernels/poly1305_scalar.inc.h"

#include "crypto/kernels/shadow_tags.inc.h"

#include "crypto/kernels/batch.inc.h"

#include "crypto/kernels/poly1305_ifma.inc.h"

#include "crypto/kernels/chacha20_rows.inc.h"

// Up to so many blocks of one packet, and up to so many packets, rows are faster than a plan. Found
// by sealing and opening 1 to 4 packets of 64 to 1,424 bytes both ways (Zen 4).
constexpr uint32_t kLoneBlocks = 28;
constexpr size_t kLonePackets = 2;
uint32_t make_lone_keystream(uint8_t* to, const AeadJob& job, uint32_t blocks);

#include "crypto/kernels/lone.inc.h"

// Four rows of four words of sixteen blocks: [words 4k to 4k + 3 of the blocks 4n + m, n being the
// 128-bit lane], at [m].
[[gnu::always_inline]] inline void quads_of(__m512i (&quad)[4], const Words* words)
{
    const auto word = [&](int i) { return reinterpret_cast<__m512i>(words[i]); };
    const __m512i a = _mm512_unpacklo_epi32(word(0), word(1));
    const __m512i b = _mm512_unpackhi_epi32(word(0), word(1));
    const __m512i c = _mm512_unpacklo_epi32(word(2), word(3));
    const __m512i d = _mm512_unpackhi_epi32(word(2), word(3));
    quad[0] = _mm512_unpacklo_epi64(a, c);
    quad[1] = _mm512_unpackhi_epi64(a, c);
    quad[2] = _mm512_unpacklo_epi64(b, d);
    quad[3] = _mm512_unpackhi_epi64(b, d);
}

// use(block, its 64 bytes), for all sixteen.
template <typename Use>
[[gnu::always_inline]] inline void for_each_block(const Words (&words)[16], Use use)
{
    __m512i quad[4][4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) quads_of(quad[k], words + 4 * k);
#pragma GCC unroll 4
    for (int m = 0; m < 4; ++m) {
        const __m512i a = _mm512_shuffle_i32x4(quad[0][m], quad[1][m], 0x44);
        const __m512i b = _mm512_shuffle_i32x4(quad[2][m], quad[3][m], 0x44);
        const __m512i c = _mm512_shuffle_i32x4(quad[0][m], quad[1][m], 0xee);
        const __m512i d = _mm512_shuffle_i32x4(quad[2][m], quad[3][m], 0xee);
        use(m, _mm512_shuffle_i32x4(a, b, 0x88));
        use(4 + m, _mm512_shuffle_i32x4(a, b, 0xdd));
        use(8 + m, _mm512_shuffle_i32x4(c, d, 0x88));
        use(12 + m, _mm512_shuffle_i32x4(c, d, 0xdd));
    }
}

[[gnu::always_inline]] inline void store_blocks(uint8_t* to, const Words (&words)[16])
{
    for_each_block(
        words, [&](int block, __m512i row) { _mm512_store_si512(to + kBlockBytes * block, row); });
}

[[gnu::always_inline]] inline void store_keys(uint8_t (*to)[32], const Words (&words)[16], uint8_t*)
{
    __m512i quad[2][4];
#pragma GCC unroll 2
    for (int k = 0; k < 2; ++k) quads_of(quad[k], words + 4 * k);
    const auto store = [&](int block, __m256i row) {
        _mm256_store_si256(reinterpret_cast<__m256i*>(to[block]), row);
    };
    const auto two = [&](int block, __m512i pair) {
        store(block, _mm512_castsi512_si256(pair));
        store(block + 4, _mm512_extracti64x4_epi64(pair, 1));
    };
    const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
#pragma GCC unroll 4
    for (int m = 0; m < 4; ++m) {
        two(m, _mm512_permutex2var_epi64(quad[0][m], low, quad[1][m]));
        two(8 + m, _mm512_permutex2var_epi64(quad[0][m], high, quad[1][m]));
    }
}

[[gnu::always_inline]] inline void xor_blocks(const Lanes& lanes, const Words (&words)[16],
                                              uint8_t*)
{
    const __m512i whole = _mm512_set1_epi32(kBlockBytes);
    if (_mm512_cmpeq_epi32_mask(_mm512_loadu_si512(lanes.bytes), whole) == 0xffff) {
        for_each_block(words, [&](int block, __m512i row) {
            uint8_t* text = lanes.to[block];
            _mm512_storeu_si512(text, _mm512_xor_si512(_mm512_loadu_si512(text), row));
        });
        return;
    }
    for_each_block(words, [&](int block, __m512i row) {
        const __mmask64 mask = _bzhi_u64(~uint64_t{0}, lanes.bytes[block]);
        uint8_t* text = lanes.to[block];
        _mm512_mask_storeu_epi8(text, mask,
                                _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, text), row));
    });
}

// The keys of sixteen jobs, word by word.
[[gnu::always_inline]] inline void load_keys(Slice& slice, uint32_t at, const AeadJob* jobs)
{
    // [words of key n | words of key n + 8]
    __m512i row[8], pair[8], quad[8];
    const auto key = [&](int i) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(jobs[i].key));
    };
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i)
        row[i] = _mm512_inserti64x4(_mm512_castsi256_si512(key(i)), key(i + 8), 1);
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        pair[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
        pair[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
    }
    // quad[j]: words j and 4 + j of the keys 0 to 3 and 8 to 11; quad[4 + j]: of the others.
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        quad[i] = _mm512_unpacklo_epi64(pair[i], pair[i + 2]);
        quad[i + 1] = _mm512_unpackhi_epi64(pair[i], pair[i + 2]);
        quad[i + 2] = _mm512_unpacklo_epi64(pair[i + 1], pair[i + 3]);
        quad[i + 3] = _mm512_unpackhi_epi64(pair[i + 1], pair[i + 3]);
    }
    const __m512i even = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    const __m512i odd = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
        _mm512_storeu_si512(slice.key[j] + at,
                            _mm512_permutex2var_epi64(quad[j], even, quad[4 + j]));
        _mm512_storeu_si512(slice.key[4 + j] + at,
                            _mm512_permutex2var_epi64(quad[j], odd, quad[4 + j]));
    }
}

[[gnu::always_inline]] inline void xor_bytes(uint8_t* text, const uint8_t* stream, uint32_t bytes)
{
    for (; bytes >= 64; bytes -= 64, text += 64, stream += 64)
        _mm512_storeu_si512(text,
                            _mm512_xor_si512(_mm512_loadu_si512(text), _mm512_load_si512(stream)));
    if (bytes != 0) {
        const __mmask64 mask = low_bits(bytes);
        _mm512_mask_storeu_epi8(
            text, mask,
            _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, text), _mm512_load_si512(stream)));
    }
}

// What eight jobs say besides their keys: a job is four words of 64 bits.
[[gnu::always_inline]] inline void load_eight(Slice& slice, uint32_t at, const AeadJob* jobs)
{
    static_assert(sizeof(AeadJob) == 32 && offsetof(AeadJob, counter) == 8 &&
                  offsetof(AeadJob, data) == 16 && offsetof(AeadJob, text_bytes) == 24);
    const auto two = [&](int i) { return _mm512_loadu_si512(jobs + i); };
    const __m512i middle = _mm512_setr_epi64(1, 5, 9, 13, 2, 6, 10, 14);
    const __m512i last = _mm512_setr_epi64(3, 7, 11, 15, 3, 7, 11, 15);
    const __m512i low = _mm512_permutex2var_epi64(two(0), middle, two(2));
    const __m512i high = _mm512_permutex2var_epi64(two(4), middle, two(6));
    const __m512i counters = _mm512_shuffle_i64x2(low, high, 0x44);
    _mm512_storeu_si512(slice.data + at, _mm512_shuffle_i64x2(low, high, 0xee));
    const __m256i bytes = _mm512_cvtepi64_epi32(
        _mm512_shuffle_i64x2(_mm512_permutex2var_epi64(two(0), last, two(2)),
                             _mm512_permutex2var_epi64(two(4), last, two(6)), 0x44));
    const auto store = [&](uint32_t* to, __m256i words) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + at), words);
    };
    store(slice.bytes, bytes);
    // 1 + text_blocks()
    store(slice.last_block,
          _mm256_srli_epi32(_mm256_add_epi32(bytes, _mm256_set1_epi32(2 * kBlockBytes - 1)), 6));
    store(slice.counter_low, _mm512_cvtepi64_epi32(counters));
    store(slice.counter_high, _mm512_cvtepi64_epi32(_mm512_srli_epi64(counters, 32)));
}

[[gnu::always_inline]] inline void load_jobs(Slice& slice, uint32_t at, const AeadJob* jobs)
{
    load_keys(slice, at, jobs);
    load_eight(slice, at, jobs);
    load_eight(slice, at + 8, jobs + 8);
}

// As many rows as there are blocks, up to where the words' lanes are as fast.
inline uint32_t make_lone_keystream(uint8_t* to, const AeadJob& job, uint32_t blocks)
{
    uint32_t made = 0;
    if (blocks > 12) {
        lanes_of_blocks(to, job);
        made = kLanes;
    }
    uint8_t* rest = to + kBlockBytes * made;
    if (blocks > made + 8) {
        rows_of_blocks<3>(rest, job, made);
        made += 12;
    } else if (blocks > made + 4) {
        rows_of_blocks<2>(rest, job, made);
        made += 8;
    } else if (blocks > made) {
        rows_of_blocks<1>(rest, job, made);
        made += 4;
    }
    return made;
}

}  // namespace

void seal(AeadJob* jobs, size_t count) { seal_any(jobs, count); }

void open(AeadJob* jobs, size_t count) { open_any(jobs, count); }

}  // namespace sandgate::crypto::avx512
