// What the next loss does, and which changes are done only when they are forced.
#include "service/node/copies.h"

#include <gtest/gtest.h>

#include "service/node/keyspaces.h"

namespace asterias::node {
namespace {

constexpr GroupId kGroup{2};

// Five nodes, of which the first `copies` hold the group; node 1 leads.
struct Bench {
    explicit Bench(uint64_t copies, uint64_t nodes = 5) {
        founding.expected = static_cast<uint32_t>(nodes);
        for (uint64_t n = 1; n <= nodes; ++n) {
            founding.members.push_back({NodeId(n), n, {}, {}});
            reached.push_back(NodeId(n));
        }
        status.role = raft::Role::Leader;
        status.leader = NodeId(1);
        for (uint64_t n = 1; n <= copies; ++n) {
            status.membership.voters.push_back({ReplicaId(n), NodeId(n)});
            if (n > 1) status.peers.push_back({{ReplicaId(n), NodeId(n)}, {}, {}, true});
        }
    }
    void silence(uint64_t node) {
        for (auto& peer : status.peers)
            if (peer.member.node == NodeId(node)) peer.recently_heard = false;
        std::erase(reached, NodeId(node));
    }
    Intent intent(const raft::Change& change) const {
        return {change, status, founding, members_of(founding, kGroup).size(), "orders", reached};
    }
    // Why it is refused; empty: it is not.
    std::string why(const raft::Change& change) const {
        const auto fine = unforced(intent(change));
        if (!fine) EXPECT_EQ(fine.error().code, Errc::Conflict);
        return fine ? "" : fine.error().context;
    }
    std::string left(const raft::Change& change) const { return left_behind(intent(change)); }
    std::string words() const {
        return describe(copies_of(status.membership, members_of(founding, kGroup).size()));
    }
    Founding founding;
    raft::Status status{};
    std::vector<NodeId> reached;
};

raft::Change remove(uint64_t node) { return raft::RemoveReplica{NodeId(node)}; }
raft::Change add(uint64_t node) { return raft::AddReplica{NodeId(node)}; }

TEST(Copies, TheNextLossIsToldAndAWitnessIsNoCopy) {
    EXPECT_EQ(Bench(1).words(), "1 of 3 copies: one more loss loses the data");
    EXPECT_EQ(Bench(2).words(), "2 of 3 copies: both are needed, so one more loss stops it");
    EXPECT_EQ(Bench(3).words(), "3 of 3 copies: 2 more losses stop it");
    EXPECT_EQ(Bench(4).words(), "4 of 3 copies: 2 more losses stop it");
    EXPECT_EQ(Bench(5).words(), "5 of 3 copies: 3 more losses stop it");
    EXPECT_EQ(Bench(2, 2).words(), "2 of 2 copies: both are needed, so one more loss stops it");
    Bench witnesses(3);
    witnesses.status.membership.voters[2].witness = true;
    EXPECT_EQ(witnesses.words(), "2 of 3 copies: 2 more losses stop it");
    witnesses.status.membership.voters[1].witness = true;
    EXPECT_EQ(witnesses.words(),
              "1 of 3 copies: the loss of the one that is no witness loses the "
              "data");
}

TEST(Copies, EveryNodeHoldsTheSystemGroup) {
    const Bench b(4);
    const auto catalogue = catalogue_at_birth(b.founding);
    const auto below = [&](GroupId group) {
        return copies_of(b.status.membership, wanted_copies(b.founding, catalogue, group)).below();
    };
    EXPECT_EQ(wanted_copies(b.founding, catalogue, kSystemGroup), 5u);
    EXPECT_TRUE(below(kSystemGroup));
    EXPECT_FALSE(below(kGroup));
}

TEST(Copies, ALiveCopyGoesOnlyWhileThereAreMoreThanWanted) {
    EXPECT_EQ(Bench(4).why(remove(2)), "");
    EXPECT_EQ(Bench(3).why(remove(2)),
              "it would leave 2 of 3 copies: both are needed, so one more loss stops it. First "
              "asterias replica add --keyspace orders --node 4; or move this copy: asterias "
              "replica replace --keyspace orders --from 2 --node 4; or say --force");
    EXPECT_NE(Bench(2).why(remove(1)).find("1 of 3 copies: one more loss loses the data"),
              std::string::npos)
        << "the leader, too";
    EXPECT_NE(Bench(3, 3).why(remove(2)).find("only --force does it"), std::string::npos);
    Bench nobody(3);
    nobody.reached = {NodeId(1), NodeId(2), NodeId(3)};
    EXPECT_NE(nobody.why(remove(2)).find("only --force does it"), std::string::npos);
    EXPECT_EQ(Bench(3).why(raft::ReplaceReplica{NodeId(2), NodeId(4)}), "");
}

TEST(Copies, OneThatIsNotHeardGoesAndWhatIsLeftIsTold) {
    Bench b(3);
    b.silence(3);
    EXPECT_EQ(b.why(remove(3)), "");
    EXPECT_NE(b.why(remove(2)), "");
    Bench killed(3);  // its connection ended a moment ago
    std::erase(killed.reached, NodeId(3));
    EXPECT_EQ(killed.why(remove(3)), "");
    EXPECT_EQ(b.left(remove(3)),
              "keyspace orders is left with 2 of 3 copies: both are needed, so one more loss stops "
              "it. Next: asterias replica add --keyspace orders --node 4");
    Bench all(3, 3);
    all.silence(3);
    EXPECT_NE(all.left(remove(3)).find("serve --replace"), std::string::npos);
    EXPECT_EQ(Bench(4).left(remove(3)), "");
    EXPECT_EQ(Bench(3).left(add(4)), "");
}

TEST(Copies, ANodeThatIsNotConnectedTakesNoCopy) {
    Bench b(2);
    std::erase(b.reached, NodeId(4));
    EXPECT_EQ(b.why(add(3)), "");
    EXPECT_NE(b.why(add(4)).find("node 4 is not connected"), std::string::npos);
    EXPECT_NE(b.why(raft::ReplaceReplica{NodeId(2), NodeId(4)}).find("node 4 is not connected"),
              std::string::npos);
}

TEST(Copies, WhatTheCoreAnswersIsLeftToIt) {
    Bench b(3);
    b.status.membership.learners = {{ReplicaId(9), NodeId(4)}};
    EXPECT_EQ(b.why(remove(4)), "") << "an addition that is taken back";
    b.status.membership.promote = ReplicaId(9);
    EXPECT_EQ(b.why(remove(2)), "") << "something is under way";
    EXPECT_EQ(Bench(3).why(remove(5)), "") << "it is no member";
    std::erase(b.reached, NodeId(2));
    EXPECT_EQ(b.why(add(2)), "") << "it is a member already";
}

}  // namespace
}  // namespace asterias::node
