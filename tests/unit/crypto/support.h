// Bytes for tests: hexadecimal text, and random numbers that are the same in every run.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/dh_kernel.h"
#include "crypto/kernel.h"

namespace sandgate::crypto::test {

using Buffer = std::vector<uint8_t>;

inline uint8_t digit(char c)
{
    if (c >= '0' && c <= '9')
        return static_cast<uint8_t>(c - '0');
    if (c >= 'a' && c <= 'f')
        return static_cast<uint8_t>(c - 'a' + 10);
    throw std::invalid_argument("not a hexadecimal digit");
}

inline Buffer from_hex(std::string_view text)
{
    if (text.size() % 2 != 0)
        throw std::invalid_argument("an odd number of hexadecimal digits");
    Buffer out;
    for (size_t i = 0; i < text.size(); i += 2)
        out.push_back(static_cast<uint8_t>(digit(text[i]) << 4 | digit(text[i + 1])));
    return out;
}

inline std::string to_hex(std::span<const uint8_t> bytes)
{
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (const uint8_t byte : bytes) {
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
    return out;
}

inline Buffer bytes_of(std::string_view text) { return Buffer(text.begin(), text.end()); }

// first, first + step, ... modulo 256.
inline Buffer ramp(size_t bytes, size_t first, size_t step)
{
    Buffer out(bytes);
    for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<uint8_t>(first + i * step);
    return out;
}

inline void fill_random(std::span<uint8_t> out, std::mt19937_64& random)
{
    for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
}

inline Buffer random_bytes(size_t bytes, std::mt19937_64& random)
{
    Buffer out(bytes);
    fill_random(out, random);
    return out;
}

// The oracle.
inline const Kernel& sodium_kernel()
{
    for (const Kernel& kernel : kernels())
        if (std::string_view(kernel.name) == "sodium")
            return kernel;
    std::abort();
}
inline const DhKernel& sodium_dh_kernel() { return dh_kernels().back(); }

}  // namespace sandgate::crypto::test
