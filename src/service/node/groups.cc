// Which replicas live on a shard: those of its journal, those that a leader names, and none that
// was removed.
#include <algorithm>

#include "base/mutant.h"
#include "port/sync.h"
#include "service/node/keyspaces.h"
#include "service/node/node_shard.h"

namespace asterias::node {

// At birth a replica is numbered like its node; later ones get fresh numbers. 0: none here. Who
// took the place of another has none of its replicas: it is in a later life.
ReplicaId NodeShard::founding_replica(GroupId group) const {
    const uint64_t life =
        MUTANT(node_place_taken_with_replicas) ? 0 : life_of(identity_.incarnation);
    for (const auto& birth : births_of(identity_.founding, *durable_, group))
        if (birth.node == identity_.node && birth.life == life)
            return ReplicaId(identity_.node.value);
    return {};
}

raft::Config NodeShard::config_of(GroupId group, ReplicaId self) const {
    raft::Config config;
    config.group = group;
    config.self = self;
    config.election_timeout_min = options_.election_timeout_min;
    config.election_timeout_max = options_.election_timeout_max;
    config.heartbeat_interval = options_.heartbeat_interval;
    // Who came later hears of the membership with the log or a snapshot.
    if (self != founding_replica(group)) return config;
    for (const auto& birth : births_of(identity_.founding, *durable_, group))
        config.membership.voters.push_back({ReplicaId(birth.node.value), birth.node});
    config.membership.last_replica = config.membership.voters.back().replica;
    return config;
}

replica::Parts NodeShard::parts(GroupId group) {
    replica::Parts parts{shard_, engine_, *journal_, *this, registry_, log_};
    parts.compact_entries = options_.compact_entries;
    parts.queue_max = options_.replica_queue_max;
    parts.queue_bytes_max = options_.replica_queue_bytes_max;
    parts.held_replies_max = options_.replica_held_replies_max;
    parts.log_retained_bytes_max = options_.log_retained_bytes_max;
    parts.snapshot_pace = options_.snapshot_pace;
    parts.sending = &sending_;
    parts.receiving = &receiving_;
    parts.directory = options_.directory;
    if (group == kSystemGroup) parts.watched = catalogue::record_key();
    return parts;
}

port::Task<Result<void>> NodeShard::open_group(GroupId group, journal::RecoveredGroup recovered) {
    const ReplicaId self = recovered.vote.self ? recovered.vote.self : founding_replica(group);
    if (!self) co_return Result<void>{};
    const auto removed = co_await replica::load_removed(engine_, shard_, group);
    if (!removed && removed.error().code != Errc::Corrupt)
        co_return std::unexpected(removed.error());
    // The catalogue names it, and its birth was not finished: it is begun again (found_and_bury).
    const bool unborn = !recovered.vote.self && !is_founding_group(identity_.founding, group);
    if (unborn && removed && *removed < self && !MUTANT(node_unborn_opened))
        co_return Result<void>{};
    highest_[group] = self;
    // A crash may have come between its birth in the journal and this.
    if (auto noted = co_await note_held(group, self); !noted) co_return noted;
    if (!removed) {
        unopened_[group] = "its state on this node is damaged: " + removed.error().describe();
        log_.error("group " + to_string(group) + " is stopped on this node: " + unopened_[group]);
        co_return Result<void>{};
    }
    if (*removed >= self && !MUTANT(replica_old_life_revived)) {
        // A crash may have come before the journal heard of it.
        if (!recovered.entries.empty()) journal_->remove(group);
        co_return Result<void>{};
    }
    co_return co_await open_replica(group, config_of(group, self), std::move(recovered));
}

port::Task<Result<void>> NodeShard::open_replica(GroupId group, raft::Config config,
                                                 journal::RecoveredGroup recovered) {
    auto replica =
        co_await replica::Replica::open(parts(config.group), catalogue::keyspace_of(group),
                                        std::move(config), std::move(recovered));
    if (!replica) co_return std::unexpected(replica.error());
    woken_.push_back(replica->get());
    replicas_[group] = std::move(*replica);
    co_return Result<void>{};
}

// A number that was here once never comes back (rule 47), and one that was given to another life of
// this node may have been there (ADR 0015).
bool NodeShard::may_be_born(GroupId group, ReplicaId replica) const {
    if (closing_ || changing_.contains(group)) return false;
    const auto groups = groups_of(*durable_);
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) return false;
    if (home_of(group) != shard_.id()) return false;
    if (raft::life_of(replica) != life_of(identity_.incarnation) &&
        !MUTANT(node_number_of_another_life))
        return false;
    const auto it = highest_.find(group);
    return it == highest_.end() || replica > it->second || MUTANT(replica_old_life_revived);
}

