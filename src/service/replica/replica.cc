#include "service/replica/replica.h"

#include <algorithm>

#include "base/mutant.h"

namespace asterias::replica {
namespace {

constexpr size_t kHeardFromMax = 64;         // replicas that no membership here names
constexpr Duration kAskAround = seconds(2);  // without a leader

std::string labels_of(GroupId group) { return "group=\"" + to_string(group) + "\""; }

}  // namespace

Replica::Replica(Parts parts, KeyspaceId keyspace, raft::Config config, Applied applied)
    : parts_(parts),
      keyspace_(keyspace),
      config_(std::move(config)),
      log_(parts.log.named("replica")),
      persisted_changed_(parts.shard),
      scope_(parts.shard),
      applied_(std::move(applied)),
      durable_applied_(applied_.index),
      last_label_(applied_.commit_time),
      expired_(parts.registry.counter("asterias_expired_keys_total",
                                      "Keys found past their deadline by leaders here.")),
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
          labels_of(config_.group))),
      snapshots_sent_(parts.registry.counter("asterias_group_snapshots_sent_total",
                                             "Snapshots that a peer installed.",
                                             labels_of(config_.group))),
      snapshots_given_up_(parts.registry.counter("asterias_group_snapshots_given_up_total",
                                                 "Snapshots for a peer that were given up.",
                                                 labels_of(config_.group))),
      snapshots_resumed_(parts.registry.counter(
          "asterias_group_snapshots_resumed_total",
          "Times that a snapshot went on behind what the peer had.", labels_of(config_.group))),
      snapshots_installed_(parts.registry.counter("asterias_group_snapshots_installed_total",
                                                  "Snapshots installed here.",
                                                  labels_of(config_.group))),
      snapshots_refused_(parts.registry.counter("asterias_group_snapshots_refused_total",
                                                "Snapshots that came and were not taken.",
                                                labels_of(config_.group))) {}

Replica::~Replica() = default;

void Replica::wake() {
    if (std::exchange(dirty_, true)) return;
    parts_.surroundings.wake(config_.group);
}

void Replica::receive(NodeId from, const raft::Message& message) {
    if (stopped_ || is_void(from, message)) return;
    if (message.to == config_.self && !core_->membership().find(message.from)) {
        if (heard_from_.size() >= kHeardFromMax) heard_from_.clear();
        heard_from_[message.from] = from;
    }
    if (const auto* append = std::get_if<raft::AppendRequest>(&message.body))
        for (const auto& entry : append->entries)
            if (!wire::entry_intact(config_.group, entry)) {
                corrupt_entries_.add();
                log_.warn("group " + to_string(config_.group) + ": entry " +
                          to_string(entry.index) + " arrived with a wrong checksum; dropped");
                return;
            }
    // What is not taken is not acknowledged, and comes again.
    if (journal_full_ && !follower_has_space(message)) return;
    const uint64_t before = core_->malformed_messages();
    core_->step({parts_.shard.clock().now(), raft::Received{message}});
    if (core_->malformed_messages() != before) {
        refused_messages_.add();
        log_.warn("group " + to_string(config_.group) +
                  ": no correct peer can send this, dropped: " + raft::describe(message));
    }
    // What fits has to be in the journal before the next is asked about.
    if (journal_full_) drain();
    wake();
}

void Replica::tick() {
    if (stopped_) return;
    core_->step({parts_.shard.clock().now(), raft::Tick{}});
    ask_around();
    compact();
    tick_snapshots();
    if (write_to_engine()) sweep();
    look_at_space();
    prune();
    start_spans();
    if (core_->has_output() || !queue_.empty() || !to_apply_.empty()) wake();
}

void Replica::on_persisted(journal::BatchId through) {
    persisted_ = through;
    persisted_changed_.notify();
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
    for (auto& [to, sender] : sending_)
        if (sender->node() == peer) sender->on_peer_down();
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
    start_spans();
    // While the engine stalls the next tick is soon enough.
    if (!to_apply_.empty() && !engine_stalled_ && !stopped_ && !still_to_come()) wake();
}

raft::ChangeOutcome Replica::change(const raft::Change& change) {
    if (stopped_) return raft::NotLeader{};
    auto outcome = core_->change(parts_.shard.clock().now(), change);
    wake();
    return outcome;
}

raft::ChangeOutcome Replica::transfer(NodeId to) {
    if (stopped_) return raft::NotLeader{};
    auto outcome = core_->transfer(parts_.shard.clock().now(), to);
    wake();
    return outcome;
}

