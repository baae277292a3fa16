// service/replica/state.h: what of one group lies in the engine, and under which keys
// (docs/formats/record.md).
#pragma once

#include <optional>
#include <vector>

#include "core/catalogue/boundary.h"
#include "core/kv/record.h"
#include "core/raft/types.h"
#include "core/session/session.h"
#include "port/engine.h"
#include "port/scope.h"

namespace asterias::replica {

// How far a replica is applied, and what else the entries up to there made that is neither data nor
// session: one value in the engine, written with what was applied.
struct Applied {
    LogIndex index;
    Term term;
    HybridTime commit_time;
    LogIndex matched_by_all;
    raft::Membership membership;  // as of `index`; no voters: not known yet
    LogIndex membership_index;    // of its entry; 0: since the group's birth
    bool operator==(const Applied&) const = default;
};
Bytes encode(const Applied& applied);
// Errors: Unsupported (format), Corrupt.
Result<Applied> decode_applied(const Bytes& bytes);

Bytes applied_key(GroupId group);
// Under it: the highest number of a replica of this group that was here and was removed.
Bytes removed_key(GroupId group);

// What of a group a snapshot holds beside Applied, ascending: data, boundary, session windows,
// results of clients' requests. `keyspace` 0: none.
std::vector<port::Span> content_spans(GroupId group, KeyspaceId keyspace);

// Errors: those of the engine; Corrupt, Unsupported. What is passed by reference outlives the task.
port::Task<Result<std::optional<Applied>>> load_applied(port::Engine& engine, port::Shard& shard,
                                                        GroupId group);
port::Task<Result<catalogue::Boundary>> load_boundary(port::Engine& engine, port::Shard& shard,
                                                      GroupId group);
port::Task<Result<session::Table>> load_sessions(port::Engine& engine, port::Shard& shard,
                                                 GroupId group);
// 0: none.
port::Task<Result<ReplicaId>> load_removed(port::Engine& engine, port::Shard& shard, GroupId group);

// Deletes everything of the group but the word that `replica` was removed; durable on completion.
// Waits, and asks again, while the engine is full. Errors: Closed (`scope` was asked to stop first:
// it may be done, and has to be done again), else fatal: Io. Nobody else writes to the group
// meanwhile. `scope` is the one that it runs in.
port::Task<Result<void>> erase_state(port::Engine& engine, port::Shard& shard, GroupId group,
                                     KeyspaceId keyspace, ReplicaId replica,
                                     const port::Scope& scope);

// The first key behind `key`.
Bytes key_behind(const Bytes& key);

}  // namespace asterias::replica
