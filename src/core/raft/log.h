// core/raft/log.h: the log of one replica in memory: entries (start, last], and the term of each by
// index and by run of equal terms (for the fast back-off of section 5.3 of the Raft paper).
// Not thread-safe. An index outside the stated range is a bug of the caller and CHECKed.
#pragma once

#include <cstddef>
#include <vector>

#include "core/raft/types.h"

namespace asterias::raft {

class Log {
public:
    // `start` is the last index compacted away (0: none); entries follow it without a gap.
    Log(LogIndex start, Term start_term, std::vector<Entry> entries);

    LogIndex start() const { return start_; }
    LogIndex last() const { return start_.plus(size_); }
    Term last_term() const { return term(last()); }
    // start() <= index <= last().
    Term term(LogIndex index) const;
    // start() < index <= last().
    const Entry& at(LogIndex index) const;
    // Whether (index, term) is in the log or is its start; false outside.
    bool matches(LogIndex index, Term term) const;
    // First index, not below start(), of the unbroken run of the term that `index` has.
    LogIndex run_start(LogIndex index) const;
    // Last index of `term` in [start(), last()], or 0.
    LogIndex last_of_term(Term term) const;
    // Appends copies of [first, last] to `out`; payloads are shared.
    void copy(LogIndex first, LogIndex last, std::vector<Entry>& out) const;

    // entry.index == last() + 1 and a term not below the last one.
    void append(Entry entry);
    // Drops [from, last()]; from > commit: what is committed is never dropped (I4).
    void truncate_from(LogIndex from, LogIndex commit);
    // Drops (start(), through].
    void compact(LogIndex through);
    // Drops everything: the log goes on behind (start, term).
    void reset(LogIndex start, Term term) { *this = Log(start, term, {}); }

private:
    struct Run {
        LogIndex first;
        Term term;
    };
    size_t slot(size_t position) const { return (head_ + position) & (ring_.size() - 1); }
    const Entry& nth(size_t position) const { return ring_[slot(position)]; }
    void resize(size_t capacity);

    // A ring, so that appending allocates nothing in the steady state and compaction moves nothing.
    std::vector<Entry> ring_;  // its size is a power of two
    size_t head_ = 0;
    size_t size_ = 0;
    LogIndex start_;
    std::vector<Run> runs_;  // ascending; the first one begins at start_
};

}  // namespace asterias::raft
