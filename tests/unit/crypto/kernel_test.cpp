// Every kernel of the table against libsodium, and against the contract of aead.h: any length, any
// alignment, any mix of packets; forged ones alone are refused and never leave their plaintext.
#include <gtest/gtest.h>
#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <thread>

#include "tests/unit/crypto/support.h"

namespace sandgate::crypto::test {
namespace {

constexpr size_t kMargin = 32;

// A packet with its own key, and canaries in front and behind.
class Packet
{
  public:
    Packet(size_t text_bytes, uint64_t counter, size_t misalignment, std::mt19937_64& random)
        : text_bytes_(text_bytes),
          counter_(counter),
          start_(kMargin + misalignment % kMargin),
          key_(random_bytes(kKeyBytes, random)),
          plain_(random_bytes(text_bytes, random)),
          memory_(start_ + text_bytes + kTagBytes + kMargin, 0xc5)
    {
        std::copy(plain_.begin(), plain_.end(), data());
        sealed_ = plain_;
        sealed_.resize(text_bytes + kTagBytes);
        AeadJob oracle{key_.data(), counter, sealed_.data(), static_cast<uint32_t>(text_bytes),
                       false};
        sodium_kernel().seal({&oracle, 1});
    }

    AeadJob job()
    {
        return {key_.data(), counter_, data(), static_cast<uint32_t>(text_bytes_), false};
    }
    uint8_t* data() { return memory_.data() + start_; }
    const uint8_t* data() const { return memory_.data() + start_; }
    void load_sealed() { std::copy(sealed_.begin(), sealed_.end(), data()); }

    size_t text_bytes() const { return text_bytes_; }
    const Buffer& plain() const { return plain_; }
    bool holds_sealed() const { return std::equal(sealed_.begin(), sealed_.end(), data()); }
    bool holds_plain() const { return std::equal(plain_.begin(), plain_.end(), data()); }
    bool canaries_live() const
    {
        const auto lives = [](uint8_t byte) { return byte == 0xc5; };
        return std::all_of(memory_.begin(), memory_.begin() + static_cast<ptrdiff_t>(start_),
                           lives) &&
               std::all_of(memory_.end() - kMargin, memory_.end(), lives);
    }

  private:
    size_t text_bytes_;
    uint64_t counter_;
    size_t start_;
    Buffer key_;
    Buffer plain_;
    Buffer sealed_;  // by the oracle
    Buffer memory_;
};

std::vector<AeadJob> jobs_of(std::vector<Packet>& packets)
{
    std::vector<AeadJob> jobs;
    for (Packet& packet : packets) jobs.push_back(packet.job());
    return jobs;
}

class EveryKernel : public testing::TestWithParam<const Kernel*>
{
  protected:
    void SetUp() override
    {
        ASSERT_GE(sodium_init(), 0);
        const std::string fault = features_fault(GetParam()->needs, cpu_report());
        if (!fault.empty())
            GTEST_SKIP() << "kernel " << GetParam()->name << " was not tested: " << fault;
    }

    // Seals and opens the packets as one batch and compares each step with the oracle.
    void expect_round_trip(std::vector<Packet>& packets)
    {
        const Kernel& kernel = *GetParam();
        auto jobs = jobs_of(packets);
        kernel.seal(jobs);
        for (const Packet& packet : packets)
            ASSERT_TRUE(packet.holds_sealed()) << packet.text_bytes() << " bytes sealed wrong";
        kernel.open(jobs);
        for (size_t i = 0; i < packets.size(); ++i) {
            ASSERT_TRUE(jobs[i].is_authentic) << packets[i].text_bytes() << " bytes refused";
            ASSERT_TRUE(packets[i].holds_plain())
                << packets[i].text_bytes() << " bytes opened wrong";
            ASSERT_TRUE(packets[i].canaries_live()) << packets[i].text_bytes();
        }
    }

