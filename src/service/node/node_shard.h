// service/node/node_shard.h: the part of a node that lives on one shard: its journal, its replicas,
// its router and its traffic with other nodes. Groups live on shard (group mod shards); whatever
// arrives on another shard is passed on with Shard::submit. Replicas come with the first message to
// a number that was never here, and go when their removal is committed (rules 19, 47).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "core/catalogue/catalogue.h"
#include "journal/journal.h"
#include "port/engine.h"
#include "port/scope.h"
#include "port/shard.h"
#include "port/sync.h"
#include "service/node/flush_pace.h"
#include "service/node/identity.h"
#include "service/node/known_starts.h"
#include "service/pubsub/hub.h"
#include "service/replica/replica.h"
#include "service/router/router.h"
#include "service/rpc/call.h"
#include "service/rpc/endpoint.h"

namespace asterias::node {

struct Options {
    std::string directory;
    port::Address peer_address;  // where other nodes reach this one
    port::Address door_address;  // where clients do
    port::Address http_address;  // where its operator does; empty host: nowhere
    port::Address join;          // a node of the cluster to join; empty host: none
    NodeId replace;  // joining: in the place of this one, whose directory is lost; 0: no
    Duration tick = milliseconds(20);
    Duration election_timeout_min = milliseconds(600);
    Duration election_timeout_max = milliseconds(900);
    Duration heartbeat_interval = milliseconds(100);
    uint64_t journal_segment_bytes = 64 * 1024 * 1024;
    uint64_t journal_slice_bytes = 1024 * 1024;        // at most half a segment
    uint64_t journal_flush_bytes = 256 * 1024 * 1024;  // beyond it the engine is asked to flush
    uint64_t compact_entries = 1000;                   // of a group's log, at least, at a time
    size_t replica_queue_max = 100'000;  // commands that wait for evaluation, of each group
    size_t replica_queue_bytes_max = 64 * 1024 * 1024;
    size_t replica_held_replies_max = 16 * 1024 * 1024;  // bytes evaluated and not yet answered
    uint64_t log_retained_bytes_max = 64 * 1024 * 1024;  // of each group, for who is behind
    size_t snapshots_sending_max = 2;                    // of a shard, at a time
    size_t snapshots_receiving_max = 2;
    replica::SnapshotPace snapshot_pace;
    Duration change_timeout = seconds(60);  // of membership changes; they go on behind it
    router::Options router;
    rpc::Options rpc;
};

// The node above its shards. All on shard 0.
class CallHandler {
public:
    virtual ~CallHandler() = default;
    // Answers a Call by name. `answer` is called once, there, unless the node closes.
    virtual void on_call(rpc::CallBody call, std::function<void(Result<Bytes>)> answer) = 0;
    // A start of another node was seen for the first time.
    virtual void on_peer_start(NodeId node, Incarnation start) = 0;
    // Another node refuses this one for good.
    virtual void on_disowned(NodeId by, std::string why) = 0;
    // `replica` is about to be held here: `noted` is called once, there, when that is durable in
    // the identity (Identity::held), or with the disk's error: then it is not known whether it is.
    virtual void on_held(GroupId group, ReplicaId replica,
                         std::function<void(Result<void>)> noted) = 0;
};

// What a shard knows of the connection to another node.
struct Contact {
    bool connected = false;
    bool ever = false;  // since this node started
    WallTime since;     // of the present state
    NodeId through{};   // commands go there through this one; 0: not so
};

struct ShardStatus {
    std::vector<replica::Status> groups;
    journal::Journal::Usage journal;
    size_t in_flight = 0;
    std::map<GroupId, NodeId> leaders;
    std::map<NodeId, Contact> contacts;
    std::map<NodeId, std::string> refused;  // old copies that came lately, and why
};

class NodeShard : public rpc::Receiver,
                  public replica::Surroundings,
                  public router::Outlet,
                  public pubsub::Outlet,
                  public journal::Observer,
                  public port::TurnHook {
public:
    // `siblings`: all shards of the node, this one included, filled before the first message; it
    // and the other references outlive this.
    NodeShard(port::Shard& shard, const Identity& identity, const Options& options,
              port::Engine& engine, const std::vector<std::unique_ptr<NodeShard>>& siblings,
              CallHandler& calls, Registry& registry, Log log);
    ~NodeShard() override;

    // Replays the journal and opens the replicas of this shard.
    port::Task<Result<void>> open();
    // Listens and connects: from here on the node takes part.
    Result<void> start();
    port::Task<> close();

    router::Router& router() { return *router_; }
    // As this shard knows it; the same on all of them a moment later.
    std::shared_ptr<const catalogue::Catalogue> known_catalogue() const { return known_; }
    // From another node: replaces an older one. On shard 0.
    void tell_catalogue(catalogue::Catalogue catalogue);
    // A run of engine records of a group that lives on this shard, of which at least the entries up
    // to `index` are in the engine. Errors: Unavailable (not here, or not so far), Io.
    struct Slice {
        std::vector<port::KeyValue> pairs;
        Bytes next;  // empty: there is nothing behind them
    };
    struct SliceOf {
        GroupId group;
        LogIndex index;
        std::string name;       // of whose keys
        bool requests = false;  // else: the results of clients' requests
        Bytes from;             // Slice::next of the one before
    };
    port::Task<Result<Slice>> slice(SliceOf what);
    pubsub::Messages& messages() { return *messages_; }
    rpc::Endpoint& endpoint() { return *endpoint_; }
    port::Shard& shard() { return shard_; }
    ShardStatus status() const;
    // Another shard saw this start of another node.
    void note_start(NodeId node, Incarnation start) { known_starts_.note(node, start); }

    // A connection to it on which nothing is sent looks well when it is dead: now it has to answer,
    // or it is gone within rpc-silence-max.
    void probe(NodeId node);

    // Another node of the cluster, besides those of the founding record: it may connect from now
    // on, is connected to, and may hold any group.
    void add_node(NodeId node, port::Address peer_address);
    // On any shard. Completes when the change is done: committed, not joint, nothing of it pending.
    // Errors: Conflict (another node leads: "node N leads group G"), Unavailable (nobody is known
    // to lead; or the change was lost with its leader: certainly not done), InvalidArgument
    // (refused: the core's reason, or without `force` that of unforced() in copies.h), Limit (one
    // change at a time: later it may be taken), Timeout, Closed (it may go on).
    port::Task<Result<void>> change(GroupId group, raft::Change change, bool force);
    // Gives the lead of the group to `to` (0: the best one). Completes when another node leads.
    // Errors: as change(); Timeout: it was given up, and this node leads on.
    port::Task<Result<void>> transfer(GroupId group, NodeId to);

private:
    // rpc::Receiver
    Result<void> admit(const rpc::Peer& peer) override;
    Result<void> recognise(const rpc::Peer& peer, const std::vector<Incarnation>& earlier) override;
    void on_disowned(NodeId by, std::string why) override;
    void on_frame(const rpc::Peer& from, rpc::Frame frame) override;
    void on_peer_up(const rpc::Peer& peer, bool outgoing) override;
    void on_peer_down(const rpc::Peer& peer, bool outgoing) override;
    // replica::Surroundings
    void send(NodeId to, GroupId group, const raft::Message& message) override;
    void answer(GroupId group, const replica::Origin& origin, replica::Answer answer) override;
    void on_leader(GroupId group, NodeId leader, Term term) override;
    void wake(GroupId group) override;
    bool has_room(const replica::Origin& origin) const override;
    void on_watched(GroupId group, const Bytes& record, LogIndex at) override;
    bool send_snapshot(NodeId to, const replica::SnapshotMessage& message) override;
    void send_snapshot_reply(NodeId to, const replica::SnapshotReply& reply) override;
    void on_removed(GroupId group) override;
    NodeId self() const override { return identity_.node; }
    // router::Outlet
    bool forward(NodeId to, const replica::ForwardHead& head,
                 const std::vector<router::Departure>& commands) override;
    void wake_router() override { router_awake_ = true; }
    // pubsub::Outlet
    bool send_pubsub(NodeId to, rpc::FrameBuilder frame) override;
    void reply_pubsub(rpc::LinkId link, rpc::FrameBuilder frame) override;
    pubsub::Hub& hub(ShardId shard) override { return *sibling(shard).messages_; }
    // journal::Observer
    void on_persisted(journal::BatchId through) override;
    // port::TurnHook
    void on_turn_end() override;

    // Writes the first vote of every group of this shard, or refuses: see Identity::born.
    port::Task<Result<void>> open_groups(std::map<GroupId, ReplicaId> found);
    // groups.cc
    port::Task<Result<void>> open_group(GroupId group, journal::RecoveredGroup recovered);
    port::Task<Result<void>> open_replica(GroupId group, raft::Config config,
                                          journal::RecoveredGroup recovered);
    ReplicaId founding_replica(GroupId group) const;
    raft::Config config_of(GroupId group, ReplicaId self) const;
    replica::Parts parts(GroupId group);
    bool may_be_born(GroupId group, ReplicaId replica) const;
    port::Task<> give_birth(GroupId group, ReplicaId self);
    port::Task<Result<void>> birth(GroupId group, ReplicaId self);
    port::Task<Result<void>> note_held(GroupId group, ReplicaId self);
    port::Task<> destroy(GroupId group);
    port::Task<Result<void>> erase(GroupId group, ReplicaId self);
    // distribute.cc
    using CataloguePtr = std::shared_ptr<const catalogue::Catalogue>;
    port::Task<Result<void>> read_catalogue();
    port::Task<Result<void>> bury(journal::Recovered& left);
    void hear(catalogue::Catalogue catalogue);
    void mind_catalogue();
    void found_and_bury();
    port::Task<> bury_unopened(GroupId group);
    void spread(CataloguePtr catalogue, bool durable);
    void take(const CataloguePtr& catalogue, bool durable);
    port::Task<Result<Slice>> slice_here(SliceOf what);
    port::Task<> answer_slice(SliceOf what, ShardId asker, port::OneShot<Result<Slice>>* answer);
    // operate.cc
    port::Task<Result<void>> change_here(GroupId group, raft::Change change, bool force);
    port::Task<Result<void>> transfer_here(GroupId group, NodeId to);
    port::Task<Result<void>> ask_home(
        GroupId group, std::move_only_function<port::Task<Result<void>>(NodeShard&)> what);
    port::Task<> answer_from_home(port::Task<Result<void>> what, ShardId asker,
                                  port::OneShot<Result<void>>* answer);
    Error who_leads(GroupId group) const;
    std::vector<NodeId> within_reach() const;
    raft::Change with_life(raft::Change change) const;

    ShardId home_of(GroupId group) const { return ShardId(group.value % shard_.shard_count()); }
    NodeShard& sibling(ShardId id) const { return *siblings_[id.value]; }
    void receive_call(const rpc::Peer& from, const rpc::Frame& frame);
    void receive_raft(NodeId from, const raft::Message& message, GroupId group);
    void receive_snapshot(NodeId from, const Bytes& body);
    void receive_snapshot_reply(const Bytes& body);
    void receive_forward(const rpc::Peer& from, const Bytes& body);
    void receive_answers(NodeId from, const Bytes& body);
    void submit_here(GroupId group, std::vector<replica::Incoming> requests);
    void deliver(GroupId group, std::vector<replica::Incoming> requests);
    void answer_here(GroupId group, const replica::Origin& origin, replica::Answer answer);
    void flush_raft();
    void flush_answers();
    void tick();
    void ask_for_flush();

    port::Shard& shard_;
    const Identity& identity_;
    const Options& options_;
    port::Engine& engine_;
    const std::vector<std::unique_ptr<NodeShard>>& siblings_;
    CallHandler& calls_;
    Registry& registry_;
    Log log_;

    std::unique_ptr<journal::Journal> journal_;
    replica::SnapshotSlots sending_, receiving_;
    std::map<GroupId, std::unique_ptr<replica::Replica>> replicas_;
    std::map<GroupId, ReplicaId> held_;        // what the identity says durably
    std::map<GroupId, ReplicaId> highest_;     // replica that was ever here
    std::map<GroupId, std::string> unopened_;  // and why
    std::set<GroupId> changing_;               // their replica is being made or destroyed
    std::set<NodeId> nodes_;                   // of the cluster, as far as it is known here
    std::vector<replica::Replica*> woken_;
    std::unique_ptr<router::Router> router_;
    std::unique_ptr<rpc::Endpoint> endpoint_;
    std::unique_ptr<pubsub::Hub> messages_;
    KnownStarts known_starts_;
    std::map<NodeId, Contact> contacts_;
    std::map<NodeId, NodeId> relayed_;  // nodes reached through another one, and through whom
    std::map<NodeId, std::string> refused_;
    port::TimerId ticker_;
    journal::BatchId persisted_;
    port::Signal persisted_changed_;
    FlushPace flush_pace_;
    CataloguePtr known_;    // routes follow it
    CataloguePtr durable_;  // this node's engine has it durably: births and deaths follow it
    // On the system group's shard: the last that was heard, if it is not durable yet, and where in
    // the engine it is.
    CataloguePtr heard_;
    std::optional<port::EngineSeq> heard_in_;
    Instant next_flush_;
    bool router_awake_ = false;
    bool hooked_ = false;
    bool closing_ = false;

    // Raft messages of this turn, by peer and lane; answers of this turn, by connection and group.
    std::map<std::pair<NodeId, rpc::Lane>, rpc::FrameBuilder> raft_out_;
    std::map<std::pair<uint64_t, GroupId>, std::vector<replica::Answered>> answers_out_;
    Counter &bad_bodies_, &relayed_commands_;
    port::Scope scope_;  // its tasks refer to all of the above
};

}  // namespace asterias::node
