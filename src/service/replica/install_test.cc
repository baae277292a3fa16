// Snapshots that come in: verified, installed in one step, whatever instant a crash comes at
// (rules 26 to 29).
#include "service/replica/snapshot_test_bench.h"

namespace asterias::replica {
namespace {

using Kind = SnapshotReply::Kind;

// A follower of an old state: entries 1 and 2, the second of which wrote `old`.
void make_old(Bench& b) {
    session::Effects effects;
    effects.commit_time = HybridTime(9);
    kv::Record record;
    record.value = Bytes::copy("older");
    effects.writes.push_back({kv::data_key(kKeyspace, 0, "old"), kv::encode(record)});
    b.receive({ReplicaId(2), ReplicaId(1), Term(1),
               raft::AppendRequest{
                   {},
                   {},
                   LogIndex(2),
                   {wire::make_entry(kGroup, Term(1), LogIndex(1), wire::EntryKind::Noop, {}),
                    wire::make_entry(kGroup, Term(1), LogIndex(2), wire::EntryKind::Effects,
                                     session::encode(effects))}}});
    b.run_for(milliseconds(60));
    b.receive({ReplicaId(2), ReplicaId(1), Term(1), raft::Heartbeat{LogIndex(2), 1}});
    b.run_for(milliseconds(60));
    ASSERT_EQ(b.replica->status().raft.applied, LogIndex(2));
}

// Mutants replica_sessions_not_in_snapshot, replica_applied_not_in_snapshot.
TEST(Install, ASnapshotBecomesTheStateAndOutlivesAKill) {
    Bench b(3);
    make_old(b);
    const auto made = make_snapshot(100, 9);
    hear_all(b, made);
    ASSERT_TRUE(b.turns_until([&] { return installed(b, made); }));
    EXPECT_TRUE(heard_back(b, Kind::Installed));
    EXPECT_EQ(b.counted("asterias_group_snapshots_installed_total"), 1u);
    EXPECT_EQ(b.replica->status().durable_applied, LogIndex(100));
    EXPECT_TRUE(b.replica->status().snapshots.empty());
    b.kill();
    b.boot();
    ASSERT_TRUE(b.replica);
    EXPECT_EQ(b.replica->status().raft.applied, LogIndex(100));
    expect_content(b, 9);
    b.submit(1, 6, set("more", "x"), 2'000'001);
    EXPECT_EQ(b.await(1).kind, Answer::Kind::Done);
    b.kill();
    b.boot();
    b.elect();
    EXPECT_EQ(b.read("more").text.view(), "x");
}

// Mutant replica_install_before_begin.
TEST(Install, AKillAtAnyStepLeavesTheOldStateOrTheNewOne) {
    size_t old = 0, fresh = 0;
    for (int turns = 0; turns < 400; ++turns) {
        Bench b(3, 1 + static_cast<uint64_t>(turns % 7));
        make_old(b);
        b.slow_disk(milliseconds(3));
        const auto made = make_snapshot(100, 5);
        hear_all(b, made);
        for (int i = 0; i < turns && !heard_back(b, Kind::Installed); ++i)
            b.turn();
        const bool over = heard_back(b, Kind::Installed);
        b.kill();
        b.slow_disk(Duration{});
        b.boot();
        ASSERT_TRUE(b.replica) << "after " << turns << " turns";
        const auto status = b.replica->status();
        ASSERT_FALSE(status.stopped) << status.stopped_why;
        const LogIndex applied = status.raft.applied;
        ASSERT_TRUE(applied == LogIndex(100) || applied <= LogIndex(2)) << to_string(applied);
        (applied == LogIndex(100) ? fresh : old) += 1;
        ASSERT_TRUE(!over || applied == LogIndex(100)) << "it was said to be installed";
        b.snapshot_replies.clear();
        hear_all(b, made);
        ASSERT_TRUE(b.turns_until([&] { return installed(b, made); })) << turns;
        expect_content(b, 5);
        if (over) break;
    }
    EXPECT_GT(old, 0u);
    EXPECT_GT(fresh, 1u);
}

TEST(Install,
     APieceThatIsDamagedIsRefusedAndNothingChanges) {  // mutant replica_snapshot_unverified
    for (const bool whole : {false, true}) {
        Bench b(3);
        make_old(b);
        const auto made = make_snapshot(100, 9);
        auto pieces = made.pieces();
        auto& piece = std::get<SnapshotPiece>(pieces[whole ? pieces.size() - 1 : 2].body);
        if (whole)
            piece.crc_of_all ^= 1;
        else
            piece.crc ^= 1;
        hear(b, made.begin());
        for (const auto& p : pieces)
            hear(b, p);
        b.run_for(milliseconds(500));
        EXPECT_TRUE(heard_back(b, Kind::Refused));
        EXPECT_FALSE(heard_back(b, Kind::Installed));
        EXPECT_EQ(b.replica->status().raft.applied, LogIndex(2));
        b.peers_heartbeat = true;
        b.elect();
        EXPECT_EQ(b.read("old").text.view(), "older");
    }
}

TEST(Install, KeysThatHaveNoPlaceInItAreRefused) {
    for (const bool foreign : {false, true}) {
        Bench b(3);
        auto made = make_snapshot(100, 4);
        if (foreign)
            made.pairs.insert(made.pairs.begin() + 2,
                              {kv::data_key(KeyspaceId(9), 0, "k"), Bytes::copy("v")});
        else
            std::swap(made.pairs[0], made.pairs[1]);
        hear_all(b, made);
        b.run_for(milliseconds(500));
        EXPECT_TRUE(heard_back(b, Kind::Refused));
        EXPECT_FALSE(installed(b, made));
    }
}

TEST(Install, AfterABrokenConnectionItGoesOnBehindWhatLiesAside) {
    Bench b(3);
    const auto made = make_snapshot(100, 20);
    const auto pieces = made.pieces();
    hear(b, made.begin());
    for (size_t i = 0; i < 4; ++i)
        hear(b, pieces[i]);
    hear(b, pieces[7]);  // those between were lost
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.snapshot_replies.back().next, 4u);
    ASSERT_EQ(b.replica->status().snapshots.size(), 1u);
    EXPECT_GT(b.replica->status().snapshots[0].bytes, 0u);
    hear(b, made.begin());
    EXPECT_EQ(b.snapshot_replies.back().kind, Kind::Going);
    EXPECT_EQ(b.snapshot_replies.back().next, 4u);
    for (size_t i = 4; i < pieces.size(); ++i)
        hear(b, pieces[i]);
    ASSERT_TRUE(b.turns_until([&] { return installed(b, made); }));
    expect_content(b, 20);
}

TEST(Install, ANewLeadersSnapshotTakesThePlaceOfAnOlderOne) {
    Bench b(3);
    const auto first = make_snapshot(100, 20);
    hear(b, first.begin());
    hear(b, first.pieces()[0]);
    b.run_for(milliseconds(50));
    auto second = make_snapshot(120, 7);
    second.id = 78;
    second.term = Term(4);
    second.from = ReplicaId(3);
    hear(b, second.begin());
    EXPECT_EQ(b.snapshot_replies.back().kind, Kind::Busy);
    b.run_for(milliseconds(50));
    hear_all(b, second);
    ASSERT_TRUE(b.turns_until([&] { return installed(b, second); }));
    hear(b, first.pieces()[1]);
    EXPECT_EQ(b.snapshot_replies.back().kind, Kind::Busy) << "it is asked for its beginning";
    hear(b, first.begin());
    EXPECT_EQ(b.snapshot_replies.back().kind, Kind::Installed) << "what is here is ahead of it";
    expect_content(b, 7);
}

TEST(Install, OneThatIsNotAheadIsNotTaken) {  // rule 27
    Bench b(3);
    make_old(b);
    const auto made = make_snapshot(2, 5);
    hear_all(b, made);
    b.run_for(milliseconds(200));
    EXPECT_EQ(b.replica->status().raft.snapshots_installed, 0u);
    b.elect();
    EXPECT_EQ(b.read("old").text.view(), "older");
}

TEST(Install, TheLogBehindAMatchingPlaceStays) {  // rule 27
    Bench b(3);
    make_old(b);
    std::vector<wire::Entry> entries;
    for (uint64_t i = 3; i <= 8; ++i)
        entries.push_back(
            wire::make_entry(kGroup, Term(2), LogIndex(i), wire::EntryKind::Noop, {}));
    b.receive({ReplicaId(2), ReplicaId(1), Term(2),
               raft::AppendRequest{LogIndex(2), Term(1), LogIndex(2), entries}});
    b.run_for(milliseconds(60));
    const auto made = make_snapshot(5, 5);
    hear_all(b, made);
    ASSERT_TRUE(b.turns_until([&] { return installed(b, made); }));
    EXPECT_EQ(b.replica->status().raft.last, LogIndex(8));
    b.kill();
    b.boot();
    EXPECT_EQ(b.replica->status().raft.last, LogIndex(8));
    EXPECT_EQ(b.replica->status().raft.applied, LogIndex(5));
    expect_content(b, 5);
}

TEST(Install, WhoIsSilentForLongIsGivenUp) {
    Bench b(3);
    const auto made = make_snapshot(100, 20);
    hear(b, made.begin());
    b.run_for(seconds(1));
    EXPECT_EQ(b.replica->status().snapshots.size(), 1u);
    b.run_for(seconds(40));
    EXPECT_TRUE(b.replica->status().snapshots.empty());
}

TEST(Install, AFullEngineIsWaitedFor) {
    Bench b(3);
    const auto made = make_snapshot(100, 9);
    engine::MemFaults full;
    full.capacity_bytes = 10;
    b.engine_image.set_faults(full);
    hear_all(b, made);
    b.run_for(seconds(3));
    EXPECT_FALSE(installed(b, made));
    b.engine_image.set_faults({});
    ASSERT_TRUE(b.turns_until([&] { return installed(b, made); }));
    expect_content(b, 9);
}

// Found by the simulator: a node without writes of its own refused every snapshot, and lived on.
TEST(Install, AnEngineThatFailedForGoodEndsTheNode) {
    Bench b(3);
    make_old(b);
    b.run_for(seconds(1));
    engine::MemFaults broken;
    broken.flush_fails = 1;
    b.engine_image.set_faults(broken);
    b.engine->request_flush();
    b.run_for(seconds(3));
    ASSERT_TRUE(b.shard->fatal_text().empty()) << "nobody has asked it for anything since";
    hear_all(b, make_snapshot(100, 9));
    ASSERT_TRUE(b.turns_until([&] { return !b.shard->fatal_text().empty(); }));
    EXPECT_NE(b.shard->fatal_text().find("engine"), std::string::npos);
}

}  // namespace
}  // namespace asterias::replica
