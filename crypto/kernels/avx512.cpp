// The AVX-512 kernel: what sixteen 32-bit lanes can do, for the algorithms of the .inc.h files. All
// of this file is compiled for CPUs with AVX-512 F, BW, VL, DQ and IFMA, so it includes nothing
// that could leave an inline function behind for others.
#include "crypto/kernels/avx512.h"

#include <immintrin.h>

#include <cstring>

namespace sandgate::crypto::avx512 {
namespace {

constexpr uint32_t kLanes = 16;
constexpr int kGroupsAtOnce = 2;
constexpr uint32_t kPolyLanes = 8;
typedef uint32_t Words __attribute__((vector_size(64)));

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
    if (group.runs == 1)
        return spread(window[0]);
    return reinterpret_cast<Words>(_mm512_permutex2var_epi32(
        _mm512_loadu_si512(window), reinterpret_cast<__m512i>(group.packet),
        _mm512_loadu_si512(window + kLanes)));
}
void store_blocks(uint8_t* to, const Words (&words)[16]);
void xor_bytes(uint8_t* text, const uint8_t* stream, uint32_t bytes);
void write_tags(Slice& slice);
uint64_t check_tags(const Slice& slice);

#include "crypto/kernels/batch.inc.h"

#include "crypto/kernels/poly1305_ifma.inc.h"

[[gnu::always_inline]] inline void store_blocks(uint8_t* to, const Words (&words)[16])
{
    __m512i quad[4][4];  // [words 4k to 4k + 3][blocks 4n + m in 128-bit lane n]
    for (int k = 0; k < 4; ++k) {
        const auto word = [&](int i) { return reinterpret_cast<__m512i>(words[4 * k + i]); };
        const __m512i a = _mm512_unpacklo_epi32(word(0), word(1));
        const __m512i b = _mm512_unpackhi_epi32(word(0), word(1));
        const __m512i c = _mm512_unpacklo_epi32(word(2), word(3));
        const __m512i d = _mm512_unpackhi_epi32(word(2), word(3));
        quad[k][0] = _mm512_unpacklo_epi64(a, c);
        quad[k][1] = _mm512_unpackhi_epi64(a, c);
        quad[k][2] = _mm512_unpacklo_epi64(b, d);
        quad[k][3] = _mm512_unpackhi_epi64(b, d);
    }
    const auto store = [&](int block, __m512i row) {
        _mm512_store_si512(to + kBlockBytes * block, row);
    };
    for (int m = 0; m < 4; ++m) {
        const __m512i a = _mm512_shuffle_i32x4(quad[0][m], quad[1][m], 0x44);
        const __m512i b = _mm512_shuffle_i32x4(quad[2][m], quad[3][m], 0x44);
        const __m512i c = _mm512_shuffle_i32x4(quad[0][m], quad[1][m], 0xee);
        const __m512i d = _mm512_shuffle_i32x4(quad[2][m], quad[3][m], 0xee);
        store(m, _mm512_shuffle_i32x4(a, b, 0x88));
        store(4 + m, _mm512_shuffle_i32x4(a, b, 0xdd));
        store(8 + m, _mm512_shuffle_i32x4(c, d, 0x88));
        store(12 + m, _mm512_shuffle_i32x4(c, d, 0xdd));
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

inline void write_tags(Slice& slice)
{
    for_each_tags(slice, [&](uint32_t first, Limb low, Limb high) {
        alignas(64) __m128i tag[8];
        _mm512_store_si512(tag, _mm512_unpacklo_epi64(low, high));
        _mm512_store_si512(tag + 4, _mm512_unpackhi_epi64(low, high));
        for (uint32_t i = 0; i < kPolyLanes; ++i) {
            const uint32_t packet = slice.order[first + i];
            _mm_storeu_si128(reinterpret_cast<__m128i*>(slice.data[packet] + slice.bytes[packet]),
                             tag[i % 2 * 4 + i / 2]);
        }
    });
}

// Whether a tag is right is the verdict, and public: the one place where lanes decide anything.
[[gnu::noinline]] uint32_t declassify_verdicts(__m512i difference)
{
    return _mm512_testn_epi64_mask(difference, difference);
}

inline uint64_t check_tags(const Slice& slice)
{
    uint64_t authentic = 0;
    for_each_tags(slice, [&](uint32_t first, Limb low, Limb high) {
        const uint8_t* at[8];
        for (uint32_t i = 0; i < kPolyLanes; ++i) {
            const uint32_t packet = slice.order[first + i];
            at[i] = slice.data[packet] + slice.bytes[packet];
        }
        Limb sent_low, sent_high;
        load_halves(sent_low, sent_high, at);
        const uint32_t verdicts = declassify_verdicts(
            _mm512_or_si512(_mm512_xor_si512(low, sent_low), _mm512_xor_si512(high, sent_high)));
        for (uint32_t i = 0; i < kPolyLanes; ++i)
            authentic |= static_cast<uint64_t>(verdicts >> i & 1) << slice.order[first + i];
    });
    return authentic;
}

}  // namespace

void seal(AeadJob* jobs, size_t count) { seal_lanes(jobs, count); }

void open(AeadJob* jobs, size_t count) { open_lanes(jobs, count); }

}  // namespace sandgate::crypto::avx512
