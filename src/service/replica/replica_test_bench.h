// One replica on a simulated disk and engine, with its surroundings and its two peers played by the
// test. Included by tests only.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/mem/mem.h"
#include "runtime/sim/disk.h"
#include "runtime/sim/tiny_shard.h"
#include "service/execute/execute.h"
#include "service/replica/replica.h"

namespace asterias::replica {

inline constexpr GroupId kGroup{2};
inline const KeyspaceId kKeyspace{1};
inline const session::SessionId kSession{NodeId(9), Incarnation(1), ShardId(0)};

struct QuietSink final : LogSink {
    void write(LogLevel, std::string_view, std::string) override {}
    bool enabled(LogLevel) const override { return false; }
};

inline kv::Command set(std::string_view key, std::string_view value) {
    kv::Command c;
    c.op = kv::Op::Set;
    c.keyspace = kKeyspace;
    c.keys = {Bytes::copy(key)};
    c.values = {Bytes::copy(value)};
    return c;
}
inline kv::Command on_key(kv::Op op, std::string_view key, int64_t number = 0) {
    kv::Command c;
    c.op = op;
    c.keyspace = kKeyspace;
    c.number = number;
    c.keys = {Bytes::copy(key)};
    return c;
}
inline kv::Command incr(std::string_view key) { return on_key(kv::Op::IncrBy, key, 1); }
inline kv::Command get(std::string_view key) { return on_key(kv::Op::Get, key); }

// Passes everything on and watches the reads that may go to disk.
class WatchedEngine final : public port::Engine {
public:
    explicit WatchedEngine(std::unique_ptr<port::Engine> engine) : engine_(std::move(engine)) {}
    size_t looks = 0;  // into memory
    size_t view_scans = 0;
    size_t writes = 0;
    size_t reads = 0, under_way = 0, most_under_way = 0;
    size_t scanned = 0, most_scanned = 0;  // bytes: all, and by one scan

    Result<port::EngineSeq> write(const port::EngineBatch& batch) override {
        ++writes;
        return engine_->write(batch);
    }
    port::EngineSeq durable() const override { return engine_->durable(); }
    port::EngineSeq written() const override { return engine_->written(); }
    void request_flush() override { engine_->request_flush(); }
    TryGet try_get(std::string_view key) override {
        ++looks;
        return engine_->try_get(key);
    }
    port::Task<Result<std::optional<Bytes>>> get(port::Shard& shard, Bytes key) override {
        ++reads;
        most_under_way = std::max(most_under_way, ++under_way);
        auto got = co_await engine_->get(shard, std::move(key));
        --under_way;
        co_return got;
    }
    port::Task<Result<std::vector<port::KeyValue>>> scan(port::Shard& shard, Bytes from, Bytes to,
                                                         port::ScanLimit limit) override {
        auto found = co_await engine_->scan(shard, std::move(from), std::move(to), limit);
        size_t bytes = 0;
        if (found)
            for (const auto& pair : *found)
                bytes += pair.key.size() + pair.value.size();
        scanned += bytes;
        most_scanned = std::max(most_scanned, bytes);
        co_return found;
    }
    std::unique_ptr<port::EngineSnapshot> snapshot() override { return engine_->snapshot(); }
    port::Task<Result<std::vector<port::KeyValue>>> scan_view(
        port::Shard& shard, std::shared_ptr<port::EngineSnapshot> view, Bytes from, Bytes to,
        port::ScanLimit limit) override {
        auto found = co_await engine_->scan_view(shard, std::move(view), std::move(from),
                                                 std::move(to), limit);
        ++view_scans;
        co_return found;
    }
    Result<std::unique_ptr<port::Staging>> stage(std::vector<port::Span> spans) override {
        return engine_->stage(std::move(spans));
    }

private:
    std::unique_ptr<port::Engine> engine_;
};

class Bench : public Surroundings, public journal::Observer, public port::TurnHook {
public:
    struct Heard {
        Origin origin;
        Answer answer;
    };
    struct Sent {
        NodeId to;
        raft::Message message;
    };

    explicit Bench(size_t voters, uint64_t seed = 1, uint64_t self = 1) : seed_(seed) {
        config_.group = kGroup;
        config_.self = ReplicaId(self);
        for (size_t i = 1; i <= voters; ++i)
            config_.membership.voters.push_back({ReplicaId(i), NodeId(i)});
        config_.membership.last_replica = ReplicaId(voters);
        boot();
    }
    ~Bench() override { kill(); }

