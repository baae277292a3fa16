// core/raft/testing/cluster.h: several cores, the messages between them, their disks and state
// machines, all under the control of a test, in one thread. Tests only.
//
// A replica's disk takes writes in order and completes them when told to (or at once, by default).
// A crash loses the writes not completed; optionally a prefix of them was on the platter after all,
// which the node was never told. The state machine is a list of entries; the cluster checks what
// every node gives as committed against one global history, and every leader against it (election
// safety, log matching of what is committed, leader completeness, state-machine safety), and each
// committed membership against the one before it; faults are collected in `violations`.
//
// A snapshot that a leader asks for lies in `snapshots` until it is delivered; its install then
// goes on step by step (journal: begun; engine: installed; journal: ended), with a crash possible
// between any two. A message to a replica that is not there yet makes one, as a driver would; one
// that was removed is deleted and never comes back.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/raft/core.h"
#include "core/raft/memberships.h"

namespace asterias::raft::testing {

struct Write {
    PersistId id;  // 0: the core does not ask
    std::optional<HardState> hard_state;
    std::vector<Entry> append;
    // An install, as the journal hears of it: it begins; it ends.
    std::optional<SnapshotMeta> begin{};
    std::optional<SnapshotMeta> reset{};  // the log is void and goes on behind this
    bool installed = false;               // the log stays
};

// What survives a crash.
struct Disk {
    HardState hard_state;
    LogIndex log_start;
    Term log_start_term;
    LogIndex applied;  // as the engine has it durably
    std::vector<Entry> entries;
    // The engine's: as of `applied`. Empty voters: it never heard of any.
    Memberships::At members;
    std::optional<SnapshotMeta> installing;  // the journal's: begun, and not ended

    void take(const Write& write);
    void reset(const SnapshotMeta& meta);
    bool has(LogIndex index, Term term) const;
    // What start-up does with an install that was begun: end it if the engine has it, else forget.
    void finish_install();
    LogIndex last() const { return log_start.plus(entries.size()); }
};

struct Snapshot {
    ReplicaId from, to;
    SnapshotMeta meta;
};

struct Node {
    ReplicaId id;
    NodeId node;
    bool removed = false;
    std::optional<Core> core;  // none: crashed
    Instant now{Duration(seconds(1))};
    Disk disk;
    std::deque<Write> writes;  // under way
    bool writes_at_once = true;
    bool applies_at_once = true;
    LogIndex applied;  // by the state machine in memory
    LogIndex given;
    Memberships::At members;  // as of `applied`
    std::optional<Snapshot> installing;
    bool installed_in_engine = false;  // of `installing`
    int lives = 0;
};

class Cluster {
public:
    // Replicas 1..count live on nodes 1..count, and are the group's first voters.
    Cluster(size_t count, uint64_t seed, std::function<void(Config&)> tune = {});

    // Starts (again) from the node's disk.
    void start(ReplicaId id);
    // `kept`: how many of the writes under way reached the disk unnoticed.
    void crash(ReplicaId id, size_t kept = 0);
    // Feeds one event and drains.
    void feed(ReplicaId id, Event event);
    ProposeOutcome propose(ReplicaId id, std::string payload);
    ChangeOutcome change(ReplicaId id, const Change& change);
    ChangeOutcome transfer(ReplicaId id, NodeId to);
    // Takes the output and deals with it: queues writes, messages, applies.
    void drain(ReplicaId id);
    // Completes the oldest write; false: there is none.
    bool persist(ReplicaId id);
    // Applies everything given; false: there was nothing.
    bool apply(ReplicaId id);
    // The engine becomes durable.
    void flush(ReplicaId id);
    // Forgets the log up to there, on the disk and in the core; false: it cannot.
    bool compact(ReplicaId id, LogIndex through);
    // Delivers this snapshot: an install begins, or the receiver needs none. `lost`: neither.
    void deliver_snapshot(size_t at, bool lost = false);
    // Takes the install one step on; false: none is under way.
    bool step_install(ReplicaId id);
    // The node's clock moves on in steps of 20 ms, with a Tick each.
    void pass(ReplicaId id, Duration duration);

    // Delivers the message at this place of the bag (`keep`: and leaves a copy there).
    void deliver(size_t at, bool keep = false);
    bool link_open(ReplicaId from, ReplicaId to) const;
    void set_link(ReplicaId from, ReplicaId to, bool open) { links_[{from, to}] = open; }
    void heal() { links_.clear(); }
    // Delivers, persists and applies until nothing moves; messages over closed links are lost.
    // False: it did not come to rest within `most` deliveries.
    bool settle(size_t most = 100'000);
    // All clocks move on together, settling at each step.
    void run(Duration duration);
    // Runs until a leader is ready, at most 30 s; 0: none.
    ReplicaId elect();

    Node& node(ReplicaId id) { return nodes_.at(id); }
    const Node& node(ReplicaId id) const { return nodes_.at(id); }
    bool exists(ReplicaId id) const { return nodes_.contains(id); }
    Core& core(ReplicaId id) { return *nodes_.at(id).core; }
    bool up(ReplicaId id) { return nodes_.at(id).core.has_value(); }
    std::vector<ReplicaId> ids() const;
    ReplicaId ready_leader();

    std::vector<Message> bag;
    std::vector<Snapshot> snapshots;
    bool snapshots_at_once = true;  // settle() delivers and installs them
    // Of the replicas, by the last membership that any of them took into force.
    std::map<ReplicaId, NodeId> homes;
    Memberships::At committed_members;  // the highest one in `history`
    size_t changes_committed = 0, installs = 0;
    std::vector<std::string> violations;
    std::map<LogIndex, Entry> history;  // the first word of anybody on what is committed
    std::map<Term, ReplicaId> leaders;
    // (node, what) for traces.
    std::function<void(ReplicaId, const Output&)> on_output;
    // A replica was made, for a message that came to it.
    std::function<void(ReplicaId)> on_new;
    std::vector<uint64_t> reads_confirmed, reads_refused;
    // A read and what anybody had committed when it was asked.
    std::map<uint64_t, LogIndex> reads_asked;

    LogIndex highest_committed() const;
    // All running nodes hold the same applied entries; otherwise the reason.
    std::string difference();

private:
    void check_leader(ReplicaId id);
    void check_committed(ReplicaId id, const std::vector<Entry>& entries);
    void check_membership(ReplicaId id, const Entry& entry);
    void check_read(ReplicaId id, uint64_t context);
    void fault(ReplicaId id, const std::string& what);
    void make(ReplicaId id, NodeId node);
    void take_snapshot(ReplicaId id, const SnapshotWanted& wanted);
    bool settle_snapshots();

    std::function<void(Config&)> tune_;
    Prng seeds_;
    std::map<ReplicaId, Node> nodes_;
    std::map<std::pair<ReplicaId, ReplicaId>, bool> links_;
};

}  // namespace asterias::raft::testing
