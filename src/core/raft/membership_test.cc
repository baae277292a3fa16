// Membership: what is accepted as one, its bytes, and the stack of those that may be taken back.
#include <gtest/gtest.h>

#include "core/raft/memberships.h"

namespace asterias::raft {
namespace {

Member on(uint64_t replica, uint64_t node, bool witness = false) {
    return {ReplicaId(replica), NodeId(node), witness};
}

Membership replacing() {
    return {.voters = {on(1, 1), on(2, 2), on(3, 3, true)},
            .outgoing = {},
            .learners = {on(4, 4)},
            .last_replica = ReplicaId(4),
            .promote = ReplicaId(4),
            .retire = ReplicaId(2)};
}

Membership joint() {
    return {.voters = {on(1, 1), on(4, 4)},
            .outgoing = {on(1, 1), on(2, 2)},
            .learners = {on(5, 2)},
            .last_replica = ReplicaId(9)};
}

TEST(RaftMembership, SurvivesItsBytesAndIsDescribed) {
    for (const Membership& m : {replacing(), joint()}) {
        const auto again = decode_membership(encode(m));
        ASSERT_TRUE(again.has_value()) << again.error().describe();
        EXPECT_EQ(*again, m);
    }
    EXPECT_EQ(describe(replacing()),
              "voters r1@n1 r2@n2 r3@n3w, learners r4@n4, promote r4 for r2");
    EXPECT_EQ(describe(joint()), "voters r1@n1 r4@n4, outgoing r1@n1 r2@n2, learners r5@n2");
    EXPECT_EQ(describe(Membership{}), "unknown");
}

TEST(RaftMembership, IsFoundByReplicaAndByNode) {
    const Membership m = joint();
    EXPECT_EQ(m.find(ReplicaId(2))->node, NodeId(2));
    EXPECT_EQ(m.find(ReplicaId(3)), nullptr);
    // Of two on a node, the one that stays.
    EXPECT_EQ(m.on(NodeId(2))->replica, ReplicaId(5));
    EXPECT_EQ(m.on(NodeId(7)), nullptr);
    EXPECT_TRUE(m.votes(ReplicaId(2)));
    EXPECT_FALSE(m.votes(ReplicaId(5)));
}

TEST(RaftMembership, WhatCannotBeIsRefused) {
    const auto refused = [](auto spoil) {
        Membership m = replacing();
        spoil(m);
        const auto decoded = decode_membership(encode(m));
        return !decoded && decoded.error().code == Errc::Corrupt;
    };
    EXPECT_TRUE(refused([](Membership& m) { m.voters.clear(); }));
    EXPECT_TRUE(refused([](Membership& m) { std::swap(m.voters[0], m.voters[1]); }));
    EXPECT_TRUE(refused([](Membership& m) { m.voters[1] = m.voters[0]; }));
    EXPECT_TRUE(refused([](Membership& m) { m.learners = {on(1, 9)}; }));
    EXPECT_TRUE(refused([](Membership& m) { m.learners = {on(4, 1)}; }));
    EXPECT_TRUE(refused([](Membership& m) { m.outgoing = {on(1, 7)}; }));
    EXPECT_TRUE(refused([](Membership& m) { m.last_replica = ReplicaId(3); }));
    EXPECT_TRUE(refused([](Membership& m) { m.promote = ReplicaId(2); }));
    EXPECT_TRUE(refused([](Membership& m) { m.promote = ReplicaId(0); }));
    EXPECT_TRUE(refused([](Membership& m) { m.retire = ReplicaId(4); }));
    EXPECT_TRUE(refused([](Membership& m) { m.voters[0].node = NodeId(0); }));
}

TEST(RaftMembership, BadBytesAreRefusedWhereverTheyEndOrTurn) {
    const Bytes good = encode(joint());
    for (size_t size = 0; size < good.size(); ++size)
        EXPECT_FALSE(decode_membership(Bytes::copy(good.view().substr(0, size)))) << size;
    EXPECT_FALSE(decode_membership(Bytes::copy(std::string(good.view()) + "x")));
    std::string format(good.view());
    format[0] = 9;
    EXPECT_EQ(decode_membership(Bytes::copy(format)).error().code, Errc::Unsupported);
    std::string endless(good.view());
    endless[1] = '\x7f';  // voters that are not there
    EXPECT_FALSE(decode_membership(Bytes::copy(endless)));
}

TEST(RaftMemberships, ATruncationTakesBackWhatItsEntriesSaid) {
    Memberships all({LogIndex(0), joint()});
    all.appended(LogIndex(5), replacing());
    all.appended(LogIndex(8), joint());
    EXPECT_EQ(all.as_of(LogIndex(7)).index, LogIndex(5));
    EXPECT_EQ(all.named(LogIndex(3), LogIndex(5)).size(), 5u);
    EXPECT_FALSE(all.truncated(LogIndex(9)));
    EXPECT_TRUE(all.truncated(LogIndex(8)));
    EXPECT_EQ(all.index(), LogIndex(5));
    EXPECT_TRUE(all.truncated(LogIndex(2)));
    EXPECT_EQ(all.index(), LogIndex(0));
}

TEST(RaftMemberships, ASnapshotSaysWhatHoldsUpToItsIndex) {
    Memberships all({LogIndex(0), joint()});
    all.appended(LogIndex(5), replacing());
    all.appended(LogIndex(8), joint());
    Memberships dropped = all;
    const SnapshotMeta meta{LogIndex(7), Term(1), replacing(), LogIndex(5)};
    all.installed(meta, true);
    EXPECT_EQ(all.index(), LogIndex(8));
    EXPECT_EQ(all.as_of(LogIndex(7)).index, LogIndex(5));
    dropped.installed(meta, false);
    EXPECT_EQ(dropped.index(), LogIndex(5));
    // Compaction keeps the one that holds at the log's start.
    all.compacted(LogIndex(7));
    EXPECT_EQ(all.as_of(LogIndex(7)).index, LogIndex(5));
    all.compacted(LogIndex(8));
    EXPECT_EQ(all.as_of(LogIndex(7)).index, LogIndex(8));
}

}  // namespace
}  // namespace asterias::raft
