// Any batch through every kernel, against libsodium: what is sealed must be equal byte for byte,
// and of what is opened, forged packets in between, the verdicts; an opened text must be the
// plaintext and a refused one ciphertext or zeros. The input is one head of 5 bytes per packet; the
// texts are made from what is left and from its length. Each packet and key is alone on the heap in
// its exact size, so that AddressSanitizer sees an access beyond either end.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "crypto/kernel.h"
#include "crypto/self_test.h"

using namespace sandgate::crypto;

namespace {

constexpr size_t kHeadBytes = 5;
constexpr size_t kMostPackets = 160;
constexpr size_t kMostBytes = 200'000;  // of a batch, so that a run stays short

void require(bool condition)
{
    if (!condition)
        std::abort();
}

enum Spoiled : uint8_t
{
    kTag = 1,
    kText = 2,
    kLength = 3,
    kCounter = 4,
};

// One packet as the input wants it.
struct Wish
{
    uint32_t text_bytes;
    uint64_t counter;
    uint8_t key;      // packets with the same number share the key and its address
    uint8_t offset;   // of the data in its memory, 0 to 63
    uint8_t spoiled;  // Spoiled; others: authentic
    uint8_t bit;      // where
};

uint64_t counter_of(uint8_t choice)
{
    constexpr uint64_t kEdges[] = {0xffffffff, 0x100000000, 0x7fffffffffffffff, ~uint64_t{0}};
    return (choice & 0x80) != 0 ? kEdges[choice & 3] - (choice >> 2 & 31) : choice;
}

// Bytes 0 and 1: the length; its highest bits choose among short, full and huge packets.
uint32_t length_of(const uint8_t* head)
{
    const uint32_t word = head[0] | head[1] << 8;
    switch (word >> 13) {
        case 0:
        case 1:
        case 2:
        case 3:
            return word % 257;
        case 4:
        case 5:
        case 6:
            return word % 1601;
        default:
            return kMaxTextBytes - (word & 0x1fff);
    }
}

std::vector<Wish> read_wishes(const uint8_t*& data, size_t& size)
{
    std::vector<Wish> wishes;
    size_t total = 0;
    while (size >= kHeadBytes && wishes.size() < kMostPackets) {
        const uint8_t* const head = data;
        data += kHeadBytes;
        size -= kHeadBytes;
        const uint32_t bytes = length_of(head);
        total += bytes;
        if (total > kMostBytes)
            break;
        wishes.push_back({bytes, counter_of(head[2]), static_cast<uint8_t>(head[3] >> 6),
                          static_cast<uint8_t>(head[3] & 63), static_cast<uint8_t>(head[4] & 7),
                          static_cast<uint8_t>(head[4] >> 3)});
    }
    return wishes;
}

// A cheap stream: what is left of the input first, then numbers that follow from it.
class Texts
{
  public:
    Texts(const uint8_t* data, size_t size) : data_(data), left_(size), state_(size + 1)
    {
        for (size_t i = 0; i < size; ++i) state_ = (state_ ^ data[i]) * 0x9e3779b97f4a7c15;
    }
    void fill(uint8_t* out, size_t bytes)
    {
        const size_t taken = std::min(bytes, left_);
        std::memcpy(out, data_, taken);
        data_ += taken;
        left_ -= taken;
        for (size_t i = taken; i < bytes; ++i) {
            state_ = state_ * 6364136223846793005 + 1442695040888963407;
            out[i] = static_cast<uint8_t>(state_ >> 56);
        }
    }

  private:
    const uint8_t* data_;
    size_t left_;
    uint64_t state_;
};

using Memory = std::unique_ptr<uint8_t[]>;

// Packets of their own exact size, with jobs on them.
struct Packets
{
    std::vector<Memory> memory;
    std::vector<AeadJob> jobs;
};

Packets place(const std::vector<Wish>& wishes, const Memory* keys, const std::vector<AeadJob>& from)
{
    Packets out;
    for (size_t i = 0; i < wishes.size(); ++i) {
        const Wish& wish = wishes[i];
        const size_t bytes = wish.text_bytes + kTagBytes;
        out.memory.push_back(std::make_unique<uint8_t[]>(wish.offset + bytes));
        uint8_t* const data = out.memory.back().get() + wish.offset;
        if (!from.empty())
            std::memcpy(data, from[i].data, bytes);
        out.jobs.push_back({keys[wish.key].get(), wish.counter, data, wish.text_bytes, false});
    }
    return out;
}

void spoil(Packets& packets, const std::vector<Wish>& wishes)
{
    for (size_t i = 0; i < wishes.size(); ++i) {
        AeadJob& job = packets.jobs[i];
        const uint8_t bit = wishes[i].bit;
        const auto mask = static_cast<uint8_t>(1u << (bit & 7));
        if (wishes[i].spoiled == kTag)
            job.data[job.text_bytes + bit % kTagBytes] ^= mask;
        else if (wishes[i].spoiled == kText && job.text_bytes > 0)
            job.data[bit * 67u % job.text_bytes] ^= mask;
        else if (wishes[i].spoiled == kLength)
            job.text_bytes -= std::min<uint32_t>(job.text_bytes, bit);
        else if (wishes[i].spoiled == kCounter)
            job.counter ^= uint64_t{1} << bit * 2;
    }
}

bool same_packet(const AeadJob& a, const AeadJob& b)
{
    return std::memcmp(a.data, b.data, a.text_bytes + kTagBytes) == 0;
}

void check_opening(const AeadJob& got, const AeadJob& oracle, const AeadJob& before,
                   const AeadJob& plain)
{
    require(got.is_authentic == oracle.is_authentic);
    if (got.is_authentic) {
        require(std::memcmp(got.data, plain.data, got.text_bytes) == 0);
        return;
    }
    for (uint32_t at = 0; at < got.text_bytes + kTagBytes; ++at)
        require(got.data[at] == 0 || got.data[at] == before.data[at]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static const std::string error = start();
    require(error.empty());
    const Kernel& oracle = *std::find_if(kernels().begin(), kernels().end(), [](const Kernel& k) {
        return k.name == std::string_view("sodium");
    });

    const auto wishes = read_wishes(data, size);
    Texts texts(data, size);
    Memory keys[4];
    for (Memory& key : keys) {
        key = std::make_unique<uint8_t[]>(kKeyBytes);
        texts.fill(key.get(), kKeyBytes);
    }
    const Packets plain = place(wishes, keys, {});
    for (const AeadJob& job : plain.jobs) texts.fill(job.data, job.text_bytes + kTagBytes);
    Packets sealed = place(wishes, keys, plain.jobs);
    oracle.seal(sealed.jobs);
    Packets spoiled = place(wishes, keys, sealed.jobs);
    spoil(spoiled, wishes);
    Packets judged = place(wishes, keys, sealed.jobs);
    spoil(judged, wishes);
    oracle.open(judged.jobs);

    for (const Kernel& kernel : kernels()) {
        if (&kernel == &oracle || !features_fault(kernel.needs, cpu_report()).empty())
            continue;
        Packets packets = place(wishes, keys, plain.jobs);
        kernel.seal(packets.jobs);
        for (size_t i = 0; i < wishes.size(); ++i)
            require(same_packet(packets.jobs[i], sealed.jobs[i]));
        spoil(packets, wishes);
        for (AeadJob& job : packets.jobs) job.is_authentic = true;
        kernel.open(packets.jobs);
        for (size_t i = 0; i < wishes.size(); ++i)
            check_opening(packets.jobs[i], judged.jobs[i], spoiled.jobs[i], plain.jobs[i]);
    }
    return 0;
}