    // One packet, sealed, with one bit changed at `bit`; it must be refused without leaving its
    // text.
    void expect_refused_with_bit(Packet& packet, size_t bit)
    {
        packet.load_sealed();
        packet.data()[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
        AeadJob job = packet.job();
        job.is_authentic = true;
        GetParam()->open({&job, 1});
        ASSERT_FALSE(job.is_authentic) << "bit " << bit;
        ASSERT_FALSE(packet.holds_plain()) << "bit " << bit;
    }

    std::mt19937_64 random_{20240601};
};

TEST_P(EveryKernel, agrees_with_the_oracle_on_every_length_to_1500_and_every_alignment)
{
    for (size_t first = 0; first <= 1500; first += 64) {
        std::vector<Packet> packets;
        for (size_t bytes = first; bytes < first + 64 && bytes <= 1500; ++bytes)
            packets.emplace_back(bytes, random_(), bytes * 7 % 32, random_);
        expect_round_trip(packets);
    }
}

TEST_P(EveryKernel, agrees_with_the_oracle_on_lone_packets)
{
    for (size_t bytes = 0; bytes <= 520; ++bytes) {
        std::vector<Packet> packets;
        packets.emplace_back(bytes, random_(), bytes % 32, random_);
        expect_round_trip(packets);
    }
}

TEST_P(EveryKernel, agrees_with_the_oracle_up_to_the_largest_text)
{
    std::vector<Packet> packets;
    for (const size_t bytes : {1501u, 2047u, 2048u, 4095u, 4097u, 9000u, 16384u, 32767u, 65503u,
                               65504u, 65518u, kMaxTextBytes})
        packets.emplace_back(bytes, random_(), bytes % 32, random_);
    expect_round_trip(packets);
}

TEST_P(EveryKernel, uses_all_64_bits_of_the_counter)
{
    std::vector<Packet> packets;
    for (const uint64_t counter :
         {uint64_t{0}, uint64_t{1}, uint64_t{0xffffffff}, uint64_t{1} << 32, uint64_t{1} << 63,
          ~uint64_t{0} - (1 << 13), ~uint64_t{0} - 1, ~uint64_t{0}})
        for (const size_t bytes : {0u, 64u, 300u, 1420u})
            packets.emplace_back(bytes, counter, 0, random_);
    expect_round_trip(packets);
}

TEST_P(EveryKernel, leaves_an_empty_batch_alone)
{
    GetParam()->seal({});
    GetParam()->open({});
}

TEST_P(EveryKernel, works_for_every_size_of_batch)
{
    for (size_t count = 1; count <= 300; count += count < 40 ? 1 : 43) {
        std::vector<Packet> packets;
        for (size_t i = 0; i < count; ++i)
            packets.emplace_back(random_() % 200, random_(), random_() % 32, random_);
        expect_round_trip(packets);
    }
}

TEST_P(EveryKernel, refuses_every_flipped_bit_of_the_tag)
{
    for (const size_t bytes : {1u, 16u, 64u, 1420u}) {
        Packet packet(bytes, 5, 0, random_);
        for (size_t bit = 8 * bytes; bit < 8 * (bytes + kTagBytes); ++bit)
            expect_refused_with_bit(packet, bit);
    }
}

TEST_P(EveryKernel, refuses_every_flipped_bit_of_the_text)
{
    Packet packet(147, 5, 3, random_);
    for (size_t bit = 0; bit < 8 * packet.text_bytes(); ++bit) expect_refused_with_bit(packet, bit);
}

TEST_P(EveryKernel, refuses_a_flipped_tag_of_an_empty_text)
{
    Packet packet(0, 9, 1, random_);
    for (size_t bit = 0; bit < 8 * kTagBytes; ++bit) {
        packet.load_sealed();
        packet.data()[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
        AeadJob job = packet.job();
        job.is_authentic = true;
        GetParam()->open({&job, 1});
        EXPECT_FALSE(job.is_authentic) << "bit " << bit;
    }
}

TEST_P(EveryKernel, forged_packets_change_nothing_for_their_neighbours)
{
    for (int round = 0; round < 120; ++round) {
        const size_t count = 1 + random_() % 150;
        std::vector<Packet> packets;
        for (size_t i = 0; i < count; ++i) {
            packets.emplace_back(1 + random_() % 1500, random_(), random_() % 32, random_);
            packets.back().load_sealed();
        }
        auto jobs = jobs_of(packets);
        std::vector<Buffer> before(count);
        std::vector<bool> forged(count);
        const Buffer stranger = random_bytes(kKeyBytes, random_);
        for (size_t i = 0; i < count; ++i) {
            AeadJob& job = jobs[i];
            const uint64_t kind = random_() % 8;  // 4 to 7: authentic
            forged[i] = kind < 4;
            if (kind == 0)
                job.data[job.text_bytes + random_() % kTagBytes] ^= 0x10;
            else if (kind == 1)
                job.data[random_() % job.text_bytes] ^= 0x01;
            else if (kind == 2)
                job.counter ^= uint64_t{1} << random_() % 64;
            else if (kind == 3)
                job.key = stranger.data();
            job.is_authentic = forged[i];  // the wrong answer, to be overwritten
            before[i].assign(job.data, job.data + job.text_bytes);
        }
        GetParam()->open(jobs);
        for (size_t i = 0; i < count; ++i) {
            ASSERT_EQ(jobs[i].is_authentic, !forged[i]) << "packet " << i << " of " << count;
            ASSERT_TRUE(packets[i].canaries_live());
            if (!forged[i]) {
                ASSERT_TRUE(packets[i].holds_plain()) << "packet " << i << " of " << count;
                continue;
            }
            // Ciphertext as it was, or zeros; nothing else.
            const Buffer after(jobs[i].data, jobs[i].data + jobs[i].text_bytes);
            const bool is_zero =
                std::all_of(after.begin(), after.end(), [](uint8_t b) { return b == 0; });
            ASSERT_TRUE(after == before[i] || is_zero) << "packet " << i << " of " << count;
        }
    }
}

TEST_P(EveryKernel, shares_one_key_among_packets)
{
    Packet first(100, 1, 0, random_), second(100, 2, 0, random_);
    std::vector<AeadJob> jobs = {first.job(), second.job()};
    jobs[1].key = jobs[0].key;
    Buffer expected = second.plain();
    expected.resize(100 + kTagBytes);
    AeadJob oracle{jobs[0].key, 2, expected.data(), 100, false};
    sodium_kernel().seal({&oracle, 1});
    GetParam()->seal(jobs);
    EXPECT_TRUE(first.holds_sealed());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), second.data()));
}

// Memory that ends, or begins, at a page which must not be touched: catches reads that canaries
// cannot.
TEST_P(EveryKernel, touches_no_byte_outside_the_packet)
{
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    auto* const map = static_cast<uint8_t*>(
        mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(map, MAP_FAILED);
    ASSERT_EQ(mprotect(map, page, PROT_NONE), 0);
    ASSERT_EQ(mprotect(map + 2 * page, page, PROT_NONE), 0);
    const Buffer key = ramp(kKeyBytes, 1, 3);
    for (uint32_t bytes = 0; bytes <= 1500; bytes += bytes < 400 ? 1 : 61)
        for (uint8_t* data : {map + page, map + 2 * page - bytes - kTagBytes}) {
            std::memset(data, 0x5a, bytes + kTagBytes);
            AeadJob job{key.data(), bytes, data, bytes, false};
            GetParam()->seal({&job, 1});
            GetParam()->open({&job, 1});
            ASSERT_TRUE(job.is_authentic) << bytes;
            ASSERT_TRUE(std::all_of(data, data + bytes, [](uint8_t b) { return b == 0x5a; }));
        }
    munmap(map, 3 * page);
}

TEST_P(EveryKernel, works_on_several_threads_at_once)
{
    std::vector<std::thread> threads;
    std::vector<int> opened(4);
    for (size_t t = 0; t < opened.size(); ++t)
        threads.emplace_back([this, t, &opened] {
            std::mt19937_64 random(t);
            for (int round = 0; round < 50; ++round) {
                Packet packet(random() % 1500, random(), 0, random);
                AeadJob job = packet.job();
                GetParam()->seal({&job, 1});
                const bool sealed = packet.holds_sealed();
                GetParam()->open({&job, 1});
                opened[t] += sealed && job.is_authentic && packet.holds_plain();
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(opened, (std::vector<int>{50, 50, 50, 50}));
}

std::vector<const Kernel*> all_kernels()
{
    std::vector<const Kernel*> out;
    for (const Kernel& kernel : kernels()) out.push_back(&kernel);
    return out;
}

INSTANTIATE_TEST_SUITE_P(Table, EveryKernel, testing::ValuesIn(all_kernels()),
                         [](const auto& row) { return std::string(row.param->name); });

}  // namespace
}  // namespace sandgate::crypto::test
