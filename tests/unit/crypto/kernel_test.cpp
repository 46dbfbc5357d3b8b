// Every kernel of the table against libsodium, and against the contract of aead.h: any length, any
// alignment, any mix of packets; forged ones alone are refused and never leave their plaintext.
#include <gtest/gtest.h>
#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <thread>

#include "tests/unit/crypto/kernel_case.h"

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

class EveryKernel : public KernelCase
{
  protected:
    // Seals and opens the packets as one batch and compares each step with the oracle.
    void expect_round_trip(std::vector<Packet>& packets)
    {
        auto jobs = jobs_of(packets);
        kernel().seal(jobs);
        for (const Packet& packet : packets)
            ASSERT_TRUE(packet.holds_sealed()) << packet.text_bytes() << " bytes sealed wrong";
        kernel().open(jobs);
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

TEST_P(EveryKernel, reads_no_byte_behind_the_key)
{
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    auto* const map = static_cast<uint8_t*>(
        mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(map, MAP_FAILED);
    ASSERT_EQ(mprotect(map + page, page, PROT_NONE), 0);
    for (const uint32_t bytes : {0u, 1u, 64u, 300u, 1420u}) {
        Buffer data(bytes + kTagBytes);
        AeadJob job{map + page - kKeyBytes, 3, data.data(), bytes, false};
        GetParam()->seal({&job, 1});
        GetParam()->open({&job, 1});
        EXPECT_TRUE(job.is_authentic) << bytes;
    }
    munmap(map, 2 * page);
}

TEST_P(EveryKernel, works_on_several_threads_at_once)
{
    std::vector<std::thread> threads;
    std::vector<int> opened(4);
    for (size_t t = 0; t < opened.size(); ++t)
        threads.emplace_back([t, &opened] {
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

// Ciphertexts made so that Poly1305's sum, reduced, is 0 to 5, just below 2^130 - 5, or at the
// limbs' edges (2^44, 2^64, 2^88, 2^104, 2^128 and neighbours): in the first half of the rows after
// the block of lengths, in the second half after the last block of text. The last 16 bytes were
// solved for with Python's integers, the tags are from OpenSSL. Key: ramp(32, 1, 3); the text
// before: ramp(.., counter, 11).
struct EdgeRow
{
    uint64_t counter;
    uint32_t text_bytes;
    const char* last_block;
    const char* tag;
};

constexpr EdgeRow kEdges[] = {
    {1, 32, "f925d9cafefbda4cda2a89b5181c5e51", "4032f28aac3b18bfea93cb30788073af"},
    {9, 80, "ca1d053211f578c62eda26db4fd1438c", "71a1521c58a7548ad63bf298b9562deb"},
    {19, 96, "7baee9f118df81cebc9227132171cac5", "441eacbc3e300c685b1deaa4cb8722c0"},
    {23, 272, "030251403e2ac46c5ad53f593cf63091", "0781c11b6a009fb6399a0b04888064d1"},
    {31, 528, "484c5f501ade5fa59b1e6cbe7a169283", "878e21ea753fe9afb0002b452fbb9182"},
    {39, 1408, "dd9a04658d223fe8efe8fad70631ca63", "3bbe241050cbd44cf12e580bd180a419"},
    {43, 32, "7655e1b1445f36c7ff0131aa8c6b6f83", "d9aa777d12a1967113222e0e2a545a69"},
    {50, 80, "23ba7962f59ca7c17fa40a24e817b65b", "9aa188a3c55118e4bc9bbee37e19d8d1"},
    {59, 96, "83c72aa4800ca92af8810c470c920ec2", "c80ee4f290e0aece2371b86114308330"},
    {64, 272, "716fa9554d57d11fb59167a83f11e218", "62e58fc8f2e7d77bfe2f5fa9807d6beb"},
    {71, 528, "10330096d9c43d8416e8624f2d7a47d3", "37692c546fa1703f92c81eaab87dc29a"},
    {85, 1408, "f325c37e7550afdf6e07e4a2368c9a47", "665e66a89a4007d23b097259c5aeacb3"},
    {85, 32, "c823b7fac454462cd9769fec965ed12c", "705e66a89a4007d23b097259c5aeacb3"},
    {92, 80, "4df7b0e1d6c91453faf3c35d6618dd17", "afa51b7f6a4d7fc203ce2cac764a4862"},
    {101, 96, "a91116bc1b7c0169763698d01eb8d8b2", "47f0e40869ef6f6a24b6f9346102384e"},
    {106, 272, "8b2b2d3eef8bfabbdecc321f5c086c18", "800ef2d5fbdccfdd8ac44e46d5127be6"},
    {117, 528, "687ae2f4b1996c78f59dd932357f39ba", "95fc3dcb70ee77054fd6d7c951146420"},
    {120, 1408, "1d83aeab2970be6c5c0d4a9929aae4ec", "d321b9f4ca5f2b90bc3b1c9ba3a3e698"},
    {127, 32, "1d8d3eb8ea372689fac560e2cf7eece5", "d9ecdd2a4ebca5bb41f1dbff1f798ffc"},
    {134, 80, "4b02f4033376a1cf832abdd90b97b6c7", "62935be04678473ceae05c6b10597b89"},
    {141, 96, "f4676fac37d1699c3e94f9d0be8a63d1", "e82135eaa3d29c57b5b9db7fd2575991"},
    {151, 272, "58aa6b370ef9de53f0b3d1b31c84ee69", "c19a418832f1a5a3c9d1faada4a16477"},
    {155, 528, "3a294d5afd3f3cd92f716e25be8ce1c1", "f3083eac77425b610b647aa7cff14541"},
    {166, 1408, "4dfa859bd4e69e78c41514cedd7eef21", "9b5ef185ac35232fec404cab0184e6f0"},
    {1004, 80, "e36ab344d9e8946cbf48785672fc4dd7", "e77125d85bc97e2dd2d6fa5023d9ef4e"},
    {1009, 96, "c6df3380f88465ab8152da6104ec4969", "ff4ada633e3dd0cf8192b7a1285d4266"},
    {1016, 272, "d0a80c5bc2e36b494b17da98118a8078", "6a5e14b840153bebea8a0225cf03ec45"},
    {1023, 528, "a08fdade6a7e2862e9a42cf80634c5e1", "61db94ecdb20ec180c10f289ec71ffa0"},
    {1030, 1408, "72b7b1f68c89f89299f24f7e3a31bfc7", "5114573beece8021577598381c3d00be"},
    {1039, 32, "27ddaf1474ed883b58bc5f9d087c6f6f", "ce07986d7206b55574a56c341c1cbba9"},
    {1051, 80, "849c4080cc87d6e9cc2b3388521a0c58", "001216e5fa5780ed88a3b5c616ad3b25"},
    {1051, 96, "1aa973766a59d0ac5a37d1f9c647f781", "36d5c9f5c7413dea7904dbbfdaf84220"},
    {1060, 272, "57afdc42bf8fc6e8bf4e592d4c83a22f", "9b2733b2be7c91e2b8ffaddcbcc65e29"},
    {1065, 528, "6c6322ce0304c27de97983a39c9b5926", "0ac5741371922f47732730b2f259960a"},
    {1071, 1408, "1976c7fb82e0a721c21da671b11758be", "44f78dac88421e4b7b0c23cfcb8374bd"},
    {1083, 32, "be1a9ad543f6d7fd271dbdabe6efff64", "bf1773c0a37ae0840244742cb2bafaf2"},
    {1087, 80, "688d2f9f67b42f6c16821abedc570292", "aadda2d708a52b4bdf32b7869162d37a"},
    {1100, 96, "eb5448bf4dec21ededa9c2dce2d98366", "05291d58b3ff6d1849415177c66efbb5"},
    {1101, 272, "537cb6bec48df98a9d28868301d5c935", "5f23d8f495636d31da1fc7f83da8a8c3"},
    {1106, 528, "bdbf545037650db92b6fc6e717e7e02e", "18a3283da4a04ccfec087dfb19578d4e"},
    {1113, 1408, "bdc0385e99b10ae2746777f3a19ec146", "b6be7fb77cbe6212f7b0782aac6c7e25"},
    {1121, 32, "733bff200fe4c487ec3540d3133c6870", "fe515efe42fd905d833f40292b2d58cf"},
    {1128, 80, "5cbddf6af23320435a99ef1309268c5a", "3047cf938c719ada4e735a03ff78a92e"},
    {1135, 96, "f0d6d2f9bdcb52252501f8189391244d", "3375664e01fc79a9e01d29b1c7034b80"},
    {1141, 272, "8d3b9244035eadcd47f7f4c665318866", "d2a7c15a185e5b4178585570c5a059f5"},
    {1151, 528, "90a0f2fd5db702114b40808bf81547f5", "6f805f87f4ca356e6393528f4685f25a"},
    {1161, 1408, "76b95fdf838d028dd2090472f04b1bf0", "42682d1320516096b69ccb5dc890e164"},
    {1165, 32, "fee8dd4cc239e7a4104d979a16929089", "ae7f0058d1cd21d07191f050751cc64c"},
};

TEST_P(EveryKernel, reduces_poly1305_at_every_edge)
{
    const Buffer key = ramp(kKeyBytes, 1, 3);
    std::vector<Buffer> sealed;
    std::vector<AeadJob> jobs;
    for (const EdgeRow& row : kEdges) {
        Buffer packet = ramp(row.text_bytes - 16, row.counter, 11);
        for (const char* part : {row.last_block, row.tag}) {
            const Buffer bytes = from_hex(part);
            packet.insert(packet.end(), bytes.begin(), bytes.end());
        }
        sealed.push_back(packet);
    }
    auto buffers = sealed;
    for (size_t i = 0; i < buffers.size(); ++i)
        jobs.push_back(
            {key.data(), kEdges[i].counter, buffers[i].data(), kEdges[i].text_bytes, false});
    GetParam()->open(jobs);
    // ipsec-mb 1.3 with AVX-512 IFMA loses a carry when the sum between its vector and its scalar
    // part has small low 44 bits (docs/crypto.md). It must at least fail closed.
    const bool has_known_defect = std::string_view(GetParam()->name) == "ipsec_mb";
    std::vector<bool> is_wrong(jobs.size());
    for (size_t i = 0; i < jobs.size(); ++i) {
        is_wrong[i] = has_known_defect && i >= std::size(kEdges) / 2 && !jobs[i].is_authentic;
        if (is_wrong[i]) {
            std::cout << "ipsec_mb computes a wrong tag for edge " << i << ": the known defect\n";
            EXPECT_EQ(sodium_is_zero(jobs[i].data, jobs[i].text_bytes), 1);
        } else {
            EXPECT_TRUE(jobs[i].is_authentic) << "row " << i;
        }
    }
    GetParam()->seal(jobs);
    for (size_t i = 0; i < jobs.size(); ++i) {
        if (!is_wrong[i]) {
            EXPECT_EQ(buffers[i], sealed[i]) << "row " << i;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Table, EveryKernel, testing::ValuesIn(all_kernels()), name_of_case);

}  // namespace
}  // namespace sandgate::crypto::test