    size_t queue_max = 100'000, queue_bytes_max = 64 * 1024 * 1024;  // from the next boot() on
    size_t held_replies_max = 16 * 1024 * 1024;
    void limit_uncommitted(size_t bytes) { config_.uncommitted_bytes_max = bytes; }  // likewise
    // What the peers answer. They hold no log: they say what a healthy follower would.
    bool peers_vote = true, peers_append = true, peers_heartbeat = true;
    bool peers_stalled = false;  // as they say with heartbeats
    std::set<NodeId> away;       // who answers nothing
    std::set<NodeId> without;    // who has no log, and takes none
    std::vector<Sent> sent;      // everything, in order
    std::set<uint64_t> full_links;
    std::vector<Heard> answers;  // in order
    NodeId leader;
    bool removed = false;
    bool bulk_open = true;
    std::vector<SnapshotMessage> snapshots;  // sent, in order
    std::vector<SnapshotReply> snapshot_replies;
    uint64_t log_retained_bytes_max = 64 * 1024 * 1024;  // from the next boot() on
    uint64_t compact_entries = 1000;                     // likewise
    size_t unwritten_bytes_max = 64 * 1024 * 1024;       // likewise
    Duration stall_patience = seconds(3600);             // likewise
    SnapshotSlots* sending = nullptr;                    // likewise

    sim::DiskImage image;
    engine::MemImage engine_image;
    std::unique_ptr<sim::TinyShard> shard;
    std::unique_ptr<WatchedEngine> engine;
    std::unique_ptr<journal::Journal> journal;
    std::unique_ptr<Replica> replica;

    void boot() {
        shard = std::make_unique<sim::TinyShard>(seed_);
        disk_ = std::make_unique<sim::SimDisk>(image, *shard, faults_, Prng(seed_));
        shard->use(*disk_);
        registry_ = std::make_unique<Registry>();
        for (const char* directory : {"journal", "node"})
            auto made = sim::run(*shard, disk_->create_directories(directory));
        auto engine_made = engine::open_mem(engine_image, {.prng = Prng(seed_)});
        ASSERT_TRUE(engine_made.has_value());
        engine = std::make_unique<WatchedEngine>(std::move(*engine_made));
        journal::Options options;
        options.directory = "journal";
        options.cluster = ClusterId(7);
        options.node = self();
        options.segment_bytes = 4 * 1024 * 1024;
        options.reserve_bytes = kReserve;
        auto opened = sim::run(*shard, journal::open(*shard, options, *registry_, log()));
        ASSERT_TRUE(opened && *opened);
        journal = std::move((*opened)->journal);
        journal->set_observer(*this);
        shard->add_turn_hook(port::TurnPhase::Work, *this);
        Parts parts{*shard, *engine, *journal, *this, *registry_, log()};
        parts.compact_entries = compact_entries;
        parts.queue_max = queue_max;
        parts.queue_bytes_max = queue_bytes_max;
        parts.held_replies_max = held_replies_max;
        parts.log_retained_bytes_max = log_retained_bytes_max;
        parts.snapshot_pace.piece_bytes = 1024;
        parts.stall_patience = stall_patience;
        parts.sending = sending;
        parts.unwritten_bytes_max = unwritten_bytes_max;
        parts.directory = "node";
        auto replica_made =
            sim::run(*shard, Replica::open(parts, kKeyspace, config_,
                                           std::move((*opened)->recovered.groups[kGroup])));
        ASSERT_TRUE(replica_made && *replica_made);
        replica = std::move(**replica_made);
        awake_ = true;
        tick();
    }
    // kill -9 of the process; the machine lives.
    void kill() {
        if (!shard) return;
        shard->set_crashed();
        if (replica) shard->remove_turn_hook(*this);
        replica.reset();
        journal.reset();
        engine.reset();
        disk_.reset();
        shard.reset();
        image.kill();
        Prng prng(seed_);
        engine_image.crash(prng);
    }

    // From now on less than the journal's reserve is left; or there is space again.
    void fill_disk() { faults_.capacity_bytes = image.used_bytes() + kReserve / 2; }
    void free_disk() { faults_.capacity_bytes = UINT64_MAX; }

    // From now on each sync takes so long.
    void slow_disk(Duration sync) { faults_.sync_latency = {sync, sync}; }

    // What is ready, else the next timer.
    void turn() {
        shard->step();
        play_peers();
    }
    void receive(const raft::Message& message) {
        replica->receive(NodeId(message.from.value), message);
        shard->touch();
    }
    // Until `done` or so many turns.
    bool turns_until(const std::function<bool()>& done, int most = 20000) {
        while (!done() && most-- > 0)
            turn();
        return done();
    }
    void run_for(Duration duration) {
        const Instant until = shard->now() + duration;
        while (shard->now() < until)
            turn();
    }
    bool leads() const { return replica->status().raft.role == raft::Role::Leader; }
    // Leader whose no-op is applied.
    bool ready() const {
        const auto s = replica->status();
        return leads() && s.raft.applied == s.raft.last;
    }
    void elect() {
        ASSERT_TRUE(turns_until([&] { return ready(); }));
    }
    // A leader of a higher term is heard from; this one steps down.
    void depose(ReplicaId by = ReplicaId(2)) {
        peers_vote = false;
        receive({by, ReplicaId(1), replica->status().raft.term.next(),
                 raft::Heartbeat{LogIndex(0), 1}});
        turn();
    }

