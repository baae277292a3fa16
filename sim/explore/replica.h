// sim/explore/replica.h: one replica under exploration: the real consensus core, its disk, and what
// is on its way there. It does exactly one action at a time and depends on nothing else.
//
// The disk: writes are completed in order, one Persist each (or at once, by Setup). A crash keeps
// any prefix of those under way, tells nobody, loses the rest, and starts the replica again: a
// replica that is down does nothing that one which hears nothing does not do. Time moves by
// heartbeat intervals only, in Campaign and Beat; both election timeouts are equal. So
// Core::fingerprint() is complete (core/raft/fingerprint.cc).
// What is given as committed is applied at once.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/raft/core.h"

namespace asterias::sim::explore {

enum class Kind : uint8_t {
    Deliver,   // arg: the message's number
    Persist,   // the oldest write under way is durable
    Crash,     // arg: so many of the writes under way are on the disk after all
    Campaign,  // its connection to the leader closes, the election timeout passes
    Beat,      // of a leader: a heartbeat interval passes
    Propose,   // arg: the number of the proposal
    Read,      // arg: the read's context
};
inline constexpr size_t kKinds = 7;

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

// What is explored, and within which bounds.
struct Setup {
    std::string name;
    std::string about;
    bool brief = false;  // seconds; part of every test run
    size_t replicas = 3;
    uint8_t campaigns = 1, crashes = 0, proposals = 0, reads = 0, beats = 0;
    bool writes_at_once = false;
    // Pre-votes as messages. Otherwise a replica that asks gets them at once from everybody: they
    // are for liveness alone, so that safety may not depend on them.
    bool prevotes = false;
    // Start with replica 1 leading and all that it wrote on all disks; otherwise with nothing.
    bool led = false;
    bool one_entry_a_message = false;
    // Otherwise whatever is under way when somebody campaigns is lost.
    bool late = true;
};

struct Write {
    raft::PersistId id;
    std::optional<raft::HardState> hard_state;
    std::vector<raft::Entry> append;
};

struct Disk {
    raft::HardState hard_state;
    std::vector<raft::Entry> entries;  // from index 1 on

    void take(const Write& write);
};

// What one action made of a replica, beside its new state.
struct Effects {
    std::vector<raft::Message> messages;
    std::vector<uint64_t> reads_confirmed;
    std::string fault;  // a broken rule that the replica alone shows; empty: none
    std::string trace;  // for people, when Effects::tell
    bool tell = false;
};

class Replica {
public:
    // number counts from 0; the replica's id is one more.
    Replica(const Setup& setup, size_t number);

    Replica clone() const;
    // False: this action is not possible now; the replica may then be in any state. `message` for
    // Deliver.
    bool act(Action action, const raft::Message* message, Effects& effects);
    std::string fingerprint() const;

    const raft::Core& core() const { return *core_; }
    const Disk& disk() const { return disk_; }
    // Its log as the next vote or append would be judged by it.
    const std::vector<raft::Entry>& log() const { return log_; }
    size_t writes() const { return writes_.size(); }
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
    bool deliver(const raft::Message& message, Effects& effects);

    const Setup* setup_;
    size_t number_;
    Instant now_{Duration(seconds(1))};
    Disk disk_;
    std::deque<Write> writes_;
    std::vector<raft::Entry> log_;
    LogIndex given_;
    std::optional<raft::Core> core_;  // always there; a Core cannot be assigned
};

std::string describe(Action action, const raft::Message* message);

}  // namespace asterias::sim::explore
