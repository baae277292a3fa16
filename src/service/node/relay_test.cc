// A gateway that is cut off from the leader only is served through the third node (N4), in order,
// and each write once, whichever way it went.
#include "service/node/node_test_cluster.h"

namespace asterias::node {
namespace {

constexpr GroupId kDefault{2};

struct Bridge : Cluster {
    explicit Bridge(uint64_t seed = 1, size_t shards = 1) : Cluster(3, seed, shards) {
        for (size_t i = 0; i < 3; ++i)
            boot(i);
        EXPECT_TRUE(started());
        EXPECT_EQ(execute(0, command(kv::Op::IncrBy, {"warm"})), kv::Reply::number(1));
        for (size_t i = 0; i < 3; ++i)
            if (shard(i).router().leader_of(kDefault) == id(i)) leader = i;
        gateway = (leader + 1) % 3;
        middle = (leader + 2) % 3;
    }
    size_t leader = 0, gateway = 0, middle = 0;
    std::vector<kv::Reply> replies;
    int sent = 0;

    NodeShard& shard(size_t i, size_t s = 0) { return processes[i]->node->member(ShardId(s)); }
    NodeId id(size_t i) { return processes[i]->node->identity().node; }
    void part() { world.cut(machines[gateway]->index, machines[leader]->index); }
    void join() { world.heal(machines[gateway]->index, machines[leader]->index); }
    // One increment every other millisecond, not waiting for any.
    void stream(Duration duration) {
        Process* p = processes[gateway];
        for (const Instant end = world.now() + duration; world.now() < end;) {
            ++sent;
            p->shards[0]->post([this, p] {
                p->node->strategy(ShardId(0))
                    .execute({command(kv::Op::IncrBy, {"n"}), execute::Bound::Linearizable,
                              seconds(10), execute::StreamId(1)},
                             [this](execute::Outcome o) { replies.push_back(std::move(o.reply)); });
            });
            world.run_for(milliseconds(2));
        }
    }
    void expect_each_once_in_order() {
        ASSERT_TRUE(world.run_until([&] { return replies.size() == size_t(sent); }, seconds(15)));
        for (int i = 0; i < sent; ++i)
            ASSERT_EQ(replies[i], kv::Reply::number(i + 1)) << replies[i].text.view();
    }
};

TEST(Relay, AGatewayThatSeesAllButTheLeaderServes) {
    for (const size_t shards : {1, 2}) {
        Bridge c(1, shards);
        c.part();
        for (int i = 1; i <= 5; ++i)
            EXPECT_EQ(c.execute(c.gateway, command(kv::Op::IncrBy, {"n"}), i % shards),
                      kv::Reply::number(i));
        const Instant before = c.world.now();
        for (int i = 6; i <= 100; ++i)
            EXPECT_EQ(c.execute(c.gateway, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(i));
        EXPECT_LT(c.world.now() - before, seconds(3)) << "it need not be found each time";
        const auto status = c.shard(c.gateway).status();
        EXPECT_EQ(status.contacts.at(c.id(c.leader)).through, c.id(c.middle));
        EXPECT_EQ(c.execute(c.leader, command(kv::Op::Get, {"n"})).text.view(), "100");
    }
}

TEST(Relay, AnOrderThatDoesNotGetToTheLeaderSaysWhereItWould) {
    Bridge c;
    c.part();
    EXPECT_EQ(c.execute(c.gateway, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(1));
    c.world.run_for(seconds(8));
    EXPECT_EQ(c.execute(c.gateway, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(2));
    const Order transfer{Order::What::Transfer, "default", c.id(c.middle), {}, false};
    const std::string told = order(c, c.gateway, transfer);
    EXPECT_NE(told.find("nothing was done"), std::string::npos) << told;
    EXPECT_NE(told.find("ask at node " + to_string(c.id(c.middle))), std::string::npos) << told;
    EXPECT_EQ(order(c, c.middle, transfer), "{\"done\":true}");
}

// The way changes under load: around, back, around, with the middle losing its connections, or
// itself. Mutants node_relay_keeps_epoch, node_relay_end_unnoticed.
TEST(Relay, WhateverWayTheyGoCommandsKeepTheirOrderAndTakeEffectOnce) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        Bridge c(seed);
        Prng prng(seed);
        const auto a_while = [&] { return milliseconds(prng.between(100, 900)); };
        for (int round = 0; round < 3; ++round) {
            c.stream(a_while());
            c.part();
            c.stream(seconds(2));
            const auto middle = c.machines[c.middle]->index;
            if (prng.chance(0.5))
                c.world.break_connections(middle, c.machines[c.leader]->index);
            else if (prng.chance(0.5))
                c.world.break_connections(middle, c.machines[c.gateway]->index);
            c.stream(a_while());
            c.join();
            c.stream(a_while());
        }
        c.expect_each_once_in_order();
    }
}

TEST(Relay, TheOneInTheMiddleMayDie) {
    Bridge c(3);
    c.part();
    c.stream(seconds(3));
    EXPECT_GT(c.replies.size(), 500u);
    c.crash(c.middle);
    c.stream(milliseconds(200));
    c.boot(c.middle);
    c.stream(seconds(3));
    c.expect_each_once_in_order();
}

}  // namespace
}  // namespace asterias::node
