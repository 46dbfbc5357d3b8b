// The difference of two published snapshots as a delta (dataplane/api/delta.h): apply_delta(old,
// make_delta(old, new)) is `new`, byte for byte.
#pragma once

#include <span>
#include <vector>

#include "config/result.h"
#include "dataplane/api/delta_reader.h"

namespace sandgate::config {

// Verifies both and compares them. The epoch of `new_bytes` must be the greater one.
Result<std::vector<uint8_t>> make_delta(std::span<const uint8_t> old_bytes,
                                        std::span<const uint8_t> new_bytes);

// The same for snapshots that are verified already.
std::vector<uint8_t> make_delta(const api::SnapshotView& before, const api::SnapshotView& after);

}  // namespace sandgate::config
