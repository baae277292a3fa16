// core/raft/core.h: Raft consensus for one group, as a pure state machine.
//
// Contract. Feed one Input with step() (or propose()), then drain take_output() before the next
// turn ends. The driver:
//   1. journals Output::hard_state and Output::append in one batch, in the order of outputs, and
//      when that batch is durable feeds Persisted{persist_id}; a failed write stops the node
//      (rule 36);
//   2. sends Output::messages whenever it likes: every message that depends on durable state is
//      held back inside the core until its Persisted arrives (rules 1, 2, 7, 8, 45);
//   3. applies Output::committed in order and feeds Applied;
//   4. sends snapshots that are wanted and feeds SnapshotSent; asks begin_install() before it
//      installs one;
//   5. feeds Tick at least every 20 ms, with now constant within a turn; a longer gap counts as one
//      heartbeat interval at most (rule 34). A quiet group needs no ticks until it wakes (rule 40).
// step() is total: any input in any role, duplicated, reordered, late, or from an earlier life. No
// message fails a CHECK, for its bytes are somebody else's: what only a broken or lying peer can
// send (a second leader of one term, an acknowledgement beyond the log, another entry in the place
// of a committed one) is dropped and counted, whole. Only a broken driver fails one, by Applied
// beyond what was given or Installed without a begin_install(). A commit beyond the log may also be
// the fault of a disk: see Forgotten.
//
// Invariants, CHECKed in every build: (I1) applied <= commit <= last; (I2) at most one vote per
// term; (I3) commits by counting only entries of the current term [3.6.2]; (I4) nothing at or below
// commit is ever truncated; (I5) terms never go back; (I6) a leader only appends in its term.
// Threading: none; one owner.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/prng.h"
#include "core/raft/types.h"

