#include "runtime/sim/kernel.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace asterias::sim {
namespace {
bool later(const Event& x, const Event& y) { return x.later_than(y); }
}  // namespace

std::string_view to_string(EventKind kind) {
    static constexpr std::array<std::string_view, static_cast<size_t>(EventKind::kCount)> kNames = {
        "call",   "resume", "turn",    "timer", "submit",
        "packet", "window", "give_up", "syn",   "refused"};
    return kNames[static_cast<size_t>(kind)];
}

void Kernel::push(Instant at, EventKind kind, NodeIndex node, uint32_t epoch, uint64_t a,
                  uint64_t b) {
    queue_.push_back({std::max(at, now_), next_id_++, a, b, node, epoch, kind});
    std::push_heap(queue_.begin(), queue_.end(), later);
}

bool Kernel::pop(Instant limit, Event& event) {
    if (queue_.empty() || queue_.front().at > limit) return false;
    std::pop_heap(queue_.begin(), queue_.end(), later);
    event = queue_.back();
    queue_.pop_back();
    now_ = event.at;
    return true;
}

void Kernel::advance_to(Instant at) {
    CHECK(queue_.empty() || queue_.front().at >= at, "time does not pass over an event");
    now_ = std::max(now_, at);
}

}  // namespace asterias::sim
