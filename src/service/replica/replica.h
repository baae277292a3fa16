// service/replica/replica.h: the driver of one replica of one group: carries the outputs of the
// consensus core to journal, peers and engine, and, while it leads, evaluates commands.
//
// A turn. During a turn submit(), receive(), on_persisted() only collect and step. At the turn end
// run() does the rest once: evaluates the queue in order against engine + overlay (the overlay
// holds what this leader proposed and the engine has not, so that a hot key pipelines), proposes
// everything of the turn as one Effects entry, journals, sends, applies, answers.
//
// Applying is cheap and answering does not wait for the engine: an entry's effects are collected in
// memory, and go to the engine sorted, by the key's last write, when they are many (engine_bytes)
// or a tick has passed. Whoever reads the engine meanwhile must not miss them: a leader's overlay
// keeps its own until then, and what it did not propose itself is written before it evaluates.
//
// What an answer means. A write is answered when its entry is committed. A read's value is taken at
// its place in the queue; it is answered when every write that it saw, or that an earlier read of
// its session saw, and every earlier write of its session, is committed and a heartbeat round begun
// after it came confirms that this replica led: then nobody else can have committed anything that
// it missed (rule 22, ARCHITECTURE.md, Life of a read). A command of its session that was lost and
// made again behind it would turn the order of its connection around.
//
// A read of all keys (span.cc) is read from the engine, once a heartbeat round confirmed it and
// what was committed by then, and what its session heard of, is in there. Whoever asked is to wait
// for the answer before it sends the next command of the same connection.
//
// Order and exactly once. Requests of a session come in order within an epoch. Once one is refused
// as NotLeader all later ones of that epoch are; a number below the highest evaluated one that the
// table does not know is refused for good. So effects of a session stand in the log in the order of
// their numbers, each once, whatever was sent again.
//
// Order of calls. open(); then, in any order and number, submit(), receive(), tick(),
// on_persisted(), on_peer_down(), and run() at the end of a turn in which Surroundings::wake() was
// called, before the journal writes (a hook of TurnPhase::Work); then close(), awaited, and
// destruction, with none of the others after close() began. open() and run() may call wake() too:
// that asks for one more run(). A replica that stopped itself (Status::stopped: damaged state, a
// failed CHECK while applying, acknowledged entries that are lost, its removal) answers NotLeader
// to all that is submitted and ignores the rest. Threading: one shard.
//
// Snapshots (ADR 0014). A peer that needs what the log no longer has gets the state as of one
// index, read from a frozen view (snapshot_send.h). Here it is staged aside and verified, and then
// installed between two records of the journal, while nothing is applied; whatever instant a crash
// comes at, start-up finds the state wholly replaced or not at all, and says which to the core.
//
// The log is kept for a slow peer up to Parts::log_retained_bytes_max, beyond it for nobody.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "core/catalogue/boundary.h"
#include "core/raft/core.h"
#include "core/session/effects.h"
#include "journal/journal.h"
#include "port/engine.h"
#include "port/scope.h"
#include "port/shard.h"
#include "service/replica/codec.h"
#include "service/replica/poison.h"
#include "service/replica/retention.h"
#include "service/replica/snapshot_receive.h"
#include "service/replica/snapshot_send.h"
#include "service/replica/state.h"

