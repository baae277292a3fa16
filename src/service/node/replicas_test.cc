// Replicas that come and go while everything runs: by order, over crashes, and never twice under
// one number (rules 19, 47).
#include <algorithm>

#include "service/node/node_test_cluster.h"

namespace asterias::node {
namespace {

constexpr GroupId kDefault{2};

// Four nodes, of which three hold the default keyspace.
struct Moving : Cluster {
    explicit Moving(uint64_t seed = 1, size_t shards = 1) : Cluster(4, seed, shards) {
        log_retained_bytes_max = 20'000;
        compact_entries = 10;
        for (size_t i = 0; i < 4; ++i)
            boot(i);
        EXPECT_TRUE(started());
        const auto members = members_of(founding(0), kDefault);
        for (uint64_t n = 1; n <= 4; ++n)
            if (!std::ranges::binary_search(members, NodeId(n))) outsider = NodeId(n);
    }
    NodeId outsider;

    size_t place_of(NodeId node) const {
        for (size_t i = 0; i < processes.size(); ++i)
            if (up(i) && processes[i]->node->identity().node == node) return i;
        return processes.size();
    }
    std::optional<replica::Status> replica(NodeId node) const {
        const size_t place = place_of(node);
        if (place == processes.size()) return {};
        for (size_t s = 0; s < processes[place]->shards.size(); ++s)
            for (auto& g : processes[place]->node->member(ShardId(s)).status().groups)
                if (g.group == kDefault) return g;
        return {};
    }
    NodeId leader() const {
        for (uint64_t n = 1; n <= 4; ++n)
            if (const auto r = replica(NodeId(n)); r && r->raft.role == raft::Role::Leader)
                return NodeId(n);
        return {};
    }
    void write(uint64_t count) {
        const size_t at = place_of(leader() ? leader() : NodeId(1));
        const Bytes value = Bytes::copy(std::string(1000, 'v'));
        for (uint64_t i = 0; i < count; ++i)
            ASSERT_EQ(execute(at, command(kv::Op::Set, {"k" + std::to_string(i)}, {value})),
                      kv::Reply::ok());
    }

