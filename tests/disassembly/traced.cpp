// What follow_secrets.py runs one instruction at a time: the kernels, as they are linked into the
// product, on batches whose keys and texts it takes for secret. The argument says what runs; those
// that begin with leak_ do what the check looks for, and what begins with fine_ does not. The
// trace_ functions do nothing: follow_secrets.py stops there. Between trace_begin and trace_end it
// follows each instruction; the secrets of such a round are all named before it.
#include <immintrin.h>

#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "crypto/aead.h"
#include "crypto/self_test.h"
#include "crypto/x25519.h"

extern "C" {
void trace_secret(const void*, size_t);
void trace_begin();
void trace_end();
}
// Not in C++, where a compiler may see that an argument is not used, and not pass it.
__asm__(
    ".text\n"
    ".p2align 4\ntrace_secret: ret\n"
    ".p2align 4\ntrace_begin: ret\n"
    ".p2align 4\ntrace_end: ret\n");

namespace sandgate::crypto::test {
namespace {

constexpr int kSkipped = 77;
bool is_right = true;

// Around the edges of blocks, vectors, sums with few blocks, and what a lone packet's kernel takes.
constexpr uint32_t kLengths[] = {0,   1,   15,  16,  17,  63,  64,  65,  127, 128, 192,
                                 193, 255, 256, 300, 576, 704, 943, 960, 961, 1424};
// Bytes between packets, so that no masked store reaches a neighbour.
constexpr size_t kGap = 64;

struct Packets
{
    std::vector<uint8_t> keys;
    std::vector<uint8_t> memory;
    std::vector<AeadJob> jobs;

