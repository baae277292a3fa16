// service/node/node.h: a whole node: who it is, how it is born or joins, its shards, its status.
// The composition root (app, or the simulator's world) gives it its shards and its engine;
// everything else is the same code in both.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/catalogue/boundary.h"
#include "service/node/checks.h"
#include "service/node/join.h"
#include "service/node/keyspace_orders.h"
#include "service/node/keyspaces.h"
#include "service/node/node_shard.h"
#include "service/node/orders.h"

namespace asterias::node {

// Makes the engine once the node knows who it is (the directory is there by then).
using EngineFactory = std::function<Result<std::unique_ptr<port::Engine>>(std::string directory)>;

// Writes a founder's identity into an empty directory; Errc::AlreadyExists if a node lives there.
port::Task<Result<void>> init(port::Shard& shard, std::string directory, uint32_t expected_nodes,
                              std::vector<std::string> keyspaces, uint32_t shards);

// What start() says of an empty directory: both ways out.
std::string nobody_lives_in(const std::string& directory);

class Node : public CallHandler {
public:
    // `shards` outlive the node.
    Node(std::vector<port::Shard*> shards, Options options, EngineFactory engine,
         Registry& registry, Log log);
    ~Node() override;

    // On shard 0. Loads or makes the identity (founding, joining: waits for the others), opens
    // every shard and starts. After success router(i) may be used on shard i. Errors: NotFound (an
    // empty directory without `join`), Unavailable (another process holds the directory), Corrupt,
    // Conflict, Unsupported, Io (this directory cannot take part as it is: starting it again does
    // not help), or what listening says.
    port::Task<Result<void>> start();
    // On shard 0. Orders that still look for a leader end soon, as Unavailable; none is carried any
    // more. Whoever waits for them before close() says this first.
    void give_up_orders();
    // On shard 0. Orderly stop. Destroy the node when the loops of its shards have ended: the last
    // instructions of a step may still run on another thread when this completes.
    port::Task<> close();

    // What a door needs; on that shard.
    execute::Strategy& strategy(ShardId shard) { return members_[shard.value]->router(); }
    NodeShard& member(ShardId shard) { return *members_[shard.value]; }
    const Identity& identity() const { return identity_; }
    bool started() const { return started_; }

    // On shard 0, before start(). `end` is called once, on shard 0, when this node must not go on,
    // with the reason for the operator; without it the reason goes to Shard::fatal.
    void on_end(std::function<void(const Error&)> end) { end_ = std::move(end); }

    // On shard 0, before start(): who answers for the cursors that doors of this node gave.
    // NotFound: it is lost. What a cursor stands for is the doors' business.
    using CursorFound = std::move_only_function<void(Result<Bytes>)>;
    void on_cursor(std::function<void(uint64_t cursor, CursorFound found)> source) {
        cursors_ = std::move(source);
    }
    // On shard 0: of a cursor that another node gave, one whose number ends in these `bits` bits.
    // Errors: NotFound (it is lost, or there is no such node), Unavailable.
    port::Task<Result<Bytes>> fetch_cursor(uint64_t node, int bits, uint64_t cursor);

    // On shard 0; asks every shard.
    port::Task<std::vector<ShardStatus>> status();
    // For GET /livez: have all event loops taken a turn, asked now? And for GET /readyz: that, and
    // would this node serve a client now: every keyspace is asked for, by one small read of its
    // leader. On shard 0, after a successful start().
    port::Task<std::vector<Check>> live();
    port::Task<std::vector<Check>> ready();
    // For `asterias status --json` and GET /status.
    port::Task<std::string> status_json();
    // For `asterias why`: what is not as it should be, as all nodes that answer see it. `keyspace`:
    // only of that one, and of nodes as a whole; empty: all. NotFound: there is none of that name.
    port::Task<Result<std::string>> why_json(std::string keyspace);

