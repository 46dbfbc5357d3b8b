// Makes the batches of batch.h and judges what a kernel does to them.
#include "tests/unit/crypto/batch.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>

namespace sandgate::crypto::test {
namespace {

constexpr size_t kCanaryBytes = 64;
constexpr uint8_t kCanary = 0xc5;
constexpr uint8_t kStrangeKey[kKeyBytes] = {0xee, 0x01};

void fill_from(uint64_t seed, uint8_t* out, size_t bytes)
{
    if (bytes == 0)
        return;
    uint8_t wide[randombytes_SEEDBYTES] = {};
    std::memcpy(wide, &seed, sizeof seed);
    randombytes_buf_deterministic(out, bytes, wide);
}

const char* name_of(Forgery forgery)
{
    constexpr const char* kNames[] = {"nothing", "tag", "text", "truncated", "key", "counter"};
    return kNames[static_cast<size_t>(forgery)];
}

// Empty, or what is wrong with a packet that had to be opened.
std::string fault_of_opened(const AeadJob& job, const uint8_t* plain)
{
    if (!job.is_authentic)
        return "was refused";
    if (!std::equal(plain, plain + job.text_bytes, job.data))
        return "was opened to a wrong text";
    return {};
}

std::string fault_of_refused(const AeadJob& job, const uint8_t* before)
{
    if (job.is_authentic)
        return "is forged and was accepted";
    for (uint32_t at = 0; at < job.text_bytes + kTagBytes; ++at)
        if (job.data[at] != before[at] && job.data[at] != 0)
            return "was refused and holds a foreign byte at " + std::to_string(at);
    return {};
}

}  // namespace

std::vector<Shape> shapes_of(std::span<const uint32_t> lengths, std::mt19937_64& random)
{
    std::vector<Shape> out;
    for (const uint32_t bytes : lengths)
        out.push_back({bytes, random(), static_cast<uint32_t>(out.size())});
    return out;
}

std::vector<uint32_t> random_lengths(size_t count, uint32_t limit, std::mt19937_64& random)
{
    std::vector<uint32_t> out(count);
    for (uint32_t& bytes : out) bytes = static_cast<uint32_t>(random() % limit);
    return out;
}

Batch::Batch(std::vector<Shape> shapes, uint64_t seed) : shapes_(std::move(shapes)), seed_(seed)
{
    size_t end = kCanaryBytes;
    uint32_t keys = 0;
    for (const Shape& shape : shapes_) {
        offsets_.push_back(end);
        end += shape.text_bytes + kTagBytes;
        keys = std::max(keys, shape.key + 1);
    }
    keys_.resize(keys * kKeyBytes);
    fill_from(~seed, keys_.data(), keys_.size());
    plain_.assign(end + kCanaryBytes, kCanary);
    fill_from(seed, plain_.data() + kCanaryBytes, end - kCanaryBytes);
    sealed_ = plain_;
    auto jobs = jobs_in(sealed_);
    sodium_kernel().seal(jobs);
}

std::vector<AeadJob> Batch::jobs_in(Buffer& memory) const
{
    std::vector<AeadJob> jobs;
    for (size_t i = 0; i < count(); ++i)
        jobs.push_back({key(i), shapes_[i].counter, memory.data() + offsets_[i],
                        shapes_[i].text_bytes, false});
    return jobs;
}

bool Batch::canaries_live(const Buffer& memory) const
{
    const auto lives = [](uint8_t byte) { return byte == kCanary; };
    return std::all_of(memory.begin(), memory.begin() + kCanaryBytes, lives) &&
           std::all_of(memory.end() - kCanaryBytes, memory.end(), lives);
}

std::string Batch::name_of(size_t i) const
{
    return "packet " + std::to_string(i) + " of " + std::to_string(count()) + " (" +
           std::to_string(shapes_[i].text_bytes) + " bytes, seed " + std::to_string(seed_) + ")";
}

Forgery forgery_of_turn(size_t turn)
{
    return static_cast<Forgery>(1 + turn % static_cast<size_t>(Forgery::kOtherCounter));
}

void forge(AeadJob& job, Forgery how, std::mt19937_64& random)
{
    const bool needs_text = how == Forgery::kText || how == Forgery::kTruncated;
    switch (needs_text && job.text_bytes == 0 ? Forgery::kTag : how) {
        case Forgery::kNone:
            break;
        case Forgery::kTag:
            job.data[job.text_bytes + random() % kTagBytes] ^=
                static_cast<uint8_t>(1u << random() % 8);
            break;
        case Forgery::kText:
            job.data[random() % job.text_bytes] ^= static_cast<uint8_t>(1u << random() % 8);
            break;
        case Forgery::kTruncated:
            job.text_bytes -= 1 + static_cast<uint32_t>(random() % std::min(job.text_bytes, 64u));
            break;
        case Forgery::kOtherKey:
            job.key = kStrangeKey;
            break;
        case Forgery::kOtherCounter:
            job.counter ^= uint64_t{1} << random() % 64;
            break;
    }
}

testing::AssertionResult seals_as_the_oracle(const Kernel& kernel, const Batch& batch)
{
    Buffer memory = batch.plain();
    auto jobs = batch.jobs_in(memory);
    kernel.seal(jobs);
    for (size_t i = 0; i < batch.count(); ++i) {
        const size_t bytes = batch.shape(i).text_bytes;
        const uint8_t* right = batch.sealed().data() + batch.offset(i);
        const auto wrong =
            std::mismatch(right, right + bytes + kTagBytes, memory.data() + batch.offset(i)).first;
        const auto at = static_cast<size_t>(wrong - right);
        if (at < bytes + kTagBytes)
            return testing::AssertionFailure()
                   << kernel.name << " seals " << batch.name_of(i) << " wrong: first at "
                   << (at < bytes ? "text byte " : "tag byte ") << (at < bytes ? at : at - bytes);
    }
    if (!batch.canaries_live(memory))
        return testing::AssertionFailure()
               << kernel.name << " wrote outside of the batch of " << batch.name_of(0);
    return testing::AssertionSuccess();
}

testing::AssertionResult opens_all_but_forged(const Kernel& kernel, const Batch& batch,
                                              const Buffer& sealed,
                                              std::span<const Forgery> forgeries,
                                              std::mt19937_64& random)
{
    Buffer memory = sealed;
    auto jobs = batch.jobs_in(memory);
    for (size_t i = 0; i < jobs.size(); ++i) {
        forge(jobs[i], forgeries[i], random);
        jobs[i].is_authentic = forgeries[i] != Forgery::kNone;  // the wrong answer
    }
    const Buffer before = memory;
    kernel.open(jobs);
    for (size_t i = 0; i < jobs.size(); ++i) {
        const size_t offset = batch.offset(i);
        const std::string fault = forgeries[i] == Forgery::kNone
                                      ? fault_of_opened(jobs[i], batch.plain().data() + offset)
                                      : fault_of_refused(jobs[i], before.data() + offset);
        if (!fault.empty())
            return testing::AssertionFailure() << kernel.name << ": " << batch.name_of(i) << ' '
                                               << fault << "; forged: " << name_of(forgeries[i]);
    }
    if (!batch.canaries_live(memory))
        return testing::AssertionFailure()
               << kernel.name << " wrote outside of the batch of " << batch.name_of(0);
    return testing::AssertionSuccess();
}

}  // namespace sandgate::crypto::test
