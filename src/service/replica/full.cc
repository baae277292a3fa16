// A full disk (D2): what would take more of it is refused while reads and deletions go on, a
// follower takes no more than fits, the lead goes to whoever has space, if anybody has, and all of
// that ends by itself. The journal keeps segments for that time; the engine, which takes nothing
// then, is stood in for by memory, up to Parts::unwritten_bytes_max.
#include "base/mutant.h"
#include "service/replica/replica.h"

namespace asterias::replica {
namespace {

// More than the head of an entry and of its records.
constexpr uint64_t kEntryMargin = 4096;

}  // namespace

void Replica::look_at_space() {
    const bool full = parts_.journal.usage().no_space;
    if (std::exchange(journal_full_, full) != full)
        log_.warn("group " + to_string(config_.group) +
                  (full ? ": the disk is full: writes are refused" : ": the disk has space again"));
    const bool stalled = full || engine_stalled_;
    if (std::exchange(told_stalled_, stalled) == stalled) return;
    if (!full)
        log_.warn("group " + to_string(config_.group) +
                  (stalled ? ": the engine takes no writes" : ": the engine takes writes"));
    core_->step({parts_.shard.clock().now(), raft::Stalled{stalled}});
}

bool Replica::full() const {
    if (journal_full_ || (core_->quorum_stalls() && !MUTANT(replica_full_quorum_ignored)))
        return true;
    return engine_stalled_ && parts_.shard.clock().now() - stalled_since_ >= parts_.stall_patience;
}

bool Replica::refuses_for_space(const Incoming& request, const Round& round) const {
    if (request.command.grows()) return true;
    if (!request.sequence || !journal_full_) return false;
    return round.bytes + 2 * request.bytes + kEntryMargin > parts_.journal.usage().bytes_left;
}

bool Replica::follower_has_space(const raft::Message& message) const {
    const auto* append = std::get_if<raft::AppendRequest>(&message.body);
    return !append || append->entries.empty() || parts_.journal.fits(append->entries) ||
           MUTANT(replica_full_follower_takes);
}

// Reads go on although the engine cannot be given what is applied: they find it in the overlay.
// What this leader proposed is there until the engine has it.
void Replica::cover_unwritten() {
    if (!unwritten_.foreign) return;
    for (const auto& op : unwritten_.batch.ops()) {
        if (op.kind == port::EngineBatch::Kind::DeleteRange) {
            std::erase_if(overlay_, [&](const auto& entry) {
                return entry.second.index <= unwritten_.through && op.key <= entry.first &&
                       entry.first < op.value;
            });
            // Before those of this leader that are not applied: they are newer.
            flushed_.insert(flushed_.begin(), {unwritten_.through, op.key, op.value});
            continue;
        }
        if (flushed_at(op.key) > unwritten_.through) continue;
        const auto it = overlay_.find(op.key);
        if (it != overlay_.end() && it->second.index > unwritten_.through) continue;
        overlay_[op.key] = {unwritten_.through, op.value};
    }
    unwritten_.foreign = false;
}

}  // namespace asterias::replica
