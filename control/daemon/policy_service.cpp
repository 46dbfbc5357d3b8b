// See policy_service.h.
#include "control/daemon/policy_service.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <set>

#include "config/key_file.h"
#include "config/load.h"
#include "config/policy_tests.h"
#include "config/validate.h"
#include "crypto/x25519.h"
#include "dataplane/api/snapshot_reader.h"

namespace sandgate::control {

namespace {

int64_t nanoseconds(const timespec& t) { return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; }

std::vector<std::string> files_of(const config::Policy& policy)
{
    std::vector<std::string> files;
    if (!policy.files.empty())
        files.assign(policy.files.begin() + 1, policy.files.end());
    for (const auto& list : policy.agent_lists)
        if (list->is_bulk)
            files.push_back(list->file);
    return files;
}

// Calls visit(row) with a pointer into bytes for each row of the agents' table.
template <typename Bytes, typename Visit>
void for_each_agent(Bytes& bytes, Visit visit)
{
    api::SnapshotHeader header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    for (uint64_t i = 0; i < header.agents.count; i++)
        visit(bytes.data() + header.agents.offset + i * sizeof(api::AgentRow));
}

int64_t expiry_of(const uint8_t* row)
{
    int64_t expires;
    std::memcpy(&expires, row + offsetof(api::AgentRow, expires_unix), sizeof(expires));
    return expires;
}

}  // namespace

Result<const Secret32*> KeyCache::get(const std::string& path)
{
    struct stat info
    {
    };
    const bool is_seen = lstat(path.c_str(), &info) == 0;
    const auto known = entries_.find(path);
    if (known != entries_.end()) {
        const Entry& entry = known->second;
        if (is_seen
                ? entry.modified_ns == nanoseconds(info.st_mtim) &&
                      entry.changed_ns == nanoseconds(info.st_ctim) && entry.inode == info.st_ino
                : errno == EACCES)
            return &entry.key;
    }
    auto loaded = config::load_key_file(path);
    if (!loaded)
        return loaded.error();
    entries_.insert_or_assign(path, Entry{nanoseconds(info.st_mtim), nanoseconds(info.st_ctim),
                                          info.st_ino, std::move(*loaded)});
    return &entries_.at(path).key;
}

PolicyService::PolicyService(std::string file, std::string id_map_path)
    : file_(std::move(file)), id_map_path_(std::move(id_map_path))
{
}

Result<Done> PolicyService::load_ids()
{
    auto ids = config::IdMap::load(id_map_path_);
    if (!ids)
        return ids.error();
    ids_ = std::move(*ids);
    return Done{};
}

bool PolicyService::refuse(std::vector<Error> errors)
{
    errors_ = std::move(errors);
    return false;
}

void PolicyService::warm_keys()
{
    const config::LoadResult loaded = config::load_file(file_, bulk_);
    if (auto key = keys_.get(loaded.policy.gateway.private_key_file); !key)
        return;
    for (const auto& list : loaded.policy.agent_lists)
        for (const config::Agent& agent : list->agents)
            if (!agent.psk_file.empty())
                (void)keys_.get(agent.psk_file).is_ok();
}

bool PolicyService::reload(bool rereads_keys, int64_t now_unix)
{
    config::LoadResult loaded = config::load_file(file_, bulk_);
    attempted_files_ = files_of(loaded.policy);
    if (!loaded.is_ok())
        return refuse(std::move(loaded.errors));
    config::Policy& next = loaded.policy;
    const auto key = keys_.get(next.gateway.private_key_file);
    if (!key)
        return refuse({key.error()});
    next.gateway.public_key = crypto::public_key_of(**key);
    if (auto faults = config::validate(next); !faults.empty())
        return refuse(std::move(faults));
    if (auto faults = config::run_tests(next, now_unix); !faults.empty())
        return refuse(std::move(faults));

    auto compiled = config::compile(next, ids_, now_unix);
    if (!compiled)
        return refuse({compiled.error()});
    // An id that was published and then forgotten could be given to somebody else after a restart.
    if (ids_.is_changed())
        if (auto saved = ids_.save(id_map_path_); !saved)
            return refuse({saved.error()});

    std::set<const config::AgentList*> unchanged;
    if (!rereads_keys && compiled_)
        for (const auto& list : compiled_->agent_lists) unchanged.insert(list.get());
    std::set<const config::Agent*> fresh;
    for (const auto& list : next.agent_lists)
        if (unchanged.count(list.get()) == 0)
            for (const config::Agent& agent : list->agents)
                if (!agent.psk_file.empty())
                    fresh.insert(&agent);
    std::map<api::IdentityId, Secret32> psks;
    std::vector<Error> faults;
    for (const config::NamedAgent& named : compiled->agents) {
        if (named.agent->psk_file.empty())
            continue;
        const auto held = psks_.find(named.identity);
        if (fresh.count(named.agent) == 0 && held != psks_.end()) {
            psks.emplace(named.identity, held->second.clone());
            continue;
        }
        const auto psk = keys_.get(named.agent->psk_file);
        if (psk)
            psks.emplace(named.identity, (*psk)->clone());
        else
            faults.push_back(
                {"agent " + named.agent->name + ": psk_file: " + psk.error().what,
                 psk.error().where.empty() ? next.place(*named.agent) : psk.error().where});
    }
    if (!faults.empty())
        return refuse(std::move(faults));

    texts_.clear();
    for (size_t i = 0; i < next.files.size(); i++)
        texts_.emplace_back(next.files[i], std::move(loaded.texts[i]));
    policy_ = std::move(next);
    compiled_.emplace(std::move(*compiled));
    collect_expiries();
    private_key_ = (*key)->clone();
    psks_ = std::move(psks);
    errors_.clear();
    loaded_unix_ = bytes_unix_ = now_unix;
    bulk_.retire_unused();
    return true;
}

void PolicyService::compile_again(int64_t now_unix)
{
    // Every name has its id since reload(), so the map does not change.
    auto compiled = config::compile(policy_, ids_, now_unix);
    if (!compiled) {
        // Not to keep what has ended: without grants there is nothing that could fail.
        errors_ = {compiled.error()};
        config::Policy closed = policy_;
        closed.grants.clear();
        compiled = config::compile(closed, ids_, now_unix);
    }
    compiled_.emplace(std::move(*compiled));
}

void PolicyService::collect_expiries()
{
    expiries_.clear();
    for_each_agent(compiled_->bytes, [&](const uint8_t* row) {
        if (const int64_t expires = expiry_of(row); expires != 0)
            expiries_.push_back(expires);
    });
    std::sort(expiries_.begin(), expiries_.end());
}

std::vector<uint8_t> PolicyService::bytes_at(int64_t now_unix)
{
    const int64_t next = compiled_->next_change_unix;
    // Also when the clock was set back.
    if ((next != 0 && next <= now_unix) || now_unix < compiled_->at_unix)
        compile_again(now_unix);
    bytes_unix_ = now_unix;
    std::vector<uint8_t> bytes = compiled_->bytes;
    bool is_changed = false;
    for_each_agent(bytes, [&](uint8_t* row) {
        const int64_t expires = expiry_of(row);
        if (expires == 0 || expires > now_unix)
            return;
        uint32_t flags;
        std::memcpy(&flags, row + offsetof(api::AgentRow, flags), sizeof(flags));
        flags &= ~static_cast<uint32_t>(api::kAgentEnabled);
        std::memcpy(row + offsetof(api::AgentRow, flags), &flags, sizeof(flags));
        is_changed = true;
    });
    if (is_changed) {
        const uint64_t checksum = api::snapshot_checksum(bytes);
        std::memcpy(bytes.data() + offsetof(api::SnapshotHeader, checksum), &checksum,
                    sizeof(checksum));
    }
    return bytes;
}

int64_t PolicyService::next_change() const
{
    if (!compiled_)
        return 0;
    int64_t next = compiled_->next_change_unix;
    const auto expiry = std::upper_bound(expiries_.begin(), expiries_.end(), bytes_unix_);
    if (expiry != expiries_.end() && (next == 0 || *expiry < next))
        next = *expiry;
    return next;
}

std::vector<std::string> PolicyService::files() const
{
    std::vector<std::string> files = {file_};
    files.insert(files.end(), attempted_files_.begin(), attempted_files_.end());
    for (std::string& file : files_of(policy_))
        if (std::find(files.begin(), files.end(), file) == files.end())
            files.push_back(std::move(file));
    return files;
}

}  // namespace sandgate::control
