// What /livez and /readyz are made of.
#include "service/node/checks.h"

#include "service/node/keyspaces.h"
#include "service/node/node_test_cluster.h"

namespace asterias::node {
namespace {

using Told = std::shared_ptr<std::optional<std::vector<Check>>>;

port::Task<> note(port::Task<std::vector<Check>> what, Told heard) {
    *heard = co_await std::move(what);
}

std::vector<Check> ask(Cluster& c, size_t i, port::Task<std::vector<Check>> (Node::*what)()) {
    const auto heard = std::make_shared<std::optional<std::vector<Check>>>();
    Process* p = c.processes[i];
    p->scope.spawn("check", note((*p->node.*what)(), heard));
    EXPECT_TRUE(c.world.run_until([&] { return heard->has_value(); }, seconds(1)))
        << "a probe has a second";
    return heard->value_or(std::vector<Check>{});
}

// What fails, and why; empty: nothing.
std::string failing(const std::vector<Check>& checks) {
    EXPECT_FALSE(checks.empty());
    std::string all;
    for (const auto& check : checks)
        if (!check.trouble.empty()) all += check.name + ": " + check.trouble + "\n";
    return all;
}
std::string not_ready(Cluster& c, size_t i) { return failing(ask(c, i, &Node::ready)); }

struct Running : Cluster {
    explicit Running(uint32_t nodes, size_t shards = 1) : Cluster(nodes, 1, shards) {
        for (size_t i = 0; i < nodes; ++i)
            boot(i);
        EXPECT_TRUE(started());
        world.run_for(seconds(2));
    }
};

bool says(const std::string& text, std::string_view what) {
    return text.find(what) != std::string::npos;
}

TEST(Checks, ANodeIsReadyThatNobodyUsedYetAndThatHoldsNoCopy) {
    Running c(5, 2);
    for (size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(not_ready(c, i), "") << i;
        EXPECT_EQ(ask(c, i, &Node::live), (std::vector<Check>{{"loops", ""}}));
    }
}

TEST(Checks, WithoutAMajorityANodeLivesAndIsNotReadyAndSaysWhoIsMissing) {
    Running c(3);
    c.crash(1);
    c.world.run_for(seconds(3));
    EXPECT_EQ(not_ready(c, 0), "") << "two of three serve";
    c.crash(2);
    c.world.run_for(seconds(3));
    const std::string why = not_ready(c, 0);
    EXPECT_TRUE(
        why.starts_with("keyspaces: default: no leader, nothing is served: 2 of 3 copies "
                        "are needed, and this node does not hear node"))
        << why;
    EXPECT_TRUE(says(why, "; q: no leader")) << "every keyspace is named: " << why;
    EXPECT_FALSE(says(why, "system")) << "clients do not want it: " << why;
    EXPECT_EQ(failing(ask(c, 0, &Node::live)), "");
    c.boot(1);
    EXPECT_TRUE(c.world.run_until([&] { return c.up(1); }, seconds(20)));
    c.world.run_for(seconds(5));
    EXPECT_EQ(not_ready(c, 0), "");
}

TEST(Checks, ANodeThatIsCutOffIsNotReadyAlsoWithoutACopyAndTheOthersAre) {
    Running c(5);
    for (const size_t alone : {0u, 4u}) {
        c.world.partition({c.machines[alone]->index});
        c.world.run_for(seconds(5));
        EXPECT_TRUE(says(not_ready(c, alone), "keyspaces: default: no leader")) << alone;
        // One without a copy finds out that a leader is lost when it asks.
        for (int tries = 0; tries < 5 && !not_ready(c, 2).empty(); ++tries)
            c.world.run_for(seconds(1));
        EXPECT_EQ(not_ready(c, 2), "");
        c.world.heal_all();
        c.world.run_for(seconds(5));
        EXPECT_EQ(not_ready(c, alone), "") << alone;
    }
}

TEST(Checks, AFullDiskAStoppedCopyAndALoopThatHangsAreTold) {
    std::vector<ShardStatus> shards(2);
    Founding founding;
    founding.members.push_back({NodeId(1), 1, {"n", 7}, {}});
    const auto catalogue = catalogue_at_birth(founding);
    EXPECT_EQ(disk_check(shards).trouble, "");
    EXPECT_EQ(copies_check(shards, catalogue).trouble, "");
    EXPECT_EQ(loops_check({}, milliseconds(9)).trouble, "");
    shards[1].journal.no_space = true;
    EXPECT_TRUE(says(disk_check(shards).trouble, "the disk is full"));
    replica::Status stopped;
    stopped.group = GroupId(2);
    stopped.stopped = true;
    stopped.stopped_why = "an entry of an unknown kind";
    shards[1].groups.push_back(stopped);
    EXPECT_EQ(copies_check(shards, catalogue).trouble,
              "the copy of default on this node is stopped: an entry of an unknown kind");
    EXPECT_EQ(loops_check({1, 3}, milliseconds(9)).trouble,
              "the event loop of shard 1 took no turn in 9 ms; the event loop of shard 3 took no "
              "turn in 9 ms");
}

TEST(Checks, OfManyKeyspacesTheFirstAreNamed) {
    Identity identity;
    identity.founding.members.push_back({NodeId(1), 1, {"n", 7}, {}});
    for (int i = 0; i < 20; ++i)
        identity.founding.keyspaces.push_back("k" + std::to_string(i));
    const std::vector<ShardStatus> shards(1);
    const auto catalogue = catalogue_at_birth(identity.founding);
    std::vector<Question> silent;
    for (uint64_t i = 0; i < 20; ++i)
        silent.push_back({GroupId(2 + i)});
    const auto check =
        keyspaces_check({identity, shards, catalogue, {}, {}}, silent, milliseconds(500));
    EXPECT_TRUE(check.trouble.starts_with("default: no leader answered this node in 500 ms; k0: "))
        << check.trouble;
    EXPECT_TRUE(check.trouble.ends_with("; and 12 more")) << check.trouble;
}

// A refusal for want of room says nothing of a leader: then what this node knows of the group does.
TEST(Checks, WithoutRoomForAQuestionANodeIsReadyUnlessItKnowsBetter) {
    Identity identity;
    identity.founding.members.push_back({NodeId(1), 1, {"n", 7}, {}});
    const std::vector<ShardStatus> shards(1);
    const auto catalogue = catalogue_at_birth(identity.founding);
    const Scene scene{identity, shards, catalogue, {}, {}};
    EXPECT_EQ(keyspaces_check(scene, {{GroupId(2), Answered::NoRoom}}, {}).trouble, "");
    EXPECT_NE(keyspaces_check(scene, {{GroupId(2), Answered::Nobody}}, {}).trouble, "");
}

TEST(Checks, AnAnswerThatNoLeaderGaveIsNone) {
    Running c(3);
    c.crash(1);
    c.crash(2);
    c.world.run_for(seconds(3));
    // More than a group may have under way: what comes now is refused here, without a question.
    Process* p = c.processes[0];
    for (size_t i = 0; i < 30'000; ++i) {
        p->node->strategy(ShardId(0))
            .execute({command(kv::Op::Set, {"k"}, {Bytes::literal("v")}),
                      execute::Bound::Linearizable, seconds(60), execute::StreamId(i + 1)},
                     [](execute::Outcome) {});
    }
    EXPECT_TRUE(says(not_ready(c, 0), "keyspaces: default: no leader"));
}

}  // namespace
}  // namespace asterias::node
