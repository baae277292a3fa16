#include "service/node/flush_pace.h"

#include <gtest/gtest.h>

namespace asterias::node {
namespace {

constexpr uint64_t kMiB = 1024 * 1024;
constexpr uint64_t kLimit = 256 * kMiB, kStep = 64 * kMiB, kCompact = 1000;

replica::Status group(uint64_t first, uint64_t durable, uint64_t in_engine) {
    replica::Status s{};
    s.raft.first = LogIndex(first);
    s.durable_applied = LogIndex(durable);
    s.in_engine = LogIndex(in_engine);
    return s;
}

TEST(FlushPace, AJournalBeyondItsLimitIsFlushedOnceAndNotOnEveryTick) {
    FlushPace pace(kLimit, kCompact);
    EXPECT_FALSE(pace.due(kLimit, {group(1, 0, 5000)}));
    EXPECT_TRUE(pace.due(kLimit + 1, {group(1, 0, 5000)}));
    int asked = 0;
    for (int tick = 0; tick < 1000; ++tick)  // under way
        asked += pace.due(kLimit + 1 + kStep / 1001 * tick, {group(1, 0, 5000 + 10 * tick)});
    EXPECT_EQ(asked, 0);
}

// Durability is not what the log waits for.
TEST(FlushPace, WhileAFollowerIsAwayNothingIsAsked) {
    FlushPace pace(kLimit, kCompact);
    ASSERT_TRUE(pace.due(kLimit + 1, {group(1, 500, 5000)}));
    int asked = 0;
    for (uint64_t tick = 0; tick < 10'000; ++tick)
        asked += pace.due(kLimit + tick * kMiB, {group(1, 5000, 5000 + 100 * tick)});
    EXPECT_EQ(asked, 0) << "what is durable would let the log be shortened long ago";
    EXPECT_TRUE(
        pace.due(10 * kLimit + 10'000 * kMiB, {group(1, 5000, 9000), group(4000, 4500, 9000)}))
        << "for the other group it helps";
}

TEST(FlushPace, AGroupThatIsFlushedInVainIsAskedForAtMostOncePerStep) {
    FlushPace pace(kLimit, kCompact);
    uint64_t asked = 0;
    for (uint64_t tick = 0; tick < 1000; ++tick)
        asked += pace.due(kLimit + tick * kMiB, {group(1, 1, 1'000'000)});
    EXPECT_GE(asked, 1000 * kMiB / kStep);
    EXPECT_LE(asked, 1000 * kMiB / kStep + 1);
}

TEST(FlushPace, AJournalThatShrankIsFlushedWhenItIsLongAgain) {
    FlushPace pace(kLimit, kCompact);
    ASSERT_TRUE(pace.due(kLimit + kMiB, {group(1, 0, 5000)}));
    EXPECT_FALSE(pace.due(kLimit / 2, {group(5000, 5000, 5100)}));
    EXPECT_TRUE(pace.due(kLimit + kMiB, {group(5000, 5000, 9000)}));
    // Hardly shrunk: a step above the shortest, and not each time the limit is crossed.
    EXPECT_FALSE(pace.due(kLimit - kMiB, {group(9000, 9000, 20'000)}));
    EXPECT_FALSE(pace.due(kLimit + kMiB, {group(9000, 9000, 20'000)}));
    EXPECT_TRUE(pace.due(kLimit - kMiB + kStep, {group(9000, 9000, 20'000)}));
}

TEST(FlushPace, TooLittleToShortenTheLogIsNotFlushed) {
    FlushPace pace(kLimit, kCompact);
    EXPECT_FALSE(pace.due(2 * kLimit, {group(1, 0, kCompact - 1)}));
    EXPECT_TRUE(pace.due(2 * kLimit, {group(1, 0, kCompact)}));
}

}  // namespace
}  // namespace asterias::node
