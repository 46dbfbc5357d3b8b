// Secret<N>: bytes that must not outlive their use. Wiped on destruction and on move-from, not
// copyable, not printable, compared in constant time (docs/crypto.md).
#pragma once

#include <sodium.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sandgate::crypto {

// Overwrites memory in a way that the compiler cannot remove.
inline void wipe(void* memory, size_t bytes) { sodium_memzero(memory, bytes); }

// True when both ranges hold the same bytes; the time taken depends on the length alone.
inline bool equal_constant_time(const void* a, const void* b, size_t bytes)
{
    return sodium_memcmp(a, b, bytes) == 0;
}

template <size_t N>
class Secret
{
  public:
    Secret() { bytes_.fill(0); }
    explicit Secret(std::span<const uint8_t, N> from)
    {
        std::memcpy(bytes_.data(), from.data(), N);
    }
    ~Secret() { wipe(); }

    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    Secret(Secret&& other) noexcept : bytes_(other.bytes_) { other.wipe(); }
    Secret& operator=(Secret&& other) noexcept
    {
        if (this != &other) {
            bytes_ = other.bytes_;
            other.wipe();
        }
        return *this;
    }

    static constexpr size_t size() { return N; }
    uint8_t* data() { return bytes_.data(); }
    const uint8_t* data() const { return bytes_.data(); }
    std::span<uint8_t, N> span() { return bytes_; }
    std::span<const uint8_t, N> span() const { return bytes_; }

    // A deliberate copy, so that duplicates of a secret are visible where they are made.
    Secret clone() const { return Secret(span()); }
    void assign(std::span<const uint8_t, N> from) { std::memcpy(bytes_.data(), from.data(), N); }
    void wipe() { crypto::wipe(bytes_.data(), N); }

    bool operator==(const Secret& other) const
    {
        return equal_constant_time(data(), other.data(), N);
    }
    bool is_zero() const { return sodium_is_zero(data(), N) == 1; }

  private:
    std::array<uint8_t, N> bytes_;
};

}  // namespace sandgate::crypto
