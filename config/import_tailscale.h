// A Tailscale policy file (HuJSON) to a policy of ours. Text in, text out. The promise: nobody may
// do anything under the result that the file does not allow. What has no exact counterpart is left
// out and told; a grant that loses all of its src or dst, or a condition, is left out as a whole.
// docs/policy.md has the table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/policy.h"
#include "config/result.h"

namespace sandgate::config {

struct Remark
{
    std::string what;  // a sentence
    Where where;       // in the Tailscale file
};

struct Translation
{
    std::string yaml;             // the remarks are in its head, too
    std::vector<Remark> remarks;  // in the order of their lines
};

// `path` is what errors and the head of the result call the text. The result holds no agents, which
// Tailscale's file does not have: validate() says which tags and owners still have none.
Result<Translation> import_tailscale(std::string_view text, const std::string& path);

}  // namespace sandgate::config
