// Days and hours of a time zone to moments.
#include "config/schedule.h"

#include <date/tz.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "config/parse.h"

namespace sandgate::config {
namespace {

constexpr std::string_view kDayNames[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr int64_t kSecondsPerDay = 86400;

// From begin until before end, in seconds since 1970.
struct Span
{
    int64_t begin, end;
};

// nullptr for UTC, which needs no database.
const date::time_zone* find_zone(const std::string& name)
{
    return name == "UTC" ? nullptr : date::locate_zone(name);
}

// A wall clock that is skipped in spring means the moment of the jump, one that comes twice in
// autumn the first.
int64_t moment_of(const date::time_zone* zone, int64_t local_seconds)
{
    if (zone == nullptr)
        return local_seconds;
    const date::local_seconds local{std::chrono::seconds(local_seconds)};
    return zone->to_sys(local, date::choose::earliest).time_since_epoch().count();
}

int64_t local_day_of(const date::time_zone* zone, int64_t now_unix)
{
    int64_t local = now_unix;
    if (zone != nullptr)
        local = zone->to_local(date::sys_seconds{std::chrono::seconds(now_unix)})
                    .time_since_epoch()
                    .count();
    return local >= 0 ? local / kSecondsPerDay : (local - kSecondsPerDay + 1) / kSecondsPerDay;
}

// What lies around a time, ascending and apart; every schedule has a span within eight days.
std::vector<Span> spans_around(const Schedule& schedule, int64_t now_unix)
{
    std::vector<Span> spans;
    const date::time_zone* zone = find_zone(schedule.zone);
    const int64_t today = local_day_of(zone, now_unix);
    for (int64_t day = today - 2; day <= today + 8; day++) {
        const auto weekday =
            static_cast<unsigned>((day % 7 + 7 + 3) % 7);  // 1970 began on Thursday
        if ((schedule.days >> weekday & 1) == 0)
            continue;
        const int64_t from = schedule.hours.from_minute * 60;
        int64_t to = schedule.hours.to_minute * 60;
        if (to <= from)
            to += kSecondsPerDay;
        const Span span{moment_of(zone, day * kSecondsPerDay + from),
                        moment_of(zone, day * kSecondsPerDay + to)};
        if (!spans.empty() && spans.back().end >= span.begin)
            spans.back().end = std::max(spans.back().end, span.end);
        else
            spans.push_back(span);
    }
    return spans;
}

Result<unsigned> day_of(std::string_view text)
{
    const auto* found = std::find(std::begin(kDayNames), std::end(kDayNames), text);
    if (found == std::end(kDayNames))
        return Error{
            fmt::format("\"{}\" is no day: write mon, tue, wed, thu, fri, sat, sun or a "
                        "range such as mon-fri.",
                        text.substr(0, 60))};
    return static_cast<unsigned>(found - std::begin(kDayNames));
}

// Minutes of "09:00", or more than a day has.
unsigned minutes_of(std::string_view text)
{
    if (text.size() != 5 || text[2] != ':')
        return ~0u;
    const auto hours = parse_number(text.substr(0, 2)), minutes = parse_number(text.substr(3));
    if (!hours || !minutes || *minutes > 59)
        return ~0u;
    return static_cast<unsigned>(*hours * 60 + *minutes);
}

}  // namespace

Result<uint8_t> parse_days(std::string_view text)
{
    const size_t dash = text.find('-');
    const auto first = day_of(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : day_of(text.substr(dash + 1));
    if (!first)
        return first.error();
    if (!last)
        return last.error();
    uint8_t days = 0;
    for (unsigned day = *first;; day = (day + 1) % 7) {
        days |= static_cast<uint8_t>(1u << day);
        if (day == *last)
            return days;
    }
}

Result<Hours> parse_hours(std::string_view text)
{
    const unsigned from = text.size() == 11 && text[5] == '-' ? minutes_of(text.substr(0, 5)) : ~0u;
    const unsigned to = from != ~0u ? minutes_of(text.substr(6)) : ~0u;
    if (from >= 24 * 60 || to > 24 * 60)
        return Error{
            fmt::format("\"{}\" is no range of hours such as 09:00-17:30.", text.substr(0, 60))};
    if (from == to)
        return Error{
            fmt::format("\"{}\" ends when it begins; leave hours out for the whole day.", text)};
    return Hours{static_cast<uint16_t>(from), static_cast<uint16_t>(to)};
}

Result<std::string> parse_zone(std::string_view text)
{
    std::string name(text);
    try {
        find_zone(name);
        return name;
    } catch (const std::exception&) {
    }
    std::vector<std::string_view> known = {"UTC"};
    std::string hint;
    try {
        for (const auto& zone : date::get_tzdb().zones) known.push_back(zone.name());
    } catch (const std::exception& fault) {
        return Error{
            fmt::format("This machine has no time zones ({}); install tzdata.", fault.what())};
    }
    hint = did_you_mean(text, known);
    return Error{fmt::format("No time zone is called \"{}\"{}", text.substr(0, 60),
                             hint.empty() ? "; write UTC or a name such as Europe/Berlin." : hint)};
}

bool is_in_force(const Grant& grant, int64_t now_unix)
{
    if (grant.expires_unix != 0 && grant.expires_unix <= now_unix)
        return false;
    if (!grant.schedule)
        return true;
    const auto spans = spans_around(*grant.schedule, now_unix);
    return std::any_of(spans.begin(), spans.end(), [&](const Span& span) {
        return span.begin <= now_unix && now_unix < span.end;
    });
}

int64_t next_change_of(const Grant& grant, int64_t now_unix)
{
    int64_t next = 0;
    const auto note = [&](int64_t at) {
        if (at > now_unix && (next == 0 || at < next))
            next = at;
    };
    if (grant.expires_unix != 0 && grant.expires_unix <= now_unix)
        return 0;
    note(grant.expires_unix);
    if (grant.schedule)
        for (const Span& span : spans_around(*grant.schedule, now_unix)) {
            note(span.begin);
            note(span.end);
        }
    return next;
}

}  // namespace sandgate::config
