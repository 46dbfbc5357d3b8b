// Any text to the YAML loader: it must say what is wrong or give a policy that compiles to a valid
// snapshot, twice the same.
#include <cstdlib>
#include <string_view>

#include "config/compile.h"
#include "config/load.h"
#include "config/validate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    using namespace sandgate;
    config::BulkCache cache;
    const auto result =
        config::load_text({reinterpret_cast<const char*>(data), size}, "/nonexistent/p", cache);
    if (!result.is_ok() || !config::validate(result.policy).empty())
        return 0;
    config::IdMap ids;
    const auto first = config::compile(result.policy, ids, 1);
    const auto second = config::compile(result.policy, ids, 1);
    std::string error;
    if (first &&
        (!second || first->bytes != second->bytes || !api::read_snapshot(first->bytes, error)))
        std::abort();
    return 0;
}
