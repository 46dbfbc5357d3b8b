// What the readers of snapshots and deltas share: the checksum and the bounds of a table. Private
// to dataplane/api.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/api/snapshot.h"

namespace sandgate::api {

constexpr uint64_t kMaxRows = 1u << 27;  // of any table; keeps every product far from 2^64

inline uint64_t hash_words(uint64_t h, const uint8_t* bytes, size_t size)
{
    const auto step = [&h](uint64_t word) {
        h = (h ^ word) * 0x100000001b3;
        h ^= h >> 32;
    };
    uint64_t word = 0;
    for (; size >= 8; bytes += 8, size -= 8) {
        std::memcpy(&word, bytes, 8);
        step(word);
    }
    if (size > 0) {
        word = 0;
        std::memcpy(&word, bytes, size);
        step(word);
    }
    return h;
}

// The checksum of bytes that start with a Header; 0 when they are too short for one.
template <class Header>
uint64_t checksum_of(std::span<const uint8_t> bytes)
{
    if (bytes.size() < sizeof(Header))
        return 0;
    const uint64_t h = hash_words(0xcbf29ce484222325, bytes.data() + sizeof(Header),
                                  bytes.size() - sizeof(Header));
    Header header;
    std::memcpy(static_cast<void*>(&header), bytes.data(), sizeof header);
    header.checksum = 0;
    return hash_words(h, reinterpret_cast<const uint8_t*>(&header), sizeof header);
}

// Points `rows` at the table; false when it does not lie behind the header and within the bytes.
template <class Header, class Row>
bool find_table(std::span<const uint8_t> bytes, const Table& table, std::span<const Row>& rows)
{
    if (table.offset % 8 != 0 || table.offset < sizeof(Header) || table.offset > bytes.size())
        return false;
    if (table.count > kMaxRows || table.count * sizeof(Row) > bytes.size() - table.offset)
        return false;
    rows = {reinterpret_cast<const Row*>(bytes.data() + table.offset),
            static_cast<size_t>(table.count)};
    return true;
}

}  // namespace sandgate::api
