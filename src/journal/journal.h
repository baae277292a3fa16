// journal/journal.h: the write-ahead log of one shard, shared by all of its Raft groups.
//
// Contract, asynchronous: append()/set_vote() collect into the current batch; at the turn end
// (phase Sync) the batch is written and synced with one pwrite and one fdatasync; when it is
// durable the observer hears on_persisted(batch). While one batch is in flight the next one
// collects. A failed write or sync ends the node (Shard::fatal), never a retry (rule 36). Opening
// replays every segment, verifies every record, and tells a torn tail (cut off; writing goes on in
// a new segment) from damage (Errc::Corrupt naming file and offset), by rule 37
// (docs/formats/journal.md).
//
// Invariants: (J1) what on_persisted covered is returned by the next open(), unless purged or
// superseded; (J2) what a crash leaves of an uncovered batch is a prefix of its records per group
// (the chain of previous entry crcs), never a later record without the earlier; (J3) a segment's
// sequence number is never reused, so an old record in recycled space is never taken for a new one;
// (J4) one writer.
// Threading: one shard.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "port/disk.h"
#include "port/shard.h"
#include "wire/entry.h"

namespace asterias::journal {

using BatchId =
    TaggedCounter<struct BatchIdTag>;  // rising by one per batch; per opening of a journal

struct Options {
    std::string directory;
    ClusterId cluster;  // segments of another cluster or node are refused
    NodeId node;
    uint64_t segment_bytes = 64 * 1024 * 1024;
    uint64_t slice_bytes_max = 1024 * 1024;  // larger entries are written in slices of this size
    uint64_t retained_bytes_max = uint64_t{4} << 30;  // status says so above it
    // Of the file system, to stay available; nothing: port::default_reserve().
    std::optional<uint64_t> reserve_bytes{};
};

// The durable vote of one group (mirrors raft::HardState; the journal does not know the core).
struct Vote {
    Term term;
    ReplicaId vote;
    ReplicaId self{};  // which replica of the group this log is (rule 47); 0: not said
    bool operator==(const Vote&) const = default;
};
// A place in a group's log.
struct LogPlace {
    LogIndex index;
    Term term;
    bool operator==(const LogPlace&) const = default;
};

struct RecoveredGroup {
    Vote vote;
    LogIndex purged_through;  // entries at or below were purged
    Term purged_term{};       // of the entry at purged_through, if reset() said it; else 0
    // An install that began and was not said to have ended: whether the engine has it decides.
    std::optional<LogPlace> installing;
    std::vector<wire::Entry> entries;  // contiguous, ascending; above purged_through
};

struct Recovered {
    std::map<GroupId, RecoveredGroup> groups;
    uint64_t records = 0;
    uint64_t bytes = 0;
    bool torn_tail = false;  // the last segment ended in a record that was never covered by a sync
};

class Observer {
public:
    virtual ~Observer() = default;
    // Every batch up to and including this one is durable.
    virtual void on_persisted(BatchId through) = 0;
};

class Journal {
public:
    virtual ~Journal() = default;

    // The batch that append() and set_vote() of this moment become part of.
    virtual BatchId current_batch() const = 0;
    // Entries are contiguous and ascending within a call. An index at or below an earlier one of
    // the group supersedes that one and everything above it.
    virtual void append(GroupId group, const std::vector<wire::Entry>& entries) = 0;
    virtual void set_vote(GroupId group, Vote vote) = 0;
    // Entries at or below `through` will not be asked for again. Space returns segment by segment.
    // `through` may lie above the last entry (a snapshot from elsewhere): the log is empty then and
    // goes on at through + 1.
    virtual void purge(GroupId group, LogIndex through) = 0;
    // A snapshot of `at` is about to be installed into the engine (RecoveredGroup::installing says
    // so until reset() or installed() does not). Wait until it is durable before touching the
    // engine.
    virtual void begin_install(GroupId group, LogPlace at) = 0;
    // It is installed, and the log, which agrees at its place, stays as it is.
    virtual void installed(GroupId group) = 0;
    // The group's log is void; it goes on at at.index + 1, behind a place of this term. Also ends
    // an install, and begins the log of another replica of the same group ({0, 0}). The vote stays.
    virtual void reset(GroupId group, LogPlace at) = 0;
    // The group has no replica here any more: its log is void and holds no segment back. What
    // remains is the vote, as the next open() returns it: {term, vote, self}, entries none.
    virtual void remove(GroupId group) = 0;

    // False: append() of these would use up what is kept for a full disk. A leader proposes nothing
    // that does not fit; a follower leaves such entries out and acknowledges what it has, so that
    // the group goes on without it until there is space. What fits stays appendable in this turn as
    // long as nothing else is appended. Always true while usage().no_space is false.
    virtual bool fits(const std::vector<wire::Entry>& entries) const = 0;

    // The observer outlives the journal; set once, before the first append.
    virtual void set_observer(Observer& observer) = 0;
    // Writes out what was collected, then closes. Nothing may be appended afterwards.
    virtual port::Task<> close() = 0;

    struct Usage {
        uint64_t segments = 0, bytes = 0;  // in use: neither spare nor made ready ahead
        Duration last_sync{};
        // Less than the reserve is available, or no further segment could be made ready: accept no
        // more work that makes the state grow while this lasts (D2); fits() says what may go on.
        // The journal looks again by itself, and goes on.
        bool no_space = false;
        // That surely fit into segments made ready ahead (two, while there is space), headers of
        // records included. An eighth of a segment is left out of it, for what never waits: votes,
        // purges, installs, resets. The node ends (Shard::fatal) only when that is used up, too.
        uint64_t bytes_left = 0;
        bool over_retained = false;  // bytes > Options::retained_bytes_max
    };
    virtual Usage usage() const = 0;
};

struct Opened {
    std::unique_ptr<Journal> journal;
    Recovered recovered;
};

// Opens or creates the journal in options.directory (which exists). Errors: Corrupt (damage;
// nothing was changed on disk), Conflict (another cluster's or node's), Unsupported (format), Io,
// NoSpace. `shard` and `registry` outlive the journal.
port::Task<Result<Opened>> open(port::Shard& shard, Options options, Registry& registry, Log log);

}  // namespace asterias::journal
