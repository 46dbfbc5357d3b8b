// What the tables of ratios have in common: medians, spreads, marks, and the lines that say on
// which machine and from which commit the figures are.
#pragma once

#include <string>
#include <vector>

namespace sandgate::perf {

double percentile(std::vector<double> values, size_t percent);
double median(const std::vector<double>& values);

// "median  p10-p90".
std::string spread_of(const std::vector<double>& ratios);

const char* mark(bool is_reached);

// Kernel, CPU, compiler, commit (SANDGATE_COMMIT, which ./run sets), date, and how was measured.
void print_machine(const std::string& kernel, const std::string& method);

}  // namespace sandgate::perf
