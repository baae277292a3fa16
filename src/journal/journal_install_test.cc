// Installs of snapshots, and replicas that go and come, as the journal keeps them.
#include <gtest/gtest.h>

#include "journal/journal_test_node.h"

namespace asterias::journal {
namespace {

// Segments of group 2 until none of what stood in the first ones is needed any more, but marks.
void turn_over(TestNode& node, uint64_t segments = 4) {
    const uint64_t newest = *parse_segment_name(node.segments().back().substr(8)) + segments;
    uint64_t index = node.staged()[GroupId(2)].last;
    while (*parse_segment_name(node.segments().back().substr(8)) < newest) {
        node.append(2, 1, ++index, std::string(500, 'f'));
        node.purge(2, index - 1);
        ASSERT_TRUE(node.settle());
    }
    node.settle_all();
}

const RecoveredGroup& reopened(TestNode& node) {
    node.crash();
    EXPECT_TRUE(node.open()) << node.refusal.describe();
    EXPECT_TRUE(node.explained());
    return node.recovered.groups[GroupId(1)];
}

void write_log(TestNode& node, uint64_t entries) {
    ASSERT_TRUE(node.open());
    node.vote(1, 4, 2, 3);
    for (uint64_t i = 1; i <= entries; ++i)
        node.append(1, 4, i, "old " + std::to_string(i));
    ASSERT_TRUE(node.settle());
}

TEST(JournalInstall, ABegunInstallIsToldUntilItEnds) {
    TestNode node(1, small_options(4096, 512));
    write_log(node, 3);
    node.begin_install(1, 90, 5);
    ASSERT_TRUE(node.settle());
    const LogPlace at{LogIndex(90), Term(5)};
    EXPECT_EQ(reopened(node).installing, at);
    EXPECT_EQ(reopened(node).entries.size(), 3u) << "the log is as it was";
    turn_over(node);
    EXPECT_EQ(reopened(node).installing, at) << "also when its record is gone";
    node.installed(1);
    ASSERT_TRUE(node.settle());
    EXPECT_EQ(reopened(node).installing, std::nullopt);
    EXPECT_EQ(node.recovered.groups[GroupId(1)].entries.size(), 3u);
}

TEST(JournalInstall, AResetVoidsTheLogAndEndsTheInstall) {
    TestNode node(1, small_options(4096, 512));
    write_log(node, 100);
    node.begin_install(1, 90, 5);
    node.reset(1, 90, 5);
    node.append(1, 6, 91, "new");
    ASSERT_TRUE(node.settle());
    const auto check = [&](const RecoveredGroup& group) {
        EXPECT_EQ(group.purged_through, LogIndex(90));
        EXPECT_EQ(group.purged_term, Term(5));
        EXPECT_EQ(group.installing, std::nullopt);
        EXPECT_EQ(group.vote, (Vote{Term(4), ReplicaId(2), ReplicaId(3)}));
        ASSERT_EQ(group.entries.size(), 1u);
        EXPECT_EQ(group.entries[0].payload.view(), "new");
    };
    check(reopened(node));
    turn_over(node);
    check(reopened(node));
}

TEST(JournalInstall, APlaceBelowTheLogsEndOrItsPurgeMarkIsAPlaceLikeAnyOther) {
    TestNode node(1, small_options(4096, 512));
    write_log(node, 10);
    node.purge(1, 8);
    node.reset(1, 5, 3);
    ASSERT_TRUE(node.settle());
    EXPECT_TRUE(reopened(node).entries.empty());
    node.append(1, 5, 6, "again");
    ASSERT_TRUE(node.settle());
    EXPECT_EQ(reopened(node).entries.size(), 1u);
    node.reset(1, 0, 0);
    node.append(1, 5, 1, "another replica's");
    ASSERT_TRUE(node.settle());
    EXPECT_EQ(reopened(node).entries.at(0).index, LogIndex(1));
    EXPECT_EQ(node.recovered.groups[GroupId(1)].purged_term, Term(0));
}

TEST(JournalInstall, WhateverACrashLeavesOfAResetTheOldLogIsWholeOrGone) {
    int whole = 0, gone = 0, more = 0;
    for (uint64_t seed = 0; seed < 200; ++seed) {
        TestNode node(seed, small_options(4096, 512));
        node.faults.write_latency =
            node.faults.sync_latency = {microseconds(10), microseconds(500)};
        write_log(node, 30);
        if (testing::Test::HasFailure()) return;
        node.reset(1, 20, 5);
        node.append(1, 5, 21, std::string(400, 'n'));
        node.append(1, 5, 22, std::string(400, 'n'));
        for (uint64_t turns = seed % 8; turns > 0; --turns)
            node.step();
        const RecoveredGroup& group = reopened(node);
        ++(group.purged_through == LogIndex(0) ? whole : group.entries.empty() ? gone : more);
    }
    EXPECT_GT(whole, 0);
    EXPECT_GT(gone, 0);
    EXPECT_GT(more, 0);
}

TEST(JournalInstall, ARemovedGroupHoldsNoSegmentBackAndLeavesItsVoteOnly) {
    TestNode node(1, small_options(4096, 512));
    write_log(node, 100);
    turn_over(node, 1);
    const uint64_t before = node.journal->usage().segments;
    node.begin_install(1, 90, 5);
    node.remove(1);
    turn_over(node);
    EXPECT_LT(node.journal->usage().segments, std::min<uint64_t>(before, 4));
    const RecoveredGroup& group = reopened(node);
    EXPECT_EQ(group.vote, (Vote{Term(4), ReplicaId(2), ReplicaId(3)}));
    EXPECT_EQ(group.purged_through, LogIndex(0));
    EXPECT_EQ(group.installing, std::nullopt);
    EXPECT_TRUE(group.entries.empty());
}

TEST(JournalInstall, EntriesOfAVoidedLogAreNotMoved) {
    TestNode node(1, small_options(8192, 1024));
    ASSERT_TRUE(node.open());
    node.append(1, 1, 1, "cold");
    node.append(1, 1, 2, std::string(3000, 'c'));
    node.append(3, 1, 1, "cold, too, and alive");
    ASSERT_TRUE(node.settle());
    node.reset(1, 0, 0);
    node.append(1, 2, 1, "another log's");
    turn_over(node, 20);
    EXPECT_LE(node.journal->usage().segments, 6u);
    const RecoveredGroup& group = reopened(node);
    ASSERT_EQ(group.entries.size(), 1u);
    EXPECT_EQ(group.entries[0].payload.view(), "another log's");
    EXPECT_EQ(node.recovered.groups[GroupId(3)].entries.size(), 1u);
}

}  // namespace
}  // namespace asterias::journal