namespace asterias::raft {

struct Config {
    GroupId group;
    ReplicaId self;
    // As of Recovered::membership_index. Empty voters: a replica that was just made for a member
    // that a leader told us to be; it hears of the rest with the log or a snapshot (rule 13).
    Membership membership;
    Duration election_timeout_min = milliseconds(600);
    Duration election_timeout_max = milliseconds(900);
    Duration heartbeat_interval = milliseconds(100);
    size_t append_bytes_max = 256 * 1024;  // payload of one AppendRequest (one entry may exceed it)
    size_t inflight_messages_max = 128;    // unanswered AppendRequests per peer
    size_t inflight_bytes_max = 16 * 1024 * 1024;     // their payload
    size_t uncommitted_bytes_max = 64 * 1024 * 1024;  // propose() answers Overloaded above it
    // A learner is promoted once it lacks no more than so many entries (rule 17).
    uint64_t promotion_lag_max = 1000;
    // A group without proposals and reads for so long goes quiet (rule 40); 0: never.
    Duration quiesce_after{0};
    // Reads without a round while a lease holds (rule 23); 0: leases are off. What clocks may be
    // apart in their rate, as a part of the election timeout, is taken off as margin. All members
    // have to agree on this, for voters keep a promise by it. The driver's clock has to count
    // suspends, and the `now` of a ReadRequested has to be read after the request came in.
    uint32_t lease_drift_ppm = 0;
};

// What the journal and the engine still had. entries are contiguous, first one at log_start + 1.
struct Recovered {
    HardState hard_state;
    LogIndex log_start;  // the last index that is compacted away; 0: none
    Term log_start_term;
    LogIndex applied;  // log_start <= applied; known committed
    std::vector<Entry> entries;
    LogIndex membership_index{};  // of Config::membership's entry, <= applied; later ones are found
                                  // in `entries`
};

using PersistId = TaggedCounter<struct PersistIdTag>;

struct Tick {};
struct Received {
    Message message;
};
struct Persisted {
    PersistId through;
};
struct Applied {
    LogIndex through;
};
// The connection to this peer closed: voids "heard a leader" if it leads, and starts a pre-vote
// within 50 ms (randomised); never shortens any other promise.
struct PeerDisconnected {
    NodeId peer;
};
// One linearizable read, or many that the driver batches under one context [6.4, rule 22]. A
// follower asks its leader, and confirms when it has applied what the leader named (rule 24); it
// refuses when it knows no leader, loses it, or has no answer after an election timeout. A context
// is never used again by this replica, not after a restart either: the leader may still answer what
// the life before asked, with a place that is too low by now.
struct ReadRequested {
    uint64_t context;
};
// The applied state takes no writes (any more), or takes them again. A leader in that state for the
// shortest election timeout gives up its lead, if a voter is left that is not, and others go first
// in elections. The core notices by itself that its log's disk is slow or hangs (D8).
struct Stalled {
    bool stalled;
};
// Entries up to here are applied, durable in the engine and matched by everybody who may need them.
struct Compact {
    LogIndex through;
};
// What became of a snapshot that Output::snapshots_wanted asked for. Delivered: the peer has said
// that it is installed there; else it was given up, and may be asked for again (rule 30: what the
// peer matches moves only by its own AppendReply).
struct SnapshotSent {
    ReplicaId to;
    LogIndex index;
    bool delivered;
};
// The install that begin_install() allowed is durable: state and applied index are the snapshot's
// (rules 26, 29). The driver has told the journal, too: see Core::holds().
struct Installed {
    SnapshotMeta meta;
};
// Somebody needs this group: a quiet one wakes up (rule 40).
struct Wake {};
using Event = std::variant<Tick, Received, Persisted, Applied, PeerDisconnected, ReadRequested,
                           Stalled, Compact, SnapshotSent, Installed, Wake>;

struct Input {
    Instant now;
    Event event;
};

// A read context was confirmed. By a leader: it led, in its present term, at some time after the
// request came in, and its log then held every entry committed by anybody. By a follower: the state
// applied here holds every entry that anybody had committed when the request came in.
struct ReadConfirmed {
    uint64_t context;
};
// Not leader (any more): ask elsewhere.
struct ReadRefused {
    uint64_t context;
};

// The leader of this term counts entries as acknowledged by this replica that its log does not
// have: it lost what it had synced (or the leader is broken). It could elect a leader without them,
// so whoever drives it stops it; the message was ignored.
struct Forgotten {
    NodeId leader;
    Term term;
    LogIndex acknowledged;  // at least
    LogIndex last;          // of the log here
    bool operator==(const Forgotten&) const = default;
};

// The leader's log begins behind what this peer needs: send it a snapshot, then say SnapshotSent.
// Until then it gets heartbeats only. `at_least`: the least index that helps.
struct SnapshotWanted {
    Member to;
    LogIndex at_least;
    bool operator==(const SnapshotWanted&) const = default;
};

struct RoleChange {
    Role role;
    Term term;
    NodeId leader;  // 0: unknown
    bool operator==(const RoleChange&) const = default;
};

struct Output {
    std::optional<HardState> hard_state;
    std::vector<Entry> append;  // the first may overwrite: everything at or above its index is void
    PersistId persist_id;       // not 0 when one of the two above is there
    std::vector<Message> messages;
    std::vector<Entry> committed;
    std::vector<ReadConfirmed> reads_confirmed;
    std::vector<ReadRefused> reads_refused;
    std::optional<RoleChange> role_change;  // the last one since the previous output
    std::optional<Forgotten> forgotten;
    std::vector<SnapshotWanted> snapshots_wanted;
    // The membership in force (appended, perhaps not committed) changed: where messages go.
    std::optional<Membership> membership;
    // This replica was removed from its group, and that is committed: it says nothing more, and
    // whoever drives it deletes it (rule 19).
    bool removed = false;

