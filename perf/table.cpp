#include "perf/table.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include "perf/aead_burst.h"

namespace sandgate::perf {
namespace {

std::string cpu_model()
{
    std::ifstream info("/proc/cpuinfo");
    std::string line, model, family, number;
    while (std::getline(info, line) && !line.empty()) {
        const auto value = [&] { return line.substr(std::min(line.size(), line.find(':') + 2)); };
        if (line.starts_with("model name"))
            model = value();
        else if (line.starts_with("cpu family"))
            family = value();
        else if (line.starts_with("model\t"))
            number = value();
    }
    return model + ", family " + family + " model " + number;
}

}  // namespace

double percentile(std::vector<double> values, size_t percent)
{
    std::sort(values.begin(), values.end());
    return values[(values.size() - 1) * percent / 100];
}

double median(const std::vector<double>& values) { return percentile(values, 50); }

std::string spread_of(const std::vector<double>& ratios)
{
    char text[64];
    std::snprintf(text, sizeof text, "%5.2f  %.2f-%.2f", median(ratios), percentile(ratios, 10),
                  percentile(ratios, 90));
    return text;
}

const char* mark(bool is_reached) { return is_reached ? "reached" : "MISSED"; }

void print_machine(const std::string& kernel, const std::string& method)
{
    const char* commit = std::getenv("SANDGATE_COMMIT");
    char date[32] = "";
    const std::time_t now = std::time(nullptr);
    std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
    std::printf(
        "kernel    %s\ncpu       %s, TSC %.2f GHz\ncompiler  g++ %s\ncommit    %s, %s\n"
        "method    %s\n",
        kernel.c_str(), cpu_model().c_str(), crypto::tsc_per_ns(), __VERSION__,
        commit != nullptr ? commit : "unknown", date, method.c_str());
}

}  // namespace sandgate::perf