void Replica::drain() {
    while (core_->has_output() && !stopped_) {
        raft::Output out = core_->take_output();
        if (out.forgotten) return stop(describe_loss(*out.forgotten));
        if (out.removed) {
            // Its last words: the lead goes to another, others hear that they were removed, too.
            for (const auto& message : out.messages)
                send(message);
            return leave("this replica was removed from its group");
        }
        if (out.persist_id) {
            if (out.hard_state)
                parts_.journal.set_vote(config_.group,
                                        {out.hard_state->term, out.hard_state->vote, config_.self});
            if (!out.append.empty()) parts_.journal.append(config_.group, out.append);
            log_sizes_.append(out.append);
            persisting_.emplace_back(parts_.journal.current_batch(), out.persist_id);
        }
        if (out.membership)
            log_.info("group " + to_string(config_.group) + ": " + raft::describe(*out.membership));
        if (out.role_change) note_role(*out.role_change);
        for (const auto& message : out.messages)
            send(message);
        for (const auto& wanted : out.snapshots_wanted)
            wanted_[wanted.to.replica] = wanted;
        for (auto& entry : out.committed)
            to_apply_.push_back(std::move(entry));
        apply_committed();
        if (stopped_) return;
        answer_committed();
        for (const auto& read : out.reads_confirmed)
            confirm_read(read.context);
        for (const auto& read : out.reads_refused)
            refuse_read(read.context);
    }
    start_snapshots();
}

void Replica::note_role(const raft::RoleChange& change) {
    // Also when it was lost and won again since the last output.
    if (leading_ && (change.role != raft::Role::Leader || change.term != term_seen_)) {
        lose_leadership();
        end_snapshots("the lead was lost");
    }
    leading_ = change.role == raft::Role::Leader;
    sweep_wanted_ = leading_;
    sweep_found_ = true;  // a pass that an earlier leadership began saw nothing since
    leader_seen_ = change.leader;
    term_seen_ = change.term;
    parts_.surroundings.on_leader(config_.group, leader_seen_, term_seen_);
}

void Replica::send(const raft::Message& message) {
    if (const raft::Member* member = core_->membership().find(message.to))
        return parts_.surroundings.send(member->node, config_.group, message);
    // A leader that a new replica knows nothing of yet; a replica that was removed.
    const auto it = heard_from_.find(message.to);
    if (it != heard_from_.end()) parts_.surroundings.send(it->second, config_.group, message);
}

// A number is given by an entry, and again if that entry was lost with its leader: then whoever was
// made by the lost one, on another node, is nobody.
bool Replica::is_void(NodeId from, const raft::Message& message) {
    const raft::Member* known = applied_.membership.find(message.from);
    if (!known || known->node == from || MUTANT(replica_void_number_heard)) return false;
    if (std::holds_alternative<raft::VoteRequest>(message.body))
        parts_.surroundings.send(
            from, config_.group,
            {config_.self, message.from, core_->term(), raft::Removed{applied_.membership_index}});
    return true;
}

// Whom nobody leads may have been removed, and every replica that it knows of, too; or it was just
// made and knows of none. So it asks every node; whoever knows that it was removed says so
// (rule 19). The question is a pre-vote with an empty log: it moves nobody, and wins nothing.
void Replica::ask_around() {
    const Instant now = parts_.shard.clock().now();
    const bool lonely = !core_->leader();
    if (!lonely || next_question_ == Instant() || MUTANT(replica_orphan_stays)) {
        next_question_ = now + kAskAround;
        return;
    }
    if (now < next_question_) return;
    next_question_ = now + kAskAround;
    parts_.surroundings.send({}, config_.group,
                             {config_.self,
                              {},
                              core_->term().next(),
                              raft::VoteRequest{.pre = true, .last_index = {}, .last_term = {}}});
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
    log_.error("group " + to_string(config_.group) + " is stopped on this node: " + why);
    halt(std::move(why));
}

void Replica::halt(std::string why) {
    stopped_ = true;
    stopped_why_ = std::move(why);
    if (core_) lose_leadership();
    end_snapshots("the group is stopped here");
    drop_snapshot();
}

void Replica::leave(const std::string& why) {
    if (std::exchange(removed_, true)) return;
    if (!stopped_) {
        log_.info("group " + to_string(config_.group) + " goes from this node: " + why);
        halt(why);
    }
    parts_.surroundings.on_removed(config_.group);
}

void Replica::superseded() {
    leave("this replica was removed from its group, and this node holds another one from now on");
}

Status Replica::status() const {
    Status s{config_.group,
             core_ ? core_->status() : raft::Status{},
             stopped_,
             stopped_why_,
             queue_.size(),
             proposed_.size(),
             overlay_.size(),
             to_apply_.size(),
             in_engine(),
             durable_applied_,
             log_sizes_.bytes(),
             {},
             removed_,
             config_.self,
             dropped_ > applied_.matched_by_all && core_ && is_witness()};
    if (stopped_) {  // its core stands still where it was, which may be in the lead
        s.raft.role = raft::Role::Follower;
        s.raft.leader = {};
        s.raft.peers.clear();
    }
    for (const auto& [to, sender] : sending_)
        s.snapshots.push_back(
            {false, sender->node(), sender->head().meta.index, sender->bytes(), {}});
    if (receiving_)
        s.snapshots.push_back({true, receiving_->node, receiving_->head.meta.index,
                               receiving_->staging->bytes(), receiving_->step});
    return s;
}

port::Task<> Replica::close() {
    scope_.request_stop();
    end_snapshots("the node stops");
    drop_snapshot();
    co_await scope_.close();
}

}  // namespace asterias::replica
