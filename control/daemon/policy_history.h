// Every policy that was applied, as text: the file and what it includes, with time, author and
// hash. Bulk files are not kept; their agents are not written by hand. One JSON file per policy in
// a folder of the state directory, numbered from 1; the newest kMostPolicies stay.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/result.h"

namespace sandgate::control {

// File and text, the first file first.
using PolicyTexts = std::vector<std::pair<std::string, std::string>>;

class PolicyHistory
{
  public:
    static constexpr size_t kMostPolicies = 1000;

    struct Entry
    {
        uint32_t number = 0;
        int64_t time_unix = 0;
        std::optional<uid_t> author;  // who asked for it; none when the file was saved
        std::string hash;             // BLAKE2b-256 of names and texts, in hex
        PolicyTexts files;            // left out by entries()
    };

    explicit PolicyHistory(std::string directory) : directory_(std::move(directory)) {}

    // Makes the folder and finds what it holds. Returns the fault as a sentence, or "".
    std::string open();
    // Keeps the texts unless they are those of the newest entry, which gets its author if it was
    // saved a moment ago. Returns the fault, or "".
    std::string note(const PolicyTexts& files, int64_t time_unix, std::optional<uid_t> author);

    // Newest first, without their texts.
    const std::vector<Entry>& entries() const { return entries_; }
    Result<Entry> read(uint32_t number) const;

  private:
    std::string path_of(uint32_t number) const;

    std::string directory_;
    std::vector<Entry> entries_;
};

}  // namespace sandgate::control
