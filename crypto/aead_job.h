// One packet of a batch. Integers only: the kernel files, which are compiled for wide CPUs, include
// this and nothing that could leave an inline function behind (see docs/crypto.md).
#pragma once

#include <cstddef>
#include <cstdint>

namespace sandgate::crypto {

constexpr uint32_t kTagBytes = 16;
constexpr uint32_t kKeyBytes = 32;
constexpr uint32_t kMaxTextBytes = 65519;

// The caller owns key and data; both must stay valid for the call. Keys, lengths and addresses may
// all differ within a batch; nothing needs an alignment. A null key or data, or a length out of
// range, is a programmer's mistake: debug builds abort, others do not look.
struct AeadJob
{
    const uint8_t* key;   // 32 bytes, never null
    uint64_t counter;     // the nonce
    uint8_t* data;        // in place: text_bytes of text, then the 16 bytes of the tag; never null
    uint32_t text_bytes;  // 0 to kMaxTextBytes, without the tag
    bool is_authentic;    // out, open_batch only
};

}  // namespace sandgate::crypto
