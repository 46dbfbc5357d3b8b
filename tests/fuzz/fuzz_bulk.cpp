// Any bytes as a bulk file of agents: parsed or refused, and an agent that is taken has its key and
// a place.
#include <unistd.h>

#include <cstdlib>

#include "config/bulk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static char path[] = "/tmp/sandgate-fuzz-bulk-XXXXXX";
    static const int fd = [] {
        const int made = mkstemp(path);
        std::atexit([] { unlink(path); });
        return made;
    }();
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != static_cast<ssize_t>(size))
        std::abort();
    const auto file = sandgate::config::load_bulk(path);
    if (!file)
        return 0;
    for (const auto& agent : file->agents->agents)
        if (agent.name.empty())
            std::abort();
    return 0;
}
