#include "perf/timing_test.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sandgate::perf {
namespace {

// The paper's percentiles: from 1 - 2^-0.1 on, ever denser towards the slowest measurements.
constexpr int kCutOffs = 100;
double part_below(int cut_off) { return 1 - std::pow(0.5, 10.0 * (cut_off + 1) / kCutOffs); }

// Fewer, below a cut-off, are too few for a t.
constexpr double kFewest = 500;

// The tail: what is slower than this part of the measurements.
constexpr double kWithoutTail = 0.9;

}  // namespace

void TimingTest::Sums::add(const Sums& other)
{
    count += other.count;
    sum += other.sum;
    squares += other.squares;
}

double TimingTest::Sums::variance_of_mean() const
{
    return std::max(0.0, squares - sum * sum / count) / (count - 1) / count;
}

TimingTest::TimingTest(std::vector<double> first)
{
    std::sort(first.begin(), first.end());
    median_ = first[first.size() / 2];
    for (int i = 0; i < kCutOffs; ++i) {
        const double part = part_below(i) * static_cast<double>(first.size());
        cut_offs_.push_back(first[static_cast<size_t>(part)]);
    }
    cut_offs_.push_back(std::numeric_limits<double>::infinity());
    cut_offs_.erase(std::unique(cut_offs_.begin(), cut_offs_.end()), cut_offs_.end());
    between_.resize(cut_offs_.size());
}

void TimingTest::add(bool is_second, double cycles)
{
    // A cut-off takes what equals it: clocks count in steps, and most measurements may be one
    // value.
    const auto above = std::lower_bound(cut_offs_.begin(), cut_offs_.end() - 1, cycles);
    const double x = cycles - median_;
    between_[static_cast<size_t>(above - cut_offs_.begin())][is_second].add({1, x, x * x});
}

TimingResult TimingTest::result() const
{
    TimingResult result{0, 0, 0, 0, median_};
    double all = 0;
    for (const std::array<Sums, 2>& part : between_) all += part[0].count + part[1].count;
    result.measurements = static_cast<size_t>(all);
    std::array<Sums, 2> below;
    bool is_tail = false;
    for (const std::array<Sums, 2>& part : between_) {
        for (size_t i = 0; i < 2; ++i) below[i].add(part[i]);
        if (std::min(below[0].count, below[1].count) < kFewest)
            continue;
        const double error = std::sqrt(below[0].variance_of_mean() + below[1].variance_of_mean());
        const double difference = below[1].mean() - below[0].mean();
        const double t = error > 0 ? difference / error : 0;  // 0: all took the same
        if (std::fabs(t) > std::fabs(result.t))
            result.t = t;
        if (!is_tail && below[0].count + below[1].count >= kWithoutTail * all) {
            is_tail = true;
            result.difference = difference;
            result.seen_from = kSuspectedT * error;
        }
    }
    return result;
}

}  // namespace sandgate::perf
