// core/raft/impl.h: the inside of Core, private to this room. One state machine, written in several
// files by noun: core.cc (turns, time, what is durable), vote.cc (elections), append.cc (the log),
// read.cc (heartbeats and reads), change.cc (membership), snapshot.cc, transfer.cc, quiet.cc. Its
// members are values: a copy is another replica in the same state.
#pragma once

#include <algorithm>
#include <deque>

#include "base/check.h"
#include "base/mutant.h"
#include "core/raft/core.h"
#include "core/raft/durability.h"
#include "core/raft/log.h"
#include "core/raft/memberships.h"
#include "core/raft/progress.h"

namespace asterias::raft {

// The answers to one (pre-)vote round, each voter counted once (rule 12).
struct Tally {
    std::vector<ReplicaId> granted, refused;
    void count(ReplicaId voter, bool grant);
};

struct Follower {};
struct PreCandidate {
    Tally tally;
    Instant since;
};
struct Candidate {
    Tally tally;
};
struct Leader {
    LogIndex noop;  // the first entry of this term
    Instant since;
    std::vector<Progress> peers;  // all other members, learners too, ascending by replica
    size_t uncommitted_bytes = 0;

    bool heartbeat_due = false;
    Instant next_heartbeat;

    struct Transfer {
        ReplicaId to;
        Instant until;
        bool offered = false;
    };
    std::optional<Transfer> transfer;  // nothing is proposed meanwhile (rule 21)
    bool lead_offered = false;         // in this term, to anybody
    uint64_t round = 0;                // the last heartbeat round begun

    struct Read {
        uint64_t context;
        uint64_t round = 0;
        ReplicaId asker{};  // a follower; 0: the own driver
        LogIndex index{};   // what was committed when its round began
    };
    // Rounds under way, and until when a quorum will elect nobody else (rule 23); by real time.
    struct Round {
        uint64_t round;
        Instant sent;
    };
    std::deque<Round> rounds;  // only while leases are on
    Instant lease_until{};

    std::vector<Read> reads_new;   // in no round yet: asked before the no-op was applied, or now
    std::deque<Read> reads_begun;  // ascending rounds
};

struct Core::Impl {
    Impl(Config config, Recovered recovered, Prng prng, Instant now);

    // core.cc
    void step(Input input);
    void advance_clock(Instant now);
    void receive(Message message);
    bool adopt_term(const Message& message);
    bool contradicts(const Message& message) const;
    void tick();
    void persisted(PersistId through);
    void applied(LogIndex through);
    void stalled(bool stalled);
    void compact(LogIndex through);
    Output take_output();
    bool has_output() const;
    RoleChange role_now() const;
    void give_committed();
    void give_writes();
    void send(ReplicaId to, Term term, MessageBody body);
    void answer(ReplicaId to, MessageBody body);
    void set_hard_state(Term term, ReplicaId vote);
    void check_invariants() const;
    Status status() const;

    // vote.cc
    void become_follower(Term term, ReplicaId leader);
    void start_pre_vote();
    void start_election(bool transfer);
    void become_leader();
    void restart_election_timer();
    void heard_from_leader(ReplicaId leader);
    bool leader_is_alive() const;
    bool promise_holds() const;
    bool log_is_current(const VoteRequest& request) const;
    bool prefers_own_candidacy(ReplicaId rival, const VoteRequest& request) const;
    void on_pre_vote_request(const Message& message, const VoteRequest& request);
    void on_vote_request(const Message& message, const VoteRequest& request);
    void on(const Message& message, VoteReply& reply);
    void count_own_vote();
    void peer_disconnected(NodeId peer);
    bool won(const Tally& tally) const;
    bool lost(const Tally& tally) const;
    bool may_campaign() const;
    void ask_whether_still_a_member();
    void check_quorum_contact();
    void check_fitness();
    bool stalls_for(Duration patience) const;
    bool quorum_stalls() const;
    bool disk_hangs() const;
    void write_completed();
    bool lets_others_go_first();

    // append.cc
    ProposeOutcome propose(EntryKind kind, Bytes payload);
    void append_as_leader(EntryKind kind, Bytes payload);
    void on(const Message& message, AppendRequest& request);
    void on(const Message& message, AppendReply& reply);
    bool contradicts_commit(const AppendRequest& request) const;
    bool refuse_if_apart(ReplicaId from, const AppendRequest& request);
    void take_entries(std::vector<Entry> entries);
    void truncate_from(LogIndex index);
    void acknowledge(LogIndex at_least);
    void send_appends();
    void send_append(Progress& peer);
    LogIndex own_match() const;
    void advance_commit_by_quorum();
    void commit_to(LogIndex index);

    // read.cc
    void read_requested(uint64_t context);
    void read_at_leader(Leader::Read read);
    void confirm(const Leader::Read& read);
    void on(const Message& message, ReadIndexRequest& request);
    void on(const Message& message, ReadIndexReply& reply);
    void serve_forwarded_reads();
    void refuse_forwarded_reads(Instant asked_before);
    void on(const Message& message, Heartbeat& heartbeat);
    void on(const Message& message, HeartbeatReply& reply);
    void broadcast_heartbeats();
    void round_answered();
    void confirm_reads(uint64_t round);
    bool leases_on() const { return config.lease_drift_ppm > 0; }
    void renew_lease(uint64_t round);
    bool lease_holds() const;
    void refuse_reads(Leader& leader);
    bool ready_to_lead() const;

    // transfer.cc
    bool heard_lately(ReplicaId replica) const;
    const Progress* best_voter() const;
    ChangeOutcome transfer(NodeId to);
    void continue_transfer();
    void offer_lead(const Progress& to);
    void hand_over();
    void on(const Message& message, TimeoutNow& offer);

