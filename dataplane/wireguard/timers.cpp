// See timers.h.
#include "dataplane/wireguard/timers.h"

#include <algorithm>

namespace sandgate::wg {

namespace {
constexpr size_t kChildren = 4;
}

void TimerHeap::schedule(Timed& item, uint64_t due_ns)
{
    if (item.heap_place == Timed::kNotScheduled) {
        if (due_ns == kNever)
            return;
        entries_.push_back({});
        sift_up(entries_.size() - 1, {due_ns, &item});
        return;
    }
    const size_t at = item.heap_place;
    if (due_ns != kNever) {
        if (due_ns < entries_[at].due_ns)
            sift_up(at, {due_ns, &item});
        else
            sift_down(at, {due_ns, &item});
        return;
    }
    item.heap_place = Timed::kNotScheduled;
    const Entry last = entries_.back();
    entries_.pop_back();
    if (at == entries_.size())
        return;
    if (at > 0 && last.due_ns < entries_[(at - 1) / kChildren].due_ns)
        sift_up(at, last);
    else
        sift_down(at, last);
}

Timed* TimerHeap::take_due(uint64_t now_ns)
{
    if (entries_.empty() || entries_[0].due_ns > now_ns)
        return nullptr;
    Timed* item = entries_[0].item;
    cancel(*item);
    return item;
}

void TimerHeap::place(size_t at, Entry entry)
{
    entries_[at] = entry;
    entry.item->heap_place = static_cast<uint32_t>(at);
}

void TimerHeap::sift_up(size_t at, Entry entry)
{
    while (at > 0) {
        const size_t parent = (at - 1) / kChildren;
        if (entries_[parent].due_ns <= entry.due_ns)
            break;
        place(at, entries_[parent]);
        at = parent;
    }
    place(at, entry);
}

void TimerHeap::sift_down(size_t at, Entry entry)
{
    for (;;) {
        const size_t first = at * kChildren + 1;
        if (first >= entries_.size())
            break;
        const size_t end = std::min(first + kChildren, entries_.size());
        size_t least = first;
        for (size_t i = first + 1; i < end; i++)
            if (entries_[i].due_ns < entries_[least].due_ns)
                least = i;
        if (entries_[least].due_ns >= entry.due_ns)
            break;
        place(at, entries_[least]);
        at = least;
    }
    place(at, entry);
}

}  // namespace sandgate::wg
