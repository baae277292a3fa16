// What is said of a node and its groups, and what is not said when all is well.
#include "service/node/findings.h"

#include <gtest/gtest.h>

#include "service/node/json.h"
#include "service/node/keyspaces.h"

namespace asterias::node {
namespace {

struct Bench {
    Bench() {
        identity.node = NodeId(1);
        identity.founding.expected = 3;
        for (uint64_t i = 1; i <= 3; ++i)
            identity.founding.members.push_back({NodeId(i), i, {"n" + std::to_string(i), 7}, {}});
        shards.resize(1);
        for (uint64_t i = 2; i <= 3; ++i)
            shards[0].contacts[NodeId(i)] = {true, true, WallTime{1}};
        replica::Status group;
        group.group = GroupId(2);
        group.raft.role = raft::Role::Leader;
        group.raft.leader = NodeId(1);
        for (uint64_t i = 1; i <= 3; ++i)
            group.raft.membership.voters.push_back({ReplicaId(i), NodeId(i)});
        for (uint64_t i = 2; i <= 3; ++i)
            group.raft.peers.push_back({{ReplicaId(i), NodeId(i)}, {}, {}, true});
        shards[0].groups.push_back(group);
    }
    replica::Status& group() { return shards[0].groups[0]; }
    void lose(NodeId node) {
        shards[0].contacts[node] = {false, true, WallTime{1}};
        for (auto& peer : group().raft.peers)
            if (peer.member.node == node) peer.recently_heard = false;
    }
    std::string found() {
        std::string all;
        for (const auto& f : findings_of(
                 {identity, shards, catalogue_at_birth(identity.founding), space, WallTime{}}))
            all += to_json(f) + "\n";
        return all;
    }
    Identity identity;
    std::vector<ShardStatus> shards;
    port::Space space{uint64_t{100} << 30, uint64_t{50} << 30};
};

bool says(const std::string& text, std::string_view what) {
    return text.find(what) != std::string::npos;
}

TEST(Findings, AHealthyNodeHasNone) { EXPECT_EQ(Bench().found(), ""); }

// Else nothing would tell whoever waits for SCAN what it waits for.
TEST(Findings, AKeyspaceOnItsWayIsToldWithTheWayOutByWhoLeadsTheSystemGroup) {
    Bench b;
    auto catalogue = catalogue_at_birth(b.identity.founding);
    const auto made =
        catalogue::with(catalogue, {"cart", 3, true, {{NodeId(1)}, {NodeId(2)}, {NodeId(3)}}});
    ASSERT_TRUE(made);
    catalogue = catalogue::advanced(catalogue::advanced(*made, KeyspaceId(2)), KeyspaceId(2));
    const auto told = [&] {
        std::string all;
        for (const auto& f : findings_of({b.identity, b.shards, catalogue, b.space, WallTime{}}))
            all += to_json(f) + "\n";
        return all;
    };
    EXPECT_EQ(told(), "") << "it does not lead";
    b.shards[0].groups.push_back(b.group());
    b.shards[0].groups.back().group = kSystemGroup;
    EXPECT_TRUE(says(told(), "\"keyspace\":\"cart\",\"severity\":\"note\"")) << told();
    EXPECT_TRUE(says(told(), "every command on all keys")) << told();
    EXPECT_TRUE(says(told(), "asterias keyspace drop cart calls it off")) << told();
}

TEST(Findings, ALeaderTellsHowManyCopiesAreLeft) {
    Bench b;
    b.lose(NodeId(3));
    EXPECT_TRUE(says(b.found(), "2 of 3 copies are up: node 3 not heard; it serves, and one loss"))
        << b.found();
    EXPECT_TRUE(says(b.found(), "\"keyspace\":\"default\""));
}

TEST(Findings, FewerCopiesThanAtTheFoundingAreToldAlsoWhenAllOfThemAreUp) {
    Bench b;
    auto& raft = b.group().raft;
    raft.membership.voters.pop_back();
    raft.peers.pop_back();
    EXPECT_TRUE(says(b.found(), "\"severity\":\"warning\",\"what\":\"2 of 3 copies: both"))
        << b.found();
    EXPECT_TRUE(says(b.found(), "asterias replica add --keyspace default --node 3"));
    raft.membership.voters.pop_back();
    raft.peers.pop_back();
    EXPECT_TRUE(says(b.found(), "\"severity\":\"critical\",\"what\":\"1 of 3 copies: one more"))
        << b.found();
}

TEST(Findings, WithoutALeaderItSaysWhoIsMissingForOne) {
    Bench b;
    b.group().raft.leader = {};
    b.group().raft.role = raft::Role::Follower;
    EXPECT_TRUE(says(b.found(), "enough copies are connected")) << b.found();
    b.lose(NodeId(2));
    EXPECT_TRUE(says(b.found(), "enough copies are connected")) << "two of three can choose";
    b.lose(NodeId(3));
    EXPECT_TRUE(says(b.found(),
                     "2 of 3 copies are needed, and this node does not hear node 2, "
                     "node 3"))
        << b.found();
}

TEST(Findings, ACopyThatDoesNotHearItsLeaderSaysThroughWhomItIsReached) {
    Bench b;
    b.group().raft.leader = {};
    b.group().raft.role = raft::Role::Follower;
    b.lose(NodeId(2));
    b.shards[0].leaders[GroupId(2)] = NodeId(2);
    b.shards[0].contacts[NodeId(2)].through = NodeId(3);
    EXPECT_TRUE(says(b.found(),
                     "hear its leader, node 2; clients of this node are served through "
                     "node 3"))
        << b.found();
}

TEST(Findings, AWitnessThatDroppedWhatACopyLacksSaysOneCopy) {
    Bench b;
    b.group().raft.role = raft::Role::Follower;
    b.group().tail_dropped = true;
    EXPECT_TRUE(says(b.found(), "one copy: this witness has dropped entries")) << b.found();
}

TEST(Findings, AWitnessThatLeadsSaysThatNothingIsServedAndWhomToStart) {
    Bench b;
    b.group().self = ReplicaId(1);
    b.group().raft.membership.voters[0].witness = true;
    EXPECT_TRUE(says(b.found(), "a witness leads, so nothing is served")) << b.found();
    b.lose(NodeId(3));
    b.group().raft.peers[0].needs_snapshot = true;
    EXPECT_TRUE(says(b.found(), "entries that node 2 lacks")) << b.found();
    EXPECT_TRUE(says(b.found(), "start node 3")) << b.found();
}

TEST(Findings, AChangeUnderWayIsToldAndALearnerThatIsNotHeardIsNoLostCopy) {
    Bench b;
    auto& raft = b.group().raft;
    raft.membership.learners = {{ReplicaId(4), NodeId(4)}};
    raft.membership.promote = ReplicaId(4);
    raft.peers.push_back({{ReplicaId(4), NodeId(4)}, {}, {}, false});
    b.group().snapshots.push_back({false, NodeId(4), LogIndex(9), uint64_t{5} << 20});
    EXPECT_TRUE(says(b.found(), "members are being changed")) << b.found();
    EXPECT_TRUE(says(b.found(), "snapshot is on its way to node 4, 5 MiB"));
    EXPECT_FALSE(says(b.found(), "not heard"));
}

TEST(Findings, AStoppedCopySaysWhyAndNothingElseOfItsGroup) {
    Bench b;
    b.group().stopped = true;
    b.group().stopped_why = "entry 7 is damaged";
    b.group().raft.leader = {};
    EXPECT_TRUE(says(b.found(), "this copy is stopped: entry 7 is damaged"));
    EXPECT_FALSE(says(b.found(), "no leader"));
}

TEST(Findings, ADiskThatIsSlowOrNearlyFullIsNamed) {
    Bench b;
    b.shards[0].journal.last_sync = milliseconds(1200);
    EXPECT_TRUE(says(b.found(), "the last sync took 1200 ms"));
    b.shards[0].journal = {};
    b.space.available = uint64_t{200} << 20;
    EXPECT_TRUE(says(b.found(), "nearly full: 200 MiB left"));
    b.space = {};
    EXPECT_EQ(b.found(), "") << "not known";
    b.shards[0].journal.no_space = true;
    EXPECT_TRUE(says(b.found(), "the disk is full"));
}

TEST(Findings, ASilentNodeIsNamedWithItsAddressAndSinceWhen) {
    Bench b;
    const WallTime then{1'700'000'000'000'000}, now{1'700'000'305'000'000};
    const auto& member = b.identity.founding.members[2];
    const Error error{Errc::Timeout, "no answer"};
    const auto json = [&](const Contact& contact, const std::string& refused) {
        return to_json(finding_of_silent(member, error, contact, refused, now));
    };
    EXPECT_TRUE(says(json({false, true, then}, ""),
                     "at n3:7: no answer; not connected since 2023-11-14 22:13:20 UTC, 5 min ago"))
        << json({false, true, then}, "");
    EXPECT_TRUE(says(json({false, false, then}, ""), "not seen since this node started"));
    EXPECT_FALSE(says(json({true, true, then}, ""), "since"));
    EXPECT_TRUE(says(json({false, true, then}, ""), "next\":\"start it as it was started"));
    EXPECT_TRUE(says(json({false, true, then}, ""), "with its ports (--peer-port 7)"));
    EXPECT_TRUE(says(json({false, true, then, NodeId(2)}, ""), "node 2 reaches it"));
    EXPECT_TRUE(says(json({}, "old \"copy\""), "it is refused: old \\\"copy\\\""));
}

TEST(Findings, ANodeIsConnectedIfOneShardIs) {
    std::vector<ShardStatus> shards(3);
    shards[1].contacts[NodeId(2)] = {false, true, WallTime{5}};
    shards[2].contacts[NodeId(2)] = {true, true, WallTime{9}};
    EXPECT_TRUE(contact_with(shards, NodeId(2)).connected);
    EXPECT_FALSE(contact_with(shards, NodeId(3)).connected);
    shards[0].contacts[NodeId(2)].through = NodeId(3);
    EXPECT_EQ(contact_with(shards, NodeId(2)).through, NodeId(3));
}

}  // namespace
}  // namespace asterias::node
