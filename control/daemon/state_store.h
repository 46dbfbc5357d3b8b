// What outlives a restart of both programs: each agent's greatest handshake timestamp and last
// confirmed endpoint, and the last epoch that was published. Without the timestamps a recorded
// initiation could be replayed after a restart; without the endpoints the gateway could not
// initiate.
//
// On disk it is a journal of fixed records, each with its own checksum: a later record of an agent
// replaces an earlier one, and a torn tail is cut off on loading, so a crash loses at most the last
// unsynchronised second. When the journal holds far more records than agents it is rewritten beside
// and renamed over.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "dataplane/api/requests.h"

namespace sandgate::control {

class StateStore
{
  public:
    explicit StateStore(std::string path);
    ~StateStore();
    StateStore(const StateStore&) = delete;
    StateStore& operator=(const StateStore&) = delete;

    // Reads the journal and opens it for appending; a missing file is an empty state. Returns the
    // fault as a sentence, or an empty string. A damaged tail is no fault: `discarded_bytes()`
    // tells.
    std::string open();
    uint64_t discarded_bytes() const { return discarded_bytes_; }

    // Remembers the note until flush(). An older timestamp never replaces a newer one.
    void note(const api::SeedBody& seed);
    void note_epoch(api::Epoch epoch);

    bool has_unsaved() const { return !unsaved_.empty() || is_epoch_unsaved_; }
    // Appends what changed and waits until it is on the disk. Returns the fault or an empty string;
    // what could not be written stays unsaved.
    std::string flush();

    api::Epoch epoch() const { return epoch_; }
    const api::SeedBody* find(api::IdentityId identity) const;
    std::vector<api::SeedBody> all() const;
    uint64_t records_on_disk() const { return records_; }

  private:
    std::string rewrite();
    std::string append(const std::vector<uint8_t>& bytes);

    std::string path_;
    int fd_ = -1;
    uint64_t records_ = 0;
    uint64_t discarded_bytes_ = 0;
    api::Epoch epoch_ = 0;
    bool is_epoch_unsaved_ = false;
    std::unordered_map<api::IdentityId, api::SeedBody> seeds_;
    std::unordered_set<api::IdentityId> unsaved_;
};

// Replaces a file's content so that a reader or a crash sees the old or the new content, never a
// mixture: written beside, synchronised, renamed over, directory synchronised. Mode 0600. Returns
// the fault or "".
std::string write_atomically(const std::string& path, std::string_view content);

}  // namespace sandgate::control
