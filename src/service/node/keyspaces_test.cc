// Keyspaces that are made and dropped while everything runs.
#include "service/node/keyspaces.h"

#include <algorithm>
#include <ranges>

#include "service/node/node_test_cluster.h"

namespace asterias::node {
namespace {

using What = KeyspaceOrder::What;
using Heard = std::shared_ptr<std::optional<Result<std::string>>>;

kv::Command set(const std::string& key, std::string_view value, int64_t expiry_ms = 0) {
    kv::Command c = command(kv::Op::Set, {key}, {Bytes::copy(value)});
    if (!expiry_ms) return c;
    c.flags = kv::flag::kExpire;
    c.number = expiry_ms;
    return c;
}
kv::Command get(const std::string& key) { return command(kv::Op::Get, {key}); }

struct Running : Cluster {
    explicit Running(uint32_t nodes = 4, uint64_t seed = 1, size_t shards = 1)
        : Cluster(nodes, seed, shards) {
        log_retained_bytes_max = 20'000;
        compact_entries = 10;
        for (size_t i = 0; i < nodes; ++i)
            boot(i);
        EXPECT_TRUE(started());
    }
    template <typename T>
    static port::Task<> note(port::Task<Result<T>> what,
                             std::shared_ptr<std::optional<Result<T>>> heard) {
        *heard = co_await std::move(what);
    }
    Heard begin(KeyspaceOrder order, size_t at = 0) {
        auto heard = std::make_shared<std::optional<Result<std::string>>>();
        Process* p = processes[at];
        p->scope.spawn("order", note(p->node->order_keyspace(std::move(order)), heard));
        return heard;
    }
    Result<std::string> ask(KeyspaceOrder order, size_t at = 0) {
        const auto heard = begin(std::move(order), at);
        world.run_until([&] { return heard->has_value(); }, seconds(30));
        return heard->value_or(fail(Errc::Timeout, "no answer"));
    }
    Result<std::string> create(const std::string& name, uint32_t copies = 3, bool move = false) {
        KeyspaceOrder order{What::Create, name, copies, {}, move, false};
        return ask(order);
    }
    Result<std::string> drop(const std::string& name, bool force = false) {
        return ask({What::Drop, name, 0, {}, false, force});
    }
    std::string list() { return ask({}).value_or("no list"); }
    const catalogue::Catalogue& catalogue(size_t i) {
        return *processes[i]->node->member(ShardId(0)).known_catalogue();
    }
    bool settled(const std::string& name, bool there) {
        return world.run_until(
            [&] {
                return std::ranges::all_of(
                    std::views::iota(size_t{0}, size_t{size}), [&](size_t i) {
                        if (!up(i)) return false;
                        const auto* k = catalogue(i).find(name);
                        return there ? k && k->state == catalogue::State::Serving : !k;
                    });
            },
            seconds(60));
    }
    size_t replicas_of(GroupId group) {
        size_t n = 0;
        for (size_t i = 0; i < size; ++i)
            for (size_t s = 0; up(i) && s < processes[i]->shards.size(); ++s)
                for (const auto& g : processes[i]->node->member(ShardId(s)).status().groups)
                    n += g.group == group && !g.stopped;
        return n;
    }
    NodeId id(size_t i) { return processes[i]->node->identity().node; }
    // As node i says; nullptr: it holds none.
    const replica::Status* replica(size_t i, GroupId group) {
        seen = processes[i]->node->member(ShardId(0)).status();
        for (const auto& g : seen.groups)
            if (g.group == group) return &g;
        return nullptr;
    }
    // A node that follows in the group.
    size_t follower_of(GroupId group) {
        for (size_t i = 0; i < size; ++i)
            if (const auto* g = replica(i, group); g && g->raft.role == raft::Role::Follower)
                return i;
        ADD_FAILURE() << "nobody follows";
        return 0;
    }
    ShardStatus seen;
    size_t leader_of_system() {
        for (size_t i = 0; i < size; ++i)
            for (const auto& g : processes[i]->node->member(ShardId(0)).status().groups)
                if (g.group == kSystemGroup && g.raft.role == raft::Role::Leader) return i;
        return 0;
    }
};

constexpr GroupId kCart{4};  // behind `default` and `q`

TEST(Keyspaces, OneIsMadeServesAndIsDroppedAgain) {
    for (const size_t shards : {size_t{1}, size_t{3}}) {
        Running c(4, 1, shards);
        const auto made = c.create("cart", 2);
        ASSERT_TRUE(made) << made.error().describe();
        EXPECT_EQ(*made, "{\"id\":3,\"done\":true}");
        for (size_t i = 0; i < 4; ++i)
            EXPECT_EQ(c.execute(i, command(kv::Op::IncrBy, {"cart:n"})),
                      kv::Reply::number(static_cast<int64_t>(i) + 1));
        EXPECT_EQ(c.replicas_of(kCart), 2u);
        EXPECT_NE(c.list().find("\"name\":\"cart\",\"id\":3,\"group\":4,\"state\":\"serving\""),
                  std::string::npos);
        EXPECT_EQ(c.execute(0, command(kv::Op::MGet, {"cart:n", "other"})),
                  kv::Reply::error(execute::kCrossKeyspace));
        const auto held = c.drop("cart");
        ASSERT_FALSE(held);
        EXPECT_NE(held.error().context.find("keyspace cart holds 1 key"), std::string::npos);
        EXPECT_EQ(c.execute(1, get("cart:n")).text.view(), "4") << "it serves again";
        ASSERT_TRUE(c.drop("cart", true));
        ASSERT_TRUE(c.settled("cart", false));
        EXPECT_TRUE(c.world.run_until([&] { return c.replicas_of(kCart) == 0; }, seconds(20)));
        EXPECT_EQ(c.execute(2, get("cart:n")), kv::Reply::nil());
        EXPECT_EQ(c.execute(3, set("cart:n", "in default")), kv::Reply::ok());
    }
}

TEST(Keyspaces, KeysThatAreThereStayWhereTheyAreOrMoveAlongWithTheirDeadlines) {
    Running c;
    for (int i = 0; i < 700; ++i)
        ASSERT_EQ(c.execute(0, set("cart:" + std::to_string(i), "v" + std::to_string(i))),
                  kv::Reply::ok());
    ASSERT_EQ(c.execute(0, set("carts:1", "another")), kv::Reply::ok());
    const int64_t deadline = 1'900'000'000'000'000 / 1000 * 1000;
    ASSERT_EQ(c.execute(0, set("cart:dated", "d", deadline)), kv::Reply::ok());
    const auto refused = c.create("cart");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::Conflict);
    EXPECT_NE(refused.error().context.find("default holds 701 keys"), std::string::npos)
        << refused.error().context;
    ASSERT_TRUE(c.settled("cart", false));
    EXPECT_EQ(c.execute(1, get("cart:7")).text.view(), "v7") << "default has them still";

