// The leader's side: how long its log is, and what a peer gets that needs more than it has.
#include "service/replica/snapshot_test_bench.h"

namespace asterias::replica {
namespace {

using Kind = SnapshotReply::Kind;

// Leads a group of three of whom node 3 is away, and writes `count` values of a kilobyte.
void write(Bench& b, uint64_t count, uint64_t from = 1) {
    const std::string value(1000, 'v');
    for (uint64_t i = from; i < from + count; ++i) {
        b.submit(i, i, set("k" + std::to_string(i % 50), value + std::to_string(i)));
        ASSERT_EQ(b.await(i).kind, Answer::Kind::Done);
        if (i % 20 == 0) b.engine->request_flush();
    }
}

struct Leading : Bench {
    explicit Leading(uint64_t retained = 50'000) : Bench(3) {
        log_retained_bytes_max = retained;
        compact_entries = 10;
        away = {NodeId(3)};
        kill();
        boot();
        elect();
    }
    // Node 3 is back, without a log.
    void come_back() {
        away.clear();
        without = {NodeId(3)};
    }
    bool sends() const { return !replica->status().snapshots.empty(); }
    SnapshotReply reply(Kind kind, uint64_t next = 0) const {
        return {kGroup, ReplicaId(3), ReplicaId(1), snapshots.back().id, kind, next, {}};
    }
    void hear(const SnapshotReply& r) {
        replica->receive_snapshot_reply(r);
        shard->touch();
    }
};

TEST(Retention, TheLogOfALeaderIsBoundedHoweverLongANodeIsAway) {
    Leading b;
    write(b, 400);
    b.run_for(seconds(2));
    EXPECT_LE(b.replica->status().log_bytes, 60'000u);
    EXPECT_GE(b.replica->status().log_bytes, 20'000u) << "for whoever is slow, and lives";
}

// Mutant replica_log_dropped_early.
TEST(Retention, WhatTheEngineHoldsOnlyInMemoryStaysInTheLog) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
        Leading b(5'000);
        const std::string value(1000, 'v');
        for (uint64_t i = 1; i <= 60; ++i) {
            b.submit(i, i, set("k", value + std::to_string(i)));
            ASSERT_EQ(b.await(i).kind, Answer::Kind::Done);
            if (i % 7 == 0) b.run_for(milliseconds(25));
        }
        b.kill();
        b.boot();
        ASSERT_TRUE(b.replica);
        b.elect();
        EXPECT_EQ(b.read("k").text.view(), value + "60");
    }
}

TEST(Retention, AFewLargeEntriesAreALongLog) {
    Leading b(50'000);
    b.compact_entries = 1000;
    b.kill();
    b.boot();
    b.elect();
    write(b, 200);
    b.run_for(seconds(2));
    EXPECT_LE(b.replica->status().log_bytes, 60'000u);
}

TEST(SnapshotSend, APeerThatNeedsMoreThanTheLogGetsTheStateInOrderAndWithinTheWindow) {
    Leading b;
    write(b, 200);
    b.come_back();
    ASSERT_TRUE(b.turns_until([&] { return b.sends(); }));
    ASSERT_TRUE(b.turns_until([&] { return !b.snapshots.empty(); }));
    ASSERT_TRUE(std::holds_alternative<SnapshotBegin>(b.snapshots.front().body));
    const auto head = std::get<SnapshotBegin>(b.snapshots.front().body).head;
    EXPECT_EQ(head.meta.index, b.replica->status().raft.applied);
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.snapshots.size(), 1u) << "nothing before the peer has said where it is";
    b.hear(b.reply(Kind::Going, 0));
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.snapshots.size(), 1 + SnapshotPace{}.unanswered_max);
    b.hear(b.reply(Kind::Going, 3));
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.snapshots.size(), 1 + 3 + SnapshotPace{}.unanswered_max);
    Bytes last;
    for (size_t i = 1; i < b.snapshots.size(); ++i) {
        const auto& piece = std::get<SnapshotPiece>(b.snapshots[i].body);
        EXPECT_EQ(piece.number, i - 1);
        const auto pairs = decode_pairs(piece.content);
        ASSERT_TRUE(pairs.has_value());
        for (const auto& pair : *pairs) {
            EXPECT_LT(last, pair.key);
            last = pair.key;
        }
    }
}

// Else each turn would end with a write of its own to the engine.
TEST(SnapshotSend, APeerThatWaitsForItsTurnCostsNothing) {
    SnapshotSlots slots(1);
    ASSERT_TRUE(slots.take());
    Leading b;
    b.sending = &slots;
    b.kill();
    b.boot();
    b.elect();
    write(b, 200);
    b.come_back();
    b.run_for(seconds(1));
    ASSERT_FALSE(b.sends());
    const size_t before = b.engine->writes;
    const Instant from = b.shard->now();
    for (uint64_t i = 1000; i < 1100; ++i) {
        b.submit(i, i, set("k", "v"));
        ASSERT_EQ(b.await(i).kind, Answer::Kind::Done);
    }
    const auto ticks = static_cast<size_t>((b.shard->now() - from) / milliseconds(20));
    EXPECT_LE(b.engine->writes - before, ticks + 2);
    slots.give_back();
    EXPECT_TRUE(b.turns_until([&] { return b.sends(); }));
    EXPECT_EQ(slots.taken(), 1u);
}

// A second, real replica takes what is sent.
TEST(SnapshotSend, WhatIsSentIsTheStateAndIsTakenOverBreaks) {
    Leading b;
    write(b, 200);
    const LogIndex last = b.replica->status().raft.applied;
    b.come_back();
    ASSERT_TRUE(b.turns_until([&] { return !b.snapshots.empty(); }));
    Bench peer(3, 5, 3);
    peer.peers_vote = false;
    size_t taken = 0, most = 0, replies = 0, breaks = 0;
    Prng dice(7);
    for (int i = 0; i < 20000 && peer.replica->status().raft.applied < last; ++i) {
        b.turn();
        peer.turn();
        most = std::max(most, b.snapshots.size() - taken);
        for (; taken < b.snapshots.size(); ++taken) {
            if (dice.chance(0.1)) {  // lost, with its connection
                ++breaks;
                taken = b.snapshots.size();
                b.replica->on_peer_down(NodeId(3));
                break;
            }
            peer.replica->receive_snapshot(NodeId(1), b.snapshots[taken]);
            peer.shard->touch();
        }
        for (; replies < peer.snapshot_replies.size(); ++replies)
            b.hear(peer.snapshot_replies[replies]);
    }
    EXPECT_GT(breaks, 3u);
    EXPECT_LE(most, SnapshotPace{}.unanswered_max + 2);
    ASSERT_EQ(peer.replica->status().raft.applied, last);
    b.without.clear();
    for (; replies < peer.snapshot_replies.size(); ++replies)
        b.hear(peer.snapshot_replies[replies]);
    EXPECT_TRUE(b.turns_until([&] { return !b.sends(); }));
    EXPECT_EQ(b.counted("asterias_group_snapshots_sent_total"), 1u);
    for (const auto& span : content_spans(kGroup, kKeyspace)) {
        const auto theirs = peer.engine->snapshot()->scan(span.from.view(), span.to.view(), {});
        const auto ours = b.engine->snapshot()->scan(span.from.view(), span.to.view(), {});
        EXPECT_EQ(*theirs, *ours);
    }
}

TEST(SnapshotSend, ItIsGivenUpWithTheLead) {
    Leading b;
    write(b, 200);
    b.come_back();
    ASSERT_TRUE(b.turns_until([&] { return b.sends(); }));
    b.depose();
    b.run_for(milliseconds(100));
    EXPECT_FALSE(b.sends());
}

TEST(SnapshotSend, ItIsGivenUpWhenThePeerRefusesOrSaysNothing) {
    Leading b;
    write(b, 200);
    b.come_back();
    ASSERT_TRUE(b.turns_until([&] { return !b.snapshots.empty(); }));
    auto refused = b.reply(Kind::Refused);
    refused.why = "no";
    b.away = {NodeId(3)};
    b.hear(refused);
    b.run_for(milliseconds(40));
    EXPECT_FALSE(b.sends());
    b.away.clear();
    ASSERT_TRUE(b.turns_until([&] { return b.sends(); }));
    b.away = {NodeId(3)};
    ASSERT_TRUE(b.turns_until([&] { return !b.sends(); })) << "after give_up_after";
    EXPECT_GE(b.snapshots.size(), 20u) << "it was asked again and again";
}

TEST(SnapshotCodec, WhatIsWrittenIsRead) {
    const auto made = make_snapshot(9, 3);
    auto messages = made.pieces();
    messages.push_back(made.begin());
    for (const auto& m : messages) {
        wire::Writer out;
        write_snapshot(out, m);
        const Bytes whole = out.take();
        const auto read = read_snapshot(whole);
        ASSERT_TRUE(read.has_value());
        EXPECT_EQ(*read, m);
        for (size_t n = 0; n < whole.size(); ++n)
            EXPECT_FALSE(read_snapshot(whole.slice(0, n))) << n;
    }
    const SnapshotReply reply{kGroup, ReplicaId(3), ReplicaId(1), 5, Kind::Refused, 7, "because"};
    wire::Writer out;
    write_snapshot_reply(out, reply);
    const Bytes whole = out.take();
    EXPECT_EQ(*read_snapshot_reply(whole), reply);
    for (size_t n = 0; n < whole.size(); ++n)
        EXPECT_FALSE(read_snapshot_reply(whole.slice(0, n))) << n;
}

}  // namespace
}  // namespace asterias::replica
