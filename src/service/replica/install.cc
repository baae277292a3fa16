// A snapshot that comes in: staged aside, verified, and installed (rules 26 to 29). Journal and
// engine are two things that a crash may come between, so the journal says before that it begins,
// and start-up asks the engine whether it has happened (open.cc).
#include "base/mutant.h"
#include "service/replica/replica.h"

namespace asterias::replica {
namespace {
constexpr Duration kAskAgain = milliseconds(100);  // for space
}

void Replica::reply_snapshot(NodeId to, const SnapshotMessage& about, SnapshotReply::Kind kind,
                             uint64_t next, std::string why) {
    parts_.surroundings.send_snapshot_reply(
        to, {config_.group, config_.self, about.from, about.id, kind, next, std::move(why)});
}

void Replica::receive_snapshot(NodeId from, SnapshotMessage message) {
    if (stopped_ || message.to != config_.self) return;
    const bool known = receiving_ && receiving_->id == message.id && !receiving_->dropped;
    if (known) receiving_->heard = parts_.shard.clock().now();
    if (const auto* begin = std::get_if<SnapshotBegin>(&message.body); begin && !known)
        return begin_snapshot(from, std::move(message));
    // Of one that this does not know (any more): the sender asks, and hears more then.
    if (!known) return reply_snapshot(from, message, SnapshotReply::Kind::Busy);
    auto* piece = std::get_if<SnapshotPiece>(&message.body);
    if (!piece || !receiving_->take(std::move(*piece)))
        reply_snapshot(from, message, SnapshotReply::Kind::Going, receiving_->next());
}

void Replica::begin_snapshot(NodeId from, SnapshotMessage message) {
    const auto& head = std::get<SnapshotBegin>(message.body).head;
    if (head.meta.index <= core_->commit())
        return reply_snapshot(from, message, SnapshotReply::Kind::Installed);
    if (message.term < core_->term()) {
        snapshots_refused_.add();
        return reply_snapshot(from, message, SnapshotReply::Kind::Refused, 0,
                              "its sender does not lead any more");
    }
    if (receiving_) {
        // Another leader, or the same one again: what the earlier one sent is of no use to it.
        if (!installing_ && message.term >= receiving_->term) drop_snapshot();
        return reply_snapshot(from, message, SnapshotReply::Kind::Busy);
    }
    if (parts_.receiving && !parts_.receiving->take())
        return reply_snapshot(from, message, SnapshotReply::Kind::Busy);
    auto spans = content_spans(config_.group, keyspace_);
    auto staging = parts_.engine.stage(spans);
    if (!staging) {
        if (parts_.receiving) parts_.receiving->give_back();
        engine_failed(staging.error());
        return reply_snapshot(from, message, SnapshotReply::Kind::Refused, 0,
                              staging.error().describe());
    }
    log_.info("group " + to_string(config_.group) + ": node " + to_string(from) +
              " sends a snapshot of index " + to_string(head.meta.index));
    receiving_ = std::make_unique<SnapshotReceiver>(parts_.shard, from, message, std::move(spans),
                                                    std::move(*staging));
    reply_snapshot(from, message, SnapshotReply::Kind::Going);
    scope_.spawn("replica.receive_snapshot", take_in_snapshot());
}

void Replica::drop_snapshot() {
    if (!receiving_) return;
    receiving_->dropped = true;
    receiving_->changed.notify();
}

void Replica::watch_snapshot() {
    if (receiving_ && !receiving_->busy &&
        parts_.shard.clock().now() - receiving_->heard > parts_.snapshot_pace.give_up_after)
        drop_snapshot();
}

port::Task<> Replica::take_in_snapshot() {
    SnapshotReceiver& r = *receiving_;
    auto done = co_await stage_pieces();
    if (done && r.whole() && !r.dropped) {
        r.busy = true;
        done = co_await install();
        if (done && !stopped_)
            parts_.surroundings.send_snapshot_reply(r.node,
                                                    r.reply(SnapshotReply::Kind::Installed));
    }
    if (!done) {
        snapshots_refused_.add();
        log_.warn("group " + to_string(config_.group) + ": the snapshot of index " +
                  to_string(r.head.meta.index) + " is not taken: " + done.error().describe());
        parts_.surroundings.send_snapshot_reply(
            r.node, r.reply(SnapshotReply::Kind::Refused, done.error().describe()));
    }
    receiving_.reset();
    if (parts_.receiving) parts_.receiving->give_back();
}

// An engine that failed does so for good (D10), and where snapshots are all that it is asked for
// nobody else would notice: this replica would refuse them for ever.
void Replica::engine_failed(const Error& error) {
    log_.error("engine: " + error.describe());
    parts_.shard.fatal("the engine failed to take in a snapshot");
}

port::Task<Result<void>> Replica::stage_pieces() {
    SnapshotReceiver& r = *receiving_;
    while (!r.whole() && !r.dropped) {
        if (!r.has_piece()) {
            co_await r.changed.wait();
            continue;
        }
        auto content = r.next_content();
        if (!content) co_return std::unexpected(content.error());
        r.busy = true;
        auto added = co_await r.staging->add(parts_.shard, *content);
        while (!added && added.error().code == Errc::NoSpace && !r.dropped) {
            co_await port::sleep(parts_.shard, kAskAgain);
            added = co_await r.staging->add(parts_.shard, *content);
        }
        r.busy = false;
        r.heard = parts_.shard.clock().now();
        if (!added) {
            if (added.error().code == Errc::Io) engine_failed(added.error());
            co_return added;
        }
        r.staged();
        parts_.surroundings.send_snapshot_reply(r.node, r.reply(SnapshotReply::Kind::Going));
    }
    co_return Result<void>{};
}

// From begin_install() on there is no way back: it ends installed, or with the node.
port::Task<Result<void>> Replica::install() {
    SnapshotReceiver& r = *receiving_;
    const raft::SnapshotMeta& meta = r.head.meta;
    if (stopped_ || !core_->begin_install(parts_.shard.clock().now(), meta)) {
        if (!stopped_ && meta.index <= core_->commit()) co_return Result<void>{};
        co_return fail(Errc::Conflict, "it is of no use here now");
    }
    installing_ = meta.index;
    r.step = SnapshotStep::Beginning;
    if (!MUTANT(replica_install_before_begin)) co_await begin_durably(meta);
    r.step = SnapshotStep::Replacing;
    const Applied applied{meta.index,         meta.term,
                          r.head.commit_time, r.head.matched_by_all,
                          meta.membership,    meta.membership_index};
    port::EngineBatch batch;
    if (!MUTANT(replica_applied_not_in_snapshot))
        batch.put(applied_key(config_.group), encode(applied));
    auto done = co_await r.staging->install(parts_.shard, batch);
    while (!done && done.error().code == Errc::NoSpace && !scope_.stop_requested()) {
        co_await port::sleep(parts_.shard, kAskAgain);
        done = co_await r.staging->install(parts_.shard, batch);
    }
    if (!done && done.error().code == Errc::NoSpace) co_return done;  // closing
    if (!done) {
        log_.error("engine: " + done.error().describe());
        parts_.shard.fatal("the engine failed to install a snapshot");
        co_return done;
    }
    r.step = SnapshotStep::Loading;
    auto sessions = co_await load_sessions(parts_.engine, parts_.shard, config_.group);
    const auto records = co_await load_records(meta.index);
    // The core may have said meanwhile that this replica was removed: then there is nothing to tell
    // it any more.
    drain();
    if (!sessions)
        stop("its session windows cannot be read: " + sessions.error().describe());
    else if (!records)
        stop("what was installed cannot be read: " + records.error().describe());
    else if (!stopped_)
        installed(applied, std::move(*sessions), meta);
    co_return Result<void>{};
}

// What of the new state is kept in memory, or told to the surroundings.
port::Task<Result<void>> Replica::load_records(LogIndex at) {
    auto boundary = co_await load_boundary(parts_.engine, parts_.shard, config_.group);
    if (!boundary) co_return std::unexpected(boundary.error());
    boundary_ = bounds_ = std::move(*boundary);
    bounds_since_ = {};
    if (parts_.watched.empty()) co_return Result<void>{};
    const auto watched = co_await parts_.engine.get(parts_.shard, parts_.watched);
    if (!watched) co_return std::unexpected(watched.error());
    if (*watched) parts_.surroundings.on_watched(config_.group, **watched, at);
    co_return Result<void>{};
}

port::Task<> Replica::begin_durably(raft::SnapshotMeta meta) {
    parts_.journal.begin_install(config_.group, {meta.index, meta.term});
    const journal::BatchId batch = parts_.journal.current_batch();
    while (persisted_ < batch)
        co_await persisted_changed_.wait();
}

// State, applied index and log move in one step (rule 29).
void Replica::installed(Applied applied, session::Table sessions, const raft::SnapshotMeta& meta) {
    applied_ = std::move(applied);
    sessions_ = std::move(sessions);
    last_label_ = std::max(last_label_, applied_.commit_time);
    to_apply_.clear();
    unwritten_ = {};
    engine_stalled_ = false;
    flushing_.clear();
    durable_applied_ = meta.index;
    installing_ = {};
    if (core_->holds(meta.index, meta.term)) {  // the log goes on behind it (rule 27)
        parts_.journal.installed(config_.group);
    } else {
        parts_.journal.reset(config_.group, {meta.index, meta.term});
        log_sizes_.reset(meta.index);
        compacted_ = meta.index;
    }
    core_->step({parts_.shard.clock().now(), raft::Installed{meta}});
    snapshots_installed_.add();
    log_.info("group " + to_string(config_.group) + ": the snapshot of index " +
              to_string(meta.index) + " is installed");
    wake();
}

}  // namespace asterias::replica
