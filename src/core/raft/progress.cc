#include "core/raft/progress.h"

#include <algorithm>

namespace asterias::raft {

void Progress::accepted(LogIndex match, const Log& log, Instant now) {
    last_answer_ = now;
    query_due_ = false;
    if (match < match_) return;  // reordered: says nothing new
    match_ = match;
    // A late answer may name less than our log still has; it does not show that the peer has more.
    if (state_ != State::Replicate && match < log.start()) return;
    while (!inflight_.empty() && inflight_.front().last <= match) {
        inflight_bytes_ -= inflight_.front().bytes;
        inflight_.pop_front();
    }
    if (state_ != State::Replicate) {
        state_ = State::Replicate;
        probe_unanswered_ = false;
        next_ = match.next();
    }
    next_ = std::max(next_, match.next());
}

// The reply does not say which request it refuses. Every refusal of a request that is still
// outstanding asks for an earlier next than ours (its prev was below our next, and the answer lies
// at or below that prev); whatever does not is late and is ignored.
void Progress::refused(const AppendReply& reply, const Log& log, Instant now) {
    last_answer_ = now;
    if (state_ == State::Snapshot) return;
    if (!reply.conflict_term && reply.conflict_index <= match_) return;  // it has more by now
    LogIndex next = reply.conflict_index;
    if (reply.conflict_term) {
        // Our last entry of the peer's term there is the highest that can still agree; without any,
        // its whole run is foreign.
        const LogIndex ours = log.last_of_term(reply.conflict_term);
        if (ours >= reply.conflict_index) next = ours.next();
    }
    next = std::max(next, match_.next());
    const LogIndex lowest = log.start().next();
    if (next < lowest) {
        // The run may begin below our start while the logs agree at the start: ask there before
        // giving up.
        const bool asked = state_ == State::Probe && next_ == lowest;
        probe_from(lowest);
        if (!asked) return;
        state_ = State::Snapshot;
        snapshot_asked_ = snapshot_failed_ = false;
    } else if (next < next_) {
        probe_from(next);
    }
}

void Progress::probe_from(LogIndex next) {
    state_ = State::Probe;
    next_ = next;
    probe_unanswered_ = false;
    query_due_ = false;
    inflight_.clear();
    inflight_bytes_ = 0;
}

void Progress::heartbeat_answered(uint64_t round, Instant now, Duration patience) {
    acked_round_ = std::max(acked_round_, round);
    if (now - last_answer_ < patience) return;
    if (state_ == State::Probe)
        probe_unanswered_ = false;
    else if (state_ == State::Snapshot && snapshot_failed_)
        probe_from(next_);
    else if (state_ == State::Replicate && match_ < next_.prev())
        query_due_ = true;
}

void Progress::compacted(LogIndex start) {
    if (next_ > start) return;
    if (state_ == State::Snapshot)
        next_ = start.next();
    else
        probe_from(start.next());
}

void Progress::snapshot_sent(LogIndex index, bool delivered, const Log& log, Instant now) {
    if (state_ != State::Snapshot) return;
    last_answer_ = now;
    snapshot_failed_ = !delivered;
    if (!delivered) return;
    const LogIndex known = std::max({index, match_, log.start()});
    probe_from(std::min(known, log.last()).next());
}

bool Progress::may_send(const Window& window) const {
    if (state_ == State::Snapshot) return false;
    if (state_ == State::Probe) return !probe_unanswered_;
    return inflight_.size() < window.messages_max && inflight_bytes_ < window.bytes_max;
}

void Progress::sent(size_t count, size_t bytes, Instant now) {
    query_due_ = false;
    if (state_ == State::Probe) {
        probe_unanswered_ = true;
        last_answer_ = now;
        return;
    }
    if (count == 0) {
        last_answer_ = now;  // one question per patience
        return;
    }
    if (inflight_.empty()) last_answer_ = now;
    next_ = next_.plus(count);
    inflight_.push_back({next_.prev(), bytes});
    inflight_bytes_ += bytes;
}

}  // namespace asterias::raft
