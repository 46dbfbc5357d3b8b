// When a grant is in force: until it expires, and on the days and hours of its schedule. Wall clock
// in a time zone becomes moments in UTC here and nowhere else; the clock is an argument.
#pragma once

#include <string_view>

#include "config/policy.h"

namespace sandgate::config {

// "mon" or "fri-mon": the days as bits of Schedule::days.
Result<uint8_t> parse_days(std::string_view text);
// "09:00-17:30"; "22:00-06:00" ends on the next day.
Result<Hours> parse_hours(std::string_view text);
// A name of the IANA database of this machine, or UTC.
Result<std::string> parse_zone(std::string_view text);

// Whether the grant is in force at a time, in seconds since 1970.
bool is_in_force(const Grant& grant, int64_t now_unix);
// When that may change next; 0 = never.
int64_t next_change_of(const Grant& grant, int64_t now_unix);

}  // namespace sandgate::config
