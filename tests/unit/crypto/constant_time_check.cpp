// Runs the cryptography under valgrind with every secret marked as uninitialised (the method of
// Adam Langley's ctgrind). memcheck then reports each branch and each address that depends on a
// secret; what is public by design passes through declassify(). It proves the executed paths of
// this build, nothing more. With the argument `leak` it does what it looks for, so that a test can
// see that it is found.
#include <sodium.h>
#include <valgrind/memcheck.h>

#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "crypto/kdf.h"
#include "crypto/kernel.h"
#include "crypto/kernels/portable.h"
#include "crypto/x25519.h"
#include "tests/unit/crypto/support.h"

namespace sandgate::crypto::test {
namespace {

constexpr int kSkipped = 77;

void make_secret(std::span<uint8_t> bytes)
{
    VALGRIND_MAKE_MEM_UNDEFINED(bytes.data(), bytes.size());
}
void make_public(std::span<uint8_t> bytes)
{
    VALGRIND_MAKE_MEM_DEFINED(bytes.data(), bytes.size());
}

void report(const char* what)
{
    std::printf("%-32s %u findings so far\n", what, static_cast<unsigned>(VALGRIND_COUNT_ERRORS));
}

// Lengths around the edges of blocks, vectors and of what a lone packet's kernel takes.
constexpr uint32_t kLengths[] = {0, 1, 16, 63, 64, 192, 193, 300, 576, 943, 960, 961, 1420};

// A batch with keys of its own for each packet; lengths go round from `first`.
class SecretBatch
{
  public:
    SecretBatch(size_t packets, size_t first) : keys_(ramp(packets * kKeyBytes, 1, 3))
    {
        for (size_t i = 0; i < packets; ++i)
            texts_.push_back(ramp(kLengths[(first + i) % std::size(kLengths)] + kTagBytes, i, 5));
        make_secret(keys_);
    }
    std::vector<AeadJob> jobs()
    {
        std::vector<AeadJob> jobs;
        for (size_t i = 0; i < texts_.size(); ++i)
            jobs.push_back({keys_.data() + i * kKeyBytes, i, texts_[i].data(),
                            static_cast<uint32_t>(texts_[i].size() - kTagBytes), false});
        return jobs;
    }
    std::vector<Buffer>& texts() { return texts_; }

  private:
    Buffer keys_;
    std::vector<Buffer> texts_;
};

// Secret keys and texts through seal, then what was sealed through open, every third packet forged.
void check_batch(const Kernel& kernel, size_t packets, size_t first)
{
    SecretBatch batch(packets, first);
    for (Buffer& text : batch.texts()) make_secret(std::span(text).first(text.size() - kTagBytes));
    std::vector<AeadJob> jobs = batch.jobs();
    kernel.seal(jobs);
    for (Buffer& text : batch.texts()) make_public(text);
    // libsodium decides on the tag inside, where nothing can be declassified.
    if (std::string_view(kernel.name) == "sodium")
        return;
    const auto is_forged = [first](size_t i) { return (first + i) % 3 == 1; };
    for (size_t i = 0; i < packets; ++i)
        if (is_forged(i))
            batch.texts()[i].back() ^= 1;
    kernel.open(jobs);
    for (size_t i = 0; i < packets; ++i)
        if (jobs[i].is_authentic == is_forged(i))
            std::printf("the verdict is wrong\n");
}

void check_kernel(const Kernel& kernel)
{
    for (size_t first = 0; first < std::size(kLengths); ++first) check_batch(kernel, 1, first);
    size_t first = 0;
    for (const size_t packets : {2u, 5u, 8u, 17u, 64u, 70u}) check_batch(kernel, packets, first++);
    report(kernel.name);
}

void check_hashing()
{
    Buffer key = ramp(32, 1, 3), input = ramp(300, 2, 5);
    make_secret(key);
    make_secret(input);
    Key one, two, three;
    kdf3(one, two, three, key, input);
    (void)mac(key, input);
    (void)hash(key, input);
    report("blake2s, mac, hmac, kdf");
}

void check_x25519()
{
    PrivateKey mine;
    std::memset(mine.data(), 0x5a, 32);
    PublicKey theirs = {9};
    make_secret(mine.span());
    clamp(mine);
    Secret<32> shared[3];
    const PublicKey nowhere = {};  // of low order
    DhJob jobs[] = {{&mine, &theirs, &shared[0], false},
                    {&mine, &nowhere, &shared[1], true},
                    {&mine, &theirs, &shared[2], false}};
    dh_batch(jobs);
    if (!jobs[0].is_valid || jobs[1].is_valid || !jobs[2].is_valid)
        std::printf("the verdict is wrong\n");
    (void)public_key_of(mine);
    report("x25519, by libsodium");
}

int leak()
{
    Buffer secret = ramp(1, 3, 1);
    make_secret(secret);
    volatile uint8_t table[256] = {};
    return table[secret[0]];
}

}  // namespace
}  // namespace sandgate::crypto::test

int main(int argc, char** argv)
{
    using namespace sandgate::crypto;
    using namespace sandgate::crypto::test;
    if (RUNNING_ON_VALGRIND == 0) {
        std::puts("skipped: constant time is only checked under valgrind, which is not installed");
        return kSkipped;
    }
    if (sodium_init() < 0)
        return 1;
    if (argc > 1 && std::string_view(argv[1]) == "leak")
        return leak();
    for (const Kernel& kernel : kernels()) {
        const std::string fault = features_fault(kernel.needs, cpu_report());
        if (fault.empty())
            check_kernel(kernel);
        else
            std::printf("%s was not checked: %s\n", kernel.name, fault.c_str());
    }
    check_hashing();
    check_x25519();
    return VALGRIND_COUNT_ERRORS == 0 ? 0 : 1;
}
