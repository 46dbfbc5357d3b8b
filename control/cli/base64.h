// Keys as text: base64 of 32 bytes, 44 characters (as `wg` has them).
#pragma once

#include <sodium.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sandgate::control {

inline std::string key_to_base64(std::span<const uint8_t, 32> key)
{
    char text[sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_ORIGINAL)];
    sodium_bin2base64(text, sizeof(text), key.data(), key.size(), sodium_base64_VARIANT_ORIGINAL);
    std::string out(text);
    sodium_memzero(text, sizeof(text));
    return out;
}

// False unless the text, without blanks around it, is exactly one key in canonical form.
inline bool key_from_base64(std::string_view text, std::span<uint8_t, 32> key)
{
    while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '\n'))
        text.remove_suffix(1);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    size_t bytes = 0;
    const char* end = nullptr;
    return text.size() == 44 &&
           sodium_base642bin(key.data(), key.size(), text.data(), text.size(), nullptr, &bytes,
                             &end, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           bytes == 32 && end == text.data() + text.size();
}

}  // namespace sandgate::control
