// HMAC (RFC 2104) and HKDF (RFC 5869) with BLAKE2s, as section 5.4 of the WireGuard paper names
// them.
#include "crypto/kdf.h"

#include <cstring>

namespace sandgate::crypto {
namespace {

constexpr size_t kBlockBytes = 64;

// tau_i = HMAC(tau_0, tau_(i-1) || i), for the outputs in turn. tau_0 is taken before the first
// output is written, because an output may be the key.
void expand(std::span<Key* const> outputs, Bytes key, Bytes input)
{
    Key tau0;
    hmac(key, input, tau0.data());
    Secret<33> message;
    size_t previous_bytes = 0;
    uint8_t number = 1;
    for (Key* output : outputs) {
        message.data()[previous_bytes] = number++;
        hmac(tau0.span(), {message.data(), previous_bytes + 1}, output->data());
        std::memcpy(message.data(), output->data(), Key::size());
        previous_bytes = Key::size();
    }
}

}  // namespace

void hmac(Bytes key, Bytes input, uint8_t* out)
{
    Secret<kBlockBytes> block;
    if (key.size() > kBlockBytes)
        Blake2s().update(key).finish(block.data());
    else if (!key.empty())
        std::memcpy(block.data(), key.data(), key.size());

    for (uint8_t& byte : block.span()) byte ^= 0x36;
    Secret<32> inner;
    Blake2s().update(block.span()).update(input).finish(inner.data());

    for (uint8_t& byte : block.span()) byte ^= 0x36 ^ 0x5c;
    Blake2s().update(block.span()).update(inner.span()).finish(out);
}

void kdf1(Key& out1, Bytes key, Bytes input)
{
    Key* const outputs[] = {&out1};
    expand(outputs, key, input);
}

void kdf2(Key& out1, Key& out2, Bytes key, Bytes input)
{
    Key* const outputs[] = {&out1, &out2};
    expand(outputs, key, input);
}

void kdf3(Key& out1, Key& out2, Key& out3, Bytes key, Bytes input)
{
    Key* const outputs[] = {&out1, &out2, &out3};
    expand(outputs, key, input);
}

}  // namespace sandgate::crypto
