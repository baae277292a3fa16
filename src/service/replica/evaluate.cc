// The leader's half of the driver: admission, order, lookups, evaluation.
#include <algorithm>
#include <set>

#include "base/mutant.h"
#include "service/execute/execute.h"
#include "service/replica/replica.h"

namespace asterias::replica {
namespace {
constexpr size_t kEntryBytesMax = 512 * 1024;  // soft: one command may exceed it
constexpr size_t kEntryHeadBytes = 64;         // of an entry without commands
// How long the queue waits for room for its head's answer, before that is turned away.
constexpr Duration kRoomPatience = milliseconds(100);
// Of a flush, which goes through the overlay and forgets what was deleted when.
constexpr size_t kHideWork = 32 * 1024, kOverlaidWork = 64;
constexpr Duration kPruneInterval = milliseconds(100);

size_t bytes_of(const Incoming& request) {
    return sizeof(Incoming) - sizeof(kv::Command) + execute::bytes_of(request.command);
}

// Whether the session table keeps it. Most are far below the limit, and not encoded to know that.
bool is_stored(const kv::Reply& reply) {
    if (reply.content_bytes() <= kv::kStoredReplyBytesMax) return true;
    wire::Writer encoded;
    kv::encode(encoded, reply);
    return encoded.size() <= kv::kStoredReplyBytesMax;
}

// What the entry says of the request's session, as far as it is known.
session::Advance& advance_of(const Incoming& request, session::Effects& effects) {
    session::Advance* advance = nullptr;
    for (auto& a : effects.sessions)
        if (a.id == request.session) advance = &a;
    if (!advance) advance = &effects.sessions.emplace_back(request.session, 0);
    advance->low_water = std::max(advance->low_water, request.low_water);
    return *advance;
}

// What it adds to an entry at most: its effects, its session's head, and the answer that the
// session table keeps.
size_t logged_bytes(const kv::Evaluation& evaluation) {
    size_t bytes = 64 + std::min(kv::kStoredReplyBytesMax, evaluation.reply.content_bytes());
    for (const auto& write : evaluation.writes)
        bytes += write.key.size() + write.record.size() + write.until.size() + 12;
    return bytes;
}

// Leads, and will evaluate: a witness has no state, and hands the lead over as soon as it can. Who
// waited for it would wait for another.
bool will_evaluate(const raft::Core& core, ReplicaId self) {
    if (core.role() != raft::Role::Leader) return false;
    const raft::Member* member = core.membership().find(self);
    return !member || !member->witness || MUTANT(raft_witness_serves);
}
}  // namespace

void Incoming::turn_away() {
    turned_away = true;
    command = {};
}

void Replica::refuse(const Incoming& request) {
    Gateway& g = gateways_[request.session];
    g.refused_epoch = std::max(g.refused_epoch, request.origin.epoch);
    parts_.surroundings.answer(config_.group, request.origin,
                               {Answer::Kind::NotLeader, core_->leader(), core_->term(), {}, {}});
}

void Replica::submit(Incoming request) {
    if (stopped_)
        return parts_.surroundings.answer(config_.group, request.origin,
                                          {Answer::Kind::NotLeader, {}, {}, {}, {}});
    if (core_->role() != raft::Role::Leader) {  // a quiet group may have lost its leader unnoticed
        core_->step({parts_.shard.clock().now(), raft::Wake{}});
        wake();
    }
    Gateway& g = gateways_[request.session];
    // What an earlier epoch sent was sent again, in order, under a later one; and behind a refusal
    // nothing of the same epoch may pass, or it would overtake.
    if (request.origin.epoch < g.epoch || request.origin.epoch <= g.refused_epoch ||
        !will_evaluate(*core_, config_.self))
        return refuse(request);
    // Those turned away wait, too; this ends the epoch and says nothing of what was done.
    if (queue_.size() >= 2 * parts_.queue_max) return refuse(request);
    g.epoch = request.origin.epoch;
    const bool full = queue_.size() >= parts_.queue_max ||
                      queue_bytes_ + bytes_of(request) > parts_.queue_bytes_max;
    if (full && !queue_.empty()) request.turn_away();
    request.bytes = bytes_of(request);
    queue_bytes_ += request.bytes;
    queue_.push_back(std::move(request));
    wake();
}

void Replica::lose_leadership() {
    const Answer lost{Answer::Kind::Lost, core_->leader(), core_->term(), {}, {}};
    for (auto& p : proposed_)
        for (auto& w : p.writes)
            if (!p.answered) parts_.surroundings.answer(config_.group, w.origin, lost);
    for (auto& [context, reads] : reads_)
        for (auto& r : reads)
            parts_.surroundings.answer(config_.group, r.origin, lost);
    for (auto& [index, r] : waiting_for_commit_)
        parts_.surroundings.answer(config_.group, r.origin, lost);
    lose_spans();
    for (auto& request : queue_)
        refuse(request);
    for (auto& [id, g] : gateways_) {
        g.refused_epoch = std::max(g.refused_epoch, g.epoch);
        g.highest = g.logged = 0;
        g.stands_on = {};
    }
    proposed_.clear();
    proposed_bytes_ = full_at_ = 0;
    reads_.clear();
    waiting_for_commit_.clear();
    held_replies_ = 0;
    queue_.clear();
    queue_bytes_ = 0;
    if (!MUTANT(replica_overlay_survives_leadership)) {
        overlay_.clear();
        flushed_.clear();
    }
    bounds_ = boundary_;
    bounds_since_ = {};
    if (unwritten_.through && !MUTANT(replica_reads_stalled_engine)) unwritten_.foreign = true;
    head_ = {};
    fetching_ = 0;
    ++fetch_generation_;
}

// Was this number of the session evaluated before? Then it is answered here from the table, or
// joins the proposal that is still on its way, or the one that this very round is making (`writes`:
// after a stall the first and the second delivery arrive together).
bool Replica::known_already(Incoming& request, std::vector<PendingWrite>& writes) {
    const auto found = sessions_.find(request.session, request.sequence);
    if (const auto* known = std::get_if<session::Done>(&found)) {
        parts_.surroundings.answer(config_.group, request.origin,
                                   done(known->reply, applied_.index));
        return true;
    }
    if (std::holds_alternative<session::Stale>(found)) {
        parts_.surroundings.answer(config_.group, request.origin,
                                   {Answer::Kind::Refused, {}, {}, {}, {}});
        return true;
    }
    const auto find = [&request](std::vector<PendingWrite>& pending) -> PendingWrite* {
        for (auto& w : pending)
            if (w.session == request.session && w.sequence == request.sequence) return &w;
        return nullptr;
    };
    for (auto& p : proposed_)
        if (PendingWrite* w = find(p.writes)) {
            w->origin = request.origin;  // the earlier asker's connection is gone
            if (p.answered)
                parts_.surroundings.answer(config_.group, w->origin, done(w->reply, p.index));
            return true;
        }
    PendingWrite* w = MUTANT(replica_same_round_refused) ? nullptr : find(writes);
    if (w) w->origin = request.origin;
    return w;
}

bool Replica::admit(Incoming& request, Round& round) {
    Gateway& g = gateways_[request.session];
    g.highest = std::max(g.highest, sessions_.highest(request.session));
    auto refuse_for_good = [&](Answer::Kind kind = Answer::Kind::Refused) {
        g.highest = std::max(g.highest, request.sequence);
        parts_.surroundings.answer(config_.group, request.origin, {kind, {}, {}, {}, {}});
        return false;
    };
    // Given up by whoever sends it; the table would count it as done before it is applied.
    if (request.sequence && request.sequence < request.low_water &&
        !MUTANT(replica_below_low_water_logged))
        return refuse_for_good();
    if (request.sequence && request.sequence <= g.highest) {
        if (known_already(request, round.writes)) return false;
        // A later number of this session was evaluated: evaluating this one now would turn the
        // order of its connection around. It is certain that it never was and never will be.
        if (!MUTANT(replica_retry_overtaken)) return refuse_for_good();
    }
    if (request.turned_away) return refuse_for_good(Answer::Kind::Busy);
    // A gateway with another catalogue than ours must not write past a keyspace's fence.
    if (request.command.keyspace != keyspace_) return refuse_for_good();
    if (full() && refuses_for_space(request, round)) return refuse_for_good(Answer::Kind::Full);
    // Expired work is dropped before it runs.
    if (parts_.shard.clock().now() > request.deadline) return refuse_for_good();
    return true;
}

// Drops what expired in the queue, however long the evaluation waits (for the engine, a quorum, a
// disk). Of a session's writes only those with nothing of the session left before them: to refuse a
// number for good speaks for all lower ones too. And only while the session table is complete.
void Replica::prune() {
    const Instant now = parts_.shard.clock().now();
    if (queue_.empty() || now < next_prune_ || stopped_) return;
    next_prune_ = now + kPruneInterval;
    if (std::ranges::none_of(queue_, [now](const auto& r) { return r.deadline < now; })) return;
    const bool table_complete = core_->ready_to_lead() || MUTANT(replica_expired_unlooked);
    std::set<session::SessionId> waiting;
    std::deque<Incoming> kept;
    Round none;
    for (size_t i = 0; i < queue_.size(); ++i) {
        Incoming& request = queue_[i];
        const bool decidable =
            !request.sequence || (table_complete && !waiting.contains(request.session));
        const bool fetches = i == 0 && fetching_ > 0;  // the head's values are on their way
        if (now <= request.deadline || !decidable || fetches) {
            waiting.insert(request.session);
            kept.push_back(std::move(request));
            continue;
        }
        if (i == 0) head_ = {};
        queue_bytes_ -= request.bytes;
        CHECK(!admit(request, none), "what has expired is never admitted");
    }
    queue_ = std::move(kept);
}

void Replica::evaluate_queue() {
    if (queue_.empty() || fetching_ > 0 || !core_->ready_to_lead() || stopped_) return;
    // Back-pressure: the engine stalls, or too much waits for a quorum. The queue waits; what
    // passes its deadline there is dropped.
    if (proposed_bytes_ > config_.uncommitted_bytes_max / 2) return;
    const auto replies_full = [this](const Round& r) {
        return held_replies_ + r.read_bytes + r.write_bytes > parts_.held_replies_max &&
               !MUTANT(replica_replies_unbounded);
    };
    if (replies_full({})) return;
    if (full_at_ && proposed_bytes_ >= full_at_) return;
    const bool stalls = engine_stalled_ && !MUTANT(replica_reads_stalled_engine);
    const bool hidden = unwritten_.foreign && !MUTANT(replica_reads_miss_applied);
    if ((stalls || hidden) && !write_to_engine()) {
        if (!full()) return;
        cover_unwritten();
    }
    const auto wall = parts_.shard.clock().wall();
    Round round;
    round.effects.commit_time =
        std::max(last_label_.next(), HybridTime(static_cast<uint64_t>(wall.micros) << 12));
    round.effects.matched_by_all = core_->slowest_match();
    round.index = core_->last_index().next();

    if (std::exchange(deletions_of_, core_->term()) != core_->term())
        deletions_.begin(core_->last_index());
    bool waits = false;
    const auto worked = [](const Round& r) {
        return r.work >= kRoundWorkMax && !MUTANT(replica_round_works_on);
    };
    while (!queue_.empty() && !round.closed && round.bytes < kEntryBytesMax &&
           !replies_full(round) && !worked(round)) {
        Incoming& head = queue_.front();
        waits = !answer_can_leave(head);
        if (waits) break;
        if (admit(head, round) && !(fence(head, round) && evaluate_one(head, round))) break;
        head_ = {};
        queue_bytes_ -= head.bytes;
        queue_.pop_front();
    }
    if (stopped_) {
        // Evaluated in this turn and not proposed: nobody else would answer these (rule 39).
        const Answer lost{Answer::Kind::Lost, {}, core_->term(), {}, {}};
        for (const auto& w : round.writes)
            parts_.surroundings.answer(config_.group, w.origin, lost);
        for (const auto& r : round.reads)
            parts_.surroundings.answer(config_.group, r.origin, lost);
        for (const auto& s : round.spans)
            parts_.surroundings.answer(config_.group, s.request.origin, lost);
        return;
    }
    // What waits for room is asked for again by a tick, or by the answers that make room.
    if (!queue_.empty() && fetching_ == 0 && !round.full && !waits && !replies_full(round)) wake();

    held_replies_ += round.read_bytes + round.write_bytes;
    if (!round.reads.empty() || !round.spans.empty()) {
        const uint64_t context = next_read_++;
        reads_[context] = std::move(round.reads);
        if (!round.spans.empty()) spans_[context] = std::move(round.spans);
        core_->step({parts_.shard.clock().now(), raft::ReadRequested{context}});
    }
    if (!round.effects.writes.empty() || !round.effects.sessions.empty()) propose(round);
    full_at_ = round.full ? proposed_bytes_ : 0;
}

// Patience, and then the head is turned away: a gateway that does not take its answers must not
// hold up the others.
bool Replica::answer_can_leave(Incoming& head) {
    auto& since = gateways_[head.session].no_room_since;
    if (head.turned_away) return true;
    if (parts_.surroundings.has_room(head.origin)) {
        since.reset();
        return true;
    }
    const Instant now = parts_.shard.clock().now();
    if (!since) since = now;
    if (now - *since < kRoomPatience) return false;
    queue_bytes_ -= head.bytes;
    head.turn_away();
    head.bytes = bytes_of(head);
    queue_bytes_ += head.bytes;
    return true;
}

void Replica::release(size_t reply_bytes) {
    held_replies_ -= reply_bytes;
    if (!queue_.empty()) wake();
}

void Replica::propose(Round& round) {
    last_label_ = round.effects.commit_time;
    const LogIndex index = round.index;
    Bytes payload = session::encode(round.effects);
    CHECK(payload.size() <= round.bytes + kEntryHeadBytes, "what is counted is no less than it is");
    proposed_bytes_ += payload.size();
    proposed_.push_back({index, std::move(round.writes), payload.size(), round.write_bytes});
    const auto outcome =
        core_->propose(parts_.shard.clock().now(), wire::EntryKind::Effects, std::move(payload));
    if (const auto* accepted = std::get_if<raft::Accepted>(&outcome)) {
        CHECK(accepted->index == index, "nothing else proposes to this group");
        entries_.add();
        if (MUTANT(replica_ack_before_commit)) {
            for (auto& w : proposed_.back().writes)
                parts_.surroundings.answer(config_.group, w.origin, done(w.reply, index));
            proposed_.back().writes.clear();
        }
        return;
    }
    // The overlay has what no log has. has_room() was asked before, so this is not met; if it is,
    // going on would be guessing.
    stop("the consensus refused an entry of its leader, above uncommitted_bytes_max");
}

// What a named client (ASTERIAS.REQUEST) heard before, if this or a later request of it is done.
bool Replica::answer_of_client(const kv::Command& command, const Bytes& stored,
                               std::optional<kv::Reply>& answer) {
    auto last = kv::decode_request_result(stored);
    if (!last) {
        stop("a stored request result is damaged: " + last.error().describe());
        return false;
    }
    if (last->sequence == command.request.sequence)
        answer = std::move(last->reply);
    else if (last->sequence > command.request.sequence)
        answer = kv::Reply::error(
            "ERR a later request of this client already took effect; the answer to this one is no "
            "longer kept");
    return true;
}

// The core takes one entry of any size when nothing else is uncommitted, and else no more than its
// limit: what does not fit waits. It counts changes of membership, too; proposed_bytes_ what is not
// applied.
bool Replica::has_room(size_t bytes, const Round& round) const {
    const size_t uncommitted =
        MUTANT(replica_changes_take_no_room) ? 0 : core_->uncommitted_bytes();
    const size_t others = std::max(proposed_bytes_, uncommitted) + round.bytes;
    return others == 0 || others + bytes + kEntryHeadBytes <= config_.uncommitted_bytes_max;
}

// What the head's keys hold, in their order. False: one is damaged, and the group stopped.
bool Replica::records_found(std::vector<kv::Record>& records) {
    records.resize(head_.keys.size());
    for (size_t i = 0; i < records.size(); ++i) {
        if (!head_.found[i].value) continue;
        auto record = kv::decode_record(*head_.found[i].value);
        if (!record) {
            stop("a stored record is damaged: " + record.error().describe());
            return false;
        }
        records[i] = std::move(*record);
    }
    return true;
}

// The gateway is done with all numbers below its low-water mark; one of which no log says anything
// was given up (UNKNOWN), and a copy of it may still be on its way. It must not take effect behind
// what its connection hears from now on. A later write keeps it out by its own number; before a
// read is answered the mark itself is put into the log. False: there is no room for that now.
bool Replica::fence(const Incoming& request, Round& round) {
    constexpr size_t kFenceBytes = 128;  // an Advance without results takes less
    Gateway& g = gateways_[request.session];
    const uint64_t settled = std::max(sessions_.highest(request.session), g.logged);
    if (request.sequence || !request.low_water || request.low_water - 1 <= settled) return true;
    if (MUTANT(replica_given_up_not_fenced)) return true;
    const bool full = journal_full_ && parts_.journal.usage().bytes_left < kFenceBytes + 8192;
    if (full || !has_room(kFenceBytes, round)) {
        round.full = true;
        return false;
    }
    round.bytes += kFenceBytes;
    advance_of(request, round.effects);
    g.logged = request.low_water - 1;
    g.highest = std::max(g.highest, g.logged);
    g.stands_on = round.index;
    return true;
}

// A version is told when no later command can write under the same index: else two writes of one
// entry would look alike to who watches the key. So it is asked for in the next entry.
bool Replica::changed_in(LogIndex entry) const {
    if (MUTANT(replica_version_of_open_entry)) return false;
    for (size_t i = 0; i < head_.keys.size(); ++i)
        if (head_.found[i].depends_on == entry || deletions_.last(head_.keys[i]) == entry)
            return true;
    return false;
}

// False: the keys are being fetched, the command has to wait for room or for the next entry, or the
// group stopped.
bool Replica::evaluate_one(Incoming& request, Round& round) {
    if (kv::traits(request.command.op).span) return hold_span(request, round);
    const kv::Command& command = request.command;
    // Its answer is one like any other: logged, if it is a write, so that no copy of it is done
    // later, and told when the fence is committed.
    const bool moved = bounds_.refuses(command) && !MUTANT(replica_fence_not_checked);
    const bool named = !command.request.client.empty() && !moved;
    if (!moved && !look_up(command, round)) return false;
    const auto& found = head_.found;
    LogIndex depends_on;
    for (const auto& f : found)
        depends_on = std::max(depends_on, f.depends_on);
    if (moved) depends_on = bounds_since_;
    Gateway& gateway = gateways_[request.session];
    if (command.op == kv::Op::Version && !moved && changed_in(round.index)) return false;
    if (!MUTANT(replica_read_before_own_writes))
        depends_on = std::max(depends_on, gateway.stands_on);
    std::vector<kv::Record> records;
    if (!records_found(records)) return false;
    std::vector<const kv::Record*> pointers(records.size());
    for (size_t i = 0; i < records.size(); ++i)
        if (found[i].value) pointers[i] = &records[i];
    std::optional<kv::Reply> answered_before;
    if (named && found.back().value &&
        !answer_of_client(command, found.back().value->bytes, answered_before))
        return false;
    kv::Evaluation evaluation;
    const auto remember = [&] {
        if (!named) return;
        evaluation.writes.push_back(
            {head_.request_key,
             kv::encode_request_result(command.request.sequence, evaluation.reply)});
    };
    if (answered_before) {
        evaluation.reply = std::move(*answered_before);
    } else {
        evaluation = moved ? kv::Evaluation{kv::Reply::error(execute::kMoved), {}}
                           : evaluate_head(request, pointers, round);
        round.work += evaluation.work;
        round.closed = command.op == kv::Op::Version && !evaluation.writes.empty();
        remember();
        if (logged_bytes(evaluation) > kv::kEffectsBytesMax) {
            evaluation = {kv::Reply::error(kv::kEffectsTooLong), {}};
            remember();
        }
    }
    // A read needs no entry. A write that changed nothing does: a copy of it that is still on its
    // way could find another state at another leader, and take effect after its client was told
    // that it did not (sim/regressions/no_effect_not_logged.txt).
    const bool logged = (request.sequence != 0 && !MUTANT(replica_no_effect_not_logged)) ||
                        !evaluation.writes.empty();
    if (logged && !has_room(logged_bytes(evaluation), round)) {
        round.full = true;
        return false;
    }
    evaluated_.add(answered_before ? 0 : 1);
    if (logged) {
        log_write(request, std::move(evaluation), round);
        return true;
    }
    if (request.sequence) gateway.highest = request.sequence;
    // A later read of a connection must not be answered while this one may still be made again.
    if (!MUTANT(replica_reads_overtake)) gateway.stands_on = depends_on;
    round.read_bytes += evaluation.reply.content_bytes();
    round.reads.push_back({request.origin, depends_on, std::move(evaluation.reply)});
    return true;
}

// With the records that were found. What an order makes of the boundary holds from log_write() on.
kv::Evaluation Replica::evaluate_head(const Incoming& request,
                                      const std::vector<const kv::Record*>& records,
                                      const Round& round) {
    const kv::Command& command = request.command;
    int64_t now_ms = parts_.shard.clock().wall().millis();
    if (request.concluded) now_ms = std::max(now_ms, request.concluded->now_ms);
    const kv::Context context{now_ms, round.effects.commit_time, round.index, &deletions_,
                              config_.group};
    if (head_.too_long) return {kv::Reply::error(kv::kReplyTooLong), {}};
    if (command.op == kv::Op::Boundary)
        return catalogue::evaluate(bounds_, command, {config_.group, keyspace_}, context)
            .evaluation;
    kv::Evaluation evaluation = kv::evaluate(command, head_.keys, records, context);
    // It may find no room in this entry, and be evaluated again.
    if (request.concluded) evaluation.reply = request.concluded->reply;
    return evaluation;
}

// Adds what was evaluated to the entry that this round makes, and to the overlay.
void Replica::log_write(const Incoming& request, kv::Evaluation evaluation, Round& round) {
    const LogIndex index = round.index;
    session::Effects& effects = round.effects;
    round.bytes += logged_bytes(evaluation);
    expired_.add(evaluation.expired);
    for (auto& write : evaluation.writes) {
        if (write.key[0] == static_cast<uint8_t>(kv::Space::Meta)) {
            auto next = catalogue::decode_boundary(write.record).value();
            // Keys that come back were elsewhere: there they may have been written, and deleted.
            if (next.fenced.size() < bounds_.fenced.size() && !MUTANT(replica_lift_unwatched))
                deletions_.begin(index);
            bounds_ = std::move(next);
            bounds_since_ = index;
        }
        if (!write.until.empty()) {
            round.work += kHideWork + overlay_.size() * kOverlaidWork;
            hide_range(write.key, write.until, index);
        } else {
            overlay_[write.key] = {index, write.record};
            write.record.empty() ? deletions_.note(write.key, index)
                                 : deletions_.note_written(write.key);
        }
        effects.writes.push_back(std::move(write));
    }
    Gateway& g = gateways_[request.session];
    // Also for a read that logs an expiry. No entry is newer, so this is no lower than what it saw.
    if (request.sequence || !MUTANT(replica_reads_overtake)) g.stands_on = index;
    if (request.sequence) {
        g.highest = request.sequence;
        g.logged = std::max(g.logged, request.sequence);
        advance_of(request, effects)
            .results.push_back({request.sequence, is_stored(evaluation.reply)
                                                      ? evaluation.reply
                                                      : kv::Reply::error(execute::kUnknownResult)});
    }
    round.write_bytes += evaluation.reply.content_bytes();
    round.writes.push_back(
        {request.origin, request.session, request.sequence, std::move(evaluation.reply)});
}

}  // namespace asterias::replica
