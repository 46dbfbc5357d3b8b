// Whether two classes of inputs take different times: the statistics of dudect (Reparaz, Balasch,
// Verbauwhede, "Dude, is my code constant time?", 2017), for bench_timing.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace sandgate::perf {

// The paper's limits of |t|: above the first a difference is suspected, above the second it is
// there.
constexpr double kSuspectedT = 4.5;
constexpr double kCertainT = 10;

struct TimingResult
{
    double t;           // of the cut-off where |t| is largest
    double difference;  // of the classes' means in cycles, the second less the first, without tail
    double seen_from;   // the difference that would have been suspected there, in cycles
    size_t measurements;
    double median;  // of the first measurements, in cycles
};

// Collects measurements of both classes. A measurement that an interrupt lengthened says nothing
// about the code, so Welch's t is computed for all measurements and again for those up to each of
// many cut-offs; the first measurements choose the cut-offs.
class TimingTest
{
  public:
    // first: measurements of both classes, which do not count themselves.
    explicit TimingTest(std::vector<double> first);

    void add(bool is_second, double cycles);
    TimingResult result() const;

  private:
    // About the median, so that squares stay exact.
    struct Sums
    {
        double count = 0, sum = 0, squares = 0;
        void add(const Sums& other);
        double mean() const { return sum / count; }
        double variance_of_mean() const;
    };

    double median_;
    std::vector<double> cut_offs_;              // ascending; a last one is infinite
    std::vector<std::array<Sums, 2>> between_;  // from the cut-off before to this one
};

}  // namespace sandgate::perf
