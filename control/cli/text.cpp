// See text.h.
#include "control/cli/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace sandgate::control {

std::string human_bytes(uint64_t bytes)
{
    static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024)
        return fmt::format("{} B", bytes);
    double value = static_cast<double>(bytes) / 1024;
    unsigned unit = 0;
    for (; value >= 1024 && unit < 5; unit++) value /= 1024;
    return fmt::format("{:.2f} {}", value, kUnits[unit]);
}

std::string counted(uint64_t count, const char* what)
{
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string human_duration(int64_t seconds)
{
    struct Unit
    {
        const char* name;
        int64_t seconds;
    };
    static constexpr Unit kUnits[] = {
        {"year", 365 * 86400}, {"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}};
    std::string text;
    unsigned parts = 0;
    for (const Unit& unit : kUnits) {
        const int64_t count = seconds / unit.seconds;
        seconds %= unit.seconds;
        if (count == 0 || parts == 2)
            continue;
        text += fmt::format("{}{} {}{}", parts != 0 ? ", " : "", count, unit.name,
                            count == 1 ? "" : "s");
        parts++;
    }
    return text.empty() ? "0 seconds" : text;
}

std::string human_ago(int64_t then_unix, int64_t now_unix)
{
    if (then_unix == 0)
        return "never";
    if (now_unix < then_unix)
        return "in the future (the clock was set back)";
    if (now_unix == then_unix)
        return "now";
    return human_duration(now_unix - then_unix) + " ago";
}

Table::Table(std::vector<std::string> head, std::vector<bool> right) : right_(std::move(right))
{
    right_.resize(head.size());
    rows_.push_back(std::move(head));
}

void Table::add(std::vector<std::string> row)
{
    row.resize(right_.size());
    rows_.push_back(std::move(row));
}

std::string Table::to_text() const
{
    std::vector<size_t> widths(right_.size(), 0);
    for (const auto& row : rows_)
        for (size_t i = 0; i < row.size(); i++) widths[i] = std::max(widths[i], row[i].size());
    std::string text;
    for (const auto& row : rows_) {
        std::string line;
        for (size_t i = 0; i < row.size(); i++) {
            const std::string pad(widths[i] - row[i].size(), ' ');
            line += i != 0 ? "  " : "";
            line += right_[i] ? pad + row[i] : row[i] + pad;
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

}  // namespace sandgate::control