    // For `asterias replica`: carried to the leader of the group. A JSON text: of List,
    // members_json() of one keyspace or of all
    // ({"groups":[..],"not_asked":[{"of":..,"error":..}]}); else {"done":..,"warning":..}, false:
    // it goes on, and List shows how far it is. Errors: InvalidArgument, NotFound (keyspace),
    // Conflict (refused, with the way out), Unavailable and Limit (certainly not done; later it may
    // be), Timeout, Closed (it may go on).
    port::Task<Result<std::string>> order(Order order);
    // For `asterias keyspace`. A JSON text: of List and Describe keyspaces_json(); else
    // {"id":..,"done":..}, false: it goes on, and List shows how far it is. Errors:
    // InvalidArgument, NotFound, Conflict (refused, with the way out), Limit, Unavailable (it may
    // have been taken, List shows it), Closed.
    port::Task<Result<std::string>> order_keyspace(KeyspaceOrder order);
    // Where operators reach the nodes that are connected to this one, and it: for who asks on when
    // this one is gone. {"nodes":[{"node":..,"http":"HOST:PORT"}]}
    port::Task<std::string> nodes_json();

private:
    void on_call(rpc::CallBody call, std::function<void(Result<Bytes>)> answer) override;
    port::Task<> answer_call(rpc::CallBody call, std::function<void(Result<Bytes>)> answer);
    void on_peer_start(NodeId node, Incarnation start) override;
    void on_disowned(NodeId by, std::string why) override;
    void on_held(GroupId group, ReplicaId replica,
                 std::function<void(Result<void>)> noted) override;
    Result<Bytes> on_join(const Bytes& payload);
    // replace.cc
    port::Task<Result<void>> expect_no_replicas(NodeId node);
    port::Task<Result<void>> expect_gone(NodeId node);
    port::Task<Result<Bytes>> on_seen(Bytes payload);
    port::Task<Result<Bytes>> on_place(Bytes payload);
    port::Task<Result<Incarnation>> last_start_of(NodeId node);
    port::Task<Result<void>> note_place(NodeId node, Incarnation before);
    port::Task<Result<void>> note_at_majority(NodeId node, Incarnation before);
    port::Task<Result<Joined>> give_place(JoinRequest request);
    std::string fenced_text() const;
    // carry.cc
    struct Work;
    port::Task<> work_on(std::shared_ptr<Work> work, GroupId group, Order order);
    port::Task<Result<std::string>> order_here(Order order);
    port::Task<Result<std::string>> carry(Order order);
    port::Task<std::string> list_all();
    port::Task<> list_one(Order order, Result<std::string>* out, size_t* left,
                          port::Signal* changed);
    port::Task<> ask_http(FoundingMember member, std::string* out, size_t* left,
                          port::Signal* changed);
    Result<GroupId> group_named(const std::string& keyspace) const;
    const catalogue::Catalogue& keyspaces() const { return *members_[0]->known_catalogue(); }
    // mover.cc
    static constexpr Duration kAsk = seconds(2);  // a group, or a node about one
    struct Asked;
    struct Recorded {
        int64_t version = 0;
        catalogue::Catalogue catalogue;
    };
    port::Task<std::optional<execute::Outcome>> ask(GroupId group, kv::Command command,
                                                    Duration within = kAsk,
                                                    execute::StreamId stream = {});
    port::Task<std::optional<LogIndex>> tell(GroupId group, catalogue::Order order);
    void end_questions();
    port::Task<Result<Recorded>> read_record();
    port::Task<Result<bool>> store_record(int64_t version, catalogue::Catalogue next);
    port::Task<Result<Bytes>> answer_slice(Bytes payload);
    port::Task<std::optional<NodeShard::Slice>> read_slice(NodeShard::SliceOf what);
    port::Task<std::optional<uint64_t>> count_keys(GroupId group, std::string name, LogIndex index);
    port::Task<bool> copy_all(catalogue::Keyspace keyspace, uint64_t generation, LogIndex index);
    port::Task<bool> clear_all(catalogue::Keyspace keyspace, uint64_t generation, LogIndex index);
    port::Task<std::optional<catalogue::Catalogue>> step(catalogue::Catalogue now,
                                                         catalogue::Keyspace keyspace);
    port::Task<> carry_keyspaces_on();
    port::Task<Result<bool>> store_step(Recorded recorded, catalogue::Keyspace k,
                                        catalogue::Catalogue next);
    port::Task<> ask_for_catalogue();
    port::Task<> mind_keyspaces();
    // keyspace_orders.cc
    port::Task<Result<catalogue::Catalogue>> wished(KeyspaceOrder order, catalogue::Catalogue now);
    port::Task<Result<std::string>> change_keyspaces(KeyspaceOrder order);
    port::Task<Result<std::string>> await_keyspace(KeyspaceOrder order, KeyspaceId id,
                                                   uint64_t generation);
    // checks.cc
    port::Task<> ask_leader(Question* asked, size_t* left, port::Signal* changed);
    // A finding each, without the brackets of a list.
    port::Task<std::string> findings_json(std::string keyspace);
    port::Task<> ask_why(FoundingMember member, std::string keyspace, std::string* out,
                         size_t* left, port::Signal* changed);
    Result<void> check_fit() const;
    // Writes it, as it is now or later; `noted` hears of that.
    void identity_changed(std::function<void(Result<void>)> noted = {});
    port::Task<> keep_identity();
    port::Task<Result<void>> become_someone();
    port::Task<Result<void>> found();
    port::Task<Result<void>> join();
    // Runs `step` for every shard, each on its own; the first error wins.
    enum class Step : uint8_t { Open, Start, Close };
    port::Task<Result<void>> on_every_shard(Step step);
    port::Task<> run_step(size_t i, Step step);
    void step_done(size_t i, Result<void> result);

    class FoundingReceiver;

    std::vector<port::Shard*> shards_;
    Options options_;
    EngineFactory make_engine_;
    Registry& registry_;
    Log log_;
    Identity identity_;
    std::unique_ptr<port::FileLock> lock_;
    std::unique_ptr<port::Engine> engine_;
    std::vector<std::unique_ptr<NodeShard>> members_;
    std::vector<std::unique_ptr<port::Scope>> scopes_;  // one per shard
    std::unique_ptr<port::Signal> founding_changed_;
    std::unique_ptr<port::Signal> steps_changed_;
    size_t steps_left_ = 0;
    Result<void> steps_result_;
    std::function<void(const Error&)> end_;
    std::vector<std::function<void(Result<void>)>> noted_;  // wait for the next write
    size_t calls_ = 0;                                      // under way
    std::map<uint64_t, std::shared_ptr<Asked>> asking_;
    uint64_t next_question_ = 0;
    size_t next_peer_ = 0;  // to be asked for the catalogue
    std::function<void(uint64_t, CursorFound)> cursors_;
    bool founding_stored_ = false;
    bool identity_changed_ = false, identity_kept_ = true;  // since it was written; no task writes
    bool started_ = false, ended_ = false, closing_ = false;
};

}  // namespace asterias::node
