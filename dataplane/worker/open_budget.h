// How many failed opens a session's index may cost us from endpoints that are not confirmed. The
// receiver index travels in clear, so anybody who sees it can make us compute tags; this bounds
// what it buys. It lies beside the sessions, never in them: a forgery changes no session.
#pragma once

#include <cstdint>

namespace sandgate::dp {

class OpenBudget
{
  public:
    static constexpr uint8_t kPerWindow = 64;
    static constexpr uint64_t kWindowNs = 100'000'000;

    // True while forgeries for this index have not used up the window's budget.
    bool has_credit(uint32_t index, uint64_t now_ns) const
    {
        const Slot& slot = slots_[place_of(index)];
        return slot.index != index || slot.window != window_of(now_ns) || slot.spent < kPerWindow;
    }

    void note_forgery(uint32_t index, uint64_t now_ns)
    {
        Slot& slot = slots_[place_of(index)];
        if (slot.index != index || slot.window != window_of(now_ns))
            slot = Slot{index, window_of(now_ns), 0};
        if (slot.spent < kPerWindow)
            slot.spent++;
    }

  private:
    struct Slot
    {
        uint32_t index = 0;
        uint16_t window = 0;
        uint8_t spent = 0;
    };
    static constexpr unsigned kSlots =
        4096;  // colliding indices share what they forget, not what they spend

    static uint16_t window_of(uint64_t now_ns) { return static_cast<uint16_t>(now_ns / kWindowNs); }
    static unsigned place_of(uint32_t index) { return (index * 0x9e3779b1u) >> 20; }

    Slot slots_[kSlots];
};

}  // namespace sandgate::dp
