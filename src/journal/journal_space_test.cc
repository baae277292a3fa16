// A disk that fills up (D2): told in time, lived through, and over by itself.
#include <gtest/gtest.h>

#include "journal/journal_test_node.h"

namespace asterias::journal {
namespace {

constexpr uint64_t kSegment = 8192;

std::vector<wire::Entry> entry(uint64_t group, uint64_t index, size_t bytes = 300) {
    return {wire::make_entry(GroupId(group), Term(1), LogIndex(index), wire::EntryKind::Effects,
                             Bytes::copy(std::string(bytes, 'x')))};
}

// On a disk that has no space but what its segments take already.
struct FullDisk : TestNode {
    FullDisk() : TestNode(1, small_options(kSegment, 512)) {
        options.reserve_bytes = 0;
        EXPECT_TRUE(open());
        settle_all();
        fill();
    }
    void fill() { faults.capacity_bytes = image.used_bytes() + 100; }
    // True: written; false: does not fit, and was not appended.
    bool write_more() {
        const auto more = entry(1, next);
        if (!journal->fits(more)) return false;
        append(GroupId(1), more);
        EXPECT_TRUE(settle()) << shard->fatal_text();
        settle_all(5);
        ++next;
        return true;
    }
    uint64_t next = 1;
};

TEST(JournalSpace, AFullDiskIsToldWhileMuchStillFitsAndEndsNoNode) {
    FullDisk node;
    while (!node.journal->usage().no_space)
        ASSERT_TRUE(node.write_more());
    EXPECT_GT(node.journal->usage().bytes_left, kSegment / 2) << "the ballast is still there";
    uint64_t before = node.journal->usage().bytes_left, written = 0;
    while (node.write_more()) {
        EXPECT_LT(node.journal->usage().bytes_left, before);
        before = node.journal->usage().bytes_left;
        ASSERT_LT(++written, 100u);
    }
    EXPECT_GT(written * 300, kSegment / 2);
    EXPECT_LT(before, 2 * record_bytes(300));
    EXPECT_TRUE(node.journal->fits(entry(1, node.next, 0))) << "or nothing of this was full";
    for (uint64_t term = 1; term <= 5; ++term) {
        node.vote(1, term, 1, 1);
        ASSERT_TRUE(node.settle()) << "what must not wait does not";
    }
    EXPECT_TRUE(node.shard->fatal_text().empty());
}

TEST(JournalSpace, ANodeComesBackOnAFullDiskAsLongAsASegmentIsLeft) {
    FullDisk node;
    while (!node.journal->usage().no_space)
        ASSERT_TRUE(node.write_more());
    node.crash();
    ASSERT_TRUE(node.open()) << node.refusal.describe();
    EXPECT_TRUE(node.explained());
    node.settle_all(5);
    EXPECT_TRUE(node.journal->usage().no_space);
    EXPECT_TRUE(node.write_more());
}

// The look at the space repeats itself each second; the first segment takes longer here.
TEST(JournalSpace, ASlowStartOnAFullDiskMakesEachSegmentReadyOnce) {
    FullDisk node;
    node.crash();
    node.options.reserve_bytes = uint64_t{1} << 30;
    node.faults.sync_latency = {milliseconds(1500), milliseconds(1500)};
    ASSERT_TRUE(node.open()) << node.refusal.describe();
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(node.write_more());
    node.crash();
    ASSERT_TRUE(node.open()) << node.refusal.describe();
    EXPECT_TRUE(node.explained());
    EXPECT_EQ(node.recovered.groups[GroupId(1)].entries.size(), 3u);
}

TEST(JournalSpace, WhatIsStagedIsCounted) {
    FullDisk node;
    while (!node.journal->usage().no_space)
        ASSERT_TRUE(node.write_more());
    int staged = 0;
    while (node.journal->fits(entry(1, node.next))) {
        node.append(GroupId(1), entry(1, node.next++));
        ASSERT_LT(++staged, 100);
    }
    EXPECT_GT(staged, 5);
    EXPECT_TRUE(node.settle()) << "nothing was asked that does not fit";
}

TEST(JournalSpace, EntriesInSlicesAreCountedInSlices) {
    FullDisk node;
    while (!node.journal->usage().no_space)
        ASSERT_TRUE(node.write_more());
    size_t most = 0;
    while (node.journal->fits(entry(1, node.next, most + 100)))
        most += 100;
    EXPECT_GT(most, 2000u);
    node.append(GroupId(1), entry(1, node.next, most));
    EXPECT_TRUE(node.settle()) << node.shard->fatal_text();
}

TEST(JournalSpace, ItIsOverBySelfWhenSpaceReturns) {
    FullDisk node;
    while (node.write_more()) {
    }
    node.faults.capacity_bytes = UINT64_MAX;
    for (int turn = 0; turn < 50 && node.journal->usage().no_space; ++turn)
        node.shard->step();
    EXPECT_FALSE(node.journal->usage().no_space);
    for (int i = 0; i < 100; ++i)
        ASSERT_TRUE(node.write_more());
}

TEST(JournalSpace, AGroupThatPurgesGoesOnForEverOnAFullDisk) {
    FullDisk node;
    for (int i = 0; i < 500; ++i) {
        ASSERT_TRUE(node.write_more());
        if (node.next > 10) node.purge(1, node.next - 10);
    }
    EXPECT_TRUE(node.shard->fatal_text().empty());
}

TEST(JournalSpace, TheNodeEndsOnlyWhenWhatWasKeptIsUsedUp) {
    FullDisk node;
    while (node.write_more()) {
    }
    for (int n = 0; n < 100 && node.shard->fatal_text().empty(); ++n) {
        node.append(GroupId(1), entry(1, node.next++));
        node.settle();
    }
    EXPECT_NE(node.shard->fatal_text().find("disk is full"), std::string::npos);
    node.crash();
    EXPECT_FALSE(node.open());
    EXPECT_EQ(node.refusal.code, Errc::NoSpace);
    node.faults.capacity_bytes = UINT64_MAX;
    ASSERT_TRUE(node.open());
    EXPECT_TRUE(node.explained());
}

TEST(JournalSpace, LessThanTheReserveIsNoticedWithinASecondAndBeforeAnythingIsRefused) {
    TestNode node(1, small_options(kSegment, 512));
    node.options.reserve_bytes = 100'000;
    ASSERT_TRUE(node.open());
    node.settle_all();
    EXPECT_FALSE(node.journal->usage().no_space);
    node.faults.capacity_bytes = node.image.used_bytes() + 99'999;
    uint64_t index = 0;
    const auto write = [&] {
        const Instant until = node.shard->clock().now() + seconds(1);
        while (node.shard->clock().now() < until) {
            bool late = false;
            const auto timer = node.shard->timers().after(milliseconds(300), [&] { late = true; });
            while (!late && node.step()) {
            }
            node.shard->timers().cancel(timer);
            node.append(GroupId(1), entry(1, ++index, 10));
            ASSERT_TRUE(node.settle());
            node.settle_all(5);
        }
    };
    write();
    EXPECT_TRUE(node.journal->usage().no_space);
    EXPECT_EQ(node.disk->counts().no_space, 0u);
    node.faults.capacity_bytes += 1000;
    write();
    EXPECT_TRUE(node.journal->usage().no_space) << "it does not come and go";
    node.faults.capacity_bytes += 100'000;
    write();
    EXPECT_FALSE(node.journal->usage().no_space);
}

TEST(JournalSpace, AFullDiskIsKnownFromTheStart) {
    TestNode node(1, small_options(kSegment, 512));
    node.options.reserve_bytes = 100'000;
    node.faults.capacity_bytes = 90'000;
    ASSERT_TRUE(node.open());
    EXPECT_TRUE(node.journal->usage().no_space);
}

}  // namespace
}  // namespace asterias::journal
