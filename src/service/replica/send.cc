// Snapshots for peers that need what the log no longer has: one at a time for a peer, a bounded
// number for the shard.
#include <algorithm>

#include "service/replica/replica.h"

namespace asterias::replica {

void Replica::start_snapshots() {
    if (!leading_ || wanted_.empty() || installing_) return;
    // A copy: a sender may end, and be wanted again, inside.
    const auto wanted = wanted_;
    for (const auto& [to, snapshot] : wanted)
        if (!sending_.contains(to)) start_snapshot(snapshot);
}

void Replica::start_snapshot(const raft::SnapshotWanted& wanted) {
    if (applied_.index < wanted.at_least) return;
    // First, and for as long as others take their time: every turn comes by here.
    if (parts_.sending && !parts_.sending->take()) return;
    // The view has to be of what is applied, neither more nor less.
    if (!write_to_engine()) {
        if (parts_.sending) parts_.sending->give_back();
        return;
    }
    wanted_.erase(wanted.to.replica);
    const SnapshotHead head{core_->meta_at(applied_.index), applied_.commit_time,
                            applied_.matched_by_all};
    const SnapshotMessage blank{config_.group,
                                config_.self,
                                wanted.to.replica,
                                core_->term(),
                                parts_.shard.entropy().next(),
                                {}};
    std::vector<port::Span> spans;
    if (!wanted.to.witness) spans = content_spans(config_.group, keyspace_);
    log_.info("group " + to_string(config_.group) + ": node " + to_string(wanted.to.node) +
              " gets a snapshot of index " + to_string(head.meta.index));
    sending_[wanted.to.replica] = std::make_unique<SnapshotSender>(
        parts_.shard, parts_.engine, parts_.snapshot_pace, wanted.to.node, blank, head,
        std::move(spans), parts_.engine.snapshot(),
        [this, node = wanted.to.node](const SnapshotMessage& message) {
            return parts_.surroundings.send_snapshot(node, message);
        });
    scope_.spawn("replica.send_snapshot", send_snapshot(wanted.to.replica));
}

port::Task<> Replica::send_snapshot(ReplicaId to) {
    SnapshotSender& sender = *sending_.at(to);
    const bool delivered = co_await sender.run();
    const LogIndex index = sender.head().meta.index;
    const uint64_t resumed = sender.resumed();
    log_.info("group " + to_string(config_.group) + ": the snapshot of index " + to_string(index) +
              " for node " + to_string(sender.node()) +
              (delivered ? " is installed there" : " was given up: " + sender.why()));
    sending_.erase(to);
    if (parts_.sending) parts_.sending->give_back();
    (delivered ? snapshots_sent_ : snapshots_given_up_).add();
    snapshots_resumed_.add(resumed);
    if (stopped_) co_return;
    core_->step({parts_.shard.clock().now(), raft::SnapshotSent{to, index, delivered}});
    wake();
}

void Replica::end_snapshots(const std::string& why) {
    wanted_.clear();
    for (auto& [to, sender] : sending_)
        sender->stop(why);
}

void Replica::tick_snapshots() {
    for (auto& [to, sender] : sending_) {
        if (!core_->membership().find(to)) sender->stop("it is no member any more");
        sender->tick();
    }
    start_snapshots();
    watch_snapshot();
}

void Replica::receive_snapshot_reply(const SnapshotReply& reply) {
    const auto it = sending_.find(reply.from);
    if (it == sending_.end() || stopped_ || reply.to != config_.self) return;
    it->second->on_reply(reply);
}

}  // namespace asterias::replica
