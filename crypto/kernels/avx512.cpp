// The AVX-512 kernel: what sixteen 32-bit lanes can do, for the algorithms of the .inc.h files. All
// of this file is compiled for CPUs with AVX-512 F, BW, VL, DQ and IFMA, so it includes nothing
// that could leave an inline function behind for others.
#include "crypto/kernels/avx512.h"

#include <immintrin.h>

#include <cstring>

#include "crypto/declassify.h"

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
template <typename Use>
void for_each_tag(const Slice& slice, Use use);

#include "crypto/kernels/batch.inc.h"

#include "crypto/kernels/poly1305_scalar.inc.h"

#include "crypto/kernels/poly1305_ifma.inc.h"

#include "crypto/kernels/lone.inc.h"

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

}  // namespace

void seal(AeadJob* jobs, size_t count)
{
    is_lone(jobs, count) ? seal_lone(jobs[0]) : seal_lanes(jobs, count);
}

void open(AeadJob* jobs, size_t count)
{
    is_lone(jobs, count) ? open_lone(jobs[0]) : open_lanes(jobs, count);
}

}  // namespace sandgate::crypto::avx512
