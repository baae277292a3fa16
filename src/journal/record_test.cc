#include "journal/record.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "base/prng.h"
#include "journal/batch.h"
#include "journal/replay.h"

namespace asterias::journal {
namespace {

constexpr uint64_t kLife = 0x1234;

wire::Entry entry(uint64_t group, uint64_t index, std::string payload, uint64_t term = 1) {
    return wire::make_entry(GroupId(group), Term(term), LogIndex(index), wire::EntryKind::Effects,
                            Bytes::copy(payload));
}

// A segment's records after its header, laid out by hand.
class Layout {
public:
    explicit Layout(uint64_t sequence) : at_{sequence, kSegmentHeaderBytes} {}
    Layout& add(RecordHeader header, const Bytes& body, Position synced = {}) {
        header.at = at_;
        header.body_bytes = static_cast<uint32_t>(body.size());
        if (header.entry_crc == 0) header.body_crc = crc32c(body.view());
        Batch batch;
        batch.add(header, body);
        for (const Bytes& piece : batch.seal(0, synced, at_.segment, kLife))
            bytes_.append(piece.view());
        at_.offset += record_bytes(body.size());
        return *this;
    }
    Layout& add(uint64_t group, const wire::Entry& e, uint32_t prev) {
        return add({.type = RecordType::Entry,
                    .entry_kind = static_cast<uint8_t>(e.kind),
                    .group = GroupId(group),
                    .term = e.term,
                    .index = e.index,
                    .entry_crc = e.crc,
                    .prev_crc = prev,
                    .entry_bytes = static_cast<uint32_t>(e.payload.size())},
                   e.payload);
    }
    std::string_view bytes() const { return bytes_.view(); }
    std::span<const uint8_t> span() const { return {bytes_.data(), bytes_.size()}; }
    Position first() const { return {at_.segment, kSegmentHeaderBytes}; }

private:
    Position at_;
    BytesBuilder bytes_;
};

TEST(JournalRecord, DecodesWhatWasEncodedOnlyAtItsOwnPlaceInItsOwnJournal) {
    Layout layout(9);
    layout.add(5, entry(5, 1, "payload"), 77);
    auto record = decode_record(layout.span(), {9, 512}, kLife);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->header.group, GroupId(5));
    EXPECT_EQ(record->header.prev_crc, 77u);
    EXPECT_EQ(record->body.size(), 7u);
    EXPECT_FALSE(decode_record(layout.span(), {8, 512}, kLife));
    EXPECT_FALSE(decode_record(layout.span(), {10, 512}, kLife)) << "an earlier life";
    EXPECT_FALSE(decode_record(layout.span(), {9, 520}, kLife)) << "misdirected";
    EXPECT_FALSE(decode_record(layout.span(), {9, 512}, kLife + 1)) << "another journal";
    for (size_t n = 0; n < layout.span().size(); ++n)
        EXPECT_FALSE(decode_record(layout.span().first(n), {9, 512}, kLife)) << "cut at " << n;
}

TEST(JournalRecord, EveryFlippedBitIsNoticed) {
    Layout layout(9);
    layout.add(5, entry(5, 1, "payload"), 77);
    layout.add({.type = RecordType::Vote, .group = GroupId(5), .term = Term(3)}, {});
    std::string bytes(layout.bytes());
    for (size_t i = 0; i < bytes.size() * 8; ++i) {
        bytes[i / 8] = static_cast<char>(bytes[i / 8] ^ (1 << (i % 8)));
        SegmentReader reader({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()},
                             layout.first(), kLife);
        int valid = 0;
        while (reader.next())
            ++valid;
        EXPECT_LT(valid, 2) << "bit " << i;
        bytes[i / 8] = static_cast<char>(bytes[i / 8] ^ (1 << (i % 8)));
    }
}

TEST(JournalRecord, EveryFlippedBitOfASegmentHeaderIsNoticed) {
    const SegmentHeader header{9, 65536, ClusterId(1), NodeId(2), ShardId(3), kLife, 8};
    std::string bytes = encode(header).str();
    auto decode = [&] {
        return decode_segment_header(
            {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    };
    ASSERT_EQ(*decode(), header);
    for (size_t i = 0; i < bytes.size() * 8; ++i) {
        bytes[i / 8] = static_cast<char>(bytes[i / 8] ^ (1 << (i % 8)));
        EXPECT_FALSE(decode()) << "bit " << i;
        bytes[i / 8] = static_cast<char>(bytes[i / 8] ^ (1 << (i % 8)));
    }
}

TEST(JournalRecord, SegmentNamesAreOneToOne) {
    EXPECT_EQ(segment_name(0xabc), "0000000000000abc.journal");
    EXPECT_EQ(parse_segment_name("0000000000000abc.journal"), 0xabcu);
    for (const char* bad : {"0000000000000ABC.journal", "abc.journal", "0000000000000000.journal",
                            "0000000000000abc.journal.new", "lock", ""})
        EXPECT_FALSE(parse_segment_name(bad)) << bad;
}

TEST(JournalBatch, LargePayloadsAreLinkedAndSmallOnesJoined) {
    Batch batch;
    const Bytes large = Bytes::copy(std::string(kLinkBytes + 1, 'L'));
    RecordHeader header{.type = RecordType::Entry};
    header.at = {1, 512};
    auto add = [&](const Bytes& body) {
        header.body_bytes = header.entry_bytes = static_cast<uint32_t>(body.size());
        batch.add(header, body);
        header.at.offset += record_bytes(body.size());
    };
    for (int i = 0; i < 100; ++i)
        add(Bytes::literal("small"));
    add(large);
    add(Bytes::literal("small"));
    const auto pieces = batch.seal(0, {}, 1, kLife);
    ASSERT_EQ(pieces.size(), 3u);
    EXPECT_EQ(pieces[1].data(), large.data());
    EXPECT_EQ(pieces[0].size() + pieces[1].size() + pieces[2].size(), batch.bytes());
}

TEST(JournalReplay, AHoleInTheChainIsNotAccepted) {
    const auto e1 = entry(1, 1, "a"), e2 = entry(1, 2, "b"), e3 = entry(1, 3, "c");
    auto verdict = [](const Layout& layout) {
        Replay replay(1);
        SegmentReader reader(layout.span(), layout.first(), kLife);
        auto last = Replay::Verdict::Applied;
        while (auto record = reader.next())
            last = replay.apply(*record);
        return last;
    };
    EXPECT_EQ(verdict(Layout(1).add(1, e1, 0).add(1, e2, e1.crc).add(1, e3, e2.crc)),
              Replay::Verdict::Applied);
    EXPECT_EQ(verdict(Layout(1).add(1, e1, 0).add(1, e3, e2.crc)), Replay::Verdict::Breaks)
        << "an index is left out";
    const auto other = entry(1, 2, "not b");
    EXPECT_EQ(verdict(Layout(1).add(1, e1, 0).add(1, e2, e1.crc).add(1, e3, other.crc)),
              Replay::Verdict::Breaks)
        << "built on another entry 2";
}

TEST(JournalReplay, AMarkThatKnowsMoreThanTheSegmentsBeforeItIsDamage) {
    const GroupMark mark{GroupId(1), {Term(2), ReplicaId(1)}, {}, {}, LogIndex(4), 99};
    BytesBuilder body;
    encode(mark, body.extend(kGroupMarkBytes));
    const Bytes marks = body.take();
    Layout layout(2);
    layout.add({.type = RecordType::Groups}, marks);
    const auto record = decode_record(layout.span(), {2, 512}, kLife);
    ASSERT_TRUE(record);
    EXPECT_EQ(Replay(1).apply(*record), Replay::Verdict::Damage);
    EXPECT_EQ(Replay(2).apply(*record), Replay::Verdict::Applied) << "the oldest one needed";
}

TEST(JournalRecord, AMarkSaysAllThatOlderSegmentsSayBesideEntries) {
    GroupChain chain;
    chain.vote = {Term(3), ReplicaId(2), ReplicaId(7)};
    chain.reset({LogIndex(40), Term(3)});
    chain.append(LogIndex(41), 0xabcd);
    chain.installing = LogPlace{LogIndex(90), Term(4)};
    const GroupMark mark = chain.mark(GroupId(5));
    BytesBuilder body;
    encode(mark, body.extend(kGroupMarkBytes));
    Layout layout(2);
    layout.add({.type = RecordType::Groups}, body.take());
    const auto marks = decode_groups(*decode_record(layout.span(), {2, 512}, kLife));
    ASSERT_TRUE(marks);
    ASSERT_EQ(marks->size(), 1u);
    EXPECT_EQ(marks->front(), mark);
    const GroupChain again = GroupChain::from(marks->front());
    EXPECT_EQ(again.mark(GroupId(5)), mark);
    EXPECT_EQ(again.purged_term(), Term(3));
    EXPECT_EQ(again.installing, chain.installing);
}

TEST(JournalReplay, WhatAResetVoidedNeverComesBack) {
    const auto e1 = entry(1, 1, "a"), e2 = entry(1, 2, "b"), e3 = entry(1, 3, "old");
    const auto e6 = entry(1, 6, "after"), e4 = entry(1, 4, "stale");
    const auto voided = [&](Layout& layout) -> Layout& {
        layout.add(1, e1, 0).add(1, e2, e1.crc).add(1, e3, e2.crc);
        return layout.add(
            {.type = RecordType::Reset, .group = GroupId(1), .term = Term(9), .index = LogIndex(5)},
            {});
    };
    Layout layout(1), stale(1);
    voided(layout).add(1, e6, 0);
    voided(stale).add(1, e4, e3.crc);
    auto replay = [](const Layout& records, Replay& into) {
        SegmentReader reader(records.span(), records.first(), kLife);
        auto last = Replay::Verdict::Applied;
        while (auto record = reader.next())
            last = into.apply(*record);
        return last;
    };
    Replay good(1), bad(1);
    EXPECT_EQ(replay(stale, bad), Replay::Verdict::Breaks) << "below where the log goes on";
    EXPECT_EQ(replay(layout, good), Replay::Verdict::Applied);
    auto result = good.finish();
    ASSERT_TRUE(result);
    const RecoveredGroup& group = result->recovered.at(GroupId(1));
    EXPECT_EQ(group.purged_through, LogIndex(5));
    EXPECT_EQ(group.purged_term, Term(9));
    EXPECT_EQ(group.entries, std::vector{e6});
}

TEST(Retention, AForgottenGroupNeedsNothing) {
    Retention retention;
    retention.entry(GroupId(1), LogIndex(1), 1, 100);
    retention.entry(GroupId(1), LogIndex(2), 2, 100);
    retention.entry(GroupId(2), LogIndex(1), 3, 100);
    retention.forget(GroupId(1));
    retention.forget(GroupId(7));
    EXPECT_EQ(retention.oldest(9), 3u);
    EXPECT_EQ(retention.live_bytes_before(9), 100u);
}

TEST(Retention, ASegmentIsNeededUntilItsLastLiveEntryIsPurgedSupersededOrMoved) {
    Retention retention;
    for (uint64_t i = 1; i <= 10; ++i)
        retention.entry(GroupId(1), LogIndex(i), i <= 5 ? 1 : 2, 100);
    EXPECT_EQ(retention.oldest(9), 1u);
    EXPECT_EQ(retention.live_bytes(1), 500u);
    retention.purge(GroupId(1), LogIndex(4));
    EXPECT_EQ(retention.oldest(9), 1u);
    retention.moved(GroupId(1), LogIndex(5), 3, 100);
    EXPECT_EQ(retention.oldest(9), 2u);
    retention.entry(GroupId(1), LogIndex(6), 4, 100);
    EXPECT_EQ(retention.oldest(9), 3u) << "5 lives in 3, the rest of 2 was superseded";
    EXPECT_EQ(retention.live_bytes_before(9), 200u);
    retention.purge(GroupId(1), LogIndex(6));
    EXPECT_EQ(retention.oldest(9), 9u);
}

}  // namespace
}  // namespace asterias::journal
