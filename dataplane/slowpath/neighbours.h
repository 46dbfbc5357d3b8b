// The neighbours of all ports: IP address -> MAC address. Lock-free for its readers: each entry
// carries a sequence number that is odd while the writer changes it. Bounded; an entry that finds
// its places taken replaces the oldest one there.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>

#include "dataplane/policy/address_table.h"

namespace sandgate::dp {

class Neighbours
{
  public:
    static constexpr unsigned kEntries = 8192;
    static constexpr unsigned kProbes = 8;

    Neighbours() : entries_(std::make_unique<Entry[]>(kEntries)) {}

    // Copies the MAC address; false when it is not known. Any thread.
    bool find(uint8_t port, const api::Address& address, uint8_t* mac) const
    {
        const size_t start = start_of(port, address);
        for (unsigned i = 0; i < kProbes; i++) {
            const Entry& entry = entries_[(start + i) % kEntries];
            const uint32_t before = entry.sequence.load(std::memory_order_acquire);
            if ((before & 1) != 0)
                continue;
            uint64_t words[3];
            for (unsigned w = 0; w < 3; w++)
                words[w] = entry.words[w].load(std::memory_order_relaxed);
            std::atomic_thread_fence(std::memory_order_acquire);
            if (entry.sequence.load(std::memory_order_relaxed) != before)
                continue;
            if (std::memcmp(words, address.bytes.data(), 16) != 0 || port_of(words[2]) != port ||
                (words[2] >> 56) == 0)
                continue;
            std::memcpy(mac, &words[2], 6);
            return true;
        }
        return false;
    }

    // Writer: server thread (and the builder thread before the first policy is published).
    void set(uint8_t port, const api::Address& address, const uint8_t* mac)
    {
        const size_t start = start_of(port, address);
        Entry* place = nullptr;
        for (unsigned i = 0; i < kProbes; i++) {
            Entry& entry = entries_[(start + i) % kEntries];
            if (is_at(entry, port, address)) {
                place = &entry;
                break;
            }
            if (place == nullptr && !is_used(entry))
                place = &entry;
        }
        if (place == nullptr)
            place = &entries_[(start + evict_++ % kProbes) % kEntries];
        uint64_t words[3] = {};
        std::memcpy(words, address.bytes.data(), 16);
        std::memcpy(&words[2], mac, 6);
        words[2] |= static_cast<uint64_t>(port) << 48 | uint64_t{1} << 56;
        write(*place, words);
    }

    void erase(uint8_t port, const api::Address& address)
    {
        const size_t start = start_of(port, address);
        const uint64_t nothing[3] = {};
        for (unsigned i = 0; i < kProbes; i++) {
            Entry& entry = entries_[(start + i) % kEntries];
            if (is_at(entry, port, address))
                write(entry, nothing);
        }
    }

  private:
    struct Entry
    {
        std::atomic<uint32_t> sequence{0};
        std::atomic<uint64_t> words[3] = {};  // address (16 bytes); MAC (6), port (1), used (1)
    };

    static uint8_t port_of(uint64_t word) { return static_cast<uint8_t>(word >> 48); }
    static bool is_used(const Entry& entry)
    {
        return entry.words[2].load(std::memory_order_relaxed) >> 56 != 0;
    }
    static bool is_at(const Entry& entry, uint8_t port, const api::Address& address)
    {
        uint64_t key[2];
        std::memcpy(key, address.bytes.data(), 16);
        return is_used(entry) && entry.words[0].load(std::memory_order_relaxed) == key[0] &&
               entry.words[1].load(std::memory_order_relaxed) == key[1] &&
               port_of(entry.words[2].load(std::memory_order_relaxed)) == port;
    }
    static size_t start_of(uint8_t port, const api::Address& address)
    {
        return hash_of_bytes16(address.bytes.data(), port) % kEntries;
    }
    static void write(Entry& entry, const uint64_t* words)
    {
        const uint32_t sequence = entry.sequence.load(std::memory_order_relaxed);
        entry.sequence.store(sequence + 1, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);
        for (unsigned w = 0; w < 3; w++) entry.words[w].store(words[w], std::memory_order_relaxed);
        entry.sequence.store(sequence + 2, std::memory_order_release);
    }

    std::unique_ptr<Entry[]> entries_;
    unsigned evict_ = 0;
};

}  // namespace sandgate::dp
