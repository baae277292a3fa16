// A full disk (D2): what would take more of it is refused while reads and deletions go on, a follower
// takes no more than fits, and all of that ends by itself when there is space again.
#include "base/mutant.h"
#include "service/replica/replica.h"

namespace asterias::replica {

void Replica::look_at_space() {
    journal_full_ = parts_.journal.usage().no_space;
    const bool stalled = engine_stalled_ || journal_full_;
    if (std::exchange(told_stalled_, stalled) == stalled) return;
    const std::string where = journal_full_ ? "the journal" : "the engine";
    log_.warn("group " + to_string(config_.group) +
              (stalled ? ": " + where + " takes no writes" : ": there is space for writes again"));
    core_->step({parts_.shard.clock().now(), raft::Stalled{stalled}});
}

bool Replica::full() const {
    return journal_full_ ||
           (engine_stalled_ &&
            parts_.shard.clock().now() - stalled_since_ >= parts_.stall_patience);
}

// Reads go on although the engine cannot be given what is applied: they find it in the overlay. It
// does not grow by that: nothing is applied while the engine stalls.
void Replica::cover_unwritten() {
    if (!unwritten_.foreign) return;
    for (const auto& op : unwritten_.batch.ops()) {
        const auto it = overlay_.find(op.key);
        if (it != overlay_.end() && it->second.index > unwritten_.through) continue;
        overlay_[op.key] = {unwritten_.through, op.value};
    }
    unwritten_.foreign = false;
}

}  // namespace asterias::replica
