// The flows of one worker: identity and inner 5-tuple on one side, rule and policy epoch on the
// other. One writer and reader, the owning worker; nothing here is shared. An entry is 64 bytes hot
// (read for every packet) and 64 cold (counters, written for every packet that passes). All memory
// is taken when the table is made.
#pragma once

#include <emmintrin.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/api/flow_timeouts.h"
#include "dataplane/api/ids.h"
#include "dataplane/flow/huge_array.h"
#include "dataplane/policy/address_table.h"

namespace sandgate::dp {

// Which flow a packet belongs to, the same for both directions: "agent" and "peer" are the two ends
// as seen from the identity that the flow is accounted to. Ports are in host order; an ICMP echo
// has its identifier as both.
struct FlowKey
{
    api::Address agent;
    api::Address peer;
    // One word, so that it is written at once: a processor that has just written parts of a word
    // waits before it can read the whole.
    uint64_t ends = 0;

    static uint64_t pack(uint16_t agent_port, uint16_t peer_port, api::IdentityId identity,
                         uint8_t protocol)
    {
        return agent_port | static_cast<uint64_t>(peer_port) << 16 |
               static_cast<uint64_t>(identity) << 32 | static_cast<uint64_t>(protocol) << 56;
    }
    uint16_t agent_port() const { return static_cast<uint16_t>(ends); }
    uint16_t peer_port() const { return static_cast<uint16_t>(ends >> 16); }
    api::IdentityId identity() const { return (ends >> 32) & api::kMaxIdentity; }
    uint8_t protocol() const { return static_cast<uint8_t>(ends >> 56); }
    // By words: a call of memcmp costs more than the comparison.
    bool operator==(const FlowKey& other) const
    {
        uint64_t mine[5], others[5], differs = 0;
        std::memcpy(mine, this, sizeof(mine));
        std::memcpy(others, &other, sizeof(others));
        for (unsigned i = 0; i < 5; i++) differs |= mine[i] ^ others[i];
        return differs == 0;
    }
};
static_assert(sizeof(FlowKey) == 40);

enum FlowState : uint8_t
{
    kFlowFree = 0,
    kFlowOpening = 1,      // packets in one direction only; TCP: SYN sent
    kFlowEstablished = 2,  // packets in both directions; TCP: the handshake is complete
    // TCP alone, see tcp_state.h.
    kFlowAnswered = 3,  // SYN received: the SYN has its answer
    kFlowPickedUp = 4,  // begun in the middle, packets of one side only
    kFlowClosing = 5,   // FIN from one end
    kFlowClosed = 6,    // RST, or FIN from both ends
};

// What TCP remembers of either end; `side` is 0 for the opener and 1 for the answerer.
constexpr uint8_t kOpener = 0, kAnswerer = 1;
constexpr uint8_t fin_of(unsigned side) { return static_cast<uint8_t>(1u << side); }
constexpr uint8_t seen_of(unsigned side) { return static_cast<uint8_t>(4u << side); }
// A reset of this side lay in the window, but not where only its real sender knows to put it.
constexpr uint8_t reset_of(unsigned side) { return static_cast<uint8_t>(16u << side); }
// A SYN of the opener came while the connection seemed to live: FlowCold::next_syn_end.
constexpr uint8_t kSynAgain = 64;

struct alignas(64) Flow
{
    FlowKey key;
    api::RuleId rule = 0;
    uint32_t epoch = 0;  // low bits of the policy epoch that decided
    uint32_t last_seen_ms = 0;
    union {
        // TCP: where the text ends that each side has sent, by side.
        uint32_t end[2] = {};
        uint32_t unanswered;  // ICMP echo: requests that had no reply yet
    };
    uint8_t state = kFlowFree;
    uint8_t direction = 0;  // api::MatchDirection: who opened it
    uint8_t marks = 0;      // TCP: fin_of, seen_of, reset_of, kSynAgain
    uint8_t scales = 0;     // TCP: window scales, the opener's in the low half
};
static_assert(sizeof(Flow) == 64);

struct alignas(64) FlowCold
{
    uint64_t packets[2] = {};  // [0] from the agent, [1] to the agent
    uint64_t bytes[2] = {};
    uint32_t start_s = 0;  // of the monotonic clock
    uint16_t start_ms = 0;
    uint8_t tcp_flags[2] = {};  // every flag that was seen, as packets[] are counted
    uint32_t next_syn_end = 0;  // with kSynAgain: where that SYN ends
    uint32_t hash = 0;
    uint32_t side_tables[4] = {};  // indexes for NAT, pins, held packets, evidence
};
static_assert(sizeof(FlowCold) == 64);

// Whether a flow was silent for longer than its protocol and state allow.
bool has_timed_out(const Flow& flow, uint32_t now_ms, const api::FlowTimeouts& timeouts);

class FlowTable
{
  public:
    // capacity: flows at most. seed: random per boot.
    FlowTable(uint32_t capacity, uint64_t seed);

