// What the threads of the dataplane say to each other. Everything goes through bounded rings;
// nothing here is shared in place.
#pragma once

#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <cstdint>

#include "dataplane/agent.h"
#include "dataplane/wireguard/handshake_engine.h"

namespace sandgate::dp {

// To a worker, from the handshake thread.
struct WorkerMessage
{
    enum class Kind : uint32_t
    {
        kInstallSession,  // session, endpoint (provisional source)
        kKeepalive,       // identity
        kForgetSessions,  // identity
        kDropStaged,      // identity
        kSendDatagram,    // mbuf holds a handshake message; endpoint is where it goes
    };
    Kind kind;
    IdentityId identity;
    Session* session;
    rte_mbuf* mbuf;
    Endpoint endpoint;
    uint32_t zero;
};
static_assert(sizeof(WorkerMessage) == 48);
static_assert(sizeof(wg::PeerEvent) % 4 == 0);

// A ring of fixed-size elements; many producers, one consumer.
template <typename T>
class Mailbox
{
  public:
    // capacity: a power of two. Aborts when memory is missing: mailboxes are made before traffic
    // starts.
    explicit Mailbox(const char* name, unsigned capacity)
        : ring_(rte_ring_create_elem(name, sizeof(T), capacity, SOCKET_ID_ANY, RING_F_SC_DEQ))
    {
        if (ring_ == nullptr)
            rte_panic("no memory for the ring %s\n", name);
    }
    ~Mailbox() { rte_ring_free(ring_); }
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;

    // False when full.
    bool push(const T& item)
    {
        return rte_ring_mp_enqueue_elem(ring_, const_cast<T*>(&item), sizeof(T)) == 0;
    }
    // For what will be said again: leaves half of the ring to what must not be lost.
    bool push_repeatable(const T& item)
    {
        return rte_ring_free_count(ring_) > rte_ring_get_capacity(ring_) / 2 && push(item);
    }
    unsigned pop(T* items, unsigned most)
    {
        return rte_ring_sc_dequeue_burst_elem(ring_, items, sizeof(T), most, nullptr);
    }
    unsigned used() const { return rte_ring_count(ring_); }

  private:
    rte_ring* ring_;
};

}  // namespace sandgate::dp
