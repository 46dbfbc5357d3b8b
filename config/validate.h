// What no single node can know: names that lead nowhere, names, keys and addresses that two agents
// claim, selectors that match nothing, grants that apply to nothing. An empty policy is valid and
// allows nothing.
#pragma once

#include <vector>

#include "config/policy.h"

namespace sandgate::config {

// All faults, in the order of the files; at most kMaxErrors of load.h.
std::vector<Error> validate(const Policy& policy);

}  // namespace sandgate::config
