// The command line of sandgate-dataplane that a policy asks for: everything that the program needs
// before the first snapshot arrives. A change here needs a restart; compare two policies' arguments
// to see one.
#pragma once

#include <string>
#include <vector>

#include "config/policy.h"

namespace sandgate::config {

// Without the program's name.
std::vector<std::string> dataplane_arguments(const Policy& policy);

}  // namespace sandgate::config
