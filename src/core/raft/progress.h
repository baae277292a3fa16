// core/raft/progress.h: what a leader knows about one peer, and how fast it may send to it
// (rules 6, 32).
//
// Probe: the place where the two logs agree is being looked for; one unanswered AppendRequest at a
// time. Replicate: it is known; requests are pipelined within a window of messages and bytes, and
// next advances when a request is sent. A refusal leads back to Probe. Snapshot: the peer refused
// even the first place that this log still has; until it says otherwise it gets heartbeats only.
#pragma once

#include <deque>
#include <optional>

#include "core/raft/core.h"
#include "core/raft/log.h"

namespace asterias::raft {

class Progress {
public:
    enum class State : uint8_t { Probe, Replicate, Snapshot };
    struct Window {
        size_t messages_max;
        size_t bytes_max;
    };

    Progress(Member member, LogIndex next, Instant now)
        : member_(member), next_(next), last_heard_(now), last_answer_(now) {}

    const Member& member() const { return member_; }
    State state() const { return state_; }
    LogIndex match() const { return match_; }  // known durable there
    LogIndex next() const { return next_; }    // to be sent next
    bool needs_snapshot() const { return state_ == State::Snapshot; }
    Instant last_heard() const { return last_heard_; }
    uint64_t acked_round() const { return acked_round_; }
    size_t inflight_messages() const { return inflight_.size(); }
    size_t inflight_bytes() const { return inflight_bytes_; }

    // Any answer of this term arrived.
    void heard(Instant now) { last_heard_ = now; }
    void accepted(LogIndex match, const Log& log, Instant now);
    void refused(const AppendReply& reply, const Log& log, Instant now);
    // `patience`: how long an answer may take before something is thought lost.
    void heartbeat_answered(uint64_t round, Instant now, Duration patience);
    // What it said last of its applied state: it takes no writes.
    void said_stalled(bool stalled) { stalled_ = stalled; }
    bool stalled() const { return stalled_; }
    // The log now starts at `start`.
    void compacted(LogIndex start);
    // Snapshot: it has to be asked for; and it was.
    bool snapshot_due() const { return state_ == State::Snapshot && !snapshot_asked_; }
    void snapshot_asked() { snapshot_asked_ = true; }
    // What became of it. A delivered one lets probing begin behind it; after another, the next
    // answered heartbeat does, in front of everything: perhaps the peer was mistaken for one in
    // need.
    void snapshot_sent(LogIndex index, bool delivered, const Log& log, Instant now);

    // Whether an AppendRequest (for Replicate: with entries) may leave now.
    bool may_send(const Window& window) const;
    // Something may be lost: ask with an empty AppendRequest at next - 1 if entries cannot be sent.
    bool query_due() const { return query_due_; }
    // An AppendRequest with `count` entries of `bytes` payload from next() on leaves.
    void sent(size_t count, size_t bytes, Instant now);

private:
    friend class Fingerprint;
    struct Inflight {
        LogIndex last;
        size_t bytes;
    };
    void probe_from(LogIndex next);

    Member member_;
    State state_ = State::Probe;
    LogIndex match_;
    LogIndex next_;
    bool stalled_ = false;
    bool snapshot_asked_ = false;
    bool snapshot_failed_ = false;
    bool probe_unanswered_ = false;
    bool query_due_ = false;
    std::deque<Inflight> inflight_;
    size_t inflight_bytes_ = 0;
    Instant last_heard_;
    Instant last_answer_;  // of an AppendRequest; or when one left with none unanswered
    uint64_t acked_round_ = 0;
};

}  // namespace asterias::raft
