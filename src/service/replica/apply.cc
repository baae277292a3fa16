// Committed entries become state: in memory at once, in the engine many at a time.
#include <algorithm>

#include "base/mutant.h"
#include "service/replica/replica.h"

namespace asterias::replica {
namespace {
// What one run() applies; the node has other groups, and peers that wait for heartbeats.
constexpr size_t kSliceEntries = 1024;
constexpr size_t kSliceBytes = 1024 * 1024;  // the entry that passes it is the last
constexpr Duration kEngineRetry = milliseconds(20);
}  // namespace

void Replica::apply_committed() {
    // Back-pressure, while the engine stalls.
    const bool stalls = engine_stalled_ && unwritten_.bytes >= parts_.unwritten_bytes_max &&
                        !MUTANT(replica_unwritten_unbounded);
    if (to_apply_.empty() || installing_ || still_to_come() || (stalls && !write_to_engine()))
        return;
    const LogIndex before = applied_.index;
    try {
        // A poisonous entry stops this group, not the node.
        CheckTrap trap;
        while (!to_apply_.empty() && slice_.entries < kSliceEntries && slice_.bytes < kSliceBytes) {
            const wire::Entry& entry = to_apply_.front();
            if (quarantined()) return;
            apply_entry(entry);
            ++slice_.entries;
            slice_.bytes += entry.payload.size();
            to_apply_.pop_front();
        }
    } catch (const CheckFailed& failed) {
        return poisoned(to_apply_.front(), failed.what());
    }
    if (applied_.index == before) return;
    applied_count_.add(applied_.index.value - before.value);
    core_->step({parts_.shard.clock().now(), raft::Applied{applied_.index}});
}

void Replica::apply_entry(const wire::Entry& entry) {
    CHECK(entry.index == applied_.index.next(), "entries are applied one after another (rule 29)");
    applied_.index = unwritten_.through = entry.index;
    if (!unwritten_.from) unwritten_.from = entry.index;
    applied_.term = entry.term;
    switch (entry.kind) {
        case wire::EntryKind::Noop:
            return;
        case wire::EntryKind::Config: {
            auto membership = raft::decode_membership(entry.payload);
            CHECK(membership.has_value(), "a committed Config entry decodes");
            applied_.membership = std::move(*membership);
            applied_.membership_index = entry.index;
            return;
        }
        case wire::EntryKind::Effects:
            return apply_effects(entry);
    }
    CHECK(false, "an entry of a kind that this program does not know is never skipped");
}

void Replica::apply_effects(const wire::Entry& entry) {
    auto effects = session::decode_effects(entry.payload);
    CHECK(effects.has_value(), "a committed Effects entry decodes");
    applied_.commit_time = std::max(applied_.commit_time, effects->commit_time);
    applied_.matched_by_all = std::max(applied_.matched_by_all, effects->matched_by_all);
    last_label_ = std::max(last_label_, applied_.commit_time);
    if (is_witness()) return;
    auto& touched = unwritten_.sessions;
    for (const auto& advance : effects->sessions) {
        if (!sessions_.apply(advance)) continue;
        if (std::find(touched.begin(), touched.end(), advance.id) == touched.end())
            touched.push_back(advance.id);
    }
    unwritten_.bytes += entry.payload.size();
    const bool own = leading_ && entry.term == term_seen_;
    if (!own) unwritten_.foreign = true;
    for (auto& write : effects->writes) {
        if (write.key[0] == static_cast<uint8_t>(kv::Space::Meta)) note_boundary(write.record, own);
        if (!parts_.watched.empty() && write.key == parts_.watched)
            parts_.surroundings.on_watched(config_.group, write.record, entry.index);
        // Also for the pass after the one that is under way: it may be past this key.
        if (kv::has_expiry(write.record)) sweep_wanted_ = sweep_found_ = true;
        if (!write.until.empty()) {
            if (MUTANT(replica_flush_not_applied) && unwritten_.foreign) continue;
            unwritten_.ranged = true;
            unwritten_.batch.del_range(std::move(write.key), std::move(write.until));
        } else if (write.record.empty()) {
            unwritten_.batch.del(std::move(write.key));
        } else {
            unwritten_.batch.put(std::move(write.key), std::move(write.record));
        }
    }
}

// Of the group's own records entries write one, the boundary; `own`: this leader knows it already.
void Replica::note_boundary(const Bytes& record, bool own) {
    auto boundary = catalogue::decode_boundary(record);
    CHECK(boundary.has_value(), "a committed boundary decodes");
    boundary_ = std::move(*boundary);
    if (!own) bounds_ = boundary_;
}

// No membership that it has seen names it yet: so it does not know whether it is a witness, which
// must not hold what the entries make. It waits for the entry that says so, which is on its way.
bool Replica::still_to_come() const {
    const raft::Membership& m = core_->membership();
    return config_.self > m.last_replica && !m.find(config_.self) &&
           !MUTANT(replica_applies_unnamed);
}

// Such a one keeps the log, and of the state only how far it is (rule 46).
bool Replica::is_witness() const {
    const raft::Member* self = core_->membership().find(config_.self);
    if (!self) self = applied_.membership.find(config_.self);  // one that leaves
    return self && self->witness;
}

// True when the engine has everything that was applied. If it stalls, the batch stays, and a later
// tick tries again.
bool Replica::write_to_engine() {
    if (!unwritten_.through) return true;
    // What the engine has is about to be replaced, by what holds all this.
    if (installing_) return false;
    const Instant now = parts_.shard.clock().now();
    if (engine_stalled_ && now < next_engine_try_) return false;
    for (const auto& id : unwritten_.sessions)
        unwritten_.batch.put(kv::meta_key(config_.group, session::Table::name_of(id)),
                             sessions_.encode(id));
    unwritten_.sessions.clear();
    unwritten_.batch.put(applied_key(config_.group), encode(applied_));
    if (!unwritten_.ranged) unwritten_.batch.keep_last_writes();
    const auto written = parts_.engine.write(unwritten_.batch);
    const bool stalled = !written && written.error().code == Errc::NoSpace;
    if (stalled && !engine_stalled_) stalled_since_ = now;
    engine_stalled_ = stalled;
    next_engine_try_ = now + kEngineRetry;
    if (stalled) return false;
    if (!written) {
        log_.error("engine: " + written.error().describe());
        parts_.shard.fatal("the engine failed to write committed entries");
        return false;
    }
    flushing_.emplace_back(*written, unwritten_.through);
    // What the engine holds now needs no overlay; a later proposal's value stays.
    std::erase_if(flushed_, [&](const auto& f) { return f.index <= unwritten_.through; });
    if (!overlay_.empty())
        for (const auto& op : unwritten_.batch.ops()) {
            const auto it = overlay_.find(op.key);
            if (it != overlay_.end() && it->second.index <= unwritten_.through) overlay_.erase(it);
        }
    unwritten_ = {};
    return true;
}

// True: the next entry is not tried any more.
bool Replica::quarantined() {
    if (!poison_) return false;
    const LogIndex index = to_apply_.front().index;
    if (index > poison_->index) {  // another program could
        if (!parts_.directory.empty()) scope_.spawn("replica.clear_poison", forget_poison());
        poison_.reset();
    }
    if (!poison_ || index < poison_->index || poison_->failures < kPoisonFailuresMax) return false;
    stop("entry " + to_string(index) + " could not be applied here, " +
         std::to_string(poison_->failures) + " times: " + poison_->why +
         ". It is not tried again: the group goes on without this replica. Start a program that "
         "can apply it, after removing the file " +
         parts_.directory + "/" + poison_name(config_.group) +
         "; or remove this replica and add it again");
    return true;
}

void Replica::poisoned(const wire::Entry& entry, std::string why) {
    Poison poison{entry.index, 1, why};
    if (poison_ && poison_->index == entry.index) poison.failures += poison_->failures;
    stop("entry " + to_string(entry.index) + " cannot be applied here: " + why +
         ". A restart of the node tries it once more");
    if (!parts_.directory.empty()) scope_.spawn("replica.poison", note_poison(std::move(poison)));
}

port::Task<> Replica::note_poison(Poison poison) {
    const auto stored = co_await store_poison(parts_.shard.disk(), parts_.directory, config_.group,
                                              std::move(poison));
    if (!stored) log_.error("group " + to_string(config_.group) + ": " + stored.error().describe());
}

port::Task<> Replica::forget_poison() {
    const auto cleared =
        co_await clear_poison(parts_.shard.disk(), parts_.directory, config_.group);
    if (!cleared)
        log_.warn("group " + to_string(config_.group) + ": " + cleared.error().describe());
}

}  // namespace asterias::replica
