// See state_store.h.
#include "control/daemon/state_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sandgate::control {

namespace {

// One record of the journal. identity 0 carries the epoch in `epoch` and nothing else.
struct Record
{
    uint32_t magic;
    uint32_t identity;
    uint64_t epoch;
    uint8_t timestamp[12];
    api::Endpoint endpoint;
    uint64_t checksum;  // FNV-1a 64 of the bytes before it
};
static_assert(sizeof(Record) == 56);

constexpr uint32_t kRecordMagic = 0x31534753;  // "SGS1" in memory order
constexpr uint64_t kSlackRecords = 1024;       // a journal this small is never worth a rewrite

uint64_t fnv1a(const uint8_t* bytes, size_t count)
{
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < count; i++) h = (h ^ bytes[i]) * 0x100000001b3;
    return h;
}

uint64_t checksum_of(const Record& record)
{
    return fnv1a(reinterpret_cast<const uint8_t*>(&record), offsetof(Record, checksum));
}

void append_record(std::vector<uint8_t>& out, Record record)
{
    record.magic = kRecordMagic;
    record.checksum = checksum_of(record);
    const auto* bytes = reinterpret_cast<const uint8_t*>(&record);
    out.insert(out.end(), bytes, bytes + sizeof(record));
}

void append_seed(std::vector<uint8_t>& out, const api::SeedBody& seed)
{
    Record record{};
    record.identity = seed.identity;
    std::memcpy(record.timestamp, seed.timestamp, sizeof(record.timestamp));
    record.endpoint = seed.endpoint;
    append_record(out, record);
}

void append_epoch(std::vector<uint8_t>& out, api::Epoch epoch)
{
    Record record{};
    record.epoch = epoch;
    append_record(out, record);
}

std::string fault(const std::string& path, const char* what)
{
    return path + ": " + what + ": " + std::strerror(errno);
}

bool write_all(int fd, const uint8_t* bytes, size_t count)
{
    while (count > 0) {
        const ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        count -= static_cast<size_t>(n);
    }
    return true;
}

}  // namespace

std::string write_atomically(const std::string& path, std::string_view content)
{
    const std::string beside = path + ".new";
    const int fd =
        open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fault(beside, "cannot be written");
    const bool is_written =
        write_all(fd, reinterpret_cast<const uint8_t*>(content.data()), content.size()) &&
        fsync(fd) == 0;
    const std::string error = is_written ? "" : fault(beside, "cannot be written");
    close(fd);
    if (!is_written)
        return error;
    if (rename(beside.c_str(), path.c_str()) != 0)
        return fault(path, "cannot be replaced");
    const auto slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const int dir = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0) {
        fsync(dir);
        close(dir);
    }
    return "";
}

StateStore::StateStore(std::string path) : path_(std::move(path)) {}

StateStore::~StateStore()
{
    if (fd_ >= 0)
        close(fd_);
}

std::string StateStore::open()
{
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd_ < 0)
        return fault(path_, "cannot be opened; control needs a state directory that it may write");
    uint64_t good = 0;
    std::vector<uint8_t> block(sizeof(Record) * 4096);
    struct stat info
    {
    };
    if (fstat(fd_, &info) != 0)
        return fault(path_, "cannot be examined");
    bool is_torn = false;
    while (!is_torn) {
        const ssize_t got = pread(fd_, block.data(), block.size(), static_cast<off_t>(good));
        if (got < 0)
            return fault(path_, "cannot be read");
        size_t at = 0;
        for (; at + sizeof(Record) <= static_cast<size_t>(got); at += sizeof(Record)) {
            Record record;
            std::memcpy(&record, block.data() + at, sizeof(record));
            if (record.magic != kRecordMagic || record.checksum != checksum_of(record)) {
                is_torn = true;
                break;
            }
            records_++;
            if (record.identity == api::kNoIdentity) {
                epoch_ = std::max(epoch_, record.epoch);
                continue;
            }
            api::SeedBody seed{};
            seed.identity = record.identity;
            std::memcpy(seed.timestamp, record.timestamp, sizeof(seed.timestamp));
            seed.endpoint = record.endpoint;
            seeds_[seed.identity] = seed;
        }
        good += at;
        if (at < block.size())
            break;
    }
    discarded_bytes_ = static_cast<uint64_t>(info.st_size) - good;
    if (discarded_bytes_ != 0 && ftruncate(fd_, static_cast<off_t>(good)) != 0)
        return fault(path_, "its damaged tail cannot be cut off");
    return "";
}

void StateStore::note(const api::SeedBody& seed)
{
    if (seed.identity == api::kNoIdentity || seed.identity > api::kMaxIdentity)
        return;
    auto [at, is_new] = seeds_.try_emplace(seed.identity, seed);
    if (!is_new) {
        api::SeedBody merged = at->second;
        if (std::memcmp(seed.timestamp, merged.timestamp, sizeof(seed.timestamp)) > 0)
            std::memcpy(merged.timestamp, seed.timestamp, sizeof(seed.timestamp));
        if (seed.endpoint.is_known())
            merged.endpoint = seed.endpoint;
        if (std::memcmp(&merged, &at->second, sizeof(merged)) == 0)
            return;
        at->second = merged;
    }
    unsaved_.insert(seed.identity);
}

void StateStore::note_epoch(api::Epoch epoch)
{
    if (epoch > epoch_) {
        epoch_ = epoch;
        is_epoch_unsaved_ = true;
    }
}

std::string StateStore::flush()
{
    if (!has_unsaved())
        return "";
    if (fd_ < 0)
        return path_ + " is not open";
    if (records_ + unsaved_.size() > 4 * seeds_.size() + kSlackRecords)
        return rewrite();
    std::vector<uint8_t> bytes;
    bytes.reserve(sizeof(Record) * (unsaved_.size() + 1));
    if (is_epoch_unsaved_)
        append_epoch(bytes, epoch_);
    for (const api::IdentityId identity : unsaved_) append_seed(bytes, seeds_.at(identity));
    struct stat info
    {
    };
    if (fstat(fd_, &info) != 0)
        return fault(path_, "cannot be examined");
    if (!write_all(fd_, bytes.data(), bytes.size()) || fdatasync(fd_) != 0) {
        const std::string error = fault(path_, "cannot be written");
        // Half a record would hide everything that is appended behind it.
        if (ftruncate(fd_, info.st_size) != 0)
            return error + " and its tail cannot be cut off";
        return error;
    }
    records_ += bytes.size() / sizeof(Record);
    unsaved_.clear();
    is_epoch_unsaved_ = false;
    return "";
}

std::string StateStore::rewrite()
{
    std::vector<uint8_t> bytes;
    bytes.reserve(sizeof(Record) * (seeds_.size() + 1));
    append_epoch(bytes, epoch_);
    for (const auto& [identity, seed] : seeds_) append_seed(bytes, seed);
    const std::string error = write_atomically(
        path_, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    if (!error.empty())
        return error;
    close(fd_);
    fd_ = ::open(path_.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd_ < 0)
        return fault(path_, "cannot be opened again");
    records_ = bytes.size() / sizeof(Record);
    unsaved_.clear();
    is_epoch_unsaved_ = false;
    return "";
}

const api::SeedBody* StateStore::find(api::IdentityId identity) const
{
    const auto at = seeds_.find(identity);
    return at == seeds_.end() ? nullptr : &at->second;
}

std::vector<api::SeedBody> StateStore::all() const
{
    std::vector<api::SeedBody> list;
    list.reserve(seeds_.size());
    for (const auto& [identity, seed] : seeds_) list.push_back(seed);
    return list;
}

}  // namespace sandgate::control
