// Longest-prefix match from an address to the agent that owns it: one hash table whose keys are
// (prefix length, masked address), probed from the longest length in use to the shortest. Agents
// have single addresses almost always, so the first probe nearly always answers. Built once per
// policy, then read-only.
#pragma once

#include <rte_prefetch.h>

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/api/snapshot.h"

namespace sandgate::dp {

// Both halves of a product: every bit of either factor reaches every bit of the result.
inline uint64_t fold(uint64_t a, uint64_t b)
{
    const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t hash_of_bytes16(const uint8_t* bytes, uint64_t seed)
{
    uint64_t low, high;
    std::memcpy(&low, bytes, 8);
    std::memcpy(&high, bytes + 8, 8);
    // Two folded multiplications: the first alone leaves neighbours (10.0.0.1, 10.0.0.2, ...) in
    // long runs of a table unless the seed happens to be a good multiplier.
    const uint64_t mixed = fold(low ^ seed ^ 0xa0761d6478bd642full, high ^ 0xe7037ed1a0b428dbull);
    return fold(mixed ^ seed, 0x8ebc6af09c88c6e3ull);
}

// The address with every bit behind the prefix cleared.
inline api::Address masked(const api::Address& address, unsigned prefix)
{
    api::Address result;
    const unsigned whole = prefix / 8;
    std::memcpy(result.bytes.data(), address.bytes.data(), whole);
    if (prefix % 8 != 0)
        result.bytes[whole] = static_cast<uint8_t>(address.bytes[whole] & (0xff00 >> (prefix % 8)));
    return result;
}

inline bool is_within(const api::Address& address, const api::Address& network, unsigned prefix)
{
    const auto differs = [&](unsigned at) {
        uint64_t a, n;
        std::memcpy(&a, address.bytes.data() + at, 8);
        std::memcpy(&n, network.bytes.data() + at, 8);
        return __builtin_bswap64(a ^ n);
    };
    if (prefix <= 64)
        return prefix == 0 || differs(0) >> (64 - prefix) == 0;
    return differs(0) == 0 && differs(8) >> (128 - prefix) == 0;
}

// Whether two addresses agree in the bits of a mask.
inline bool is_equal_under(const api::Address& mask, const api::Address& a, const api::Address& b)
{
    uint64_t m[2], left[2], right[2];
    std::memcpy(m, mask.bytes.data(), 16);
    std::memcpy(left, a.bytes.data(), 16);
    std::memcpy(right, b.bytes.data(), 16);
    return (((left[0] ^ right[0]) & m[0]) | ((left[1] ^ right[1]) & m[1])) == 0;
}

class AddressTable
{
  public:
    // seed: random per boot, so that nobody can construct collisions.
    void build(std::span<const api::AddressRow> rows, uint64_t seed)
    {
        seed_ = seed;
        size_t size = 16;
        while (size < rows.size() * 2) size *= 2;
        slots_.assign(size, api::AddressRow{});
        lengths_.clear();
        bool is_used[129] = {};
        for (const api::AddressRow& row : rows) {
            size_t at = start_of(row.address, row.prefix);
            while (slots_[at].identity != api::kNoIdentity) at = (at + 1) & (size - 1);
            slots_[at] = row;
            is_used[row.prefix] = true;
        }
        for (int length = 128; length >= 0; length--)
            if (is_used[length])
                lengths_.push_back(static_cast<uint8_t>(length));
    }

    // Where the search for a whole address begins; fetches it. Give it to find() later on.
    size_t prefetch(const api::Address& address) const
    {
        const size_t start = start_of(address, 128);
        rte_prefetch0(&slots_[start]);
        return start;
    }

    // The agent whose longest prefix holds this address, or kNoIdentity.
    api::IdentityId find(const api::Address& address) const
    {
        return find(address, start_of(address, 128));
    }
    // The same; start: what prefetch() said of this very address.
    api::IdentityId find(const api::Address& address, size_t start) const
    {
        for (const uint8_t length : lengths_) {
            const api::Address key = length == 128 ? address : masked(address, length);
            size_t at = length == 128 ? start : start_of(key, length);
            for (;; at = (at + 1) & (slots_.size() - 1)) {
                const api::AddressRow& row = slots_[at];
                if (row.identity == api::kNoIdentity)
                    break;
                if (row.prefix == length && row.address == key)
                    return row.identity;
            }
        }
        return api::kNoIdentity;
    }

  private:
    size_t start_of(const api::Address& key, unsigned prefix) const
    {
        return hash_of_bytes16(key.bytes.data(), seed_ + prefix) & (slots_.size() - 1);
    }

    uint64_t seed_ = 0;
    std::vector<api::AddressRow> slots_ = std::vector<api::AddressRow>(16);
    std::vector<uint8_t> lengths_;  // in use, longest first
};

}  // namespace sandgate::dp
