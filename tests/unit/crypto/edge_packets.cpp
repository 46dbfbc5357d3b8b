// Solves for the packets of edge_packets.h. The sum of blocks c[0], c[1], ... is
// ((c[0] + 2^128) * r + c[1] + 2^128) * r ...; a block that would have to be 2^128 or more is no
// block, so another value is tried: about one in four fits.
#include "tests/unit/crypto/edge_packets.h"

#include <algorithm>

#include "crypto/kernels/nonce.h"
#include "crypto/kernels/portable.h"

namespace sandgate::crypto::test {
namespace {

constexpr size_t kBlockBytes = 16;

Integer power_of_2(unsigned exponent) { return Integer(1) << exponent; }
const Integer kP = power_of_2(130) - 5;
const Integer kTop = power_of_2(128);

Integer plus(const Integer& a, const Integer& b) { return (a + b) % kP; }
Integer minus(const Integer& a, const Integer& b) { return (a + kP - b % kP) % kP; }
Integer times(const Integer& a, const Integer& b) { return a * b % kP; }

Integer load(const uint8_t* from, size_t bytes)
{
    Integer out = 0;
    for (size_t i = bytes; i-- > 0;) out = out << 8 | from[i];
    return out;
}

void store(uint8_t* to, Integer value)
{
    for (size_t i = 0; i < kBlockBytes; ++i, value >>= 8)
        to[i] = static_cast<uint8_t>(value & 0xff);
}

Integer block_of_lengths(size_t text_bytes) { return Integer(text_bytes) << 64; }

// The sums of one packet as it grows.
class Sums
{
  public:
    Sums(const OneTimeKey& key, uint32_t stride)
        : r_(key.r), factor_(powm(key.r, Integer(stride), kP)), lanes_(stride)
    {
    }

    const Integer& factor() const { return factor_; }
    const Integer& whole() const { return whole_; }
    // The block that brings the sum of block i's lane, before its product, to `wanted`.
    Integer block_for(size_t i, const Integer& wanted) const
    {
        return minus(wanted, plus(lanes_[i % lanes_.size()], kTop));
    }
    void add(size_t i, const Integer& block)
    {
        Integer& lane = lanes_[i % lanes_.size()];
        lane = times(lane + block + kTop, factor_);
        whole_ = times(whole_ + block + kTop, r_);
    }

  private:
    Integer r_, factor_;
    std::vector<Integer> lanes_;
    Integer whole_ = 0;
};

// The first block of those wanted that is one; none: false.
template <class BlockFor>
bool solve(uint8_t* block, size_t first, size_t count, BlockFor&& block_for)
{
    for (size_t n = 0; n < count; ++n) {
        const Integer candidate = block_for((first + n) % count);
        if (candidate < kTop) {
            store(block, candidate);
            return true;
        }
    }
    return false;
}

// What the sum in front of s may be: the tag's addition carries at bit 64 or 128, or just not.
std::vector<Integer> last_values(const Integer& s)
{
    std::vector<Integer> out = edge_values();
    for (const unsigned bits : {64u, 128u}) {
        const Integer low = power_of_2(bits) - s % power_of_2(bits);
        out.push_back(low);
        out.push_back(low - 1);
    }
    std::rotate(out.begin(), out.end() - 4, out.end());
    return out;
}

}  // namespace

OneTimeKey one_time_key_of(const Buffer& key, uint64_t counter)
{
    uint8_t nonce[12], stream[32] = {};
    write_nonce(nonce, counter);
    portable::chacha20_xor(key.data(), nonce, 0, stream, sizeof stream);
    const Integer clamp("0x0ffffffc0ffffffc0ffffffc0fffffff");
    return {load(stream, 16) & clamp, load(stream + 16, 16)};
}

const std::vector<Integer>& edge_values()
{
    static const std::vector<Integer> values = [] {
        std::vector<Integer> out;
        // A sum of 0 to 4 is also 2^130 - 5 to 2^130 - 1 to whoever has not reduced it yet.
        for (unsigned small = 0; small < 6; ++small) {
            out.emplace_back(small);
            out.push_back(kP - 1 - small);
        }
        for (const unsigned bit : {26u, 32u, 44u, 52u, 64u, 78u, 88u, 96u, 104u, 128u, 129u})
            for (const Integer& edge : {power_of_2(bit), kP - power_of_2(bit)})
                for (const Integer& value : {edge - 1, edge, edge + 1}) out.push_back(value);
        // One limb of ones among zeros, and one of zeros among ones.
        for (const unsigned radix : {26u, 44u})
            for (unsigned low = 0; low < 130; low += radix) {
                const unsigned bits = std::min(radix, 130 - low);
                const Integer limb = (power_of_2(bits) - 1) << low;
                out.push_back(limb % kP);
                out.push_back((power_of_2(130) - 1 - limb) % kP);
            }
        return out;
    }();
    return values;
}

EdgePacket solve_edge_packet(const Buffer& key, uint64_t counter, const EdgePlan& plan,
                             std::mt19937_64& random)
{
    const OneTimeKey one_time = one_time_key_of(key, counter);
    const Integer inverse = powm(one_time.r, kP - 2, kP);
    EdgePacket packet{key, counter, random_bytes(plan.text_bytes, random), 0};
    Sums sums(one_time, plan.stride);
    const Integer undo = powm(inverse, Integer(plan.stride), kP);
    std::vector<Integer> wanted = edge_values();
    if (plan.at == EdgeAt::kProduct)
        for (Integer& value : wanted) value = times(value, undo);

    const size_t blocks = plan.text_bytes / kBlockBytes;
    const bool ends_whole = plan.text_bytes % kBlockBytes == 0;
    for (size_t i = 0; i < blocks; ++i) {
        uint8_t* const block = packet.sealed.data() + i * kBlockBytes;
        if (ends_whole && i + 1 == blocks) {
            const auto last = last_values(one_time.s);
            packet.edge_blocks += solve(block, plan.first_value, last.size(), [&](size_t n) {
                const Integer lengths = block_of_lengths(plan.text_bytes) + kTop;
                const Integer before = minus(times(last[n], inverse), lengths);
                return minus(times(before, inverse), plus(sums.whole(), kTop));
            });
        } else {
            packet.edge_blocks += solve(block, plan.first_value + i, wanted.size(),
                                        [&](size_t n) { return sums.block_for(i, wanted[n]); });
        }
        sums.add(i, load(block, kBlockBytes));
    }
    const Buffer tag = tag_by_integers(one_time, packet.sealed);
    packet.sealed.insert(packet.sealed.end(), tag.begin(), tag.end());
    return packet;
}

Buffer tag_by_integers(const OneTimeKey& one_time_key, std::span<const uint8_t> ciphertext)
{
    Integer sum = 0;
    for (size_t at = 0; at < ciphertext.size(); at += kBlockBytes) {
        const size_t bytes = std::min(ciphertext.size() - at, kBlockBytes);
        sum = times(sum + load(ciphertext.data() + at, bytes) + kTop, one_time_key.r);
    }
    sum = times(sum + block_of_lengths(ciphertext.size()) + kTop, one_time_key.r);
    Buffer tag(kTagBytes);
    store(tag.data(), (sum + one_time_key.s) % kTop);
    return tag;
}

}  // namespace sandgate::crypto::test
