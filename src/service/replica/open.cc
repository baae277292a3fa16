// How a replica begins: from what the journal and the engine had, which a crash may have left at
// any instant; and how it is born and erased.
#include <algorithm>

#include "service/replica/replica.h"

namespace asterias::replica {
namespace {

// Was the entry at this place in the log? Then the log stays behind an install (rule 27).
bool holds(const std::vector<wire::Entry>& entries, journal::LogPlace place) {
    return std::ranges::any_of(entries, [place](const auto& entry) {
        return entry.index == place.index && entry.term == place.term;
    });
}

bool install_happened(const journal::RecoveredGroup& recovered, const Applied& applied) {
    return recovered.installing && applied.index >= recovered.installing->index;
}

Result<void> check_together(GroupId group, const raft::Recovered& core) {
    const LogIndex last = core.entries.empty() ? core.log_start : core.entries.back().index;
    if (core.applied > last)
        return fail(
            Errc::Corrupt,
            "the journal of this node is missing what its engine already has: group " +
                to_string(group) + " applied entry " + to_string(core.applied) +
                ", the journal ends at " + to_string(last) +
                "; it was damaged, or the directory `journal-*` belongs elsewhere; put back "
                "the one that it ran with, or take the copies of this node out of their groups "
                "(asterias replica remove) and start it on an empty directory with --replace");
    if (core.applied < core.log_start)
        return fail(Errc::Corrupt,
                    "the engine of this node is missing what its journal no longer has: the "
                    "state of group " +
                        to_string(group) + " ends at " + to_string(core.applied) +
                        ", the journal begins behind " + to_string(core.log_start) +
                        "; the directory `engine` was emptied or belongs elsewhere. The node "
                        "cannot start without it: put back the one that it ran with");
    return {};
}

}  // namespace

port::Task<Result<std::unique_ptr<Replica>>> Replica::open(Parts parts, KeyspaceId keyspace,
                                                           raft::Config config,
                                                           journal::RecoveredGroup recovered) {
    const GroupId group = config.group;
    auto stored = co_await load_applied(parts.engine, parts.shard, group);
    auto sessions = co_await load_sessions(parts.engine, parts.shard, group);
    auto boundary = co_await load_boundary(parts.engine, parts.shard, group);
    std::string damage;
    for (const Error* error :
         {stored ? nullptr : &stored.error(), sessions ? nullptr : &sessions.error(),
          boundary ? nullptr : &boundary.error()}) {
        if (!error) continue;
        if (error->code != Errc::Corrupt) co_return std::unexpected(*error);
        damage = error->describe();
    }
    Applied applied;
    applied.membership = config.membership;
    if (stored && *stored) {
        applied = std::move(**stored);
        config.membership = applied.membership;
    }
    std::unique_ptr<Replica> replica(
        new Replica(parts, keyspace, std::move(config), std::move(applied)));
    if (!damage.empty()) {
        replica->stopped_ = true;
        replica->stopped_why_ =
            "its state on this node is damaged (" + damage +
            "). The group goes on without this replica; remove it and add it again, and it gets "
            "the state from the others";
        replica->log_.error("group " + to_string(group) +
                            " is stopped on this node: " + replica->stopped_why_);
        co_return replica;
    }
    replica->sessions_ = std::move(*sessions);
    replica->boundary_ = replica->bounds_ = std::move(*boundary);
    if (!parts.directory.empty()) {
        auto poison = co_await load_poison(parts.shard.disk(), parts.directory, group);
        if (poison)
            replica->poison_ = std::move(*poison);
        else
            replica->log_.warn("group " + to_string(group) + ": " + poison.error().describe());
    }
    if (auto begun = replica->begin(std::move(recovered)); !begun)
        co_return std::unexpected(begun.error());
    co_return replica;
}

Result<raft::Recovered> Replica::recover(const raft::Config& config,
                                         const journal::RecoveredGroup& recovered,
                                         const Applied& applied) {
    raft::Recovered core{{recovered.vote.term, recovered.vote.vote},
                         {},
                         {},
                         applied.index,
                         {},
                         applied.membership_index};
    const auto& entries = recovered.entries;
    size_t first = 0;
    if (install_happened(recovered, applied) && !holds(entries, *recovered.installing)) {
        core.log_start = recovered.installing->index;
        core.log_start_term = recovered.installing->term;
        first = entries.size();
    } else if (recovered.purged_term) {
        core.log_start = recovered.purged_through;
        core.log_start_term = recovered.purged_term;
    } else if (recovered.purged_through && !entries.empty()) {
        // The journal keeps the entry at the log's start itself, for its term (see compact()).
        core.log_start = entries.front().index;
        core.log_start_term = entries.front().term;
        first = 1;
    }
    core.entries.assign(entries.begin() + static_cast<ptrdiff_t>(first), entries.end());
    if (auto fits = check_together(config.group, core); !fits) return std::unexpected(fits.error());
    return core;
}

Result<void> Replica::begin(journal::RecoveredGroup recovered) {
    raft::Recovered core = TRY(recover(config_, recovered, applied_));
    // Whether an install that began has happened is now decided for good (rule 26).
    if (recovered.installing) {
        if (install_happened(recovered, applied_) && core.entries.empty())
            parts_.journal.reset(config_.group, *recovered.installing);
        else
            parts_.journal.installed(config_.group);
    }
    compacted_ = dropped_ = core.log_start;
    log_sizes_.reset(core.log_start);
    log_sizes_.append(core.entries);
    const uint64_t drawn = parts_.shard.entropy().next();
    next_read_ = drawn >> 1;
    core_ = std::make_unique<raft::Core>(config_, std::move(core), Prng(drawn),
                                         parts_.shard.clock().now());
    wake();
    return {};
}

journal::RecoveredGroup Replica::born(journal::Journal& journal, GroupId group, ReplicaId self) {
    journal::RecoveredGroup recovered;
    recovered.vote.self = self;
    journal.reset(group, {});
    journal.set_vote(group, recovered.vote);
    return recovered;
}

// The engine first: what says that the replica was removed is durable before its log is gone, so
// that no start-up finds the state without the log that goes with it.
port::Task<Result<void>> Replica::erase(Parts parts, GroupId group, KeyspaceId keyspace,
                                        ReplicaId self, const port::Scope& scope) {
    auto erased = co_await erase_state(parts.engine, parts.shard, group, keyspace, self, scope);
    if (!erased) co_return erased;
    if (!parts.directory.empty())
        if (auto cleared = co_await clear_poison(parts.shard.disk(), parts.directory, group);
            !cleared)
            parts.log.warn("group " + to_string(group) + ": " + cleared.error().describe());
    parts.journal.remove(group);
    co_return Result<void>{};
}

}  // namespace asterias::replica
