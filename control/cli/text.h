// How figures and tables are written for people: the units and words of `wg show`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sandgate::control {

// "0 B", "148 B", "12.34 KiB", "3.21 GiB".
std::string human_bytes(uint64_t bytes);
// "now", "1 minute, 12 seconds ago", "never" for 0.
std::string human_ago(int64_t then_unix, int64_t now_unix);
// "1 agent", "2 agents".
std::string counted(uint64_t count, const char* what);
// "2 days, 3 hours": the two largest units.
std::string human_duration(int64_t seconds);

// Columns as wide as their widest cell, two blanks apart; columns named in `right` end flush.
class Table
{
  public:
    explicit Table(std::vector<std::string> head, std::vector<bool> right = {});
    void add(std::vector<std::string> row);
    std::string to_text() const;

  private:
    std::vector<std::vector<std::string>> rows_;
    std::vector<bool> right_;
};

}  // namespace sandgate::control
