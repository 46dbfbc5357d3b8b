// What the fuzz targets of the packet path share: EAL once per process, a gateway of eight agents
// (bare_gateway.h), and frames whose bytes behind the end are poisoned, so that AddressSanitizer
// sees a read of one byte too many.
#pragma once

#include <sanitizer/asan_interface.h>

#include "crypto/self_test.h"
#include "tests/support/bare_gateway.h"

namespace sandgate::fuzz {

inline test::BareGateway& gateway()
{
    static test::BareGateway* made = [] {
        const std::string error = crypto::start();
        if (!error.empty())
            test::give_up(error);
        test::start_bare_eal({}, 64);
        auto* gateway = new test::BareGateway(8, 64, 2047);
        for (uint32_t i = 0; i < 7; i++)  // the last one has no session and no owner
            gateway->install(i);
        return gateway;
    }();
    return *made;
}

// An mbuf that holds these bytes at the end of its room: `behind` more may be read and written, the
// rest is poisoned until the frame dies. Packets that leave the burst in between are the caller's
// to watch.
class Frame
{
  public:
    Frame(const uint8_t* data, size_t bytes, uint16_t behind = 0)
    {
        mbuf = rte_pktmbuf_alloc(gateway().shared.pool);
        if (mbuf == nullptr)
            test::give_up("a fuzz target leaks packet buffers");
        bytes = std::min<size_t>(bytes, rte_pktmbuf_tailroom(mbuf) - behind);
        char* room = rte_pktmbuf_append(mbuf, static_cast<uint16_t>(bytes));
        if (bytes != 0)
            std::memcpy(room, data, bytes);
        begin_ =
            static_cast<uint8_t*>(mbuf->buf_addr) + rte_pktmbuf_headroom(mbuf) + bytes + behind;
        end_ = static_cast<uint8_t*>(mbuf->buf_addr) + mbuf->buf_len;
        ASAN_POISON_MEMORY_REGION(begin_, static_cast<size_t>(end_ - begin_));
    }
    ~Frame() { ASAN_UNPOISON_MEMORY_REGION(begin_, static_cast<size_t>(end_ - begin_)); }
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;

    rte_mbuf* mbuf;

  private:
    uint8_t* begin_;
    uint8_t* end_;
};

// Frees what lies in a ring of mbufs.
inline void drain(rte_ring* ring)
{
    void* mbuf = nullptr;
    while (rte_ring_dequeue(ring, &mbuf) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(mbuf));
}

inline void require(bool is_true)
{
    if (!is_true)
        __builtin_trap();
}

}  // namespace sandgate::fuzz