    // quiet.cc
    bool may_go_quiet() const;
    void go_quiet();
    void follow_into_quiet(const Heartbeat& heartbeat);
    void used();
    void wake();

    // change.cc
    ChangeOutcome change(const Change& change);
    std::string what_bars_changes() const;
    using Planned = std::variant<Membership, Refused>;
    Planned plan(const AddReplica& add) const;
    Planned plan(const RemoveReplica& remove) const;
    Planned plan(const ReplaceReplica& replace) const;
    Planned with_learner(NodeId node, bool witness, ReplicaId retire, uint64_t life) const;
    ReplicaId next_number(uint64_t life) const;
    std::string what_bars_voters(const std::vector<Member>& voters) const;
    void continue_change();
    bool caught_up(const Progress& peer) const;
    void propose_membership(const Membership& next);
    void config_appended(const Entry& entry);
    void membership_changed();
    void sync_peers();
    bool known_removed(ReplicaId replica) const;
    void membership_committed(LogIndex before);
    void say_removed(ReplicaId replica);
    void leave();
    void on_removed(const Removed& said);

    // snapshot.cc
    bool begin_install(const SnapshotMeta& meta);
    bool holds(LogIndex index, Term at) const;
    void installed(const SnapshotMeta& meta);
    SnapshotMeta meta_at(LogIndex index) const;
    void ask_for_snapshot(Progress& peer);
    void snapshot_sent(const SnapshotSent& sent);

    const Membership& membership() const { return memberships.in_force(); }
    // The only voter.
    bool alone() const;
    bool is_witness() const;
    // The highest value that a majority has reached; of a joint membership, of both halves
    // (rule 12). `value_of` is asked for each voter.
    template <typename F>
    uint64_t reached(F value_of);
    template <typename F>
    uint64_t reached_by(const std::vector<Member>& half, F value_of);
    NodeId node_of(ReplicaId replica) const;
    Leader* leading() { return std::get_if<Leader>(&role); }
    const Leader* leading() const { return std::get_if<Leader>(&role); }
    Progress* peer(ReplicaId replica);
    const Progress* peer(ReplicaId replica) const;
    Role role_name() const { return static_cast<Role>(role.index()); }

    Config config;
    Prng prng;
    Log log;
    Durability durability;
    Memberships memberships;

    // Time as this core lives it: a pause counts for one heartbeat interval at most (rule 34).
    Instant clock;
    Instant last_input;

    Term term;
    ReplicaId vote;
    std::variant<Follower, PreCandidate, Candidate, Leader> role;  // in the order of enum Role
    ReplicaId leader;                                              // of this term; 0: unknown
    std::optional<Instant> heard_leader;  // void after its connection closed
    // Only while leases are on: when a leader was last heard, or this life began. For the shortest
    // election timeout from then on nobody else is elected with this voice; nothing but the
    // leader's own wish makes that void.
    Instant promised;
    Duration election_timeout{};  // drawn at each election
    Instant election_deadline;

    bool quiet = false;  // rule 40
    Instant last_use;    // somebody needed the group: a leader's

    Instant disk_moved;  // no write was under way, or one completed
    // A leader's completed writes, one after another, each slow while a quorum was faster (D8).
    static constexpr unsigned kSlowWrites = 2;
    unsigned slow_writes = 0;
    std::optional<Instant> stalled_since;
    unsigned passed_over = 0;  // elections that this replica left to others since it heard a leader

    LogIndex commit;
    LogIndex given;  // Output::committed went up to here
    LogIndex applied_index;

    // Answers and vote requests of the present term and role that wait for the hard state. What
    // waits when the term or role ends is dropped: a lost message is always allowed, and its
    // addressee has to learn of the newer term anyway.
    std::vector<Message> held;
    LogIndex matched;       // this log is known to agree up to here with the leader's of this term
    LogIndex acknowledged;  // the highest match sent in this term
    bool ack_is_due = false;  // an AppendRequest is accepted and not yet durable

    std::optional<SnapshotMeta> installing;  // begun and not ended: nothing is given
    bool removed = false;                    // for good; says nothing more

    // Reads of a follower, in the order in which they were asked (rule 24).
    struct ForwardedRead {
        uint64_t context;
        Instant asked;
        LogIndex index{};  // the leader's word; 0: not yet
    };
    std::deque<ForwardedRead> reads_forwarded;

    Output out;
    bool sends_due = false;  // take_output() may find messages to build
    RoleChange reported;
    uint64_t foreign_messages = 0;
    uint64_t malformed_messages = 0;
    uint64_t snapshots_installed = 0;
    std::vector<uint64_t> scratch;
};

// Entries one behind the other, of terms that do not fall, none later than the sender's.
bool well_formed(Term sender, const AppendRequest& request);

// The highest value that `majority` of these values reach (reordered).
uint64_t quorum_value(std::vector<uint64_t>& values, size_t majority);

template <typename F>
uint64_t Core::Impl::reached_by(const std::vector<Member>& half, F value_of) {
    if (half.empty()) return 0;
    scratch.clear();
    for (const Member& m : half)
        scratch.push_back(value_of(m.replica));
    if (MUTANT(raft_learner_votes))
        for (const Member& m : membership().learners)
            scratch.push_back(value_of(m.replica));
    if (MUTANT(raft_removed_leader_counts_itself) && !membership().votes(config.self))
        scratch.push_back(value_of(config.self));
    return quorum_value(scratch, half.size() / 2 + 1);
}

template <typename F>
uint64_t Core::Impl::reached(F value_of) {
    const uint64_t entering = reached_by(membership().voters, value_of);
    if (!membership().joint() || MUTANT(raft_joint_one_majority)) return entering;
    return std::min(entering, reached_by(membership().outgoing, value_of));
}

}  // namespace asterias::raft
