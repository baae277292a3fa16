#include "service/replica/replica.h"

#include <algorithm>

#include "base/mutant.h"

namespace asterias::replica {
namespace {

constexpr uint8_t kMetaFormat = 1;
constexpr std::string_view kAppliedName = "applied";
// What one run() applies; the node has other groups, and peers that wait for heartbeats.
constexpr size_t kSliceEntries = 1024;
constexpr size_t kSliceBytes = 1024 * 1024;  // the entry that passes it is the last

std::string labels_of(GroupId group) { return "group=\"" + to_string(group) + "\""; }

}  // namespace

Replica::Replica(Parts parts, KeyspaceId keyspace, raft::Config config, Applied applied)
    : parts_(parts),
      keyspace_(keyspace),
      config_(std::move(config)),
      log_(parts.log.named("replica")),
      scope_(parts.shard),
      applied_(applied),
      durable_applied_(applied.index),
      last_label_(applied.commit_time),
      evaluated_(parts.registry.counter("asterias_group_commands_total",
                                        "Commands evaluated here as leader.",
                                        labels_of(config_.group))),
      entries_(parts.registry.counter("asterias_group_entries_total", "Entries proposed here.",
                                      labels_of(config_.group))),
      applied_count_(parts.registry.counter("asterias_group_applied_entries_total",
                                            "Entries applied here.", labels_of(config_.group))),
      corrupt_entries_(parts.registry.counter(
          "asterias_group_corrupt_entries_total",
          "Entries from peers whose checksum was wrong; dropped.", labels_of(config_.group))),
      refused_messages_(parts.registry.counter(
          "asterias_group_refused_messages_total",
          "Messages from peers that contradict themselves or what is known here; dropped.",
          labels_of(config_.group))) {}

Replica::~Replica() = default;

port::Task<Result<std::unique_ptr<Replica>>> Replica::open(Parts parts, KeyspaceId keyspace,
                                                           raft::Config config,
                                                           journal::RecoveredGroup recovered) {
    Applied applied{};
    const auto stored =
        co_await parts.engine.get(parts.shard, kv::meta_key(config.group, kAppliedName));
    if (!stored) co_return std::unexpected(stored.error());
    if (*stored) {
        wire::Reader in(**stored);
        if (in.u8() != kMetaFormat)
            co_return fail(Errc::Unsupported,
                           "format of the state of group " + to_string(config.group));
        applied = {LogIndex(in.u64()), Term(in.u64()), HybridTime(in.u64()), LogIndex(in.u64())};
        if (!in.ok()) co_return fail(Errc::Corrupt, "state of group " + to_string(config.group));
    }

    raft::Recovered core{{recovered.vote.term, recovered.vote.vote}, {}, {}, applied.index, {}};
    auto& entries = recovered.entries;
    // The journal keeps the entry at the log's start itself, for its term (see compact()).
    size_t first = 0;
    if (recovered.purged_through && !entries.empty()) {
        core.log_start = entries.front().index;
        core.log_start_term = entries.front().term;
        first = 1;
    }
    const LogIndex last = entries.empty() ? LogIndex{} : entries.back().index;
    if (applied.index > last)
        co_return fail(Errc::Corrupt, "group " + to_string(config.group) + " applied entry " +
                                          to_string(applied.index) + ", but its journal ends at " +
                                          to_string(last));
    if (applied.index < core.log_start)
        co_return fail(Errc::Corrupt,
                       "the engine of this node is missing what its journal no longer has: the "
                       "state of group " +
                           to_string(config.group) + " ends at " + to_string(applied.index) +
                           ", the journal begins behind " + to_string(core.log_start) +
                           "; the directory `engine` was emptied or belongs elsewhere. The node "
                           "cannot start without it: put back the one that it ran with");
    core.entries.assign(entries.begin() + static_cast<ptrdiff_t>(first), entries.end());

    std::unique_ptr<Replica> replica(new Replica(parts, keyspace, config, applied));
    const Bytes from = kv::meta_key(config.group, "session/");
    auto windows =
        parts.engine.snapshot()->scan(from.view(), kv::after_prefix(from).view(), {100'000});
    if (!windows) co_return std::unexpected(windows.error());
    for (const auto& window : *windows)
        if (auto loaded = replica->sessions_.load(window.value); !loaded)
            co_return std::unexpected(loaded.error());
    replica->compacted_ = core.log_start;
    replica->core_ = std::make_unique<raft::Core>(
        config, std::move(core), Prng(parts.shard.entropy().next()), parts.shard.clock().now());
    replica->wake();
    co_return replica;
}

void Replica::wake() {
    if (std::exchange(dirty_, true)) return;
    parts_.surroundings.wake(config_.group);
}

void Replica::receive(const raft::Message& message) {
    if (stopped_) return;
    if (const auto* append = std::get_if<raft::AppendRequest>(&message.body))
        for (const auto& entry : append->entries)
            if (!wire::entry_intact(config_.group, entry)) {
                corrupt_entries_.add();
                log_.warn("group " + to_string(config_.group) + ": entry " +
                          to_string(entry.index) + " arrived with a wrong checksum; dropped");
                return;
            }
    const uint64_t before = core_->malformed_messages();
    core_->step({parts_.shard.clock().now(), raft::Received{message}});
    if (core_->malformed_messages() != before) {
        refused_messages_.add();
        log_.warn("group " + to_string(config_.group) +
                  ": no correct peer can send this, dropped: " + raft::describe(message));
    }
    wake();
}

void Replica::tick() {
    if (stopped_) return;
    core_->step({parts_.shard.clock().now(), raft::Tick{}});
    compact();
    if (write_to_engine()) sweep();
    if (std::exchange(told_stalled_, engine_stalled_) != engine_stalled_) {
        log_.warn("group " + to_string(config_.group) +
                  (engine_stalled_ ? ": the engine takes no writes" : ": the engine takes writes"));
        core_->step({parts_.shard.clock().now(), raft::Stalled{engine_stalled_}});
    }
    prune();
    if (core_->has_output() || !queue_.empty() || !to_apply_.empty()) wake();
}

void Replica::on_persisted(journal::BatchId through) {
    if (stopped_) return;
    raft::PersistId persisted;
    while (!persisting_.empty() && persisting_.front().first <= through) {
        persisted = persisting_.front().second;
        persisting_.pop_front();
    }
    if (!persisted) return;
    core_->step({parts_.shard.clock().now(), raft::Persisted{persisted}});
    wake();
}

void Replica::on_peer_down(NodeId peer) {
    if (stopped_) return;
    core_->step({parts_.shard.clock().now(), raft::PeerDisconnected{peer}});
    wake();
}

void Replica::run() {
    dirty_ = false;
    if (stopped_) return;
    // Of earlier turns: their answers are out, so that nobody waits for the engine.
    if (unwritten_.bytes >= parts_.engine_bytes) write_to_engine();
    slice_ = {};
    apply_committed();
    drain();
    evaluate_queue();
    drain();
    // While the engine stalls the next tick is soon enough.
    if (!to_apply_.empty() && !engine_stalled_ && !stopped_) wake();
}

void Replica::drain() {
    while (core_->has_output() && !stopped_) {
        raft::Output out = core_->take_output();
        if (out.forgotten) return stop(describe_loss(*out.forgotten));
        if (out.persist_id) {
            if (out.hard_state)
                parts_.journal.set_vote(config_.group,
                                        {out.hard_state->term, out.hard_state->vote});
            if (!out.append.empty()) parts_.journal.append(config_.group, out.append);
            persisting_.emplace_back(parts_.journal.current_batch(), out.persist_id);
        }
        if (out.role_change) {
            // Also when it was lost and won again since the last output.
            if (leading_ && (out.role_change->role != raft::Role::Leader ||
                             out.role_change->term != term_seen_))
                lose_leadership();
            leading_ = out.role_change->role == raft::Role::Leader;
            sweep_wanted_ = leading_;
            sweep_found_ = true;  // a pass that an earlier leadership began saw nothing since
            leader_seen_ = out.role_change->leader;
            term_seen_ = out.role_change->term;
            parts_.surroundings.on_leader(config_.group, leader_seen_, term_seen_);
        }
        for (const auto& message : out.messages) {
            for (const auto& member : config_.membership.voters)
                if (member.replica == message.to)
                    parts_.surroundings.send(member.node, config_.group, message);
        }
        for (auto& entry : out.committed)
            to_apply_.push_back(std::move(entry));
        apply_committed();
        if (stopped_) return;
        answer_committed();
        for (const auto& read : out.reads_confirmed)
            confirm_read(read.context);
        for (const auto& read : out.reads_refused) {
            const auto it = reads_.find(read.context);
            if (it == reads_.end()) continue;
            for (auto& r : it->second) {
                release(r.reply.content_bytes());
                parts_.surroundings.answer(
                    config_.group, r.origin,
                    {Answer::Kind::Lost, core_->leader(), term_seen_, {}, {}});
            }
            reads_.erase(it);
        }
    }
}

void Replica::apply_committed() {
    // Back-pressure: while the engine stalls nothing is applied.
    const bool stalls = engine_stalled_ && !MUTANT(replica_reads_stalled_engine);
    if (to_apply_.empty() || (stalls && !write_to_engine())) return;
    const LogIndex before = applied_.index;
    try {
        // A poisonous entry stops this group, not the node.
        CheckTrap trap;
        while (!to_apply_.empty() && slice_.entries < kSliceEntries && slice_.bytes < kSliceBytes) {
            const wire::Entry& entry = to_apply_.front();
            apply_entry(entry);
            ++slice_.entries;
            slice_.bytes += entry.payload.size();
            to_apply_.pop_front();
        }
    } catch (const CheckFailed& failed) {
        return stop(failed.what());
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
    if (entry.kind == wire::EntryKind::Noop) return;
    CHECK(entry.kind == wire::EntryKind::Effects,
          "an entry of a kind that this program does not know is never skipped");
    auto effects = session::decode_effects(entry.payload);
    CHECK(effects.has_value(), "a committed Effects entry decodes");
    applied_.commit_time = std::max(applied_.commit_time, effects->commit_time);
    applied_.matched_by_all = std::max(applied_.matched_by_all, effects->matched_by_all);
    last_label_ = std::max(last_label_, applied_.commit_time);
    auto& touched = unwritten_.sessions;
    for (const auto& advance : effects->sessions) {
        if (!sessions_.apply(advance)) continue;
        if (std::find(touched.begin(), touched.end(), advance.id) == touched.end())
            touched.push_back(advance.id);
    }
    unwritten_.bytes += entry.payload.size();
    if (!(leading_ && entry.term == term_seen_)) unwritten_.foreign = true;
    for (auto& write : effects->writes) {
        // Also for the pass after the one that is under way: it may be past this key.
        if (kv::has_expiry(write.record)) sweep_wanted_ = sweep_found_ = true;
        if (write.record.empty())
            unwritten_.batch.del(std::move(write.key));
        else
            unwritten_.batch.put(std::move(write.key), std::move(write.record));
    }
}

// True when the engine has everything that was applied. If it stalls, the batch stays, and a later
// tick tries again.
bool Replica::write_to_engine() {
    if (!unwritten_.through) return true;
    for (const auto& id : unwritten_.sessions)
        unwritten_.batch.put(kv::meta_key(config_.group, session::Table::name_of(id)),
                             sessions_.encode(id));
    unwritten_.sessions.clear();
    wire::Writer meta(40);
    meta.u8(kMetaFormat).u64(applied_.index.value).u64(applied_.term.value);
    meta.u64(applied_.commit_time.value).u64(applied_.matched_by_all.value);
    unwritten_.batch.put(kv::meta_key(config_.group, kAppliedName), meta.take());
    unwritten_.batch.keep_last_writes();
    const auto written = parts_.engine.write(unwritten_.batch);
    engine_stalled_ = !written && written.error().code == Errc::NoSpace;
    if (engine_stalled_) return false;
    if (!written) {
        log_.error("engine: " + written.error().describe());
        parts_.shard.fatal("the engine failed to write committed entries");
        return false;
    }
    flushing_.emplace_back(*written, unwritten_.through);
    // What the engine holds now needs no overlay; a later proposal's value stays.
    if (!overlay_.empty())
        for (const auto& op : unwritten_.batch.ops()) {
            const auto it = overlay_.find(op.key);
            if (it != overlay_.end() && it->second.index <= unwritten_.through) overlay_.erase(it);
        }
    unwritten_ = {};
    return true;
}

Answer Replica::done(kv::Reply reply, LogIndex index) const {
    return {Answer::Kind::Done, parts_.surroundings.self(), core_->term(), index, std::move(reply)};
}

// A commit may come before the entry is applied here (a quorum of others was faster than this
// disk). Then the proposal stays, answered, until the session table knows its requests: one that is
// delivered again meanwhile must not look as if it had been overtaken.
void Replica::answer_committed() {
    const LogIndex commit = core_->commit();
    for (auto& p : proposed_) {
        if (p.index > commit) break;
        if (std::exchange(p.answered, true)) continue;
        for (auto& w : p.writes)
            parts_.surroundings.answer(config_.group, w.origin, done(w.reply, p.index));
    }
    const LogIndex known = MUTANT(replica_answered_forgotten) ? commit : applied_.index;
    while (!proposed_.empty() && proposed_.front().answered && proposed_.front().index <= known) {
        proposed_bytes_ -= proposed_.front().bytes;
        release(proposed_.front().reply_bytes);
        proposed_.pop_front();
    }
    while (!waiting_for_commit_.empty() && waiting_for_commit_.begin()->first <= commit) {
        auto node = waiting_for_commit_.extract(waiting_for_commit_.begin());
        release(node.mapped().reply.content_bytes());
        parts_.surroundings.answer(config_.group, node.mapped().origin,
                                   done(std::move(node.mapped().reply), node.key()));
    }
}

void Replica::confirm_read(uint64_t context) {
    const auto it = reads_.find(context);
    if (it == reads_.end()) return;
    const LogIndex commit = core_->commit();
    for (auto& r : it->second) {
        if (r.depends_on <= commit) {
            release(r.reply.content_bytes());
            parts_.surroundings.answer(config_.group, r.origin,
                                       done(std::move(r.reply), r.depends_on));
        } else {
            const LogIndex at = r.depends_on;
            waiting_for_commit_.emplace(at, std::move(r));
        }
    }
    reads_.erase(it);
}

void Replica::compact() {
    const port::EngineSeq durable = parts_.engine.durable();
    while (!flushing_.empty() && flushing_.front().first <= durable) {
        durable_applied_ = flushing_.front().second;
        flushing_.pop_front();
    }
    const LogIndex through = MUTANT(replica_purge_early)
                                 ? applied_.index
                                 : std::min(durable_applied_, applied_.matched_by_all);
    // In steps: each costs a journal record.
    if (through.value < compacted_.value + parts_.compact_entries) return;
    compacted_ = through;
    core_->step({parts_.shard.clock().now(), raft::Compact{through}});
    // The entry at the log's start stays in the journal: its term is asked for at the next start.
    parts_.journal.purge(config_.group, through.prev());
}

std::string Replica::describe_loss(const raft::Forgotten& lost) const {
    return "node " + to_string(parts_.surroundings.self()) +
           " lost entries that it had acknowledged: node " + to_string(lost.leader) +
           ", leader of term " + to_string(lost.term) + ", counts on entry " +
           to_string(lost.acknowledged) + " being here, but the log ends at " +
           to_string(lost.last) +
           ". The end of the journal was damaged, or not as durable as the disk said. The group "
           "goes "
           "on without this replica. Leave this node stopped until the others have elected another "
           "leader, in a term above " +
           to_string(lost.term) +
           ", and all of them are up; then start it, and that leader sends it what it lost";
}

void Replica::stop(std::string why) {
    stopped_ = true;
    stopped_why_ = std::move(why);
    log_.error("group " + to_string(config_.group) + " is stopped on this node: " + stopped_why_);
    lose_leadership();
}

Status Replica::status() const {
    const LogIndex in_engine = unwritten_.from ? unwritten_.from.prev() : applied_.index;
    return {config_.group,    core_->status(), stopped_,         stopped_why_, queue_.size(),
            proposed_.size(), overlay_.size(), to_apply_.size(), in_engine,    durable_applied_};
}

port::Task<> Replica::close() { co_await scope_.close(); }

}  // namespace asterias::replica
