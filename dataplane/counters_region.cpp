// Sealed against resizing, so that a reader's mapping stays whole; writable by this process alone,
// because control gets a descriptor that was opened for reading.
#include "dataplane/counters_region.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstring>

#include "crypto/self_test.h"

namespace sandgate::dp {

std::string build_counters(const Options& options, uint64_t tsc_hz, CountersMemory& memory)
{
    const auto workers = static_cast<uint32_t>(options.worker_cores.size());
    const size_t bytes =
        sizeof(api::CountersRegion) + (workers + api::kSlowPathBlocks) * sizeof(api::CounterBlock);
    const int fd = memfd_create("sandgate-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0)
        return "no memory for the counters";
    void* place = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (place == MAP_FAILED)
        return "no memory for the counters";
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    memory.fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    close(fd);
    if (memory.fd < 0)
        return "the counters cannot be opened for reading; is /proc mounted?";

    auto* region = static_cast<api::CountersRegion*>(place);
    region->magic = api::kCountersMagic;
    region->version = api::kCountersVersion;
    region->workers = workers;
    randombytes_buf(&region->boot_id, sizeof(region->boot_id));
    region->tsc_hz = tsc_hz;
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    region->started_unix_ns =
        static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
    std::strncpy(region->kernel, crypto::kernel_name(), sizeof(region->kernel) - 1);
    const auto ports = static_cast<uint32_t>(options.ports.size());
    region->ports = ports + (options.has_host_port ? 1 : 0);
    region->host_port = options.has_host_port ? ports : ~0u;
    for (uint32_t i = 0; i < ports; i++)
        std::strncpy(region->port_names[i], options.ports[i].name.c_str(),
                     sizeof(region->port_names[i]) - 1);
    if (options.has_host_port)
        std::strncpy(region->port_names[ports], "host", sizeof(region->port_names[ports]) - 1);
    region->flows_per_worker = options.max_flows;
    memory.region = region;
    return {};
}

}  // namespace sandgate::dp
