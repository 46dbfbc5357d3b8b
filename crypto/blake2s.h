// BLAKE2s (RFC 7693): the hash of WireGuard, with keys and outputs of 1 to 32 bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sandgate::crypto {

using Hash = std::array<uint8_t, 32>;
using Bytes = std::span<const uint8_t>;

// Incremental hashing. The state holds key material when keyed, so it wipes itself.
class Blake2s
{
  public:
    explicit Blake2s(size_t digest_bytes = 32, Bytes key = {});
    ~Blake2s();
    Blake2s(const Blake2s&) = delete;
    Blake2s& operator=(const Blake2s&) = delete;

    Blake2s& update(Bytes input);
    // Writes digest_bytes to out; the object is spent afterwards.
    void finish(uint8_t* out);

  private:
    void compress(const uint8_t* block, bool is_last);

    uint32_t h_[8];
    uint64_t counted_ = 0;
    uint8_t buffer_[64];
    size_t buffered_ = 0;
    size_t digest_bytes_;
};

// HASH(a || b) of the WireGuard paper.
Hash hash(Bytes a, Bytes b = {});

// MAC(key, input): keyed BLAKE2s with 16 bytes of output; key of 16 or 32 bytes.
std::array<uint8_t, 16> mac(Bytes key, Bytes input);

}  // namespace sandgate::crypto
