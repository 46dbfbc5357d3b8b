// Comparing the tables of two snapshots, for publish() and make_delta(). Rows have no padding, so
// equal bytes are equal rows. Private to config/.
#pragma once

#include <cstring>
#include <span>
#include <tuple>
#include <vector>

#include "dataplane/api/snapshot.h"

namespace sandgate::config {

template <class Row>
bool is_same_row(const Row& a, const Row& b)
{
    return std::memcmp(&a, &b, sizeof(Row)) == 0;
}

template <class Row>
bool is_same_table(std::span<const Row> a, std::span<const Row> b)
{
    return a.size() == b.size() &&
           (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

// A set of identities, one bit each.
class IdentityBits
{
  public:
    void note(api::IdentityId identity)
    {
        if (identity / 64 >= words_.size())
            words_.resize(identity / 64 + 1);
        words_[identity / 64] |= uint64_t{1} << (identity % 64);
    }
    bool has(api::IdentityId identity) const
    {
        return identity / 64 < words_.size() && (words_[identity / 64] >> (identity % 64) & 1) != 0;
    }

  private:
    std::vector<uint64_t> words_;
};

// Who has an address now or had one then that is not in both tables.
inline IdentityBits moved_identities(std::span<const api::AddressRow> before,
                                     std::span<const api::AddressRow> after)
{
    IdentityBits moved;
    size_t i = 0, j = 0;
    const auto order = [](const api::AddressRow& row) { return std::tie(row.address, row.prefix); };
    while (i < before.size() || j < after.size()) {
        if (i < before.size() && j < after.size() && is_same_row(before[i], after[j])) {
            i++, j++;
        } else if (j == after.size() ||
                   (i < before.size() && order(before[i]) <= order(after[j]))) {
            moved.note(before[i++].identity);
        } else {
            moved.note(after[j++].identity);
        }
    }
    return moved;
}

}  // namespace sandgate::config