namespace asterias::replica {

// Whom to answer.
struct Origin {
    ShardId shard;      // of this node, where `link` lives or the router asked
    uint64_t link = 0;  // rpc link, or 0: this node's own router
    uint64_t ticket = 0;
    uint64_t epoch = 0;
};

struct Incoming {
    Origin origin;
    session::SessionId session;
    uint64_t low_water = 0;
    uint64_t sequence = 0;  // 0: a read
    Instant deadline;
    kv::Command command;
    // There is no room for it or its answer: refused when its turn comes, so that what is said of
    // it holds for every copy of it. Set by turn_away(), which also frees the command's bytes.
    bool turned_away = false;
    size_t bytes = 0;  // held while it waits; filled in by submit()
    // Its command deletes what a read of all keys took for expired at now_ms, and then that read is
    // answered so. Filled in by the replica.
    struct Concluded {
        int64_t now_ms;
        kv::Reply reply;
    };
    std::optional<Concluded> concluded{};
    void turn_away();
};

// What a replica needs of its surroundings, beside the ports.
class Surroundings {
public:
    virtual ~Surroundings() = default;
    // May be lost. `message` is the caller's: encode or copy it. `to` 0: every other node, and
    // there whoever holds the group, for `message` names no replica.
    virtual void send(NodeId to, GroupId group, const raft::Message& message) = 0;
    // Exactly once for each request submitted, except for one whose retry arrived meanwhile (the
    // newest origin is answered) and those open at close(). Also from inside submit(). Must not
    // call the replica.
    virtual void answer(GroupId group, const Origin& origin, Answer answer) = 0;
    // False: what was answered there lately has not been taken yet, and no more should be made.
    virtual bool has_room(const Origin& origin) const = 0;
    // False: no way there now; nothing was sent. May be lost anyway.
    virtual bool send_snapshot(NodeId to, const SnapshotMessage& message) = 0;
    virtual void send_snapshot_reply(NodeId to, const SnapshotReply& reply) = 0;
    // This replica was removed from its group for good (rule 19): close() it, then erase().
    virtual void on_removed(GroupId group) = 0;
    // At each change of role, leader or term as this replica sees it; leader 0: nobody.
    virtual void on_leader(GroupId group, NodeId leader, Term term) = 0;
    // The record under Parts::watched is this as of entry `at` (as far as it is applied here).
    virtual void on_watched(GroupId, const Bytes& /*record*/, LogIndex /*at*/) {}
    // Asks for run() at the end of this turn; once until that run() begins.
    virtual void wake(GroupId group) = 0;
    virtual NodeId self() const = 0;
};

struct Parts {
    port::Shard& shard;
    port::Engine& engine;
    journal::Journal& journal;
    Surroundings& surroundings;
    Registry& registry;
    Log log;
    uint64_t compact_entries = 1000;  // the log is shortened in steps of at least so many
    // Commands that wait for evaluation; what comes beyond either limit is turned away (Busy).
    size_t queue_max = 100'000;                 // replica-queue-max
    size_t queue_bytes_max = 64 * 1024 * 1024;  // replica-queue-bytes-max
    // Replies that wait for a commit or a heartbeat round; beyond it nothing is evaluated.
    size_t held_replies_max = 16 * 1024 * 1024;  // replica-held-replies-max
    size_t engine_bytes = 128 * 1024;  // applied effects go to the engine when they are so many
    // And nothing is applied any more when an engine that takes no writes lacks so many.
    size_t unwritten_bytes_max = 64 * 1024 * 1024;
    // The payload that a log keeps for peers who are behind (log-retained-bytes-max); half of it is
    // kept in any case. Twice as much while a snapshot is on its way to one.
    uint64_t log_retained_bytes_max = 64 * 1024 * 1024;
    SnapshotPace snapshot_pace{};
    // Shared by the replicas of a shard (snapshots-sending-max, snapshots-receiving-max); nullptr:
    // no limit.
    SnapshotSlots* sending = nullptr;
    SnapshotSlots* receiving = nullptr;
    // The engine that takes no writes for so long is full, not busy.
    Duration stall_patience = milliseconds(1000);
    std::string directory{};  // for Poison; empty: nothing is remembered over restarts
    Bytes watched{};          // an engine key that the surroundings hear of; empty: none
};

struct Status {
    GroupId group;
    raft::Status raft;
    bool stopped = false;  // it takes no part any more: it leads nothing, and knows of no leader
    std::string stopped_why;
    size_t queued = 0, proposed = 0, overlay = 0, to_apply = 0;
    LogIndex in_engine;  // applied, and written to the engine
    LogIndex durable_applied;
    uint64_t log_bytes = 0;  // payload of the entries in the log
    struct Snapshot {
        bool incoming = false;
        NodeId peer;
        LogIndex index;
        uint64_t bytes = 0;   // at the receiver, staged
        SnapshotStep step{};  // of an incoming one
    };
    std::vector<Snapshot> snapshots;  // on their way
    bool removed = false;
    ReplicaId self;
    // A witness, which dropped entries that some data replica lacked, as far as the log tells: were
    // the others lost, it could not bring that one up to date (rule 46).
    bool tail_dropped = false;
};

class Replica {
public:
    // Reads its state from the engine. `recovered` is what the journal had of this group;
    // config.membership is the one at the group's birth, empty for a replica that came later.
    // `keyspace`: whose data the group holds; 0: none. What Parts refers to
    // outlives the replica. Damage in the group's state in the engine stops this replica only
    // (Status::stopped). Errors: Unsupported (a format), Corrupt (journal and engine do not belong
    // together), Io.
    static port::Task<Result<std::unique_ptr<Replica>>> open(Parts parts, KeyspaceId keyspace,
                                                             raft::Config config,
                                                             journal::RecoveredGroup recovered);
    ~Replica();