    using Heard = std::shared_ptr<std::optional<Result<void>>>;
    static port::Task<> note(port::Task<Result<void>> what, Heard heard) {
        *heard = co_await std::move(what);
    }
    Heard begin(raft::Change change, NodeId at, ShardId shard = ShardId(0), bool force = true) {
        auto heard = std::make_shared<std::optional<Result<void>>>();
        Process* p = processes[place_of(at)];
        p->scope.spawn("change",
                       note(p->node->member(shard).change(kDefault, change, force), heard));
        return heard;
    }
    // Asks whoever leads until it is done.
    bool done(raft::Change change, ShardId shard = ShardId(0)) {
        for (int tries = 0; tries < 30; ++tries) {
            if (!world.run_until([&] { return leader() != NodeId(); }, seconds(20))) return false;
            const auto heard = begin(change, leader(), shard);
            world.run_until([&] { return heard->has_value(); }, seconds(70));
            if (*heard && **heard) return true;
            last = *heard ? (*heard)->error().context : "nothing";
            world.run_for(milliseconds(300));
        }
        return false;
    }
    bool until(const std::function<bool()>& what) { return world.run_until(what, seconds(30)); }
    std::string last;
};

TEST(Replicas, OneComesToANodeThatHadNoneBySnapshotAndAnotherGoesForGood) {
    Moving c;
    c.write(100);
    c.world.run_for(seconds(3));  // the log is shortened behind the engine's flush
    ASSERT_FALSE(c.replica(c.outsider));
    ASSERT_TRUE(c.done(raft::AddReplica{c.outsider})) << c.last;
    ASSERT_TRUE(c.until([&] {
        return c.replica(c.outsider)->raft.applied == c.replica(c.leader())->raft.applied;
    }));
    EXPECT_GE(c.replica(c.outsider)->raft.snapshots_installed, 1u);

    NodeId goes;
    for (NodeId node : members_of(c.founding(0), kDefault))
        if (node != c.leader()) goes = node;
    ASSERT_TRUE(c.done(raft::RemoveReplica{goes})) << c.last;
    ASSERT_TRUE(c.until([&] { return !c.replica(goes); })) << "it hears of it, and is deleted";
    EXPECT_EQ(c.execute(c.place_of(goes), command(kv::Op::StrLen, {"k7"})),
              kv::Reply::number(1000));

    const size_t place = c.place_of(goes);
    for (const auto how : {sim::CrashKind::Kill, sim::CrashKind::PowerCut}) {
        c.crash(place, how);
        c.boot(place);
        ASSERT_TRUE(c.until([&] { return c.up(place); }));
        EXPECT_FALSE(c.replica(goes)) << "mutant replica_old_life_revived";
        c.world.run_for(seconds(5));
        EXPECT_FALSE(c.replica(goes));
    }
    ASSERT_TRUE(c.done(raft::AddReplica{goes})) << c.last;
    EXPECT_GT(c.replica(goes)->raft.membership.last_replica, ReplicaId(4)) << "a new number";
    EXPECT_EQ(c.execute(place, command(kv::Op::StrLen, {"k7"})), kv::Reply::number(1000));
}

TEST(Replicas, ALeaderIsReplacedAndAnotherShardMayAsk) {
    Moving c(3, 2);
    c.write(60);
    const NodeId from = c.leader();
    // Asked on the shard that is not the group's.
    ASSERT_TRUE(c.done(raft::ReplaceReplica{from, c.outsider}, ShardId(1))) << c.last;
    ASSERT_TRUE(c.until([&] { return !c.replica(from) && c.leader(); }));
    EXPECT_NE(c.leader(), from);
    EXPECT_TRUE(c.replica(c.leader())->raft.membership.on(c.outsider));
    EXPECT_EQ(c.execute(0, command(kv::Op::StrLen, {"k9"})), kv::Reply::number(1000));
    EXPECT_EQ(c.execute(3, command(kv::Op::StrLen, {"k9"})), kv::Reply::number(1000));
}

TEST(Replicas, WhoDoesNotLeadSaysWhoDoes) {
    Moving c;
    ASSERT_TRUE(c.until([&] { return c.leader() != NodeId(); }));
    c.write(1);
    NodeId follower;
    for (NodeId node : members_of(c.founding(0), kDefault))
        if (node != c.leader()) follower = node;
    const auto heard = c.begin(raft::AddReplica{c.outsider}, follower);
    ASSERT_TRUE(c.until([&] { return heard->has_value(); }));
    ASSERT_FALSE(**heard);
    EXPECT_EQ((*heard)->error().code, Errc::Conflict);
    EXPECT_NE((*heard)->error().context.find("node " + to_string(c.leader()) + " leads"),
              std::string::npos);
    const auto refused = c.begin(raft::AddReplica{c.leader()}, c.leader());
    ASSERT_TRUE(c.until([&] { return refused->has_value(); }));
    EXPECT_EQ((*refused)->error().code, Errc::InvalidArgument);
}

// Mutant node_order_unforced.
TEST(Replicas, ALiveCopyBelowTheWantedNumberGoesOnlyByForce) {
    Moving c;
    c.write(1);
    NodeId goes;
    for (NodeId node : members_of(c.founding(0), kDefault))
        if (node != c.leader()) goes = node;
    const auto refused = c.begin(raft::RemoveReplica{goes}, c.leader(), ShardId(0), false);
    ASSERT_TRUE(c.until([&] { return refused->has_value(); }));
    ASSERT_FALSE(**refused);
    EXPECT_EQ((*refused)->error().code, Errc::InvalidArgument);
    EXPECT_NE((*refused)->error().context.find("2 of 3 copies"), std::string::npos);
    EXPECT_TRUE(c.done(raft::RemoveReplica{goes})) << c.last;
}

TEST(Replicas, ADeadNewcomerIsTakenBackAndBarsOthersOnlyUntilThen) {
    Moving c;
    c.write(1);
    c.crash(c.place_of(c.outsider));
    c.world.run_for(seconds(10));  // its peers have noticed
    const NodeId leader = c.leader();
    const auto refused = c.begin(raft::AddReplica{c.outsider}, leader, ShardId(0), false);
    ASSERT_TRUE(c.until([&] { return refused->has_value(); }));
    ASSERT_FALSE(**refused);
    EXPECT_NE((*refused)->error().context.find("is not connected"), std::string::npos);
    c.begin(raft::AddReplica{c.outsider}, leader);
    ASSERT_TRUE(c.until([&] { return c.replica(leader)->raft.membership.on(c.outsider); }));
    c.world.run_for(seconds(1));
    const auto second = c.begin(raft::RemoveReplica{leader}, leader);
    ASSERT_TRUE(c.until([&] { return second->has_value(); }));
    ASSERT_FALSE(**second);
    EXPECT_EQ((*second)->error().code, Errc::Limit) << (*second)->error().context;
    EXPECT_TRUE(c.done(raft::RemoveReplica{c.outsider})) << c.last;
    EXPECT_FALSE(c.replica(c.leader())->raft.membership.on(c.outsider));
}

TEST(Replicas, TheLeadGoesWhereItIsSent) {
    Moving c;
    ASSERT_TRUE(c.until([&] { return c.leader() != NodeId(); }));
    c.write(3);
    NodeId to;
    for (NodeId node : members_of(c.founding(0), kDefault))
        if (node != c.leader()) to = node;
    auto heard = std::make_shared<std::optional<Result<void>>>();
    Process* p = c.processes[c.place_of(c.leader())];
    p->scope.spawn("transfer",
                   Moving::note(p->node->member(ShardId(0)).transfer(kDefault, to), heard));
    ASSERT_TRUE(c.until([&] { return heard->has_value(); }));
    EXPECT_TRUE(heard->value().has_value());
    EXPECT_TRUE(c.until([&] { return c.leader() == to; }));
}

// A replica that is stopped, or that nobody could tell of its removal, must not stand in the way of
// the one that its node is given next.
TEST(Replicas, AStoppedOneIsRemovedAndAddedAgainOnTheSameNode) {
    Moving c;
    c.write(60);
    c.world.run_for(seconds(3));  // behind the engine's flush
    NodeId goes;
    for (NodeId node : members_of(c.founding(0), kDefault))
        if (node != c.leader()) goes = node;
    const size_t place = c.place_of(goes);
    c.crash(place, sim::CrashKind::Kill);
    ASSERT_TRUE(c.machines[place]->engine.damage(replica::applied_key(kDefault).view()));
    c.boot(place);
    ASSERT_TRUE(c.until([&] { return c.up(place); }));
    ASSERT_TRUE(c.replica(goes)->stopped);
    ASSERT_TRUE(c.done(raft::RemoveReplica{goes})) << c.last;
    ASSERT_TRUE(c.done(raft::AddReplica{goes})) << c.last;
    EXPECT_FALSE(c.replica(goes)->stopped);
    EXPECT_GT(c.replica(goes)->raft.membership.on(goes)->replica, ReplicaId(4));
    EXPECT_EQ(c.execute(place, command(kv::Op::StrLen, {"k7"})), kv::Reply::number(1000));
}

// What says that a replica was removed may turn out damaged: the next one has a number of its own.
TEST(Replicas, AGroupThatCouldNotBeOpenedIsBornAgainUnderAHigherNumber) {
    Moving c;
    c.write(60);
    NodeId goes;
    for (NodeId node : members_of(c.founding(0), kDefault))
        if (node != c.leader()) goes = node;
    const size_t place = c.place_of(goes);
    ASSERT_TRUE(c.done(raft::RemoveReplica{goes})) << c.last;
    ASSERT_TRUE(c.until([&] { return !c.replica(goes); }));
    c.crash(place, sim::CrashKind::Kill);
    ASSERT_TRUE(c.machines[place]->engine.damage(replica::removed_key(kDefault).view()));
    c.boot(place);
    ASSERT_TRUE(c.until([&] { return c.up(place); }));
    ASSERT_TRUE(c.replica(goes)->stopped);
    ASSERT_TRUE(c.done(raft::AddReplica{goes})) << c.last;
    EXPECT_FALSE(c.replica(goes)->stopped);
    EXPECT_EQ(c.execute(place, command(kv::Op::StrLen, {"k7"})), kv::Reply::number(1000));
}

// Its engine holds nothing of it yet, so that nothing else gives the loss away: made again under
// its number, it could vote a second time in a term. Mutant node_held_not_noted.
TEST(Replicas, AnEmptiedJournalIsNoticedAlsoIfItHeldAReplicaThatCameLater) {
    Moving c;
    const size_t place = c.place_of(c.outsider);
    ASSERT_TRUE(c.done(raft::AddReplica{c.outsider})) << c.last;
    const ReplicaId number = c.replica(c.outsider)->self;
    EXPECT_EQ(c.processes[place]->node->identity().held,
              (std::map<GroupId, ReplicaId>{{kDefault, number}}));
    c.crash(place);
    c.boot(place);
    ASSERT_TRUE(c.until([&] { return c.up(place); }));
    EXPECT_EQ(c.replica(c.outsider)->self, number);

    c.crash(place);
    Machine& m = *c.machines[place];
    for (const auto& path : m.image.paths())
        if (path.starts_with("data/journal-")) m.image.erase(path);
    // The founding groups of this node are not what is noticed.
    auto identity = decode_identity(m.image.content("data/identity").value()).value();
    identity.born = false;
    m.image.put("data/identity", encode(identity).view());
    m.engine = engine::MemImage();
    c.boot(place);
    ASSERT_TRUE(c.until([&] { return c.processes[place]->started.has_value(); }));
    ASSERT_FALSE(c.processes[place]->started->has_value());
    const Error& why = c.processes[place]->started->error();
    EXPECT_EQ(why.code, Errc::Corrupt);
    EXPECT_NE(why.context.find("group " + to_string(kDefault) + " are lost"), std::string::npos)
        << why.context;
}

// Whoever crashes wherever while one replica comes and another goes: in the end it is so.
TEST(Replicas, ChangesOutliveCrashesAnywhere) {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
        Moving c(seed);
        c.write(40);
        Prng prng(seed);
        const NodeId goes = c.leader();
        const auto crash_some = [&] {
            for (size_t i = 0; i < 4; ++i)
                if (c.up(i) && prng.chance(0.6))
                    c.world.arm_crash(
                        c.machines[i]->index, 1 + prng.below(400),
                        prng.chance(0.5) ? sim::CrashKind::Kill : sim::CrashKind::PowerCut);
        };
        const auto raise = [&] {
            for (size_t i = 0; i < 4; ++i)
                if (!c.world.up(c.machines[i]->index)) {
                    c.processes[i] = nullptr;
                    c.boot(i);
                }
        };
        const raft::Change change = raft::ReplaceReplica{goes, c.outsider};
        for (int round = 0; round < 6; ++round) {
            if (c.leader()) c.begin(change, c.leader());
            crash_some();
            c.world.run_for(milliseconds(static_cast<int64_t>(prng.below(3000))));
            raise();
            c.world.run_for(milliseconds(static_cast<int64_t>(prng.below(2000))));
        }
        c.world.run_for(seconds(2));
        raise();
        ASSERT_TRUE(c.started()) << "seed " << seed;
        const auto so = [&] {
            const NodeId leader = c.leader();
            if (!leader) return false;
            const raft::Membership m = c.replica(leader)->raft.membership;
            return !m.joint() && m.on(c.outsider) && !m.on(goes) && !c.replica(goes);
        };
        for (int tries = 0; tries < 10 && !so(); ++tries) {
            if (c.leader()) c.begin(change, c.leader());
            c.world.run_until(so, seconds(10));
        }
        ASSERT_TRUE(so()) << "seed " << seed;
        for (size_t i = 0; i < 4; ++i)
            EXPECT_EQ(c.execute(i, command(kv::Op::StrLen, {"k9"})), kv::Reply::number(1000));
    }
}

}  // namespace
}  // namespace asterias::node
