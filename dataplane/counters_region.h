// The memfd of the counters: made here, mapped read-only by control.
#pragma once

#include <string>

#include "dataplane/api/counters.h"
#include "dataplane/options.h"

namespace sandgate::dp {

struct CountersMemory
{
    api::CountersRegion* region = nullptr;
    int fd = -1;
};

// Memory of the whole region, zeroed, with its header filled. Empty, or the fault.
std::string build_counters(const Options& options, uint64_t tsc_hz, CountersMemory& memory);

}  // namespace sandgate::dp