    // A new replica of a group, for which the journal has `vote` at most: stages its birth. Then
    // open() it with what this returns.
    static journal::RecoveredGroup born(journal::Journal& journal, GroupId group, ReplicaId self);
    // Deletes what a closed and destroyed replica leaves, the word of its removal excepted; durable
    // on completion. Errors: as erase_state().
    static port::Task<Result<void>> erase(Parts parts, GroupId group, KeyspaceId keyspace,
                                          ReplicaId self, const port::Scope& scope);

    // A command for the leader. Refused at once when this is none; else it waits in the queue.
    void submit(Incoming request);
    // A leader gave this node a replica of a higher number, which it does only once no member is on
    // it: this one was removed, although it may never hear of it. Also when it is stopped.
    void superseded();
    // From a peer. Entries are verified here; a message with a damaged one is dropped whole.
    void receive(NodeId from, const raft::Message& message);
    void receive_snapshot(NodeId from, SnapshotMessage message);
    void receive_snapshot_reply(const SnapshotReply& reply);
    // As raft::Core has them; what a change comes to is in status().raft.membership.
    raft::ChangeOutcome change(const raft::Change& change);
    raft::ChangeOutcome transfer(NodeId to);
    // At least every 20 ms: time for the core, writes that the engine refused, expiry.
    void tick();
    // Everything staged in batches up to `through` is durable.
    void on_persisted(journal::BatchId through);
    // The connection to that node ended.
    void on_peer_down(NodeId peer);
    void run();
    bool wants_run() const { return dirty_; }

    Status status() const;
    // All that a reader of the engine finds there now.
    LogIndex in_engine() const { return unwritten_.from ? unwritten_.from.prev() : applied_.index; }
    GroupId group() const { return config_.group; }
    ReplicaId self() const { return config_.self; }
    // Waits for what is under way on the engine. Once.
    port::Task<> close();

private:
    struct Gateway {  // a session's traffic as this leader sees it; memory only
        uint64_t epoch = 0;
        uint64_t refused_epoch = 0;
        uint64_t highest = 0;
        uint64_t logged = 0;  // this leader's log says something of all numbers up to here
        std::optional<Instant> no_room_since;  // for answers, on the way to it
        LogIndex stands_on;                    // the newest entry that an answer to it depends on
    };
    struct Overlaid {
        LogIndex index;
        Bytes value;  // raw engine value; empty: deleted
    };
    struct PendingWrite {
        Origin origin;
        session::SessionId session;
        uint64_t sequence;
        kv::Reply reply;
    };
    struct Proposed {
        LogIndex index;
        std::vector<PendingWrite> writes;
        size_t bytes = 0;
        size_t reply_bytes = 0;
        bool answered = false;  // committed, but not applied here yet: the table does not know it
    };
    struct PendingRead {
        Origin origin;
        LogIndex depends_on;
        kv::Reply reply;
    };
    struct PendingSpan {  // a read of all keys
        Incoming request;
        LogIndex depends_on;
        Instant began;
    };
    struct Flushed {  // proposed, and not in the engine yet
        LogIndex index;
        Bytes from, to;
    };
    struct Round {  // one evaluation of the queue; becomes one entry
        session::Effects effects;
        std::vector<PendingWrite> writes;
        std::vector<PendingRead> reads;
        std::vector<PendingSpan> spans;
        LogIndex index;                          // of the entry
        size_t bytes = 0;                        // the entry is no larger
        size_t read_bytes = 0, write_bytes = 0;  // of the replies
        uint64_t work =
            0;  // bytes touched, or what takes as long; the next round begins at the limit
        bool full = false;    // the next command has to wait until proposals are applied
        bool closed = false;  // the next command belongs to another entry
    };
    // Some 10 ms, and with large values those of one more. Counted, not measured: the same command
    // stands in the same round whatever machine it is.
    static constexpr uint64_t kRoundWorkMax = 16 * 1024 * 1024;
    struct Lookup {
        std::optional<kv::Excerpt> value;
        LogIndex depends_on;
    };
    // For the command at the head of the queue: what its keys hold, as far as they were looked up.
    // It stays true until the head is evaluated: nothing is evaluated before it, and what is
    // applied meanwhile moves from the overlay to the engine.
    struct Lookups {
        bool begun = false;
        std::vector<Bytes> keys;  // of kv::keys_read()
        Bytes request_key;        // looked up behind them; empty: none
        std::vector<Lookup> found;
        std::vector<size_t> fetched_next;  // of `found`: on their way from disk
        std::map<Bytes, std::optional<kv::Excerpt>> fetched;
        size_t bytes = 0;       // of the reply
        bool too_long = false;  // the values exceed kv::kReplyBytesMax: none was kept