    const auto moved = c.create("cart", 3, true);
    ASSERT_TRUE(moved) << moved.error().describe();
    ASSERT_TRUE(c.settled("cart", true));
    for (int i = 0; i < 700; i += 7)
        EXPECT_EQ(c.execute(1, get("cart:" + std::to_string(i))).text.view(),
                  "v" + std::to_string(i));
    kv::Command ttl = command(kv::Op::Ttl, {"cart:dated"});
    ttl.flags = kv::flag::kAbsolute;
    EXPECT_EQ(c.execute(2, ttl), kv::Reply::number(deadline));
    EXPECT_EQ(c.execute(2, get("carts:1")).text.view(), "another");
    // Nothing is left behind the fence, to come back when it is lifted.
    ASSERT_TRUE(c.drop("cart", true));
    ASSERT_TRUE(c.settled("cart", false));
    EXPECT_EQ(c.execute(0, get("cart:7")), kv::Reply::nil());
}

TEST(Keyspaces, WhatAClientIsToldBeforeTheMoveIsToldAgainBehindIt) {
    Running c;
    kv::Command once = command(kv::Op::IncrBy, {"cart:n"});
    once.request = {Bytes::literal("me"), 5};
    ASSERT_EQ(c.execute(0, once), kv::Reply::number(1));
    ASSERT_TRUE(c.create("cart", 3, true));
    EXPECT_EQ(c.execute(1, once), kv::Reply::number(1)) << "not done again";
    EXPECT_EQ(c.execute(1, get("cart:n")).text.view(), "1");
}

TEST(Keyspaces, OrdersThatCannotBeAreRefusedWithTheWayOut) {
    Running c;
    EXPECT_EQ(c.create("default").error().code, Errc::InvalidArgument);
    EXPECT_EQ(c.create("a:b").error().code, Errc::InvalidArgument);
    EXPECT_EQ(c.create("q").error().code, Errc::Conflict);
    EXPECT_EQ(c.create("big", 7).error().code, Errc::InvalidArgument) << "four nodes";
    EXPECT_EQ(c.drop("none").error().code, Errc::Conflict);
    EXPECT_EQ(c.ask({What::Describe, "none", 0, {}, false, false}).error().code, Errc::NotFound);
    EXPECT_EQ(c.ask({What::Create, "on", 0, {NodeId(9)}, false, false}).error().code,
              Errc::InvalidArgument);
    const auto made = c.ask({What::Create, "on", 0, {NodeId(2), NodeId(4)}, false, false}, 3);
    ASSERT_TRUE(made) << made.error().describe();
    EXPECT_NE(c.list().find("\"copies\":2,\"founded_on\":[2,4]"), std::string::npos);
}

TEST(Keyspaces, AFoundingKeyspaceGoesLikeAnyOther) {
    Running c;
    ASSERT_EQ(c.execute(0, set("q:1", "x")), kv::Reply::ok());
    EXPECT_FALSE(c.drop("q"));
    ASSERT_TRUE(c.drop("q", true));
    ASSERT_TRUE(c.settled("q", false));
    EXPECT_EQ(c.execute(0, get("q:1")), kv::Reply::nil());
    c.world.run_for(seconds(5));
    for (size_t i = 0; i < 4; ++i) {
        c.crash(i);
        c.boot(i);
    }
    ASSERT_TRUE(c.started());
    EXPECT_EQ(c.execute(0, get("q:1")), kv::Reply::nil());
    EXPECT_EQ(c.execute(0, set("q:1", "y")), kv::Reply::ok());
}

// A crash of the node that carries it on, or of all, at many moments of a move and a drop.
TEST(Keyspaces, AnOrderOutlivesCrashesAtAnyMoment) {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        SCOPED_TRACE(seed);
        Running c(4, seed);
        for (int i = 0; i < 60; ++i)
            ASSERT_EQ(c.execute(0, set("cart:" + std::to_string(i), "v" + std::to_string(i))),
                      kv::Reply::ok());
        auto made = c.begin({What::Create, "cart", 3, {}, true, false}, 1);
        const bool all = seed % 2 == 0;
        c.world.run_until([&] { return c.catalogue(1).find("cart") != nullptr; }, seconds(10));
        for (int round = 0; round < 3; ++round) {
            c.world.run_for(milliseconds(60 + static_cast<int64_t>(seed) * 45));
            const size_t leader = c.leader_of_system();
            for (size_t i = 0; i < 4; ++i)
                if (all || i == leader) c.crash(i);
            for (size_t i = 0; i < 4; ++i)
                if (all || i == leader) c.boot(i);
            ASSERT_TRUE(c.started());
        }
        ASSERT_TRUE(c.settled("cart", true));
        for (int i = 0; i < 60; ++i)
            ASSERT_EQ(c.execute(2, get("cart:" + std::to_string(i))).text.view(),
                      "v" + std::to_string(i));
        EXPECT_EQ(c.replicas_of(kCart), 3u);
        c.begin({What::Drop, "cart", 0, {}, false, true}, 2);
        for (int round = 0; round < 3; ++round) {
            c.world.run_for(milliseconds(40 + static_cast<int64_t>(seed) * 30));
            const size_t leader = c.leader_of_system();
            c.crash(leader);
            c.boot(leader);
            ASSERT_TRUE(c.started());
        }
        // The order may have died with its node before it was taken.
        const auto again = c.drop("cart", true);
        EXPECT_TRUE(again || again.error().code == Errc::Conflict) << again.error().describe();
        ASSERT_TRUE(c.settled("cart", false));
        ASSERT_TRUE(c.world.run_until([&] { return c.replicas_of(kCart) == 0; }, seconds(20)));
        EXPECT_EQ(c.execute(3, get("cart:7")), kv::Reply::nil());
    }
}