    explicit Packets(const std::vector<uint32_t>& lengths)
    {
        const size_t count = lengths.size();
        keys.resize(count * kKeyBytes, 0x5a);
        size_t bytes = 0;
        for (const uint32_t length : lengths) bytes += length + kTagBytes + kGap;
        memory.resize(bytes, 0x33);
        uint8_t* data = memory.data();
        for (size_t i = 0; i < count; ++i) {
            jobs.push_back({keys.data() + i * kKeyBytes, i, data, lengths[i], false});
            data += lengths[i] + kTagBytes + kGap;
        }
    }
};

void follow_seal(const std::vector<uint32_t>& lengths)
{
    Packets packets(lengths);
    trace_secret(packets.keys.data(), packets.keys.size());
    for (const AeadJob& job : packets.jobs) trace_secret(job.data, job.text_bytes);
    trace_begin();
    seal_batch(packets.jobs);
    trace_end();
}

// What arrives is public; the key is not, and what it decrypts to is not. Every third is forged.
void follow_open(const std::vector<uint32_t>& lengths)
{
    Packets packets(lengths);
    seal_batch(packets.jobs);
    const size_t count = lengths.size();
    for (size_t i = 1; i < count; i += 3) packets.jobs[i].data[packets.jobs[i].text_bytes] ^= 1;
    trace_secret(packets.keys.data(), packets.keys.size());
    trace_begin();
    open_batch(packets.jobs);
    trace_end();
    for (size_t i = 0; i < count; ++i) is_right &= packets.jobs[i].is_authentic == (i % 3 != 1);
}

void follow_batch(const std::vector<uint32_t>& lengths)
{
    follow_seal(lengths);
    follow_open(lengths);
}

// `count` packets whose lengths go round from kLengths[first].
std::vector<uint32_t> mixed(size_t count, size_t first)
{
    std::vector<uint32_t> lengths;
    for (size_t i = 0; i < count; ++i)
        lengths.push_back(kLengths[(first + i) % std::size(kLengths)]);
    return lengths;
}

std::vector<uint32_t> same(size_t count, uint32_t length)
{
    return std::vector<uint32_t>(count, length);
}

void follow_aead()
{
    for (const uint32_t length : kLengths) follow_batch({length});
    for (const size_t count : {2u, 5u, 8u, 21u}) follow_batch(mixed(count, count));
    follow_batch(mixed(70, 5));
    // Compilers take bigger steps through an array while they can: the numbers of packets.
    for (const size_t count : {3u, 9u, 12u, 24u, 31u, 70u}) follow_batch(same(count, 20));
    // Poly1305's lanes share a path when lengths are about the same, in other code for each number
    // of blocks modulo 4, for few blocks, and for lengths that are the same.
    for (const uint32_t length : {0u, 40u, 64u, 80u, 100u, 112u, 128u, 150u, 250u}) {
        for (const size_t count : {8u, 16u}) {
            std::vector<uint32_t> lengths = same(count, length);
            follow_batch(lengths);
            for (size_t i = 0; i < count; i += 2) lengths[i] -= lengths[i] / 8;
            follow_batch(lengths);
        }
    }
    // And what no rule makes: seven of twelve are short, as on the Internet.
    uint32_t state = 1;
    const auto below = [&](uint32_t limit) {
        state = state * 1664525 + 1013904223;
        return (state >> 8) % limit;
    };
    for (const size_t count : {7u, 17u, 64u}) {
        std::vector<uint32_t> random;
        for (size_t i = 0; i < count; ++i) random.push_back(below(below(12) < 7 ? 130 : 1500));
        follow_batch(random);
    }
    // Long packets share it whatever their lengths.
    std::vector<uint32_t> lengths = same(16, 2300);
    for (size_t i = 0; i < lengths.size(); i += 3) lengths[i] = 2000;
    follow_batch(lengths);
}

void follow_dh()
{
    PrivateKey mine[8];
    PublicKey theirs[8];
    Secret<32> shared[8];
    std::vector<DhJob> jobs;
    for (int i = 0; i < 8; ++i) {
        std::memset(mine[i].data(), 0x40 + i, 32);
        theirs[i].fill(static_cast<uint8_t>(i == 5 ? 0 : 9 + i));  // 0 is of low order
        jobs.push_back({&mine[i], &theirs[i], &shared[i], false});
        trace_secret(mine[i].data(), 32);
    }
    trace_begin();
    dh_batch(jobs);
    trace_end();
    for (int i = 0; i < 8; ++i) is_right &= jobs[i].is_valid == (i != 5);
}

#define LEAK [[gnu::noinline, gnu::target("avx512f,avx512bw,avx512vl")]] int

alignas(64) volatile int g_table[256];

LEAK leak_branch(const uint8_t* secret)
{
    if ((secret[0] & 1) != 0)
        g_table[0] = 1;
    return 0;
}
LEAK leak_index(const uint8_t* secret) { return g_table[secret[0]]; }
// Through a vector and the stack, which a check of scalar code alone would miss.
LEAK leak_spilled_vector(const uint8_t* secret)
{
    const __m512i all = _mm512_set1_epi8(static_cast<char>(secret[0]));
    volatile uint8_t spilled[64];
    _mm512_storeu_si512(const_cast<uint8_t*>(spilled), _mm512_add_epi8(all, all));
    return g_table[spilled[7]];
}
LEAK leak_compare(const uint8_t* secret)
{
    const __m512i text = _mm512_loadu_si512(secret);
    return _mm512_cmpeq_epi8_mask(text, _mm512_setzero_si512()) != 0 ? g_table[1] : 0;
}
LEAK leak_masked_load(const uint8_t* secret)
{
    const __m512i mask = _mm512_loadu_si512(secret);
    return _mm512_reduce_add_epi32(
        _mm512_maskz_loadu_epi32(_mm512_movepi8_mask(mask) & 0xffff, const_cast<int*>(g_table)));
}
LEAK leak_gather(const uint8_t* secret)
{
    const __m512i index = _mm512_and_si512(_mm512_loadu_si512(secret), _mm512_set1_epi32(255));
    return _mm512_reduce_add_epi32(_mm512_i32gather_epi32(index, const_cast<int*>(g_table), 4));
}
LEAK leak_division(const uint8_t* secret) { return 1000 / (secret[0] + 1); }
LEAK leak_dividend(const uint8_t* secret) { return secret[0] / (g_table[1] + 3); }
LEAK leak_carry(const uint8_t* secret)
{
    uint64_t word, sum;
    std::memcpy(&word, secret, sizeof word);
    if (__builtin_add_overflow(word, uint64_t{1} << 63, &sum))
        g_table[2] = 1;
    return static_cast<int>(sum);
}
LEAK leak_length(const uint8_t* secret)
{
    static uint8_t copy[256];
    std::memset(copy, 1, secret[0]);
    __asm__ volatile("" : : "r"(copy) : "memory");
    return 0;
}
// As a tag that is compared from the front.
LEAK leak_early_exit(const uint8_t* secret)
{
    for (int i = 0; i < 16; ++i)
        if (secret[i] != 0x11)
            return i;
    return 16;
}

// Chooses by arithmetic, and leaves what it chose on the stack.
LEAK fine_select(const uint8_t* secret)
{
    const int mask = -(secret[0] & 1);
    volatile int chosen = (g_table[1] & mask) | (g_table[2] & ~mask);
    return chosen;
}
// The same place holds a secret, and then no more.
LEAK fine_reused_memory(const uint8_t* secret)
{
    volatile uint8_t place = secret[0];
    const int kept = place;
    place = 3;
    return g_table[place] + kept;
}
// Public bytes, but for the one at 7, after a copy of all at once.
[[gnu::always_inline, gnu::target("avx512f,avx512bw,avx512vl")]] inline void copy_with_secret_at_7(
    uint8_t (&to)[64], const uint8_t* secret)
{
    alignas(64) uint8_t from[64] = {};
    from[7] = secret[0];
    _mm512_storeu_si512(to, *reinterpret_cast<const volatile __m512i*>(from));
    __asm__ volatile("" : : "r"(to) : "memory");
}
LEAK leak_of_a_copy(const uint8_t* secret)
{
    uint8_t copy[64];
    copy_with_secret_at_7(copy, secret);
    return g_table[copy[7]];
}
volatile size_t g_copied = 16;

LEAK leak_behind_a_call(const uint8_t* secret)
{
    uint8_t copy[64] = {};
    std::memcpy(copy, secret, g_copied);
    return g_table[copy[7]];
}
LEAK fine_padding(const uint8_t* secret)
{
    uint8_t copy[64];
    copy_with_secret_at_7(copy, secret);
    return g_table[copy[3]];
}
// Was a secret of the round before.
LEAK fine_forgotten(const uint8_t* secret) { return g_table[secret[0]]; }

struct Case
{
    std::string_view name;
    int (*run)(const uint8_t*);
};
constexpr Case kCases[] = {
    {"leak_branch", leak_branch},
    {"leak_index", leak_index},
    {"leak_spilled_vector", leak_spilled_vector},
    {"leak_compare", leak_compare},
    {"leak_masked_load", leak_masked_load},
    {"leak_gather", leak_gather},
    {"leak_division", leak_division},
    {"leak_dividend", leak_dividend},
    {"leak_carry", leak_carry},
    {"leak_length", leak_length},
    {"leak_early_exit", leak_early_exit},
    {"leak_of_a_copy", leak_of_a_copy},
    {"leak_behind_a_call", leak_behind_a_call},
    {"fine_select", fine_select},
    {"fine_reused_memory", fine_reused_memory},
    {"fine_forgotten", fine_forgotten},
    {"fine_padding", fine_padding},
};

// In a second round, with the first one's secrets forgotten, as the batches run.
void follow_case(const Case& example)
{
    alignas(64) static uint8_t secret[64];
    std::memset(secret, 0x11, sizeof secret);
    for (const bool is_first : {true, false}) {
        if (is_first || example.run != fine_forgotten)
            trace_secret(secret, sizeof secret);
        trace_begin();
        (is_first ? fine_select : example.run)(secret);
        trace_end();
    }
}

}  // namespace
}  // namespace sandgate::crypto::test

int main(int argc, char** argv)
{
    using namespace sandgate::crypto;
    using namespace sandgate::crypto::test;
    const std::string_view what = argc > 1 ? argv[1] : "";
    if (const std::string fault = start(); !fault.empty()) {
        std::printf("skipped: %s\n", fault.c_str());
        return kSkipped;
    }
    if (!__builtin_cpu_supports("avx512bw")) {
        std::puts("skipped: this CPU has no AVX-512");
        return kSkipped;
    }
    if (what == "aead")
        follow_aead();
    if (what == "dh")
        follow_dh();
    for (const Case& example : kCases)
        if (example.name == what)
            follow_case(example);
    if (!is_right)
        std::puts("a verdict is wrong");
    return is_right ? 0 : 1;
}
