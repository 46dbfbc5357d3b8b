// The AVX2 kernel: what eight 32-bit lanes can do, for the algorithms of the .inc.h files. All of
// this file is compiled for CPUs with AVX2 and BMI2, so it includes nothing that could leave an
// inline function behind for others.
#include "crypto/kernels/avx2.h"

#include <immintrin.h>

#include <cstring>

#include "crypto/declassify.h"

namespace sandgate::crypto::avx2 {
namespace {

constexpr uint32_t kLanes = 8;
constexpr int kGroupsAtOnce = 1;  // sixteen registers hold one state
constexpr uint32_t kPolyLanes = 4;
constexpr bool kKeystreamStaysInRegisters = false;
constexpr uint32_t kKeyWords = 8;
typedef uint32_t Words __attribute__((vector_size(32)));

[[gnu::always_inline]] inline bool is_zero(Words x)
{
    const auto v = reinterpret_cast<__m256i>(x);
    return _mm256_testz_si256(v, v) != 0;
}

template <int bits>
[[gnu::always_inline]] inline Words rotate(Words x)
{
    const auto v = reinterpret_cast<__m256i>(x);
    if constexpr (bits == 16)
        return reinterpret_cast<Words>(
            _mm256_shuffle_epi8(v, _mm256_set_epi64x(0x0d0c0f0e09080b0a, 0x0504070601000302,
                                                     0x0d0c0f0e09080b0a, 0x0504070601000302)));
    else if constexpr (bits == 8)
        return reinterpret_cast<Words>(
            _mm256_shuffle_epi8(v, _mm256_set_epi64x(0x0e0d0c0f0a09080b, 0x0605040702010003,
                                                     0x0e0d0c0f0a09080b, 0x0605040702010003)));
    else
        return x << bits | x >> (32 - bits);
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
struct Lanes;
[[gnu::always_inline]] inline Words spread(uint32_t value) { return Words{} + value; }

[[gnu::always_inline]] inline Words pick(const uint32_t* column, const Group& group)
{
    const uint32_t* window = column + group.first_packet;
    if (group.runs == 0)
        return reinterpret_cast<Words>(
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(window)));
    if (group.runs == 1)
        return spread(window[0]);
    const auto half = [&](uint32_t i) {
        return _mm256_permutevar8x32_epi32(
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(window + i)),
            reinterpret_cast<__m256i>(group.packet));
    };
    return group.packet < kLanes ? reinterpret_cast<Words>(half(0))
                                 : reinterpret_cast<Words>(half(kLanes));
}

[[gnu::always_inline]] inline void store_blocks(uint8_t* to, const Words (&words)[16])
{
    for (int half = 0; half < 2; ++half) {
        const auto word = [&](int i) { return reinterpret_cast<__m256i>(words[8 * half + i]); };
        __m256i pair[8], quad[8];
        for (int i = 0; i < 4; ++i) {
            pair[2 * i] = _mm256_unpacklo_epi32(word(2 * i), word(2 * i + 1));
            pair[2 * i + 1] = _mm256_unpackhi_epi32(word(2 * i), word(2 * i + 1));
        }
        // quad[n]: words 0 to 3, quad[n + 4]: words 4 to 7, of blocks n and n + 4.
        for (int i = 0; i < 2; ++i) {
            quad[4 * i] = _mm256_unpacklo_epi64(pair[4 * i], pair[4 * i + 2]);
            quad[4 * i + 1] = _mm256_unpackhi_epi64(pair[4 * i], pair[4 * i + 2]);
            quad[4 * i + 2] = _mm256_unpacklo_epi64(pair[4 * i + 1], pair[4 * i + 3]);
            quad[4 * i + 3] = _mm256_unpackhi_epi64(pair[4 * i + 1], pair[4 * i + 3]);
        }
        const auto store = [&](int block, __m256i row) {
            _mm256_store_si256(reinterpret_cast<__m256i*>(to + 64 * block + 32 * half), row);
        };
        for (int n = 0; n < 4; ++n) {
            store(n, _mm256_permute2x128_si256(quad[n], quad[n + 4], 0x20));
            store(n + 4, _mm256_permute2x128_si256(quad[n], quad[n + 4], 0x31));
        }
    }
}

[[gnu::always_inline]] inline void xor_bytes(uint8_t* text, const uint8_t* stream, uint32_t bytes)
{
    for (; bytes >= 32; bytes -= 32, text += 32, stream += 32) {
        const auto at = reinterpret_cast<__m256i*>(text);
        _mm256_storeu_si256(
            at, _mm256_xor_si256(_mm256_loadu_si256(at),
                                 _mm256_load_si256(reinterpret_cast<const __m256i*>(stream))));
    }
    for (; bytes >= 8; bytes -= 8, text += 8, stream += 8) {
        uint64_t a, b;
        std::memcpy(&a, text, 8);
        std::memcpy(&b, stream, 8);
        a ^= b;
        std::memcpy(text, &a, 8);
    }
    for (; bytes > 0; --bytes) *text++ ^= *stream++;
}

// A block is two vectors here, so it is stored and read again.
[[gnu::always_inline]] inline void store_keys(uint8_t (*to)[32], const Words (&words)[16],
                                              uint8_t* scratch)
{
    store_blocks(scratch, words);
    for (uint32_t i = 0; i < kLanes; ++i) std::memcpy(to[i], scratch + 64 * i, sizeof to[i]);
}

void load_jobs(Slice& slice, uint32_t at, const AeadJob* jobs);
void xor_blocks(const Lanes& lanes, const Words (&words)[16], uint8_t* scratch);
void make_tags(Slice& slice);

#include "crypto/kernels/poly1305_scalar.inc.h"

#include "crypto/kernels/shadow_tags.inc.h"

#include "crypto/kernels/batch.inc.h"

#include "crypto/kernels/poly1305_avx2.inc.h"

constexpr uint32_t kLoneBlocks = kLanes;
constexpr size_t kLonePackets = 1;
uint32_t make_lone_keystream(uint8_t* to, const AeadJob& job, uint32_t blocks);

#include "crypto/kernels/lone.inc.h"

inline uint32_t make_lone_keystream(uint8_t* to, const AeadJob& job, uint32_t)
{
    lanes_of_blocks(to, job);
    return kLanes;
}

[[gnu::always_inline]] inline void xor_blocks(const Lanes& lanes, const Words (&words)[16],
                                              uint8_t* scratch)
{
    store_blocks(scratch, words);
    for (uint32_t i = 0; i < kLanes; ++i)
        xor_bytes(lanes.to[i], scratch + kBlockBytes * i, lanes.bytes[i]);
}

[[gnu::always_inline]] inline void load_jobs(Slice& slice, uint32_t at, const AeadJob* jobs)
{
    for (uint32_t i = 0; i < kLanes; ++i) load_job(slice, at + i, jobs[i]);
}

}  // namespace

void seal(AeadJob* jobs, size_t count) { seal_any(jobs, count); }

void open(AeadJob* jobs, size_t count) { open_any(jobs, count); }

}  // namespace sandgate::crypto::avx2
