// sim/explore/replica.h: one replica under exploration: the real consensus core, its disk, and what
// is on its way there. It does exactly one action at a time and depends on nothing else.
//
// The disk: writes are completed in order, one Persist each (or at once, by Setup). A crash keeps
// any prefix of those under way, tells nobody, loses the rest, and starts the replica again: a
// replica that is down does nothing that one which hears nothing does not do. The engine applies at
// once what is given; it is durable there with a compaction or an install. Time moves by heartbeat
// intervals only, in Campaign and Beat; both election timeouts are equal. So Core::fingerprint() is
// complete (core/raft/fingerprint.cc). A snapshot is one parcel, whole or not at all: its pieces
// are the driver's business. Its install goes step by step (journal: begun; engine: installed;
// journal: ended), with a crash possible between any two.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/raft/core.h"
#include "core/raft/memberships.h"

namespace asterias::sim::explore {

enum class Kind : uint8_t {
    Deliver,   // arg: the parcel's number
    Persist,   // the oldest write under way is durable
    Crash,     // arg: so many of the writes under way are on the disk after all
    Campaign,  // its connection to the leader closes, the election timeout passes
    Beat,      // of a leader: a heartbeat interval passes
    Propose,   // arg: the number of the proposal
    Read,      // arg: the read's context
    Compact,   // the engine is flushed, and the log dropped up to there
    Install,   // the next step of the install that was begun
    Change,    // arg: which of Setup::changes
    Transfer,  // arg: the node
};

struct Action {
    Kind kind = Kind::Deliver;
    uint8_t replica = 0;  // counts from 0
    uint32_t arg = 0;

    uint32_t packed() const {
        return static_cast<uint32_t>(kind) << 27 | static_cast<uint32_t>(replica) << 24 | arg;
    }
    static Action unpacked(uint32_t bits) {
        return {static_cast<Kind>(bits >> 27), static_cast<uint8_t>(bits >> 24 & 7),
                bits & 0xFFFFFF};
    }
};

// How often each of these may happen.
struct Budgets {
    uint8_t campaigns = 0, crashes = 0, proposals = 0, reads = 0, beats = 0, compactions = 0,
            changes = 0, transfers = 0;
};

// What is explored, and within which bounds.
struct Setup {
    std::string name;
    std::string about;
    bool brief = false;  // seconds; part of every test run
    size_t founders = 3;
    size_t joiners = 0;  // replicas with the next numbers, that know of nothing yet
    Budgets bounds;
    std::vector<raft::Change> changes = {};  // each once, in this order, by whoever leads
    bool writes_at_once = false;
    // Pre-votes as messages. Otherwise a replica that asks gets them at once from everybody: they
    // are for liveness alone, so that safety may not depend on them.
    bool prevotes = false;
    // Start with replica 1 leading and all that it wrote on all disks; otherwise with nothing.
    bool led = false;
    bool one_entry_a_message = false;
    // Otherwise whatever is under way when somebody campaigns is lost.
    bool late = true;
    // A queue for each pair of replicas, instead of a set that any number of copies come out of.
    bool in_order = false;

    size_t replicas() const { return founders + joiners; }
};

// What the network carries: a message, or a snapshot, or (from the receiver's driver to the
// sender's) what became of one.
struct Parcel {
    raft::Message message;  // of the latter two: from and to only
    std::optional<raft::SnapshotMeta> snapshot;
    std::optional<raft::SnapshotSent> outcome;
};
std::string describe(const Parcel& parcel);

struct Write {
    raft::PersistId id;  // 0: the core does not ask
    std::optional<raft::HardState> hard_state;
    std::vector<raft::Entry> append;
    // The end of an install, as the journal hears it.
    std::optional<raft::SnapshotMeta> reset{};  // the log is void and goes on behind this
    bool installed = false;                     // the log stays
};

struct Disk {
    raft::HardState hard_state;
    LogIndex log_start;
    Term log_start_term;
    LogIndex applied;  // as the engine has it durably
    std::vector<raft::Entry> entries;
    raft::Memberships::At members;                 // the engine's, as of `applied`
    std::optional<raft::SnapshotMeta> installing;  // the journal's: begun, and not ended

    LogIndex last() const { return log_start.plus(entries.size()); }
    bool has(LogIndex index, Term term) const;
    void take(const Write& write);
    // What start-up does with an install that was begun: end it if the engine has it, else forget.
    void finish_install();
    void reset(const raft::SnapshotMeta& meta);
};

// What one action made of a replica, beside its new state.
struct Effects {
    std::vector<Parcel> parcels;
    std::vector<uint64_t> reads_confirmed;
    std::string fault;  // a broken rule that the replica alone shows; empty: none
    std::string trace;  // for people, when `tell`
    bool tell = false;
};

class Replica {
public:
    // number counts from 0; the replica's id is one more, and its node's.
    Replica(const Setup& setup, size_t number);

    Replica clone() const;
    // False: this action is not possible now; the replica may then be in any state. `parcel` for
    // Deliver.
    bool act(Action action, const Parcel* parcel, Effects& effects);
    std::string fingerprint() const;

    const raft::Core& core() const { return *core_; }
    const Disk& disk() const { return disk_; }
    size_t writes() const { return writes_.size(); }
    bool removed() const { return removed_; }
    bool installing() const { return installing_.has_value(); }
    ReplicaId id() const { return ReplicaId(number_ + 1); }

private:
    Replica(const Replica& other, raft::Core core);
    raft::Config config() const;
    raft::Core recovered() const;
    void step(raft::Event event, Effects& effects);
    void drain(Effects& effects);
    void take_committed(const std::vector<raft::Entry>& entries, Effects& effects);
    bool persist(Effects& effects);
    bool campaign(Effects& effects);
    bool deliver(const Parcel& parcel, Effects& effects);
    void forget_leader(Effects& effects);
    bool crash(size_t kept, Effects& effects);
    bool compact(Effects& effects);
    bool install(Effects& effects);

    const Setup* setup_;
    size_t number_;
    Instant now_{Duration(seconds(1))};
    Disk disk_;
    std::deque<Write> writes_;
    LogIndex given_;
    raft::Memberships::At members_;  // as of given_
    std::optional<Parcel> installing_;
    bool in_engine_ = false;  // of installing_
    bool removed_ = false;
    std::optional<raft::Core> core_;  // always there; a Core cannot be assigned
};

std::string describe(Action action, const Parcel* parcel, const Setup& setup);

}  // namespace asterias::sim::explore
