// YAML text in, Policy out. Every error names file, line, column and key path and is a sentence;
// unknown keys, keys given twice, anchors, aliases and tags are errors. Bounded: bytes, depth and
// number of nodes. Nothing is compared with anything else here, see validate.h. The language is
// described in docs/policy.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/bulk.h"
#include "config/policy.h"

namespace sandgate::config {

constexpr size_t kMaxErrors = 100;  // that one load reports

struct LoadResult
{
    Policy policy;
    std::vector<Error> errors;       // the policy may be used only when there is none
    std::vector<std::string> texts;  // of policy.files, as they were read

    bool is_ok() const { return errors.empty(); }
};

// Reads the file and the bulk files that it names.
LoadResult load_file(const std::string& path, BulkCache& cache);

// The same for a text; `path` is what errors call it and what relative paths are relative to.
LoadResult load_text(std::string_view text, const std::string& path, BulkCache& cache);

}  // namespace sandgate::config
