// runtime/epoll/timers.h: the timers of one shard: a heap of deadlines over reusable slots.
// Cancelling frees the callback at once and leaves its heap entry to be skipped.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "port/shard.h"

namespace asterias::runtime {

class TimerHeap final : public port::Timers {
public:
    // `clock` gives the now() of the turn; it outlives this.
    explicit TimerHeap(const port::Clock& clock) : clock_(clock) {}

    port::TimerId after(Duration delay, port::Callback fn) override;
    void cancel(port::TimerId id) override;

    // Runs what is due at `now`. What is armed meanwhile waits for the next call, even with delay
    // 0: a timer that re-arms itself must not hold up the turn.
    void run_due(Instant now);
    std::optional<Instant> next_deadline();
    size_t armed() const { return slots_.size() - free_.size(); }
    size_t heap_size() const { return heap_.size(); }

private:
    struct Entry {
        Instant deadline;
        uint64_t sequence;
        uint64_t id;
        // For a min-heap with the std heap functions.
        bool operator<(const Entry& o) const {
            return deadline != o.deadline ? deadline > o.deadline : sequence > o.sequence;
        }
    };
    struct Slot {
        port::Callback fn;
        uint32_t generation = 1;
    };
    bool live(uint64_t id) const;
    port::Callback release(uint64_t id);
    void pop();
    void compact();

    const port::Clock& clock_;
    uint64_t sequence_ = 0;
    std::vector<Entry> heap_;
    std::vector<Slot> slots_;
    std::vector<uint32_t> free_;
};

}  // namespace asterias::runtime
