#include "journal/journal.h"

#include <cstring>

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "journal/journal_test_node.h"

namespace asterias::journal {
namespace {

std::map<std::string, Bytes> everything(const TestNode& node) {
    std::map<std::string, Bytes> all;
    for (const std::string& path : node.image.paths())
        all[path] = *node.image.content(path);
    return all;
}

// Where the records of a segment end.
uint64_t end_of(const TestNode& node, const std::string& path) {
    const Bytes content = *node.image.content(path);
    const auto header = decode_segment_header(content.span());
    SegmentReader reader(content.span().subspan(kSegmentHeaderBytes),
                         {header->sequence, kSegmentHeaderBytes}, header->life);
    while (reader.next()) {
    }
    return reader.position().offset;
}

// Three entries of 100 bytes, each in a batch of its own.
void write_three(TestNode& node) {
    ASSERT_TRUE(node.open());
    for (uint64_t i = 1; i <= 3; ++i) {
        node.append(1, 1, i, std::string(100, 'a'));
        ASSERT_TRUE(node.settle());
    }
}
constexpr uint64_t kEntry = record_bytes(100);

TEST(JournalRecovery, ATornTailIsCutOffAndWritingGoesOnInANewSegment) {
    TestNode node(1, small_options());
    write_three(node);
    node.crash();
    const std::string last = node.segments()[0];
    const uint64_t end = end_of(node, last);
    ASSERT_TRUE(node.image.overwrite(last, end - 64, std::string(64, '\0')));
    ASSERT_TRUE(node.open());
    EXPECT_TRUE(node.recovered.torn_tail);
    ASSERT_EQ(node.recovered.groups.at(GroupId(1)).entries.size(), 2u);
    node.covered = model_of(node.recovered);
    node.append(1, 2, 3, "again");
    ASSERT_TRUE(node.settle());
    node.crash();
    EXPECT_EQ(end_of(node, last), end - kEntry) << "nothing is written after the cut";
    ASSERT_TRUE(node.open());
    EXPECT_FALSE(node.recovered.torn_tail);
    EXPECT_TRUE(node.explained());
}

TEST(JournalRecovery, DamageBelowWhatWasSyncedIsRefusedByNameAndNothingIsTouched) {
    TestNode node(1, small_options());
    write_three(node);
    node.crash();
    const std::string file = node.segments()[0];
    const uint64_t second = end_of(node, file) - 2 * kEntry;
    ASSERT_TRUE(node.image.flip(file, second + kRecordHeaderBytes + 5, 1));
    const auto before = everything(node);
    EXPECT_FALSE(node.open());
    EXPECT_EQ(node.refusal.code, Errc::Corrupt);
    EXPECT_NE(node.refusal.context.find(file), std::string::npos) << node.refusal.context;
    EXPECT_NE(node.refusal.context.find("offset " + std::to_string(second)), std::string::npos)
        << node.refusal.context;
    EXPECT_EQ(everything(node), before);
}

TEST(JournalRecovery, TheFirstOfTwoUnsyncedRecordsLostEndsTheJournalBeforeBoth) {
    TestNode node(1, small_options());
    write_three(node);
    node.append(1, 1, 4, std::string(100, 'b'));
    node.append(1, 1, 5, std::string(100, 'c'));
    ASSERT_TRUE(node.settle());
    node.crash();
    const std::string file = node.segments()[0];
    const uint64_t first = end_of(node, file) - 2 * kEntry;
    ASSERT_TRUE(node.image.overwrite(file, first, std::string(kEntry, '\0')));
    ASSERT_TRUE(node.open()) << node.refusal.describe();
    EXPECT_EQ(node.recovered.groups.at(GroupId(1)).entries.size(), 3u);
    EXPECT_TRUE(node.recovered.torn_tail);
}

TEST(JournalRecovery, RecordsOfARecycledSegmentsEarlierLifeAreNeverTaken) {
    TestNode node(1, small_options());
    write_three(node);
    node.crash();
    const std::string old = node.segments()[0];
    const uint64_t old_end = end_of(node, old);
    const Bytes content = *node.image.content(old);
    ASSERT_TRUE(node.open());
    const std::string fresh = node.segments().back();
    node.covered = model_of(node.recovered);
    node.append(1, 1, 4, std::string(100, 'b'));
    ASSERT_TRUE(node.settle());
    node.crash();
    // As if the new segment had been recycled from the old: its records lie right behind.
    const uint64_t end = end_of(node, fresh);
    ASSERT_TRUE(node.image.overwrite(fresh, end, content.view().substr(end, old_end)));
    ASSERT_TRUE(node.open()) << node.refusal.describe();
    EXPECT_TRUE(node.explained());
    EXPECT_FALSE(node.recovered.torn_tail);
}

TEST(JournalRecovery, AnotherNodesJournalAndASecondWriterAreRefused) {
    TestNode node(1, small_options());
    write_three(node);
    std::optional<Result<Opened>> second = sim::run(
        *node.shard, open(*node.shard, node.options, *node.registry, Log(node.sink, "journal")));
    ASSERT_TRUE(second);
    EXPECT_EQ(second->error().code, Errc::Conflict);
    node.crash();
    node.options.node = NodeId(4);
    EXPECT_FALSE(node.open());
    EXPECT_EQ(node.refusal.code, Errc::Conflict);
}

TEST(JournalRecovery, AnotherFormatIsRefusedByNameAsUnsupported) {
    TestNode node(1, small_options());
    write_three(node);
    node.crash();
    const std::string file = node.segments()[0];
    std::string header = node.image.content(file)->slice(0, kSegmentHeaderBytes).str();
    header[8] = 1;  // that of version 0.1
    const uint32_t crc = crc32c(std::string_view(header).substr(8));
    std::memcpy(header.data() + 4, &crc, 4);
    ASSERT_TRUE(node.image.overwrite(file, 0, header));
    EXPECT_FALSE(node.open());
    EXPECT_EQ(node.refusal.code, Errc::Unsupported);
    EXPECT_NE(node.refusal.context.find(file), std::string::npos);
    EXPECT_NE(node.refusal.context.find("format 1"), std::string::npos);
}

TEST(Journal, OneTurnsWorkOfAllGroupsIsOneWriteAndOneSync) {
    TestNode node(1, small_options(1 << 20, 64 * 1024));
    write_three(node);
    const auto before = node.disk->counts();
    for (uint64_t group = 1; group <= 5; ++group)
        for (uint64_t i = 1; i <= 20; ++i)
            node.append(group, 1, group == 1 ? i + 3 : i, std::string(i * 300, 'x'));
    ASSERT_TRUE(node.settle());
    EXPECT_EQ(node.disk->counts().writes, before.writes + 1);
    EXPECT_EQ(node.disk->counts().syncs, before.syncs + 1);
}

TEST(Journal, AFailedSyncEndsTheNodeAndNothingMoreIsWritten) {
    TestNode node(1, small_options());
    write_three(node);
    node.faults.sync_error = 1;
    node.append(1, 1, 4, "lost");
    EXPECT_FALSE(node.settle());
    EXPECT_NE(node.shard->fatal_text().find("simulated sync error"), std::string::npos);
    node.faults.sync_error = 0;
    const auto writes = node.disk->counts().writes;
    node.append(1, 1, 5, "never written");
    for (int i = 0; i < 10; ++i) {
        node.shard->touch();
        node.shard->step();
    }
    EXPECT_EQ(node.disk->counts().writes, writes);
    EXPECT_EQ(node.last_persisted, BatchId(3));
}

TEST(Journal, AColdGroupDoesNotKeepTheJournalFromShrinking) {
    TestNode node(1, small_options(8192, 1024));
    ASSERT_TRUE(node.open());
    node.append(2, 1, 1, "cold");
    node.append(2, 1, 2, std::string(3000, 'c'));
    for (uint64_t i = 1; i <= 500; ++i) {
        node.append(1, 1, i, std::string(200, 'h'));
        if (i > 5) node.purge(1, i - 5);
        ASSERT_TRUE(node.settle());
    }
    node.settle_all();
    EXPECT_LE(node.journal->usage().segments, 6u);
    EXPECT_NE(node.registry->print().find("asterias_journal_moved_total"), std::string::npos);
    node.crash();
    EXPECT_LE(node.segments().size(), 8u);
    ASSERT_TRUE(node.open());
    EXPECT_TRUE(node.explained());
    EXPECT_EQ(node.recovered.groups.at(GroupId(2)).entries.size(), 2u);
}

TEST(Journal, AnEntryLargerThanASegmentComesBackWhole) {
    TestNode node(1, small_options(8192, 1024));
    ASSERT_TRUE(node.open());
    std::string payload(50'000, '\0');
    for (char& c : payload)
        c = static_cast<char>(node.prng.next());
    node.append(1, 1, 1, payload);
    node.append(1, 1, 2, "after");
    ASSERT_TRUE(node.settle());
    node.crash();
    ASSERT_TRUE(node.open());
    EXPECT_TRUE(node.explained());
    EXPECT_EQ(node.recovered.groups.at(GroupId(1)).entries[0].payload.view(), payload);
}

TEST(Journal, ClosingWritesOutWhatWasCollected) {
    TestNode node(1, small_options());
    ASSERT_TRUE(node.open());
    node.vote(1, 5, 2);
    EXPECT_TRUE(node.close());
    EXPECT_TRUE(node.pending.empty());
    node.image.crash(node.prng);
    ASSERT_TRUE(node.open());
    EXPECT_EQ(node.recovered.groups.at(GroupId(1)).vote, (Vote{Term(5), ReplicaId(2)}));
}

TEST(Journal, APurgeAboveTheLastEntryBeginsTheLogAnew) {
    TestNode node(1, small_options());
    write_three(node);
    node.purge(1, 100);
    node.append(1, 7, 101, "after the snapshot");
    ASSERT_TRUE(node.settle());
    node.crash();
    ASSERT_TRUE(node.open());
    EXPECT_TRUE(node.explained());
    EXPECT_EQ(node.recovered.groups.at(GroupId(1)).entries.at(0).index, LogIndex(101));
}

}  // namespace
}  // namespace asterias::journal
