// See session_table.h. The permutation is a four-round Feistel network over 28 bits; it hides slot
// and generation from onlookers, it is no cipher. Nothing of the security rests on it: an index is
// public anyway.
#include "dataplane/wireguard/session_table.h"

#include <sodium.h>
#include <sys/mman.h>

#include <new>

namespace sandgate::wg {

namespace {

constexpr unsigned kPlainBits = SessionTable::kSlotBits + SessionTable::kGenerationBits;
constexpr unsigned kHalfBits = kPlainBits / 2;
constexpr uint32_t kHalfMask = (1u << kHalfBits) - 1;
constexpr uint32_t kGenerationMask = (1u << SessionTable::kGenerationBits) - 1;
static_assert(kPlainBits == 28 && SessionTable::kWorkerBits + kPlainBits == 32);

// A freed slot rests until this many are free, so that a stale index meets its slot again only
// after 64 * 1024 sessions; meanwhile fresh slots are touched.
constexpr size_t kRestingSlots = 1024;

uint32_t round_function(uint32_t half, uint32_t key)
{
    uint32_t x = (half + key) * 0x9e3779b1u;
    x = (x ^ (x >> 15)) * 0x85ebca77u;
    return (x >> 13) & kHalfMask;
}

void* reserve(size_t bytes)
{
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        throw std::bad_alloc();
    madvise(memory, bytes, MADV_DONTDUMP);  // keys stay out of core files
    return memory;
}

// Leaves the slot as fresh memory: all zero, which is also the state of a session before its first
// use.
void wipe_slot(Session& session)
{
    session.index.store(0, std::memory_order_release);
    session.receive_key.wipe();
    session.send_key.wipe();
    session.identity = 0;
    session.remote_index = 0;
    session.owner = kNoWorker;
    session.is_initiator = session.is_confirmed = false;
    session.birth_ns = 0;
    session.send_counter.store(0, std::memory_order_relaxed);
    session.replay.reset();
}

}  // namespace

SessionTable::SessionTable(size_t capacity, std::span<const uint8_t, 16> key)
    : capacity_(std::min(capacity, size_t{1} << kSlotBits))
{
    static_assert(crypto_shorthash_KEYBYTES == 16);
    uint64_t hashes[3];
    for (uint8_t i = 0; i < 3; i++)
        crypto_shorthash(reinterpret_cast<uint8_t*>(&hashes[i]), &i, 1, key.data());
    for (unsigned i = 0; i < 4; i++)
        round_keys_[i] = static_cast<uint32_t>(hashes[i / 2] >> (32 * (i % 2)));
    boot_byte_ = static_cast<uint8_t>(hashes[2]);
    slots_ = static_cast<Session*>(reserve(std::max<size_t>(capacity_, 1) * sizeof(Session)));
    generations_ = static_cast<uint8_t*>(reserve(std::max<size_t>(capacity_, 1)));
}

SessionTable::~SessionTable()
{
    for (uint32_t slot = 0; slot < next_fresh_; slot++) wipe_slot(slots_[slot]);
    munmap(slots_, std::max<size_t>(capacity_, 1) * sizeof(Session));
    munmap(generations_, std::max<size_t>(capacity_, 1));
}

Session* SessionTable::allocate(WorkerId owner, SessionIndex& index)
{
    uint32_t slot;
    if (free_.size() > kRestingSlots || (next_fresh_ == capacity_ && !free_.empty())) {
        slot = free_.front();
        free_.pop_front();
    } else if (next_fresh_ < capacity_) {
        slot = next_fresh_++;
    } else {
        return nullptr;
    }
    do {  // 0 says "not live", so it cannot be an index
        generations_[slot] = static_cast<uint8_t>((generations_[slot] + 1) & kGenerationMask);
        index = permute(slot | static_cast<uint32_t>(generations_[slot]) << kSlotBits, owner);
    } while (index == 0);
    used_++;
    slots_[slot].owner = owner;
    return &slots_[slot];
}

void SessionTable::publish(Session* session, SessionIndex index)
{
    session->index.store(index, std::memory_order_release);
}

void SessionTable::unpublish(Session* session)
{
    session->index.store(0, std::memory_order_release);
}

void SessionTable::release(Session* session)
{
    wipe_slot(*session);
    free_.push_back(static_cast<uint32_t>(session - slots_));
    used_--;
}

uint32_t SessionTable::permute(uint32_t plain, WorkerId worker) const
{
    uint32_t left = plain >> kHalfBits, right = plain & kHalfMask;
    for (uint32_t key : round_keys_) {
        const uint32_t next = left ^ round_function(right, key);
        left = right;
        right = next;
    }
    const uint32_t mixed = left << kHalfBits | right;
    const uint32_t first_byte =
        (static_cast<uint32_t>(worker) << (8 - kWorkerBits) | (mixed & 0xf)) ^ boot_byte_;
    return (first_byte & 0xff) | mixed >> 4 << 8;
}

uint32_t SessionTable::unpermute(SessionIndex index) const
{
    const uint32_t mixed = index >> 8 << 4 | ((index ^ boot_byte_) & 0xf);
    uint32_t left = mixed >> kHalfBits, right = mixed & kHalfMask;
    for (unsigned i = 4; i-- > 0;) {
        const uint32_t previous = right ^ round_function(left, round_keys_[i]);
        right = left;
        left = previous;
    }
    return left << kHalfBits | right;
}

}  // namespace sandgate::wg
