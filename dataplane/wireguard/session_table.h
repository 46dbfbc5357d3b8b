// All sessions, found by receiver index without a hash. A receiver index is ours to choose, so it
// says where the session lives: the owning worker in the top bits of the first byte on the wire
// (XORed with a constant of this boot, so that a NIC or a two-instruction dispatcher can steer by
// it) and, in the other bits, a keyed permutation of 22 bits of slot and 6 of generation. It
// discloses nothing but placement.
//
// Writer of the table: the handshake thread. Readers: workers, by find() and owner_of(). A slot is
// filled first; then its index is stored with release. Freed slots are reused first-in first-out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>

#include "dataplane/wireguard/session.h"

namespace sandgate::wg {

class SessionTable
{
  public:
    static constexpr unsigned kWorkerBits = 4;
    static constexpr unsigned kSlotBits = 22;
    static constexpr unsigned kGenerationBits = 6;

    // capacity: slots, at most 2^22. key: 16 random bytes of this boot. Memory is reserved at once
    // and touched when used.
    SessionTable(size_t capacity, std::span<const uint8_t, 16> key);
    ~SessionTable();
    SessionTable(const SessionTable&) = delete;
    SessionTable& operator=(const SessionTable&) = delete;

    // The worker that owns the session of this index, whether or not it exists.
    WorkerId owner_of(SessionIndex index) const
    {
        return static_cast<WorkerId>(((index & 0xff) ^ boot_byte_) >> (8 - kWorkerBits));
    }

    // The live session of this index, or nullptr. The caller is in a read section (QSBR).
    Session* find(SessionIndex index) const
    {
        const uint32_t plain = unpermute(index);
        const uint32_t slot = plain & ((1u << kSlotBits) - 1);
        if (slot >= capacity_)
            return nullptr;
        Session* session = &slots_[slot];
        return session->index.load(std::memory_order_acquire) == index ? session : nullptr;
    }

    // For prefetching: the slot that find() would read, or nullptr. It is live under this index
    // only while its `index` says so.
    Session* slot_of(SessionIndex index) const
    {
        const uint32_t slot = unpermute(index) & ((1u << kSlotBits) - 1);
        return slot < capacity_ ? &slots_[slot] : nullptr;
    }

    // A free slot with a fresh index for this owner, not yet published; nullptr when the table is
    // full. The index that it will have is stored in `index`.
    Session* allocate(WorkerId owner, SessionIndex& index);
    // Makes a filled session visible under the index that allocate() gave.
    void publish(Session* session, SessionIndex index);
    // Hides a session from find(); its memory stays valid until release().
    void unpublish(Session* session);
    // Wipes a session and frees its slot. The caller has waited for a grace period since
    // unpublish().
    void release(Session* session);

    size_t capacity() const { return capacity_; }
    size_t used() const { return used_; }

  private:
    uint32_t permute(uint32_t plain, WorkerId worker) const;
    uint32_t unpermute(SessionIndex index) const;

    Session* slots_;
    size_t capacity_;
    uint8_t boot_byte_;
    uint32_t round_keys_[4];
    uint32_t next_fresh_ = 0;
    size_t used_ = 0;
    std::deque<uint32_t> free_;
    uint8_t* generations_;  // of each slot
};

}  // namespace sandgate::wg
