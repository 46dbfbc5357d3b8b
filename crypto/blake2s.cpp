// BLAKE2s of RFC 7693, sections 3.1 to 3.3, in plain C++. Every operation is an addition, a
// rotation or an exclusive or of words; the only tables are indexed by the round, so timing depends
// on lengths alone.
#include "crypto/blake2s.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "crypto/secret.h"

namespace sandgate::crypto {
namespace {

constexpr size_t kBlockBytes = 64;

constexpr uint32_t kInitial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

constexpr uint8_t kSigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

// Section 3.1.
inline void mix(uint32_t* v, int a, int b, int c, int d, uint32_t x, uint32_t y)
{
    v[a] += v[b] + x;
    v[d] = std::rotr(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = std::rotr(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = std::rotr(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = std::rotr(v[b] ^ v[c], 7);
}

}  // namespace

Blake2s::Blake2s(size_t digest_bytes, Bytes key) : digest_bytes_(digest_bytes)
{
    assert(digest_bytes >= 1 && digest_bytes <= 32 && key.size() <= 32);
    std::memcpy(h_, kInitial, sizeof h_);
    h_[0] ^= 0x01010000 ^ static_cast<uint32_t>(key.size() << 8 | digest_bytes);
    std::memset(buffer_, 0, sizeof buffer_);
    if (!key.empty()) {
        // Section 3.3: the key, filled up with zeros, is the first block.
        std::memcpy(buffer_, key.data(), key.size());
        buffered_ = kBlockBytes;
    }
}

Blake2s::~Blake2s()
{
    wipe(h_, sizeof h_);
    wipe(buffer_, sizeof buffer_);
}

// Section 3.2. The caller has counted the block's bytes.
void Blake2s::compress(const uint8_t* block, bool is_last)
{
    uint32_t m[16];
    std::memcpy(m, block, sizeof m);
    uint32_t v[16];
    std::memcpy(v, h_, sizeof h_);
    std::memcpy(v + 8, kInitial, sizeof kInitial);
    v[12] ^= static_cast<uint32_t>(counted_);
    v[13] ^= static_cast<uint32_t>(counted_ >> 32);
    if (is_last)
        v[14] = ~v[14];
    for (const auto& s : kSigma) {
        mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
        mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
        mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
        mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
        mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
        mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
        mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
        mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
    }
    for (int i = 0; i < 8; ++i) h_[i] ^= v[i] ^ v[i + 8];
    wipe(m, sizeof m);
    wipe(v, sizeof v);
}

Blake2s& Blake2s::update(Bytes input)
{
    // A full buffer is kept until more comes, because the last block is compressed differently.
    while (!input.empty()) {
        if (buffered_ == kBlockBytes) {
            counted_ += kBlockBytes;
            compress(buffer_, false);
            buffered_ = 0;
        }
        const size_t part = std::min(input.size(), kBlockBytes - buffered_);
        std::memcpy(buffer_ + buffered_, input.data(), part);
        buffered_ += part;
        input = input.subspan(part);
    }
    return *this;
}

void Blake2s::finish(uint8_t* out)
{
    counted_ += buffered_;
    std::memset(buffer_ + buffered_, 0, kBlockBytes - buffered_);
    compress(buffer_, true);
    std::memcpy(out, h_, digest_bytes_);
}

Hash hash(Bytes a, Bytes b)
{
    Hash out;
    Blake2s().update(a).update(b).finish(out.data());
    return out;
}

std::array<uint8_t, 16> mac(Bytes key, Bytes input)
{
    assert(key.size() == 16 || key.size() == 32);
    std::array<uint8_t, 16> out;
    Blake2s(16, key).update(input).finish(out.data());
    return out;
}

}  // namespace sandgate::crypto
