// core/raft/durability.h: what of this replica's state is on disk, while several writes are under
// way (rules 1, 2, 7, 45).
//
// Invariant: log entries (…, index()] as they are in memory now are durable. A truncation takes
// the void entries out of what is durable and out of what every outstanding write can still vouch
// for; so the completion of an old write never covers the entries that later took the same indices
// (the ABA of rule 7), without a truncation number having to travel anywhere.
#pragma once

#include <deque>

#include "core/raft/core.h"

namespace asterias::raft {

class Durability {
public:
    // Everything recovered is durable; `last` is the last index of the recovered log.
    explicit Durability(LogIndex last) : index_(last) {}

    // The state in memory changed and must be part of the next write.
    void hard_state_changed() { hard_state_dirty_ = true; }
    void appended(LogIndex first);
    void truncated(LogIndex from);
    // A durable snapshot took the place of everything up to `index`, and of what was written of the
    // log so far; `more`: entries follow, all to be written (again).
    void installed(LogIndex index, bool more);

    bool dirty() const { return hard_state_dirty_ || unsaved_from_; }
    bool hard_state_dirty() const { return hard_state_dirty_; }
    // First entry of the next write, or 0.
    LogIndex unsaved_from() const { return unsaved_from_; }
    // The next write is handed to the driver and reaches to `last`. dirty().
    PersistId begin_write(LogIndex last);
    // The driver's completion; unknown and repeated ids say nothing, and false.
    bool completed(PersistId through);
    bool writing() const { return !in_flight_.empty(); }

    LogIndex index() const { return index_; }
    // The present (term, vote) is not durable yet.
    bool hard_state_pending() const { return hard_state_dirty_ || hard_state_in_flight_ > 0; }

private:
    friend class Fingerprint;
    struct Write {
        PersistId id;
        bool hard_state;
        LogIndex last;  // vouches for entries up to here; 0: none
    };
    std::deque<Write> in_flight_;  // ascending ids
    PersistId issued_;
    LogIndex index_;
    LogIndex unsaved_from_;
    bool hard_state_dirty_ = false;
    size_t hard_state_in_flight_ = 0;
};

}  // namespace asterias::raft