    uint32_t hash_of(const FlowKey& key) const
    {
        uint64_t words[5];
        std::memcpy(words, &key, sizeof(words));
        // Two of the three multiplications do not wait for each other.
        const uint64_t first = fold(words[0] ^ seed_, words[1] ^ words[4] ^ 0xa0761d6478bd642full);
        const uint64_t second = fold(words[2] ^ seed_ ^ 0xe7037ed1a0b428dbull,
                                     words[3] ^ words[4] ^ 0x8ebc6af09c88c6e3ull);
        const uint64_t h = fold(first ^ seed_, second ^ 0x589965cc75374cc3ull);
        return static_cast<uint32_t>(h >> 32 ^ h);
    }
    void prefetch_bucket(uint32_t hash) const { rte_prefetch0(&buckets_[hash & bucket_mask_]); }
    // Call after the bucket has arrived: fetches the entry that the hash most likely names.
    void prefetch_flow(uint32_t hash) const
    {
        const Bucket& bucket = buckets_[hash & bucket_mask_];
        for (unsigned found = bucket.places_of(hash); found != 0; found &= found - 1)
            rte_prefetch0(&flows_[bucket.flows[std::countr_zero(found)]]);
    }

    // The line that is written for each packet beside the entry.
    void prefetch_cold(const Flow* flow) const
    {
        rte_prefetch0(&cold_[static_cast<size_t>(flow - flows_.data())]);
    }
    // The entry that insert() will take after `before` others.
    void prefetch_free(uint32_t before) const
    {
        const uint32_t index =
            before < free_count_ ? free_[free_count_ - 1 - before] : fresh_ + before - free_count_;
        if (index >= flows_.size())
            return;
        rte_prefetch0(&flows_[index]);
        rte_prefetch0(&cold_[index]);
    }

    Flow* find(const FlowKey& key, uint32_t hash);
    // nullptr when the table is full; the caller refuses the packet by name.
    Flow* insert(const FlowKey& key, uint32_t hash, uint64_t now_ns);
    void erase(Flow* flow);
    // The same key again, as a new flow: nothing of the old one is left.
    void restart(Flow* flow, uint64_t now_ns);
    FlowCold& cold_of(const Flow* flow) { return cold_[flow - flows_.data()]; }
    // Grows with each erase(). While it stands still, every Flow* that find() gave is valid.
    uint64_t erased() const { return erased_; }

    // The next entries of a walk over all, free ones among them; after the last comes the first.
    // At most `limit`, fewer at the end, none when the table was never used. The caller may end
    // any of them.
    std::span<Flow> walk(uint32_t limit);
    // Entries on the way of one whole walk, as of now.
    uint32_t walk_length() const { return fresh_; }

    uint32_t used() const { return used_; }
    uint32_t capacity() const { return static_cast<uint32_t>(flows_.size()); }

  private:
    static constexpr uint32_t kNone = ~0u;
    static constexpr unsigned kPerBucket = 7;
    static constexpr unsigned kMaxProbes = 16;  // buckets

    struct alignas(64) Bucket
    {
        uint32_t tags[kPerBucket];
        uint32_t passed;  // entries that lie in a later bucket because this one was full
        uint32_t flows[kPerBucket];
        uint32_t zero;

        // A bit for each place in use whose tag is this hash.
        unsigned places_of(uint32_t hash) const
        {
            const auto equal = [](const uint32_t* four, uint32_t value) {
                const __m128i words = _mm_load_si128(reinterpret_cast<const __m128i*>(four));
                const __m128i same =
                    _mm_cmpeq_epi32(words, _mm_set1_epi32(static_cast<int>(value)));
                return static_cast<unsigned>(_mm_movemask_ps(_mm_castsi128_ps(same)));
            };
            const unsigned tagged = equal(tags, hash) | equal(tags + 4, hash) << 4;
            const unsigned unused = equal(flows, kNone) | equal(flows + 4, kNone) << 4;
            return tagged & ~unused & ((1u << kPerBucket) - 1);
        }
    };

    static void begin(Flow& flow, FlowCold& cold, const FlowKey& key, uint32_t hash,
                      uint64_t now_ns);

    uint64_t seed_;
    HugeArray<Bucket> buckets_;
    uint32_t bucket_mask_;
    HugeArray<Flow> flows_;
    HugeArray<FlowCold> cold_;
    // Entries that were used and are free: a stack, so that the next ones are known in advance.
    HugeArray<uint32_t> free_;
    uint32_t free_count_ = 0;
    uint32_t fresh_ = 0;  // entries from here on were never used
    uint32_t used_ = 0;
    uint32_t walked_ = 0;  // where the walk goes on
    uint64_t erased_ = 0;
};

}  // namespace sandgate::dp
