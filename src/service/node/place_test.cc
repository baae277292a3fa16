// An empty directory takes the place of a lost one, which may turn up (ADR 0015).
#include <algorithm>
#include <set>

#include "service/node/calls.h"
#include "service/node/node_test_cluster.h"

namespace asterias::node {
namespace {

TEST(Place, AnEmptyDirectoryTakesALostPlaceOnceNobodyCountsOnItAndHoldsNothingByItself) {
    Cluster c(3);
    for (size_t i = 0; i < 3; ++i)
        c.boot(i);
    ASSERT_TRUE(c.started());
    EXPECT_EQ(c.execute(1, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(1));
    const NodeId lost = c.processes[1]->node->identity().node;
    const auto lose_directory = [&] {
        c.crash(1);
        c.directory += "-new";
        c.machines[1]->engine = engine::MemImage();
    };
    lose_directory();
    c.replace = lost;
    c.boot(1);
    ASSERT_TRUE(
        c.world.run_until([&] { return c.processes[1]->started.has_value(); }, seconds(30)));
    ASSERT_FALSE(c.up(1));
    EXPECT_NE(c.processes[1]->started->error().context.find("still holds a copy of system"),
              std::string::npos);
    lose_directory();
    for (const char* keyspace : {"system", "default", "q"})
        change(c, 2, {Order::What::Remove, keyspace, lost, {}, false});
    c.boot(1);
    ASSERT_TRUE(c.started());
    const auto groups = [&] { return c.processes[1]->node->member(ShardId(0)).status().groups; };
    EXPECT_TRUE(groups().empty()) << "from the first moment, before anybody tells it";
    c.world.run_for(seconds(3));
    EXPECT_TRUE(groups().empty());
    EXPECT_EQ(life_of(c.processes[1]->node->identity().incarnation), 1u);
    EXPECT_EQ(c.execute(1, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(2));
    for (const char* keyspace : {"system", "default", "q"})
        change(c, 2, {Order::What::Add, keyspace, lost, {}, false});
    c.crash(0);
    EXPECT_EQ(c.execute(1, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(3)) << "it counts";
    c.crash(1);
    c.boot(1);  // the same words again: it has its place
    ASSERT_TRUE(c.world.run_until([&] { return c.up(1); }, seconds(20)));
    EXPECT_EQ(c.execute(1, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(4));
}

// The place was given away; then the directory turned up that was thought to be lost. Were it let
// in and given a copy, the other one would later begin blank under a number that has voted.
TEST(Place, APlaceThatWasGivenAwayIsNotTakenBackByTheLostDirectory) {
    Cluster c(3);
    for (size_t i = 0; i < 3; ++i)
        c.boot(i);
    ASSERT_TRUE(c.started());
    const NodeId lost = c.processes[1]->node->identity().node;
    const auto boot_on = [&](const char* directory) {
        c.crash(1);
        c.machines[1]->engine = engine::MemImage();
        c.directory = directory;
        c.boot(1);
    };
    c.crash(1);
    for (const char* keyspace : {"system", "default", "q"})
        change(c, 2, {Order::What::Remove, keyspace, lost, {}, false});
    c.replace = lost;
    c.boot(1);
    bool fails = true;
    c.refuse_engine = &fails;
    boot_on("data-new");
    ASSERT_TRUE(
        c.world.run_until([&] { return c.processes[1]->started.has_value(); }, seconds(30)));
    ASSERT_EQ(c.processes[1]->node->identity().node, lost);
    ASSERT_FALSE(c.up(1)) << "it has its place, and has not said a word";
    fails = false;
    boot_on("data");
    EXPECT_TRUE(ends(c, 1)) << "the place is another's now";
    boot_on("data-new");
    ASSERT_TRUE(c.world.run_until([&] { return c.up(1); }, seconds(30)));
    c.world.run_for(seconds(3));
    EXPECT_EQ(c.processes[1]->ended, "");
}

TEST(Place, TwoWhoAskForOnePlaceAtATimeAreAnsweredAndNotGivenOneLife) {
    Cluster c(3);
    for (size_t i = 0; i < 3; ++i)
        c.boot(i);
    ASSERT_TRUE(c.started());
    const NodeId lost = c.processes[1]->node->identity().node;
    c.crash(1);
    for (const char* keyspace : {"system", "default", "q"})
        change(c, 2, {Order::What::Remove, keyspace, lost, {}, false});
    c.world.run_for(seconds(10));
    port::Address at;
    for (const auto& m : c.founding(0).members)
        if (m.node == lost) at = m.peer_address;
    const auto answers = std::make_shared<std::vector<Result<Bytes>>>();
    Process* p = c.processes[0];
    const auto ask = [&](std::vector<uint64_t> nonces) {
        p->shards[0]->post([=] {
            for (uint64_t nonce : nonces)
                static_cast<CallHandler*>(p->node.get())
                    ->on_call({std::string(kJoin), encode(JoinRequest{nonce, at, {}, lost})},
                              [answers](Result<Bytes> a) { answers->push_back(std::move(a)); });
        });
        c.world.run_for(seconds(30));
    };
    ask({6});  // finds connections that look well
    answers->clear();
    ask({7, 8});
    EXPECT_EQ(answers->size(), 2u) << "both are answered";
    std::set<uint64_t> lives;
    size_t given = 0;
    for (const auto& answer : *answers) {
        if (!answer) continue;
        ++given;
        lives.insert(life_of(decode_joined(*answer)->before));
    }
    EXPECT_GE(given, 1u);
    EXPECT_EQ(lives.size(), given);
    const auto closed = std::make_shared<bool>(false);
    p->scope.spawn("close", [](Node* n, std::shared_ptr<bool> done) -> port::Task<> {
        co_await n->close();
        *done = true;
    }(p->node.get(), closed));
    c.world.run_for(seconds(60));
    EXPECT_TRUE(*closed) << "an orderly stop ends";
}

// Five nodes; the place of `lost` was given away, and its new directory has not said a word.
struct GivenAway : Cluster {
    GivenAway() : Cluster(5) {
        for (size_t i = 0; i < 5; ++i)
            boot(i);
        EXPECT_TRUE(started());
        world.run_for(seconds(2));
        lost = processes[at]->node->identity().node;
        crash(at);
        old = std::exchange(machines[at]->engine, {});
        world.run_for(seconds(10));
        const std::string mark = "{\"node\":" + to_string(lost) + ",";
        for (const char* keyspace : {"system", "default", "q"})
            if (order(*this, 2, {Order::What::List, keyspace, {}, {}, false}).find(mark) !=
                std::string::npos)
                change(*this, 2, {Order::What::Remove, keyspace, lost, {}, false});
    }
    void give_away() {
        replace = lost;
        bool fails = true;
        refuse_engine = &fails;
        directory = "data-new";
        boot(at);
        EXPECT_TRUE(
            world.run_until([&] { return processes[at]->started.has_value(); }, seconds(60)));
        EXPECT_EQ(processes[at]->node->identity().node, lost);
        EXPECT_FALSE(up(at));
        crash(at);
        refuse_engine = nullptr;
    }
    const size_t at = 3;  // node 4, which holds copies of all keyspaces
    NodeId lost;
    engine::MemImage old;
};

// Mutant node_place_noted_alone.
TEST(Place, APlaceIsNotTakenBackAlsoWhenWhoGaveItAwayIsGone) {
    GivenAway c;
    c.give_away();
    c.crash(0);
    c.directory = "data";
    std::swap(c.machines[c.at]->engine, c.old);
    c.boot(c.at);
    EXPECT_TRUE(ends(c, c.at)) << "the place is another's";
}

// Whom no word of it reached gives a copy to the place as to the lost directory. The new one must
// not begin it: the other may have come back, voted under that number, and gone again. Mutant
// node_number_of_another_life.
TEST(Place, ANumberThatWasGivenToTheLostDirectoryIsNotHeldByTheNewOne) {
    GivenAway c;
    size_t untold = 0;  // of the system group only: the others go on without it
    for (size_t i = 1; i < 5; ++i) {
        if (i == c.at) continue;
        const NodeId node = c.processes[i]->node->identity().node;
        bool other = false;
        for (GroupId group : {GroupId(2), GroupId(3)})
            other |= std::ranges::binary_search(members_of(c.founding(0), group), node);
        if (!other) untold = i;
    }
    ASSERT_NE(untold, 0u);
    const NodeId leader = c.processes[untold]->node->identity().node;
    c.crash(untold);
    c.give_away();
    c.replace = {};
    c.directory = "data";
    c.boot(untold);
    ASSERT_TRUE(c.world.run_until([&] { return c.up(untold); }, seconds(20)));
    c.world.run_for(seconds(3));
    for (int tries = 0; tries < 20; ++tries) {
        const std::string list = order(c, untold, {Order::What::List, "system", {}, {}, false});
        if (list.find("\"leader\":" + to_string(leader) + ",") != std::string::npos) break;
        order(c, untold, {Order::What::Transfer, "system", leader, {}, false});
        c.world.run_for(seconds(1));
    }
    const std::string told =
        order(c, untold, {Order::What::Add, "system", c.lost, {}, false, true});
    ASSERT_TRUE(told.starts_with("{\"done\":false")) << told;
    c.machines[c.at]->engine = {};
    c.directory = "data-new";
    c.boot(c.at);
    ASSERT_TRUE(c.world.run_until([&] { return c.up(c.at); }, seconds(30)));
    c.world.run_for(seconds(5));
    const auto groups = [&] { return c.processes[c.at]->node->member(ShardId(0)).status().groups; };
    EXPECT_TRUE(groups().empty());
    change(c, untold, {Order::What::Remove, "system", c.lost, {}, false});
    change(c, untold, {Order::What::Add, "system", c.lost, {}, false});
    ASSERT_EQ(groups().size(), 1u);
    EXPECT_EQ(raft::life_of(groups().front().self), 1u) << "its number says whose it is";
}

}  // namespace
}  // namespace asterias::node