// Birth in the journal, then in the identity, and only then is a word of it heard: so whatever a
// crash takes, nobody has heard of a replica that this node does not know of, nor is one missed
// that never spoke.
port::Task<Result<void>> NodeShard::birth(GroupId group, ReplicaId self) {
    // A leader gives this node another one only once no member is on it: what could not be opened
    // was removed, and is in nobody's way.
    if (unopened_.contains(group)) {
        if (auto erased = co_await erase(group, highest_[group]); !erased) co_return erased;
        unopened_.erase(group);
    }
    auto recovered = replica::Replica::born(*journal_, group, self);
    const journal::BatchId batch = journal_->current_batch();
    while (persisted_ < batch) {
        if (closing_) co_return fail(Errc::Closed, "the node stops");
        co_await port::sleep(shard_, options_.tick);
    }
    if (auto noted = co_await note_held(group, self); !noted) {
        co_await port::sleep(shard_, options_.election_timeout_max);  // the leader asks again
        co_return noted;
    }
    highest_[group] = self;
    log_.info("group " + to_string(group) + ": this node holds replica " + to_string(self) +
              " from now on");
    auto opened = co_await open_replica(group, config_of(group, self), std::move(recovered));
    if (!opened) unopened_[group] = opened.error().describe();
    co_return opened;
}

port::Task<> NodeShard::give_birth(GroupId group, ReplicaId self) {
    changing_.insert(group);
    const auto done = co_await birth(group, self);
    if (!done && !closing_)
        log_.error("group " + to_string(group) + ": " + done.error().describe());
    if (!woken_.empty()) shard_.post([] {});
    changing_.erase(group);
}

port::Task<Result<void>> NodeShard::note_held(GroupId group, ReplicaId self) {
    // What was born with the cluster is known without.
    const bool known =
        self == founding_replica(group) && is_founding_group(identity_.founding, group);
    if (known || MUTANT(node_held_not_noted)) co_return Result<void>{};
    if (const auto it = held_.find(group); it != held_.end() && it->second >= self)
        co_return Result<void>{};
    port::OneShot<Result<void>> done(shard_);
    shard_.submit(ShardId(0), [this, group, self, out = &done] {
        calls_.on_held(group, self, [this, out](Result<void> result) {
            sibling(ShardId(0)).shard_.submit(shard_.id(), [out, r = std::move(result)]() mutable {
                out->set(std::move(r));
            });
        });
    });
    auto noted = co_await done;
    if (noted) held_[group] = self;
    co_return noted;
}

void NodeShard::on_removed(GroupId group) {
    // Not while the replica runs.
    shard_.post([this, group] {
        if (closing_ || !changing_.insert(group).second) return;
        scope_.spawn("node.destroy", destroy(group));
    });
}

port::Task<> NodeShard::destroy(GroupId group) {
    co_await replicas_.at(group)->close();
    auto replica = std::move(replicas_.extract(group).mapped());
    std::erase(woken_, replica.get());
    const ReplicaId self = replica->self();
    replica.reset();
    router_->on_leader(group, {});
    // Closed: the next start finds it removed in its log, or in the engine, and goes on.
    if (auto erased = co_await erase(group, self); !erased) co_return;
    log_.info("group " + to_string(group) + ": replica " + to_string(self) +
              " was removed, and with it what this node held of the group");
    changing_.erase(group);
}

port::Task<Result<void>> NodeShard::erase(GroupId group, ReplicaId self) {
    auto erased = co_await replica::Replica::erase(parts(group), group,
                                                   catalogue::keyspace_of(group), self, scope_);
    if (!erased && erased.error().code != Errc::Closed) {
        log_.error("engine: " + erased.error().describe());
        shard_.fatal("the engine failed to delete the state of a removed replica");
    }
    co_return erased;
}

void NodeShard::add_node(NodeId node, port::Address peer_address) {
    if (node == identity_.node) return;
    nodes_.insert(node);
    endpoint_->add_peer(node, std::move(peer_address));
    router_->add_node(node);
}

}  // namespace asterias::node
