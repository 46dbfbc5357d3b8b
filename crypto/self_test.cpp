// start(): chooses the kernel, then compares known answers. The answers were computed by
// independent implementations (Python's hashlib, hmac and cryptography, the last of which is
// OpenSSL) or come from the documents named beside them. A comparison is of digests where a text is
// long.
#include "crypto/self_test.h"

#include <sodium.h>

#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "crypto/known_answers.h"

namespace sandgate::crypto {
namespace {

std::string to_hex(Bytes bytes)
{
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (const uint8_t byte : bytes) {
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
    return out;
}

Bytes bytes_of(std::string_view text)
{
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// first, first + step, first + 2 * step, ... modulo 256.
std::vector<uint8_t> ramp(size_t bytes, size_t first, size_t step)
{
    std::vector<uint8_t> out(bytes);
    for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<uint8_t>(first + i * step);
    return out;
}

struct AeadAnswer
{
    uint64_t counter;
    uint32_t text_bytes;
    std::string_view sealed_hash;  // BLAKE2s of the ciphertext and the tag
};

// Answer n has the key ramp(32, 0x80 + 7 * n, 1) and the text ramp(text_bytes, 3 + n, 5).
constexpr AeadAnswer kAeadAnswers[] = {
    {0x0, 0, "38575b0c4717a39ed39f0c444b2dc05fa55d2d83d438bb258b6e80b7077f7544"},
    {0x1, 1, "d9798b1f6d47a559d0fdfb95c0ee23c12eb611c65020811ee36f18d75331c52a"},
    {0xffffffffffffffff, 114, "1e9c7e33f7d2cbc137bfe609500734e6c95d1d25ca8a65e22c719a80aeae6b48"},
    {0x706050403020100, 80, "75b6ebbedf0d19bf3a4436e6f9559b72247a1ff1eba54953e18a04f127a79e58"},
    {0x2, 1420, "bf4112c55a16fc3b1f10b3145fa5afda28526bf6d2db373d18a4909e8e427bc9"},
    {0x100000000, 64, "a54366b9dfede6e465433753c272363a659ba66bbe1a4242e8911aca73ea44de"},
    {0x3, 191, "fae31a368cfda977b18c58cb7e5c563f2ec403d0c4ac0c92ef28479b9513c311"},
    {0x4, 256, "b27bcb30ca327b3385a3dedce15a6cc8e828311f615c877a1ed19bcac882fe0e"},
};

// The whole list three times over in one batch, so that kernels with lanes across packets fill
// them.
constexpr size_t kRepeats = 3;

struct AeadCase
{
    std::vector<uint8_t> key;
    std::vector<uint8_t> text;
    std::vector<uint8_t> buffer;  // the text, then room for the tag
    const AeadAnswer* answer;
};

std::string says(const Kernel& kernel, const std::string& what)
{
    return "The encryption kernel \"" + std::string(kernel.name) +
           "\" failed its self-test: " + what +
           ". Do not run traffic on this machine; SANDGATE_FORCE_KERNEL can choose another kernel.";
}

// Empty when both agree.
std::string difference(const char* what, Bytes got, std::string_view expected)
{
    if (to_hex(got) == expected)
        return {};
    return "The self-test of " + std::string(what) +
           " gave a wrong answer. Do not run traffic on this machine.";
}

std::string hashing_fault(const Primitives& p)
{
    // RFC 7693, appendix B.
    std::string fault =
        difference("BLAKE2s", p.hash(bytes_of("abc"), {}),
                   "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
    if (!fault.empty())
        return fault;
    fault = difference("keyed BLAKE2s", p.mac(ramp(32, 0, 1), bytes_of("message")),
                       "2b75eb9c63ca8524ff53d01905b406eb");
    if (!fault.empty())
        return fault;
    Hash mac;
    p.hmac(bytes_of("Jefe"), bytes_of("what do ya want for nothing?"), mac.data());
    fault = difference("HMAC-BLAKE2s", mac,
                       "90b6281e2f3038c9056af0b4a7e763cae6fe5d9eb4386a0ec95237890c104ff0");
    if (!fault.empty())
        return fault;
    Key one, two, three;
    p.kdf3(one, two, three, ramp(32, 0, 1), ramp(32, 100, 1));
    for (const auto& [key, answer] :
         {std::pair<const Key&, std::string_view>{
              one, "e3b7e038799447459d13f6cc03b71555c0b32ee93354ebe4526ec98bc53b20a4"},
          {two, "ca06d8e46b509266c7c0594805ffb9c256348a33c642381348f047e452d239e2"},
          {three, "5ee952936bec1473c13db1cc92b8d8ba5ad2df7c77f07478731d48aa5530a000"}}) {
        fault = difference("the key derivation", key.span(), answer);
        if (!fault.empty())
            return fault;
    }
    return {};
}

// RFC 7748, section 6.1: Alice's private key, Bob's public key, their secret; and a point of order
// 8, which must be refused.
struct DhAnswer
{
    PrivateKey alice;
    PublicKey bob;
    PublicKey low_order;
    std::string_view shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";

    DhAnswer()
    {
        decode(alice.data(), "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        decode(bob.data(), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        decode(low_order.data(),
               "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
    }
    static void decode(uint8_t* to, const char* hex)
    {
        sodium_hex2bin(to, 32, hex, 64, nullptr, nullptr, nullptr);
    }
};

const char* const kLowOrderAccepted =
    "The self-test of X25519 accepted a point of low order. Do not run traffic on this machine.";

std::string x25519_fault(const Primitives& p)
{
    const DhAnswer answer;
    std::string fault =
        difference("X25519 public keys", p.public_key_of(answer.alice),
                   "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    if (!fault.empty())
        return fault;
    Secret<32> shared;
    const bool is_valid = p.dh(shared, answer.alice, answer.bob);
    fault = difference("X25519", is_valid ? Bytes(shared.span()) : Bytes(), answer.shared);
    if (fault.empty() && (p.dh(shared, answer.alice, answer.low_order) || !shared.is_zero()))
        fault = kLowOrderAccepted;
    return fault;
}

std::string handshake_aead_fault(const Primitives& p)
{
    Key key;
    std::memcpy(key.data(), ramp(32, 0, 1).data(), 32);
    const Bytes text = bytes_of("text"), ad = bytes_of("associated");
    std::array<uint8_t, 20> sealed;
    uint8_t opened[4];
    p.aead_seal(sealed.data(), key, 7, text, ad);
    std::string fault =
        difference("ChaCha20-Poly1305", sealed, "856afc3ca791530df8526d4303222a5db5d9c7e4");
    if (!fault.empty())
        return fault;
    if (!p.aead_open(opened, key, 7, sealed, ad) || std::memcmp(opened, text.data(), 4) != 0)
        return difference("opening ChaCha20-Poly1305", {}, "refused what is authentic");
    sealed[19] ^= 1;
    if (p.aead_open(opened, key, 7, sealed, ad))
        return difference("opening ChaCha20-Poly1305", {}, "accepted a forged tag");

    // draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    const auto xkey = ramp(32, 0x80, 1), xnonce = ramp(24, 0x40, 1);
    const std::span<const uint8_t, 24> nonce(xnonce.data(), 24);
    const Bytes xtext = bytes_of(
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        "future, sunscreen would be it.");
    const Bytes xad = bytes_of("PQRS\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7");
    std::vector<uint8_t> xsealed(xtext.size() + kTagBytes), xopened(xtext.size());
    p.xaead_seal(xsealed.data(), xkey, nonce, xtext, xad);
    fault = difference("XChaCha20-Poly1305", Bytes(xsealed).last(kTagBytes),
                       "c0875924c1c7987947deafd8780acf49");
    if (!fault.empty())
        return fault;
    if (!p.xaead_open(xopened.data(), xkey, nonce, xsealed, xad) ||
        std::memcmp(xopened.data(), xtext.data(), xtext.size()) != 0)
        return difference("opening XChaCha20-Poly1305", {}, "refused what is authentic");
    xsealed[0] ^= 1;
    if (p.xaead_open(xopened.data(), xkey, nonce, xsealed, xad))
        return difference("opening XChaCha20-Poly1305", {}, "accepted a forged text");
    return {};
}

}  // namespace

std::string kernel_fault(const Kernel& kernel)
{
    std::vector<AeadCase> cases;
    for (size_t repeat = 0; repeat < kRepeats; ++repeat)
        for (size_t n = 0; n < std::size(kAeadAnswers); ++n) {
            const AeadAnswer& answer = kAeadAnswers[n];
            AeadCase entry{
                ramp(32, 0x80 + 7 * n, 1), ramp(answer.text_bytes, 3 + n, 5), {}, &answer};
            entry.buffer = entry.text;
            entry.buffer.resize(answer.text_bytes + kTagBytes);
            cases.push_back(std::move(entry));
        }
    std::vector<AeadJob> jobs;
    for (AeadCase& entry : cases)
        jobs.push_back({entry.key.data(), entry.answer->counter, entry.buffer.data(),
                        entry.answer->text_bytes, false});

    kernel.seal(jobs);
    for (const AeadCase& entry : cases)
        if (to_hex(hash(entry.buffer)) != entry.answer->sealed_hash)
            return says(kernel, "a sealed packet of " + std::to_string(entry.text.size()) +
                                    " bytes is wrong");

    // Every fifth packet is forged, in a bit of the tag that moves.
    const auto is_forged = [](size_t i) { return i % 5 == 2; };
    for (size_t i = 0; i < cases.size(); ++i)
        if (is_forged(i))
            cases[i].buffer[cases[i].text.size() + i % kTagBytes] ^=
                static_cast<uint8_t>(1u << i % 8);
    kernel.open(jobs);
    for (size_t i = 0; i < cases.size(); ++i) {
        const AeadCase& entry = cases[i];
        const bool has_text =
            std::equal(entry.text.begin(), entry.text.end(), entry.buffer.begin());
        if (is_forged(i)) {
            if (jobs[i].is_authentic)
                return says(kernel, "it accepted a forged packet");
            if (!entry.text.empty() && has_text)
                return says(kernel, "it left the plaintext of a forged packet");
        } else if (!jobs[i].is_authentic || !has_text) {
            return says(kernel, "it did not open an authentic packet of " +
                                    std::to_string(entry.text.size()) + " bytes");
        }
    }
    return {};
}

// As many jobs as reach full lanes, lanes that are partly idle and a job of its own; a point of low
// order moves through them.
std::string dh_kernel_fault(const DhKernel& kernel)
{
    constexpr size_t kMost = 17;
    const DhAnswer answer;
    for (size_t count = 1; count <= kMost; ++count) {
        std::vector<Secret<32>> shared(count);
        std::vector<DhJob> jobs;
        const auto is_bad = [&](size_t i) { return i % 9 == count % 9; };
        for (size_t i = 0; i < count; ++i)
            jobs.push_back({&answer.alice, is_bad(i) ? &answer.low_order : &answer.bob, &shared[i],
                            is_bad(i)});
        kernel.compute(jobs);
        for (size_t i = 0; i < count; ++i) {
            if (is_bad(i) && (jobs[i].is_valid || !shared[i].is_zero()))
                return kLowOrderAccepted;
            if (!is_bad(i)) {
                const std::string fault =
                    difference("X25519 in batches", jobs[i].is_valid ? shared[i].span() : Bytes(),
                               answer.shared);
                if (!fault.empty())
                    return fault;
            }
        }
    }
    return {};
}

std::string primitives_fault(const Primitives& primitives)
{
    for (const auto check : {hashing_fault, x25519_fault, handshake_aead_fault}) {
        std::string fault = check(primitives);
        if (!fault.empty())
            return fault;
    }
    return {};
}

std::string start_with(std::span<const Kernel> table, const char* forced, const CpuReport& report,
                       const Primitives& primitives, std::span<const DhKernel> dh_table)
{
    if (sodium_init() < 0)
        return "libsodium could not initialise; the system has no source of randomness.";
    const KernelChoice choice = choose_kernel(table, forced, report);
    if (choice.kernel == nullptr)
        return choice.fault;
    const DhKernel& dh_kernel = choose_dh_kernel(dh_table, choice.kernel->needs);
    std::string fault = primitives_fault(primitives);
    if (fault.empty())
        fault = dh_kernel_fault(dh_kernel);
    if (fault.empty())
        fault = kernel_fault(*choice.kernel);
    if (!fault.empty())
        return fault;
    use_kernel(*choice.kernel);
    use_dh_kernel(dh_kernel);
    return {};
}

std::string start()
{
    return start_with(kernels(), std::getenv("SANDGATE_FORCE_KERNEL"), cpu_report(), Primitives{});
}

const char* kernel_name() { return kernel_in_use().name; }
const char* dh_kernel_name() { return dh_kernel_in_use().name; }

}  // namespace sandgate::crypto
