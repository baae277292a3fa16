#include "core/raft/durability.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"

namespace asterias::raft {

void Durability::appended(LogIndex first) {
    if (!unsaved_from_ || first < unsaved_from_) unsaved_from_ = first;
}

void Durability::truncated(LogIndex from) {
    index_ = std::min(index_, from.prev());
    if (MUTANT(raft_append_aba)) return;
    for (Write& write : in_flight_)
        write.last = std::min(write.last, from.prev());
}

void Durability::installed(LogIndex index, bool more) {
    index_ = index;
    unsaved_from_ = more ? index.next() : LogIndex(0);
    for (Write& write : in_flight_)
        write.last = LogIndex(0);
}

PersistId Durability::begin_write(LogIndex last) {
    CHECK(dirty(), "a write has something to write");
    issued_ = issued_.next();
    in_flight_.push_back({issued_, hard_state_dirty_, unsaved_from_ ? last : LogIndex(0)});
    hard_state_in_flight_ += hard_state_dirty_ ? 1 : 0;
    hard_state_dirty_ = false;
    unsaved_from_ = LogIndex(0);
    return issued_;
}

bool Durability::completed(PersistId through) {
    if (through > issued_) return false;
    const size_t before = in_flight_.size();
    while (!in_flight_.empty() && in_flight_.front().id <= through) {
        const Write& write = in_flight_.front();
        index_ = std::max(index_, write.last);
        hard_state_in_flight_ -= write.hard_state ? 1 : 0;
        in_flight_.pop_front();
    }
    return in_flight_.size() < before;
}

}  // namespace asterias::raft
