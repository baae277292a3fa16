// core/session/session.h: exactly once for requests that gateways send again. A session is one
// shard of one start of one gateway node; its requests to a group are numbered from 1. The
// replicated table keeps the results of a session's numbers from its low-water mark on: below it
// the gateway has its answers, or has given up on them and told its client so. The table is part of
// the group's state: every replica changes it only by applying entries. Source: Ongaro 2014, 6.3.
// Threading: none; one owner.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "core/kv/command.h"

namespace asterias::session {

struct SessionId {
    NodeId node;
    Incarnation incarnation;  // of the node: a restart is another session
    ShardId shard;
    auto operator<=>(const SessionId&) const = default;
};

struct Result {
    uint64_t sequence = 0;
    kv::Reply
        reply;  // at most kv::kStoredReplyBytesMax encoded; larger ones are stored as an error
    bool operator==(const Result&) const = default;
};

// What one entry says about one session: new results, and how far the gateway is done.
struct Advance {
    SessionId id;
    uint64_t low_water = 0;
    std::vector<Result> results;  // ascending by sequence
    bool operator==(const Advance&) const = default;
};

struct Fresh {};  // never evaluated in this group's log
struct Done {
    kv::Reply reply;
};
struct Stale {};  // below the low-water mark, or of an earlier start of that node
using Found = std::variant<Fresh, Done, Stale>;

class Table {
public:
    // What applied entries say of this number (from 1 on). Fresh is not proof that it was never
    // evaluated: it may be proposed and not applied; the driver knows of those.
    Found find(const SessionId& id, uint64_t sequence) const;
    // The highest number recorded for this session; 0: none. UINT64_MAX when a later start of the
    // same gateway is known: whatever of this one comes late is not new.
    uint64_t highest(const SessionId& id) const;

    // Called for each Advance of an entry as it is applied. A newer incarnation of a node's shard
    // drops the older one's window for good. Returns false if the advance is of such a dropped
    // start. CHECKs that results are above all earlier ones of the session (ascending).
    bool apply(const Advance& advance);

    // One encoded window per (node, shard), under a stable name, for the engine; and back
    // (docs/formats/effects.md). encode() is for sessions that were applied (CHECK); load()
    // replaces the window, errors: Unsupported (format), Corrupt.
    static std::string name_of(const SessionId& id);
    Bytes encode(const SessionId& id) const;
    asterias::Result<void> load(const Bytes& encoded);
    size_t windows() const { return windows_.size(); }

private:
    using Place = std::pair<NodeId, ShardId>;
    struct Window {
        Incarnation incarnation;
        uint64_t low_water = 0;
        uint64_t highest = 0;
        std::deque<Result> results;  // ascending, all >= low_water
    };
    std::map<Place, Window> windows_;
};

}  // namespace asterias::session
