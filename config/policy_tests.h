// The tests that a policy holds about itself (docs/policy.md, "Tests"): what must be accepted and
// what must be refused. A policy that fails one is not loaded.
#pragma once

#include <vector>

#include "config/policy.h"

namespace sandgate::config {

// What fails, with the line and what happened instead; at most kMaxErrors of load.h. The policy
// must have passed validate(). A test without a time of its own is about now_unix.
std::vector<Error> run_tests(const Policy& policy, int64_t now_unix);

}  // namespace sandgate::config