        size_t size() const { return keys.size() + (request_key.empty() ? 0 : 1); }
        const Bytes& key(size_t i) const { return i < keys.size() ? keys[i] : request_key; }
    };

    Replica(Parts parts, KeyspaceId keyspace, raft::Config config, Applied applied);

    // open.cc
    static Result<raft::Recovered> recover(const raft::Config& config,
                                           const journal::RecoveredGroup& recovered,
                                           const Applied& applied);
    Result<void> begin(journal::RecoveredGroup recovered);

    // evaluate.cc
    void evaluate_queue();
    bool answer_can_leave(Incoming& head);
    void release(size_t reply_bytes);
    void propose(Round& round);
    void prune();
    bool evaluate_one(Incoming& request, Round& round);
    bool records_found(std::vector<kv::Record>& records);
    bool has_room(size_t bytes, const Round& round) const;
    bool changed_in(LogIndex entry) const;
    kv::Evaluation evaluate_head(const Incoming& request,
                                 const std::vector<const kv::Record*>& records, const Round& round);
    void note_boundary(const Bytes& record, bool own);
    bool fence(const Incoming& request, Round& round);
    bool answer_of_client(const kv::Command& command, const Bytes& stored,
                          std::optional<kv::Reply>& answer);
    void log_write(const Incoming& request, kv::Evaluation evaluation, Round& round);
    bool admit(Incoming& request, Round& round);
    bool known_already(Incoming& request, std::vector<PendingWrite>& writes);
    void lose_leadership();
    void refuse(const Incoming& request);

    // lookup.cc
    bool look_up(const kv::Command& command, Round& round);
    bool look_up_one(const kv::Command& command, size_t i, Round& round);
    void count_value(const kv::Command& command, size_t i);
    void fetch();
    port::Task<> fetch_task(Bytes key, uint64_t generation);

    // span.cc
    bool hold_span(const Incoming& request, Round& round);
    void confirm_spans(uint64_t context);
    void refuse_spans(uint64_t context);
    void lose_spans();
    void start_spans();
    port::Task<> read_span(uint64_t number, std::shared_ptr<port::EngineSnapshot> view,
                           catalogue::Boundary boundary);
    void conclude_span(uint64_t number, kv::Reply reply, int64_t now_ms,
                       std::vector<Bytes> expired);
    void hide_range(const Bytes& from, const Bytes& to, LogIndex index);
    LogIndex flushed_at(const Bytes& key) const;

    // expire.cc
    void sweep();
    port::Task<> sweep_step(Bytes from);

    // apply.cc
    void apply_committed();
    void apply_entry(const wire::Entry& entry);
    void apply_effects(const wire::Entry& entry);
    bool is_witness() const;
    bool still_to_come() const;
    void drop_tail(LogIndex through);
    bool write_to_engine();
    void poisoned(const wire::Entry& entry, std::string why);
    port::Task<> note_poison(Poison poison);
    port::Task<> forget_poison();
    bool quarantined();

    // full.cc
    void look_at_space();
    bool full() const;
    bool refuses_for_space(const Incoming& request, const Round& round) const;
    bool follower_has_space(const raft::Message& message) const;
    void cover_unwritten();

    // answer.cc
    void answer_committed();
    void confirm_read(uint64_t context);
    void refuse_read(uint64_t context);
    Answer done(kv::Reply reply, LogIndex index) const;

    // compact.cc
    void compact();
    LogIndex compactable();

    // send.cc
    void start_snapshots();
    void start_snapshot(const raft::SnapshotWanted& wanted);
    port::Task<> send_snapshot(ReplicaId to);
    void end_snapshots(const std::string& why);
    void tick_snapshots();

    // install.cc
    void begin_snapshot(NodeId from, SnapshotMessage message);
    void drop_snapshot();
    void watch_snapshot();
    void reply_snapshot(NodeId to, const SnapshotMessage& about, SnapshotReply::Kind kind,
                        uint64_t next = 0, std::string why = {});
    port::Task<> take_in_snapshot();
    void engine_failed(const Error& error);
    port::Task<Result<void>> stage_pieces();
    port::Task<Result<void>> install();
    port::Task<Result<void>> load_records(LogIndex at);
    port::Task<> begin_durably(raft::SnapshotMeta meta);
    void installed(Applied applied, session::Table sessions, const raft::SnapshotMeta& meta);

    // replica.cc
    void drain();
    void note_role(const raft::RoleChange& change);
    void send(const raft::Message& message);
    bool is_void(NodeId from, const raft::Message& message);
    void ask_around();
    void stop(std::string why);  // something is wrong
    void halt(std::string why);
    void leave(const std::string& why);
    std::string describe_loss(const raft::Forgotten& lost) const;
    void wake();