// mutant node_unborn_opened
TEST(Keyspaces, ANodeThatCrashesAgainAndAgainBeforeABirthIsFinishedStillStarts) {
    for (int64_t when = 0; when < 400; when += 25) {
        SCOPED_TRACE(when);
        Running c(3);
        c.begin({What::Create, "cart", 3, {}, false, false}, 1);
        c.world.run_until([&] { return c.catalogue(2).find("cart") != nullptr; }, seconds(10));
        c.world.run_for(milliseconds(when));
        for (int crashes = 0; crashes < 3; ++crashes) {
            c.crash(2);
            c.boot(2);
            ASSERT_TRUE(c.world.run_until([&] { return c.up(2); }, seconds(20)));
        }
        ASSERT_TRUE(c.settled("cart", true));
        EXPECT_EQ(c.replicas_of(kCart), 3u);
    }
}

// A slow disk, and a replica that is taken away while it is asked what it has. Part of its keys,
// taken for all, would be lost with the move, or a keyspace dropped that is not empty. Mutant
// node_slice_of_later.
TEST(Keyspaces, AReplicaThatIsRemovedMeanwhileTellsAllOfItsKeysOrNone) {
    constexpr GroupId kQ{3};
    Running c;
    for (int i = 0; i < 10; ++i)
        ASSERT_EQ(c.execute(0, set("q:" + std::to_string(i), "v")), kv::Reply::ok());
    const size_t slow = c.follower_of(kQ);
    c.crash(slow, sim::CrashKind::Kill);
    c.read_delay = seconds(1);
    c.boot(slow);
    ASSERT_TRUE(c.world.run_until(
        [&] {
            const auto* g = c.up(slow) ? c.replica(slow, kQ) : nullptr;
            return g && g->raft.leader && g->in_engine == g->raft.commit;
        },
        seconds(100)));
    auto told = std::make_shared<std::optional<Result<NodeShard::Slice>>>();
    Process* p = c.processes[slow];
    p->scope.spawn(
        "slice", c.note(p->node->member(ShardId(0)).slice({kQ, LogIndex(1), "", false, {}}), told));
    change(c, (slow + 1) % 4, {Order::What::Remove, "q", c.id(slow), {}, false, true});
    ASSERT_TRUE(c.world.run_until([&] { return told->has_value(); }, seconds(20)));
    EXPECT_FALSE(c.replica(slow, kQ)) << "it went before it told";
    EXPECT_TRUE(!**told || (**told)->pairs.size() == 10) << (**told)->pairs.size();
}

