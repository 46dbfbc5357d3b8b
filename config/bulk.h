// Bulk files of agents: one JSON object per line with the keys of a YAML agent, read as a stream,
// so that memory holds the agents and one block of text. BulkCache keeps what it parsed; a file
// whose modification and change times, size and inode are as before is not read again.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "config/agent_list.h"

namespace sandgate::config {

struct BulkFile
{
    std::shared_ptr<const AgentList> agents;
    std::vector<Error> errors;  // of the lines; at most kMaxErrors
};

// Reads one file. Errors of the file itself (missing, a directory, too large) come back as a
// Result's error.
Result<BulkFile> load_bulk(const std::string& path);

class BulkCache
{
  public:
    // The file's agents, parsed now or before.
    Result<std::shared_ptr<const BulkFile>> get(const std::string& path);
    // Forgets every file that was not asked for since the last call.
    void retire_unused();
    uint64_t parsed_files() const { return parsed_files_; }  // since construction

  private:
    struct Stamp
    {
        int64_t modified_ns, changed_ns;
        uint64_t size, inode, device;
        bool operator==(const Stamp&) const = default;
    };
    struct Entry
    {
        Stamp stamp;
        std::shared_ptr<const BulkFile> file;
        bool is_used;
    };
    std::map<std::string, Entry> entries_;
    uint64_t parsed_files_ = 0;
};

}  // namespace sandgate::config
