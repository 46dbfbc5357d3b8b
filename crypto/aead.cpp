// Hands a batch to the kernel in use. Before start() that is a row which stops the process with a
// sentence, so the packet path pays no check for it.
#include "crypto/aead.h"

#include <cassert>
#include <cstdio>
#include <cstdlib>

#include "crypto/kernel.h"

namespace sandgate::crypto {
namespace {

[[noreturn]] void stop_before_start(std::span<AeadJob>)
{
    std::fputs(
        "sandgate: seal_batch or open_batch was called before crypto::start(); "
        "call start() first and stop when it returns a sentence.\n",
        stderr);
    std::abort();
}

constexpr Kernel kNotStarted = {"none", 0, 1, stop_before_start, stop_before_start};

// Writer: start(), before other threads exist; readers: all.
const Kernel* in_use = &kNotStarted;

// Only for debug builds: what the caller promised of every job.
[[maybe_unused]] bool jobs_are_legal(std::span<const AeadJob> jobs)
{
    for (const AeadJob& job : jobs)
        if (job.key == nullptr || job.data == nullptr || job.text_bytes > kMaxTextBytes)
            return false;
    return true;
}

}  // namespace

void seal_batch(std::span<AeadJob> jobs)
{
    assert(jobs_are_legal(jobs));
    in_use->seal(jobs);
}

void open_batch(std::span<AeadJob> jobs)
{
    assert(jobs_are_legal(jobs));
    in_use->open(jobs);
}

void prepare_thread()
{
    const uint8_t key[kKeyBytes] = {};
    uint8_t tag[kTagBytes];
    AeadJob job{key, 0, tag, 0, false};
    seal_batch({&job, 1});
}

void use_kernel(const Kernel& kernel) { in_use = &kernel; }
const Kernel& kernel_in_use() { return *in_use; }

}  // namespace sandgate::crypto