// Mutant node_copy_starts_over.
TEST(Keyspaces, OrdersForOthersDoNotSendACopyBackToItsBeginning) {
    Running c;
    for (int i = 0; i < 1200; ++i)
        ASSERT_EQ(c.execute(0, set("cart:" + std::to_string(i), "v")), kv::Reply::ok());
    c.begin({What::Create, "cart", 3, {}, true, false}, 1);
    const auto state = [&] {
        const auto* k = c.catalogue(1).find("cart");
        return k ? k->state : catalogue::State::Founding;
    };
    using catalogue::State;
    ASSERT_TRUE(c.world.run_until([&] { return state() == State::Copying; }, seconds(20)));
    int orders = 0;
    for (; state() == State::Copying && orders < 200; ++orders) {
        auto taken = c.begin({What::Create, "n" + std::to_string(orders), 1, {}, false, false}, 1);
        const uint64_t generation = c.catalogue(1).generation;
        c.world.run_until([&] { return c.catalogue(1).generation > generation; }, seconds(2));
    }
    // One copy's time is that of a few orders; with the bug it ends by luck, here after 46.
    EXPECT_LT(orders, 15) << "it began anew with each order for others";
    ASSERT_TRUE(c.settled("cart", true));
    EXPECT_EQ(c.execute(2, get("cart:1199")).text.view(), "v");
}

TEST(Keyspaces, ACopyThatCannotBeOpenedGoesWithItsKeyspace) {
    Running c;
    ASSERT_TRUE(c.create("cart"));
    const size_t at = c.follower_of(kCart);
    change(c, 0, {Order::What::Remove, "cart", c.id(at), {}, false, true});
    ASSERT_TRUE(c.world.run_until([&] { return !c.replica(at, kCart); }, seconds(20)));
    c.world.run_for(seconds(2));
    c.crash(at, sim::CrashKind::Kill);
    ASSERT_TRUE(c.machines[at]->engine.damage(replica::removed_key(kCart).view()));
    c.boot(at);
    ASSERT_TRUE(c.started());
    ASSERT_TRUE(c.replica(at, kCart) && c.replica(at, kCart)->stopped);
    ASSERT_TRUE(c.drop("cart", true));
    EXPECT_TRUE(c.world.run_until([&] { return !c.replica(at, kCart); }, seconds(20)));
}

TEST(Keyspaces, ALostJournalOfAGroupThatWasBornLaterIsRecognised) {
    Running c;
    ASSERT_TRUE(c.create("cart"));
    ASSERT_EQ(c.execute(0, set("cart:1", "x")), kv::Reply::ok());
    c.world.run_for(seconds(2));
    size_t holder = 4;
    for (size_t i = 0; i < 4; ++i)
        for (const auto& g : c.processes[i]->node->member(ShardId(0)).status().groups)
            if (g.group == kCart) holder = i;
    ASSERT_LT(holder, 4u);
    const auto& held = c.processes[holder]->node->identity().held;
    EXPECT_TRUE(held.contains(kCart));
}

}  // namespace
}  // namespace asterias::node
