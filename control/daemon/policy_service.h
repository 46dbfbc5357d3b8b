// The policy as control holds it: file in, compiled snapshot and keys out. A file that is refused
// changes nothing; the last good policy stays, with the faults beside it for status and log. Knows
// no socket.
//
// Key files are read once and again when they change. A key that was read before root was dropped
// stays usable while its file is unchanged, although the file can no longer be opened
// (docs/operations.md, "Keys").
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/bulk.h"
#include "config/compile.h"
#include "config/id_map.h"
#include "config/policy.h"
#include "control/daemon/policy_history.h"
#include "crypto/secret.h"

namespace sandgate::control {

using Secret32 = crypto::Secret<32>;

class KeyCache
{
  public:
    // The key in the file; the pointer lives until the next get() of the same path.
    Result<const Secret32*> get(const std::string& path);

  private:
    struct Entry
    {
        int64_t modified_ns, changed_ns;
        ino_t inode;
        Secret32 key;
    };
    std::map<std::string, Entry> entries_;
};

class PolicyService
{
  public:
    // The id map is saved to `id_map_path` before an id that is new can leave this process.
    PolicyService(std::string file, std::string id_map_path);

    // Before the first reload().
    Result<Done> load_ids();

    // Reads, validates and compiles the file. True: the policy is the current one now. False:
    // errors() says why, and everything else is as before. PSK files of agents in unchanged files
    // are looked at again only when rereads_keys.
    bool reload(bool rereads_keys, int64_t now_unix);
    // Reads the key files that this process may read, while it still may.
    void warm_keys();

    bool has_policy() const { return compiled_.has_value(); }
    const config::Policy& policy() const { return policy_; }
    const config::Compiled& compiled() const { return *compiled_; }
    // The files that the policy was read from, bulk files left out, with their texts.
    const PolicyTexts& texts() const { return texts_; }
    const Secret32& private_key() const { return private_key_; }
    const std::map<api::IdentityId, Secret32>& psks() const { return psks_; }

    // The snapshot as the policy is meant at a time, not yet published: compiled again when
    // something has begun or ended since, and agents that have expired are disabled.
    std::vector<uint8_t> bytes_at(int64_t now_unix);
    // When the policy means something else than bytes_at() last said, because an agent expires or
    // something begins or ends; may be past. 0 when that is never.
    int64_t next_change() const;

    // Of the last attempt; empty when it was good.
    const std::vector<Error>& errors() const { return errors_; }
    int64_t loaded_unix() const { return loaded_unix_; }
    const std::string& file() const { return file_; }
    // What the policy is made of, the last attempt's files included.
    std::vector<std::string> files() const;

  private:
    bool refuse(std::vector<Error> errors);
    void compile_again(int64_t now_unix);
    void collect_expiries();

    std::string file_;
    std::string id_map_path_;
    config::IdMap ids_;
    config::BulkCache bulk_;
    KeyCache keys_;
    config::Policy policy_;
    PolicyTexts texts_;
    std::optional<config::Compiled> compiled_;
    std::vector<int64_t> expiries_;  // of its agents, ascending
    int64_t bytes_unix_ = 0;         // the time that bytes_at() was last asked about
    Secret32 private_key_;
    std::map<api::IdentityId, Secret32> psks_;
    std::vector<Error> errors_;
    std::vector<std::string> attempted_files_;
    int64_t loaded_unix_ = 0;
};

}  // namespace sandgate::control
