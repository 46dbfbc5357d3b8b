// When which peer wants attention: a 4-ary heap with one entry per peer, exact to the nanosecond. A
// peer with several deadlines is entered with the nearest; data packets never touch it
// (activity.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sandgate::wg {

constexpr uint64_t kNever = UINT64_MAX;

// The base of what can be scheduled; knows its place in the heap so that it can be moved or taken
// out.
struct Timed
{
    static constexpr uint32_t kNotScheduled = UINT32_MAX;
    uint32_t heap_place = kNotScheduled;
};

class TimerHeap
{
  public:
    // Enters the item or moves it; kNever takes it out.
    void schedule(Timed& item, uint64_t due_ns);
    void cancel(Timed& item) { schedule(item, kNever); }
    uint64_t next_due_ns() const { return entries_.empty() ? kNever : entries_[0].due_ns; }
    // Takes out the item that is due first, or returns nullptr when none is due.
    Timed* take_due(uint64_t now_ns);
    size_t size() const { return entries_.size(); }

  private:
    struct Entry
    {
        uint64_t due_ns;
        Timed* item;
    };
    void place(size_t at, Entry entry);
    void sift_up(size_t at, Entry entry);
    void sift_down(size_t at, Entry entry);

    std::vector<Entry> entries_;
};

}  // namespace sandgate::wg
