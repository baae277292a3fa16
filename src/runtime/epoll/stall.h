// runtime/epoll/stall.h: how the watchdog thread sees that a turn or a sync hangs. Time is counted
// in the watchdog's own ticks, so a process that was stopped and continued has stalled for none.
#pragma once

#include <atomic>
#include <cstdint>

namespace asterias::runtime {

// Written by the watched thread only: begin() and end() are one relaxed store each.
class StallFlag {
public:
    void begin() { step(); }
    void end() { step(); }
    // Odd while something is running; a new value for each run.
    uint64_t epoch() const { return epoch_.load(std::memory_order_relaxed); }

private:
    void step() {
        epoch_.store(epoch_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    std::atomic<uint64_t> epoch_{0};
};

// The watchdog's memory of one flag.
class StallWatch {
public:
    explicit StallWatch(const StallFlag& flag) : flag_(&flag) {}
    // To be called once per tick: for how many ticks the same run has been going on.
    uint64_t tick() {
        const uint64_t now = flag_->epoch();
        ticks_ = (now % 2 == 1 && now == last_) ? ticks_ + 1 : 0;
        last_ = now;
        return ticks_;
    }

private:
    const StallFlag* flag_;
    uint64_t last_ = 0;
    uint64_t ticks_ = 0;
};

}  // namespace asterias::runtime
