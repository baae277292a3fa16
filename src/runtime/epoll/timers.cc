#include "runtime/epoll/timers.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace asterias::runtime {
namespace {
uint32_t slot_of(uint64_t id) { return static_cast<uint32_t>(id); }
uint32_t generation_of(uint64_t id) { return static_cast<uint32_t>(id >> 32); }
}  // namespace

port::TimerId TimerHeap::after(Duration delay, port::Callback fn) {
    CHECK(delay >= Duration::zero(), "timers point forward");
    if (free_.empty()) {
        free_.push_back(static_cast<uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    const uint32_t slot = free_.back();
    free_.pop_back();
    slots_[slot].fn = std::move(fn);
    const uint64_t id = uint64_t{slots_[slot].generation} << 32 | slot;
    // "Never" stays representable.
    const Instant now = clock_.now();
    const Instant deadline = delay > Instant::max() - now ? Instant::max() : now + delay;
    heap_.push_back({deadline, sequence_++, id});
    std::push_heap(heap_.begin(), heap_.end());
    return port::TimerId(id);
}

bool TimerHeap::live(uint64_t id) const {
    return slot_of(id) < slots_.size() && slots_[slot_of(id)].generation == generation_of(id);
}

port::Callback TimerHeap::release(uint64_t id) {
    Slot& slot = slots_[slot_of(id)];
    if (++slot.generation == 0) slot.generation = 1;
    free_.push_back(slot_of(id));
    return std::exchange(slot.fn, {});
}

void TimerHeap::cancel(port::TimerId id) {
    if (!live(id.value) || id.value == 0) return;
    // Held to the end: destroying the callback may cancel other timers.
    const port::Callback dropped = release(id.value);
    if (heap_.size() > 64 && armed() < heap_.size() / 2) compact();
}

void TimerHeap::compact() {
    std::erase_if(heap_, [this](const Entry& e) { return !live(e.id); });
    std::make_heap(heap_.begin(), heap_.end());
}

void TimerHeap::pop() {
    std::pop_heap(heap_.begin(), heap_.end());
    heap_.pop_back();
}

void TimerHeap::run_due(Instant now) {
    const uint64_t before = sequence_;
    while (!heap_.empty()) {
        const Entry first = heap_.front();
        if (first.deadline > now) return;
        if (live(first.id)) {
            // Equal deadlines are in order of arming: behind the first new one there are only new.
            if (first.sequence >= before) return;
            pop();
            auto fn = release(first.id);
            fn();
        } else {
            pop();
        }
    }
}

std::optional<Instant> TimerHeap::next_deadline() {
    while (!heap_.empty() && !live(heap_.front().id))
        pop();
    if (heap_.empty()) return std::nullopt;
    return heap_.front().deadline;
}

}  // namespace asterias::runtime
