// core/raft/testing/cluster.h: several cores, the messages between them, their disks and state
// machines, all under the control of a test, in one thread. Tests only.
//
// A node's disk takes writes in order and completes them when told to (or at once, by default). A
// crash loses the writes not completed; optionally a prefix of them was on the platter after all,
// which the node was never told. The state machine is a list of entries; the cluster checks what
// every node gives as committed against one global history, and every leader against it (election
// safety, log matching of what is committed, leader completeness, state-machine safety); faults are
// collected in `violations`.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/raft/core.h"

namespace asterias::raft::testing {

struct Write {
    PersistId id;
    std::optional<HardState> hard_state;
    std::vector<Entry> append;
};

// What survives a crash.
struct Disk {
    HardState hard_state;
    LogIndex log_start;
    Term log_start_term;
    LogIndex applied;  // as the engine has it durably
    std::vector<Entry> entries;

    void take(const Write& write);
};

struct Node {
    ReplicaId id;
    std::optional<Core> core;  // none: crashed
    Instant now{Duration(seconds(1))};
    Disk disk;
    std::deque<Write> writes;  // under way
    bool writes_at_once = true;
    bool applies_at_once = true;
    LogIndex applied;  // by the state machine in memory
    LogIndex given;
    int lives = 0;
};

class Cluster {
public:
    // Replicas 1..count live on nodes 1..count.
    Cluster(size_t count, uint64_t seed, std::function<void(Config&)> tune = {});

    // Starts (again) from the node's disk.
    void start(ReplicaId id);
    // `kept`: how many of the writes under way reached the disk unnoticed.
    void crash(ReplicaId id, size_t kept = 0);
    // Feeds one event and drains.
    void feed(ReplicaId id, Event event);
    ProposeOutcome propose(ReplicaId id, std::string payload);
    // Takes the output and deals with it: queues writes, messages, applies.
    void drain(ReplicaId id);
    // Completes the oldest write; false: there is none.
    bool persist(ReplicaId id);
    // Applies everything given; false: there was nothing.
    bool apply(ReplicaId id);
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
    Core& core(ReplicaId id) { return *nodes_.at(id).core; }
    bool up(ReplicaId id) { return nodes_.at(id).core.has_value(); }
    std::vector<ReplicaId> ids() const;
    ReplicaId ready_leader();

    std::vector<Message> bag;
    std::vector<std::string> violations;
    std::map<LogIndex, Entry> history;  // the first word of anybody on what is committed
    std::map<Term, ReplicaId> leaders;
    // (node, what) for traces.
    std::function<void(ReplicaId, const Output&)> on_output;
    std::vector<uint64_t> reads_confirmed, reads_refused;
    // A read and what anybody had committed when it was asked.
    std::map<uint64_t, LogIndex> reads_asked;

    LogIndex highest_committed() const;
    // All running nodes hold the same applied entries; otherwise the reason.
    std::string difference();

private:
    void check_leader(ReplicaId id);
    void check_committed(ReplicaId id, const std::vector<Entry>& entries);
    void check_read(ReplicaId id, uint64_t context);
    void fault(ReplicaId id, const std::string& what);

    std::function<void(Config&)> tune_;
    Prng seeds_;
    std::map<ReplicaId, Node> nodes_;
    std::map<std::pair<ReplicaId, ReplicaId>, bool> links_;
};

}  // namespace asterias::raft::testing