    bool empty() const;
};

struct Accepted {
    LogIndex index;
    Term term;
};
struct NotLeader {
    NodeId leader;  // 0: unknown
};
struct Overloaded {};
using ProposeOutcome = std::variant<Accepted, NotLeader, Overloaded>;

// Membership changes, as an operator means them. Each is one entry, or several that follow by
// themselves; done when Status::membership says so and nothing is under way.
struct AddReplica {  // a learner first, promoted when it has caught up
    NodeId node;
    bool witness = false;
    uint64_t life = 0;  // of the node, as the number will say (life_of in types.h)
};
struct RemoveReplica {  // a learner: the addition is taken back
    NodeId node;
};
struct ReplaceReplica {  // one joint step, so that the number of voters never falls
    NodeId from, to;
    uint64_t life = 0;  // of `to`
};
using Change = std::variant<AddReplica, RemoveReplica, ReplaceReplica>;
struct Refused {
    std::string why;     // and the way out, for people
    bool later = false;  // the same order may be taken once what is under way is done
};
using ChangeOutcome = std::variant<Accepted, NotLeader, Refused>;

// What status, metrics and tests look at.
struct Status {
    Role role;
    Term term;
    NodeId leader;
    LogIndex first, last, commit, applied;
    size_t uncommitted_bytes;
    struct Peer {
        Member member;
        LogIndex match;
        LogIndex next;
        bool recently_heard;                       // within the shortest election timeout
        bool needs_snapshot;                       // its log ends below ours
        size_t inflight_messages, inflight_bytes;  // sent and not answered
    };
    std::vector<Peer> peers;  // leaders only
    LogIndex durable;         // the log is on this replica's disk up to here
    // Messages dropped: addressed to another replica or from a non-member (rule 47); contradictory,
    // in themselves or to what this replica knows.
    uint64_t foreign_messages, malformed_messages;
    Membership membership;  // in force
    LogIndex membership_index;
    bool membership_committed = true;
    bool quiet = false;      // rule 40
    bool lease = false;      // a leader's, now
    NodeId transferring_to;  // 0: nobody
    uint64_t snapshots_installed = 0;
};

class Core {
public:
    Core(Config config, Recovered recovered, Prng prng, Instant now);
    ~Core();
    Core(Core&&) noexcept;
    // Another core in the same state, for whoever explores what could happen.
    Core clone() const;

    void step(Input input);
    // Leader only, and only once its own no-op is applied (rule 4); otherwise NotLeader.
    ProposeOutcome propose(Instant now, EntryKind kind, Bytes payload);
    [[nodiscard]] Output take_output();
    bool has_output() const;

    // Leader only. Refused, with the reason: another change is under way (rule 15), the node is a
    // member already, or none; nobody would be left; or too few of the voters that would remain
    // were heard lately to go on without the others (O1 of docs/faults.md).
    ChangeOutcome change(Instant now, const Change& change);
    // Leader only: gives the lead to the replica on `to`, or, 0, to the best one. Proposals are
    // NotLeader from now on until it has happened or an election timeout has passed (rule 21).
    // Refused: no such voter, a witness, this one itself, or one that was not heard lately.
    ChangeOutcome transfer(Instant now, NodeId to);
    // A whole, verified snapshot lies aside. True: install it, and then feed Installed with the
    // same meta; until then nothing is given as committed, and this replica does not campaign.
    // False: it is not ahead of what is applied or committed here (rule 27), an install is under
    // way, or this replica leads or was removed.
    bool begin_install(Instant now, const SnapshotMeta& meta);

    // Whether the log has this entry, durably. Of a snapshot's place it decides, at the moment
    // before Installed is fed, what becomes of the journal's log: true, it stays as it is
    // (Journal::installed); false, it is void and goes on behind the place (Journal::reset): what
    // this core keeps of it comes once more in Output::append.
    bool holds(LogIndex index, Term term) const;

    Role role() const;
    Term term() const;
    NodeId leader() const;
    LogIndex commit() const;
    LogIndex last_index() const;
    size_t uncommitted_bytes() const;  // payload, changes of membership included; leading only
    // Leader whose no-op of this term is applied: may evaluate, propose and read.
    bool ready_to_lead() const;
    // Of a leader: so many other voters say that they are stalled that no quorum without them is
    // left.
    bool quorum_stalls() const;
    // The membership in force.
    const Membership& membership() const;
    // For a snapshot of the state after `index`: given as committed, and not below the log's start.
    SnapshotMeta meta_at(LogIndex index) const;
    // The lowest match of all members but this one, learners too, as this leader knows it; 0 when
    // not leading.
    LogIndex slowest_match() const;
    // Status::malformed_messages, for who asks often.
    uint64_t malformed_messages() const;
    Status status() const;

    // Everything that decides what this core will do, as bytes: two cores of one configuration with
    // equal fingerprints answer every later input alike. For tests that explore; what it leaves
    // out, and what the driver must keep to for that, is said in fingerprint.cc. Output drained.
    std::string fingerprint() const;
    // The log in memory, for the same tests.
    std::vector<Entry> entries() const;

private:
    friend class Fingerprint;
    struct Impl;
    explicit Core(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// One human formatter for logs, text tests and the simulator's trace.
std::string describe(const Message& message);
std::string describe(const Input& input);
std::string describe(const Output& output);

}  // namespace asterias::raft
