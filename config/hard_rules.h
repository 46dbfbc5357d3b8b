// The rules above any grant (docs/policy.md, "Hard rules"): destinations that no agent reaches,
// whatever the policy grants.
#pragma once

#include <string>
#include <vector>

#include "config/policy.h"

namespace sandgate::config {

struct HardPrefix
{
    Prefix prefix;
    api::HardRule rule;
};

// Those of a policy, without what it relaxes. The first one that holds an address names the reason.
std::vector<HardPrefix> hard_rules(const Policy& policy);

// The first that holds the whole prefix, or nullptr.
const HardPrefix* find_hard_rule(const std::vector<HardPrefix>& rules, const Prefix& prefix);

// "the metadata service of a cloud".
std::string describe(api::RuleId hard_rule);

// The word for `relax` that lifts a rule; empty when nothing does.
std::string relaxed_by(const HardPrefix& rule);

}  // namespace sandgate::config