    Parts parts_;
    const KeyspaceId keyspace_;
    raft::Config config_;
    std::unique_ptr<raft::Core> core_;  // null if it stopped before it began
    Log log_;

    // What tasks of scope_ refer to.
    std::map<ReplicaId, std::unique_ptr<SnapshotSender>> sending_;
    std::map<ReplicaId, raft::SnapshotWanted> wanted_;  // and not sent yet
    std::unique_ptr<SnapshotReceiver> receiving_;
    LogIndex installing_;  // nothing is applied; 0: no
    journal::BatchId persisted_;
    port::Signal persisted_changed_;
    port::Scope scope_;
    bool dirty_ = false;
    bool stopped_ = false;
    std::string stopped_why_;
    bool removed_ = false;
    std::optional<Poison> poison_;  // an entry that could not be applied before
    // Where replicas were last heard from, for answers to those that no membership here names.
    std::map<ReplicaId, NodeId> heard_from_;
    Instant next_question_;  // whether this replica is one

    // The state machine.
    Applied applied_;
    session::Table sessions_;
    catalogue::Boundary boundary_;  // as applied
    std::deque<wire::Entry> to_apply_;
    struct Slice {  // of to_apply_, done by this run()
        size_t entries = 0, bytes = 0;
    } slice_;
    struct Unwritten {  // applied, and not in the engine yet
        port::EngineBatch batch;
        std::vector<session::SessionId> sessions;  // whose windows changed
        size_t bytes = 0;
        LogIndex from, through;  // 0: nothing
        bool foreign = false;    // some of it is in no overlay
        bool ranged = false;     // some of it deletes ranges
    } unwritten_;
    bool engine_stalled_ = false;  // it refused the last write for want of space
    Instant stalled_since_, next_engine_try_;
    bool journal_full_ = false;
    bool told_stalled_ = false;  // the core heard of one of the two
    std::deque<std::pair<port::EngineSeq, LogIndex>> flushing_;
    LogIndex durable_applied_;
    LogIndex compacted_;
    LogIndex dropped_;  // a witness's: from here on it has the log; somebody may lack more
    LogSizes log_sizes_;
    Instant next_flush_request_;

    // Persist ids on their way through the journal.
    std::deque<std::pair<journal::BatchId, raft::PersistId>> persisting_;

    // Leader only; void when the leadership is lost.
    std::deque<Incoming> queue_;
    size_t queue_bytes_ = 0;
    Instant next_prune_;
    std::map<session::SessionId, Gateway> gateways_;
    std::unordered_map<Bytes, Overlaid> overlay_;  // in no order that anything depends on
    // What the overlay has not is absent in these ranges; of those that meet the newest is last.
    std::vector<Flushed> flushed_;
    catalogue::Boundary bounds_;  // with what this leader proposed
    LogIndex bounds_since_;       // of its entry; 0: applied
    kv::Deletions deletions_;
    Term deletions_of_;  // the leadership that they were begun in
    std::deque<Proposed> proposed_;
    size_t proposed_bytes_ = 0;
    size_t held_replies_ = 0;  // bytes of what is evaluated and not answered
    size_t full_at_ = 0;       // the head of the queue waits until proposed_bytes_ are fewer; 0: no
    std::map<uint64_t, std::vector<PendingRead>> reads_;  // by read context
    std::multimap<LogIndex, PendingRead>
        waiting_for_commit_;                              // confirmed, but saw uncommitted writes
    std::map<uint64_t, std::vector<PendingSpan>> spans_;  // by read context
    std::deque<PendingSpan> confirmed_spans_;
    std::map<uint64_t, PendingSpan> reading_spans_;
    uint64_t next_span_ = 1;
    Lookups head_;
    size_t fetching_ = 0;
    uint64_t fetch_generation_ = 0;
    uint64_t next_read_ = 0;  // drawn at the start: contexts of an earlier life are not used again
    bool sweep_wanted_ = false;  // there may be records with a deadline
    bool sweep_found_ = false;   // this pass met one
    bool sweeping_ = false;
    Instant next_sweep_;
    Bytes sweep_from_;  // empty: at the beginning
    HybridTime last_label_;
    bool leading_ = false;
    NodeId leader_seen_;
    Term term_seen_;

    Counter &expired_, &evaluated_, &entries_, &applied_count_, &corrupt_entries_,
        &refused_messages_, &snapshots_sent_, &snapshots_given_up_, &snapshots_resumed_,
        &snapshots_installed_, &snapshots_refused_;
};

}  // namespace asterias::replica
