// A burst of packets and the one way to refuse one. A stage asks a pure question about each packet;
// counting, freeing and closing ranks are written here, once.
#pragma once

#include <new>
#include <span>
#include <type_traits>

#include "dataplane/api/counters.h"
#include "dataplane/api/drop_reason.h"
#include "dataplane/pipeline/packet.h"

namespace sandgate::dp {

struct Worker;

class Burst
{
  public:
    static_assert(std::is_trivially_destructible_v<Packet>);
    Burst() {}  // leaves the storage alone
    Burst(const Burst&) = delete;
    Burst& operator=(const Burst&) = delete;

    static constexpr unsigned kMost = 64;

    unsigned size() const { return count_; }
    bool is_empty() const { return count_ == 0; }
    bool is_full() const { return stored_ == kMost; }
    unsigned places_left() const { return kMost - stored_; }
    void clear() { count_ = stored_ = 0; }

    // A fresh packet for this mbuf. The burst is not full.
    Packet& add(rte_mbuf* mbuf)
    {
        Packet& packet = *new (place(stored_++)) Packet{};
        packet.mbuf = mbuf;
        kept_[count_++] = &packet;
        return packet;
    }
    // A packet that was parked in its mbuf.
    Packet& add_parked(rte_mbuf* mbuf)
    {
        Packet& packet = *new (place(stored_++)) Packet(*parked(mbuf));
        kept_[count_++] = &packet;
        return packet;
    }

    std::span<Packet* const> packets() const { return {kept_, count_}; }
    Packet& operator[](unsigned i) const { return *kept_[i]; }

    // fault_of(packet) -> DropReason; kNone keeps the packet, anything else counts it and frees it.
    template <typename WorkerType, typename FaultOf>
    void keep_if(WorkerType& worker, FaultOf fault_of)
    {
        unsigned kept = 0;
        for (unsigned i = 0; i < count_; i++) {
            Packet& packet = *kept_[i];
            const DropReason fault = fault_of(packet);
            if (fault == DropReason::kNone) [[likely]]
                kept_[kept++] = &packet;
            else
                worker.drop(packet, fault);
        }
        count_ = kept;
    }

    // stays(packet) -> bool; a packet that does not stay has been moved to an exit by the callee.
    template <typename Stays>
    void keep_unless_exited(Stays stays)
    {
        unsigned kept = 0;
        for (unsigned i = 0; i < count_; i++)
            if (stays(*kept_[i]))
                kept_[kept++] = kept_[i];
        count_ = kept;
    }

  private:
    void* place(unsigned i) { return &storage_[i * sizeof(Packet)]; }

    // Not initialised: a burst of three packets pays for three.
    alignas(64) unsigned char storage_[kMost * sizeof(Packet)];
    Packet* kept_[kMost];
    unsigned count_ = 0;   // packets that are still in
    unsigned stored_ = 0;  // places used
};

}  // namespace sandgate::dp
