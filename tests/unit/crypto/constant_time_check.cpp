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

// Secret keys and texts through seal, then authentic and forged packets with secret keys through
// open.
void check_kernel(const Kernel& kernel)
{
    const std::string_view name = kernel.name;
    for (const uint32_t bytes : {0u, 1u, 16u, 63u, 192u, 193u, 300u, 1420u}) {
        Buffer key = ramp(kKeyBytes, 1, 3), data = ramp(bytes + kTagBytes, 9, 5);
        make_secret(key);
        make_secret(std::span(data).first(bytes));
        AeadJob job{key.data(), 7, data.data(), bytes, false};
        kernel.seal({&job, 1});
        make_public(data);
        // libsodium decides on the tag inside, where nothing can be declassified.
        if (name == "sodium")
            continue;
        for (const uint8_t forgery : {0, 1}) {
            data[bytes] ^= forgery;
            Buffer copy = data;
            AeadJob opened{key.data(), 7, copy.data(), bytes, false};
            kernel.open({&opened, 1});
            if (opened.is_authentic == (forgery == 1))
                std::printf("the verdict is wrong\n");
        }
    }
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
    Secret<32> shared;
    if (!dh(shared, mine, theirs))
        std::printf("the verdict is wrong\n");
    (void)public_key_of(mine);
    report("x25519");
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
