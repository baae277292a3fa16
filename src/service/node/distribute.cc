// The catalogue on its way through a node: heard from the replica of the system group, or from
// another node, told to every shard and its router; and what follows from it, once it is durable
// here: replicas that are founded, and those of dropped keyspaces that go. So whatever a crash
// takes, a start finds no replica whose keyspace it does not know of, and misses none.
#include <algorithm>

#include "base/mutant.h"
#include "core/catalogue/boundary.h"
#include "port/sync.h"
#include "service/node/keyspaces.h"
#include "service/node/node_shard.h"

namespace asterias::node {
namespace {

constexpr Duration kFlushInterval = milliseconds(200);
constexpr port::ScanLimit kSlice{.entries = 256, .bytes = 256 * 1024};

// This node's own record: it outlives its replica of the system group.
Bytes own_record_key() { return kv::meta_key(GroupId(0), "catalogue"); }

// That of the system group.
Result<catalogue::Catalogue> read_record(const Bytes& record) {
    const auto stored = TRY(kv::decode_record(record));
    return catalogue::decode_catalogue(stored.value);
}

}  // namespace

port::Task<Result<void>> NodeShard::read_catalogue() {
    const auto own = co_await engine_.get(shard_, own_record_key());
    if (!own) co_return std::unexpected(own.error());
    if (*own) {
        auto catalogue = catalogue::decode_catalogue(**own);
        if (!catalogue) co_return std::unexpected(catalogue.error());
        take(std::make_shared<catalogue::Catalogue>(std::move(*catalogue)), true);
    }
    // What the replica of the system group applied before the crash it does not apply again.
    const auto applied = co_await engine_.get(shard_, catalogue::record_key());
    if (!applied) co_return std::unexpected(applied.error());
    if (!*applied) co_return Result<void>{};
    auto catalogue = read_record(**applied);
    if (!catalogue) co_return std::unexpected(catalogue.error());
    const auto newer = std::make_shared<catalogue::Catalogue>(std::move(*catalogue));
    if (home_of(kSystemGroup) == shard_.id() && newer->generation > durable_->generation)
        heard_ = newer;
    take(newer, false);
    co_return Result<void>{};
}

// What the journal has of keyspaces that are gone: a crash came before all of it was deleted.
port::Task<Result<void>> NodeShard::bury(journal::Recovered& left) {
    for (auto& [group, recovered] : left.groups) {
        const ReplicaId self = recovered.vote.self;
        if (home_of(group) != shard_.id() || !self) continue;
        if (catalogue::keyspace_of(group) >= durable_->next)
            co_return fail(Errc::Corrupt, options_.directory + ": the journal has group " +
                                              to_string(group) +
                                              ", which the engine has not heard of: it is older "
                                              "than the journal, or belongs elsewhere");
        highest_[group] = self;
        const auto removed = co_await replica::load_removed(engine_, shard_, group);
        if (removed && *removed >= self) {
            // A crash may have come before the journal heard of it: it would keep its log for good.
            if (!recovered.entries.empty()) journal_->remove(group);
            continue;
        }
        if (auto erased = co_await erase(group, self); !erased) co_return erased;
    }
    co_return Result<void>{};
}

void NodeShard::on_watched(GroupId, const Bytes& record, LogIndex) {
    if (record.empty()) return;
    auto catalogue = read_record(record);
    if (!catalogue)
        return log_.error("the catalogue of keyspaces cannot be read: " +
                          catalogue.error().describe());
    hear(std::move(*catalogue));
}

void NodeShard::tell_catalogue(catalogue::Catalogue catalogue) {
    shard_.submit(home_of(kSystemGroup),
                  [s = &sibling(home_of(kSystemGroup)), c = std::move(catalogue)]() mutable {
                      s->hear(std::move(c));
                  });
}

// On the system group's shard.
void NodeShard::hear(catalogue::Catalogue catalogue) {
    const auto newest = heard_ ? heard_ : durable_;
    const bool older = catalogue.generation <= newest->generation;
    if (closing_ || (older && !MUTANT(node_older_catalogue_heard))) return;
    heard_ = std::make_shared<catalogue::Catalogue>(std::move(catalogue));
    heard_in_ = {};
    spread(heard_, false);
}

void NodeShard::spread(CataloguePtr catalogue, bool durable) {
    for (const auto& member : siblings_) {
        if (&*member == this) {
            // Not while a replica applies.
            shard_.post([this, catalogue, durable] { take(catalogue, durable); });
            continue;
        }
        shard_.submit(member->shard_.id(),
                      [s = member.get(), catalogue, durable] { s->take(catalogue, durable); });
    }
}

void NodeShard::take(const CataloguePtr& catalogue, bool durable) {
    if (closing_) return;
    if (durable && catalogue->generation > durable_->generation) durable_ = catalogue;
    if (catalogue->generation > known_->generation || MUTANT(node_older_catalogue_heard)) {
        known_ = catalogue;
        router_->set_catalogue(routes_of(*known_), members_of(identity_.founding, *known_));
        for (const auto& [group, replica] : replicas_)
            if (const NodeId leader = replica->status().raft.leader)
                router_->on_leader(group, leader);
    }
}

// At every tick: what was heard last becomes durable, and what follows from it.
void NodeShard::mind_catalogue() {
    found_and_bury();
    if (!heard_) return;
    if (!heard_in_) {
        port::EngineBatch batch;
        batch.put(own_record_key(), catalogue::encode(*heard_));
        const auto written = engine_.write(batch);
        if (!written) return;  // full, or so broken that others say so
        heard_in_ = *written;
    }
    if (engine_.durable() >= *heard_in_) {
        spread(std::exchange(heard_, nullptr), true);
        return;
    }
    const Instant now = shard_.clock().now();
    if (now < next_flush_) return;
    next_flush_ = now + kFlushInterval;
    engine_.request_flush();
}

void NodeShard::found_and_bury() {
    if (closing_ || durable_->generation == 1) return;
    for (const auto& k : durable_->keyspaces) {
        const GroupId group = k.group();
        if (home_of(group) != shard_.id() || highest_.contains(group) || changing_.contains(group))
            continue;
        const ReplicaId self = founding_replica(group);
        if (self && !is_founding_group(identity_.founding, group))
            scope_.spawn("node.give_birth", give_birth(group, self));
    }
    for (const auto& [group, replica] : replicas_)
        if (group != kSystemGroup && !durable_->of(group) && !changing_.contains(group))
            on_removed(group);
    for (const auto& [group, why] : unopened_) {
        if (group == kSystemGroup || durable_->of(group) || !changing_.insert(group).second)
            continue;
        scope_.spawn("node.bury_unopened", bury_unopened(group));
        break;  // it may be done; the next tick looks at the rest
    }
}

// What could not be opened here goes with its keyspace like the rest.
port::Task<> NodeShard::bury_unopened(GroupId group) {
    if (auto erased = co_await erase(group, highest_[group]); !erased) co_return;
    unopened_.erase(group);
    changing_.erase(group);
}

// ------------------------------------------------------------------------------- slices

port::Task<Result<NodeShard::Slice>> NodeShard::slice(SliceOf what) {
    const ShardId home = home_of(what.group);
    if (home == shard_.id()) co_return co_await slice_here(std::move(what));
    port::OneShot<Result<Slice>> answer(shard_);
    shard_.submit(
        home, [s = &sibling(home), what = std::move(what), asker = shard_.id(), &answer]() mutable {
            s->scope_.spawn("node.slice", s->answer_slice(std::move(what), asker, &answer));
        });
    co_return co_await answer;
}

port::Task<> NodeShard::answer_slice(SliceOf what, ShardId asker,
                                     port::OneShot<Result<Slice>>* answer) {
    auto result = co_await slice_here(std::move(what));
    shard_.submit(asker, [answer, r = std::move(result)]() mutable { answer->set(std::move(r)); });
}

// What is asked for does not change any more behind that index, so that any replica may say it: as
// of this moment, in which it is here. By the time an engine gets round to a scan the replica may
// be removed, and its state deleted; what is missing then would be taken for all that there is.
port::Task<Result<NodeShard::Slice>> NodeShard::slice_here(SliceOf what) {
    const auto it = replicas_.find(what.group);
    const Error elsewhere{Errc::Unavailable,
                          "node " + to_string(identity_.node) + " holds no state of group " +
                              to_string(what.group) + " as of " + to_string(what.index)};
    if (it == replicas_.end()) co_return std::unexpected(elsewhere);
    const auto status = it->second->status();
    const raft::Member* self = status.raft.membership.find(status.self);
    if (status.stopped || !self || self->witness || status.in_engine < what.index)
        co_return std::unexpected(elsewhere);
    const KeyspaceId keyspace = catalogue::keyspace_of(what.group);
    const std::shared_ptr<port::EngineSnapshot> view = engine_.snapshot();
    Slice slice;
    if (what.requests) {
        const Bytes first = kv::request_key(keyspace, "");
        auto found = co_await engine_.scan_view(shard_, view, what.from.empty() ? first : what.from,
                                                kv::after_prefix(first), kSlice);
        if (!found) co_return std::unexpected(found.error());
        if (kSlice.reached_by(*found)) slice.next = replica::key_behind(found->back().key);
        slice.pairs = std::move(*found);
        co_return slice;
    }
    const Bytes end = kv::after_prefix(kv::data_prefix(keyspace));
    const bool all = what.name.empty();
    const auto from =
        all ? (what.from.empty() ? kv::data_prefix(keyspace) : replica::key_behind(what.from))
            : catalogue::seek(keyspace, what.name, what.from);
    if (!from) co_return slice;
    auto found = co_await (MUTANT(node_slice_of_later)
                               ? engine_.scan(shard_, *from, end, kSlice)
                               : engine_.scan_view(shard_, view, *from, end, kSlice));
    if (!found) co_return std::unexpected(found.error());
    // The walk goes on behind the last key of the name, or where the first that is none leads it.
    for (auto& pair : *found) {
        slice.next = pair.key;
        if (!all && !catalogue::is_of(keyspace, what.name, pair.key)) break;
        slice.pairs.push_back(std::move(pair));
    }
    co_return slice;
}

}  // namespace asterias::node
