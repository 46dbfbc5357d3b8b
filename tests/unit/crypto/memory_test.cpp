// Where the bytes lie: each packet and each key between pages that must not be touched, flush
// against one or the other, so that a read beyond is seen too; and all addresses modulo 64.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "tests/unit/crypto/batch.h"
#include "tests/unit/crypto/kernel_case.h"

namespace sandgate::crypto::test {
namespace {

enum class Flush
{
    kStart,
    kEnd,
};

// Places of up to `bytes` each, with an untouchable page between any two and at both ends.
class GuardedPlaces
{
  public:
    GuardedPlaces(size_t count, size_t bytes)
        : place_bytes_((bytes + page_ - 1) / page_ * page_),
          mapped_(count * (place_bytes_ + page_) + page_)
    {
        map_ = static_cast<uint8_t*>(
            mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        for (size_t i = 0; map_ != MAP_FAILED && i < count; ++i)
            if (mprotect(start_of(i), place_bytes_, PROT_READ | PROT_WRITE) != 0)
                std::abort();
    }
    ~GuardedPlaces() { munmap(map_, mapped_); }
    GuardedPlaces(const GuardedPlaces&) = delete;
    GuardedPlaces& operator=(const GuardedPlaces&) = delete;

    bool is_mapped() const { return map_ != MAP_FAILED; }
    uint8_t* place(size_t i, size_t bytes, Flush flush) const
    {
        return flush == Flush::kStart ? start_of(i) : start_of(i) + place_bytes_ - bytes;
    }

  private:
    uint8_t* start_of(size_t i) const { return map_ + page_ + i * (place_bytes_ + page_); }

    size_t page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_t place_bytes_;
    size_t mapped_;
    uint8_t* map_;
};

class KernelMemory : public KernelCase
{
  protected:
    // The batch with each packet, each key and the array of jobs in a guarded place of its own;
    // sealed, and opened with every third packet forged.
    void expect_work_in(const GuardedPlaces& packets, const GuardedPlaces& keys, Flush flush,
                        const Batch& batch)
    {
        const size_t count = batch.count();
        auto* const jobs =
            reinterpret_cast<AeadJob*>(keys.place(count, count * sizeof(AeadJob), flush));
        for (size_t i = 0; i < count; ++i) {
            const Shape& shape = batch.shape(i);
            uint8_t* const data = packets.place(i, shape.text_bytes + kTagBytes, flush);
            uint8_t* const key = keys.place(i, kKeyBytes, flush);
            std::memcpy(data, batch.plain().data() + batch.offset(i), shape.text_bytes);
            std::memcpy(key, batch.key(i), kKeyBytes);
            jobs[i] = {key, shape.counter, data, shape.text_bytes, false};
        }
        kernel().seal({jobs, count});
        for (size_t i = 0; i < count; ++i) {
            ASSERT_EQ(std::memcmp(jobs[i].data, batch.sealed().data() + batch.offset(i),
                                  jobs[i].text_bytes + kTagBytes),
                      0)
                << batch.name_of(i);
            jobs[i].data[jobs[i].text_bytes + i % kTagBytes] ^= i % 3 == 1 ? 0x20 : 0;
        }
        kernel().open({jobs, count});
        for (size_t i = 0; i < count; ++i) {
            ASSERT_EQ(jobs[i].is_authentic, i % 3 != 1) << batch.name_of(i);
            if (!jobs[i].is_authentic)
                continue;
            ASSERT_EQ(std::memcmp(jobs[i].data, batch.plain().data() + batch.offset(i),
                                  jobs[i].text_bytes),
                      0)
                << batch.name_of(i);
        }
    }

    void expect_no_byte_outside(std::span<const std::vector<uint32_t>> batches, size_t most)
    {
        const GuardedPlaces packets(most, kMaxTextBytes + kTagBytes), keys(most + 1, 4096);
        ASSERT_TRUE(packets.is_mapped() && keys.is_mapped());
        for (const auto& lengths : batches) {
            const Batch batch(shapes_of(lengths, random_), random_());
            for (const Flush flush : {Flush::kStart, Flush::kEnd})
                expect_work_in(packets, keys, flush, batch);
        }
    }
};

TEST_P(KernelMemory, outside_of_lone_packets_and_keys_is_not_touched)
{
    std::vector<std::vector<uint32_t>> batches;
    for (uint32_t bytes = 0; bytes <= 300; ++bytes) batches.push_back({bytes});
    for (const uint32_t bytes : {511u, 512u, 513u, 1023u, 1024u, 1025u, 1420u, 1424u, 4080u, 4081u,
                                 9000u, 65504u, kMaxTextBytes})
        batches.push_back({bytes});
    expect_no_byte_outside(batches, 1);
}

TEST_P(KernelMemory, outside_of_the_packets_and_keys_of_batches_is_not_touched)
{
    std::vector<std::vector<uint32_t>> batches;
    for (uint32_t bytes = 0; bytes <= 300; ++bytes) {
        batches.emplace_back(17, bytes);
        auto mixed = random_lengths(2 + bytes % 33, 301, random_);
        mixed[bytes % mixed.size()] = bytes;
        batches.push_back(mixed);
    }
    for (const size_t count : {5u, 17u, 34u}) {
        batches.push_back(random_lengths(count, 1601, random_));
        batches.push_back(random_lengths(count, 100, random_));
        batches.back()[count / 2] = kMaxTextBytes;
    }
    expect_no_byte_outside(batches, 34);
}

// Packet i at the address i modulo 64, its key at (i * 29 + shift) modulo 64: in 64 turns every
// pair.
TEST_P(KernelMemory, may_lie_at_any_address_modulo_64)
{
    constexpr size_t kCount = 64, kSlot = 448;
    alignas(64) static uint8_t packets[kCount * kSlot], keys[kCount * 128];
    for (size_t shift = 0; shift < 64; ++shift) {
        const Batch batch(shapes_of(random_lengths(kCount, 369, random_), random_), random_());
        std::vector<AeadJob> jobs;
        for (size_t i = 0; i < kCount; ++i) {
            uint8_t* const data = packets + i * kSlot + i;
            uint8_t* const key = keys + i * 128 + (i * 29 + shift) % 64;
            std::memcpy(data, batch.plain().data() + batch.offset(i), batch.shape(i).text_bytes);
            std::memcpy(key, batch.key(i), kKeyBytes);
            jobs.push_back({key, batch.shape(i).counter, data, batch.shape(i).text_bytes, false});
        }
        kernel().seal(jobs);
        for (size_t i = 0; i < kCount; ++i)
            ASSERT_EQ(std::memcmp(jobs[i].data, batch.sealed().data() + batch.offset(i),
                                  jobs[i].text_bytes + kTagBytes),
                      0)
                << batch.name_of(i) << ", shift " << shift;
        kernel().open(jobs);
        for (size_t i = 0; i < kCount; ++i)
            ASSERT_TRUE(jobs[i].is_authentic &&
                        std::memcmp(jobs[i].data, batch.plain().data() + batch.offset(i),
                                    jobs[i].text_bytes) == 0)
                << batch.name_of(i) << ", shift " << shift;
    }
}

INSTANTIATE_TEST_SUITE_P(Table, KernelMemory, testing::ValuesIn(all_kernels()), name_of_case);

}  // namespace
}  // namespace sandgate::crypto::test