    Incoming request(uint64_t ticket, uint64_t sequence, kv::Command command, uint64_t epoch = 1,
                     session::SessionId session = kSession) const {
        return {{ShardId(0), 1, ticket, epoch}, session,           1, sequence,
                shard->now() + seconds(5),      std::move(command)};
    }
    void submit(uint64_t ticket, uint64_t sequence, kv::Command command, uint64_t epoch = 1,
                session::SessionId session = kSession) {
        replica->submit(request(ticket, sequence, std::move(command), epoch, session));
        shard->touch();
    }
    size_t answered(uint64_t ticket) const {
        size_t n = 0;
        for (const auto& a : answers)
            n += a.origin.ticket == ticket;
        return n;
    }
    const Answer& answer_to(uint64_t ticket) const {
        static const Answer kNone{};
        const Answer* found = nullptr;
        for (const auto& a : answers)
            if (a.origin.ticket == ticket) found = &a.answer;
        EXPECT_NE(found, nullptr) << "ticket " << ticket << " was not answered";
        return found ? *found : kNone;
    }
    const Answer& await(uint64_t ticket) {
        turns_until([&] { return answered(ticket) > 0; }, 2000);
        return answer_to(ticket);
    }
    uint64_t counted(std::string_view counter) const {
        return registry_->counter(counter, "", "group=\"" + to_string(kGroup) + "\"").value();
    }
    // As a client would read it now, through the replica.
    kv::Reply read(std::string_view key) {
        const uint64_t ticket = 1'000'000 + next_read_++;
        submit(ticket, 0, get(key), 1'000'000);
        return await(ticket).reply;
    }

private:
    void send(NodeId to, GroupId group, const raft::Message& message) override {
        EXPECT_EQ(group, kGroup);
        sent.push_back({to, message});
        to_play_.push_back(message);
    }
    void answer(GroupId, const Origin& origin, Answer answer) override {
        answers.push_back({origin, std::move(answer)});
    }
    bool send_snapshot(NodeId, const SnapshotMessage& message) override {
        snapshots.push_back(message);
        return bulk_open;
    }
    void send_snapshot_reply(NodeId, const SnapshotReply& reply) override {
        snapshot_replies.push_back(reply);
    }
    void on_removed(GroupId) override { removed = true; }
    void on_leader(GroupId, NodeId who, Term) override { leader = who; }
    void wake(GroupId) override { awake_ = true; }
    bool has_room(const Origin& origin) const override { return !full_links.contains(origin.link); }
    NodeId self() const override { return NodeId(config_.self.value); }
    void on_persisted(journal::BatchId through) override {
        if (replica) replica->on_persisted(through);
    }
    void on_turn_end() override {
        for (int round = 0; round < 2 && replica && std::exchange(awake_, false); ++round)
            replica->run();
    }
    void tick() {
        shard->timers().after(milliseconds(20), [this] {
            replica->tick();
            tick();
        });
    }
    void play_peers() {
        auto play = std::exchange(to_play_, {});
        for (const auto& m : play) {
            if (away.contains(NodeId(m.to.value))) continue;
            if (const auto* vote = std::get_if<raft::VoteRequest>(&m.body)) {
                if (peers_vote) reply(m, raft::VoteReply{vote->pre, true});
            } else if (const auto* append = std::get_if<raft::AppendRequest>(&m.body)) {
                if (without.contains(NodeId(m.to.value)))
                    reply(m, raft::AppendReply{false, {}, LogIndex(1), {}});
                else if (peers_append)
                    reply(m, raft::AppendReply{
                                 true, append->prev_index.plus(append->entries.size()), {}, {}});
            } else if (const auto* beat = std::get_if<raft::Heartbeat>(&m.body)) {
                if (peers_heartbeat) reply(m, raft::HeartbeatReply{beat->round, peers_stalled});
            }
        }
    }
    void reply(const raft::Message& to, raft::MessageBody body) {
        receive({to.to, to.from, to.term, std::move(body)});
    }
    Log log() { return Log(sink_, "test"); }

    static constexpr uint64_t kReserve = 1'000'000;
    const uint64_t seed_;
    raft::Config config_;
    sim::DiskFaults faults_;
    QuietSink sink_;
    std::unique_ptr<sim::SimDisk> disk_;
    std::unique_ptr<Registry> registry_;
    std::vector<raft::Message> to_play_;
    uint64_t next_read_ = 0;
    bool awake_ = false;
};

}  // namespace asterias::replica
