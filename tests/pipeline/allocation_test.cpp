// The packet path allocates nothing: a million packets of all kinds, and every call of malloc and
// of its relatives is counted while run_burst() has the thread. Packet buffers come from their
// pool, which is no allocation.
#include <malloc.h>

#include <cstdlib>

#include "tests/support/dataplane_world.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDGATE_OWN_MALLOC 0
#else
#define SANDGATE_OWN_MALLOC 1
#endif

namespace {
thread_local bool is_counting = false;
thread_local uint64_t allocations = 0;
inline void note() { allocations += is_counting ? 1 : 0; }
}  // namespace

#if SANDGATE_OWN_MALLOC
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);
void* malloc(size_t bytes) { return note(), __libc_malloc(bytes); }
void* calloc(size_t n, size_t bytes) { return note(), __libc_calloc(n, bytes); }
void* realloc(void* old, size_t bytes) { return note(), __libc_realloc(old, bytes); }
void* aligned_alloc(size_t alignment, size_t bytes)
{
    return note(), __libc_memalign(alignment, bytes);
}
void* memalign(size_t alignment, size_t bytes) { return note(), __libc_memalign(alignment, bytes); }
int posix_memalign(void** out, size_t alignment, size_t bytes)
{
    note();
    *out = __libc_memalign(alignment, bytes);
    return *out == nullptr ? ENOMEM : 0;
}
void free(void* memory) { __libc_free(memory); }
}
#endif

namespace sandgate::test {
namespace {

TEST(PacketPath, allocates_nothing_over_a_million_packets)
{
    if (!SANDGATE_OWN_MALLOC)
        GTEST_SKIP() << "a sanitizer has the allocator";
    is_counting = true;
    void* volatile probe = std::malloc(8);
    is_counting = false;
    std::free(probe);
    ASSERT_EQ(allocations, 1u) << "the counter counts";
    allocations = 0;

    World world(1, {}, 1u << 14);
    crypto::prepare_thread();
    Session& session = *world.agent(1).current;
    const Bytes up = between("10.9.1.1", kLanHost).udp(1000, 1500, pattern(100));
    const Bytes denied = between("10.9.1.1", kLanHost).tcp(1000, 1, kSyn);
    Bytes down = world.plain(between(kLanHost, "10.9.1.1").udp(1500, 1000, pattern(300)));
    const Bytes large = world.plain(between(kLanHost, "10.9.1.1").udp(1500, 1000, pattern(1450)));
    const Bytes host = world.from_host(between("10.9.0.1", "10.9.1.1").udp(53, 4000, pattern(40)));
    Bytes forged = world.tunnel_frame(world.data_message(session, 0, up), "192.0.2.66", 66);
    forged.back() ^= 1;

    constexpr unsigned kBursts = 1'000'000 / 32;
    uint64_t packets = 0;
    for (unsigned round = 0; round <= kBursts; round++) {
        Burst burst;
        for (unsigned i = 0; i < 26; i++) {
            if (i % 4 == 0)
                put16(down, 14 + 20 + 2,
                      1000 + (round + i) % 1000);  // many flows; IPv4 leaves UDP sums unchecked
            world.add(burst, kLanPort, down);
        }
        world.add(burst, kLanPort, large);
        world.add(burst, kHostPort, host);
        world.add(burst, kWanPort, forged);
        world.add(burst, kWanPort, world.sealed(1, up));
        world.add(burst, kWanPort, world.sealed(1, round % 8 == 0 ? denied : up));
        world.add(burst, kWanPort, world.sealed(1, {}));
        packets += burst.size();
        is_counting = true;
        run_burst(world.w(), *world.policy, burst);
        flush_transmit(world.w());
        sweep_flows(world.w(), *world.policy);
        is_counting = false;
        world.pass(1000);
        for (const uint8_t port : {kWanPort, kLanPort, kHostPort}) {
            rte_mbuf* mbufs[256];
            const unsigned count = rte_ring_dequeue_burst(
                TestDevices::get().tx[port][0], reinterpret_cast<void**>(mbufs), 256, nullptr);
            rte_pktmbuf_free_bulk(mbufs, count);
        }
        if (round % 256 == 0)
            world.take_events();
    }
    EXPECT_GE(packets, 1'000'000u);
    EXPECT_EQ(allocations, 0u);
    EXPECT_GE(world.counters[0].sealed.load(), 800'000u);
    EXPECT_EQ(world.drops(DropReason::kTransmitFull), 0u);
}

}  // namespace
}  // namespace sandgate::test
