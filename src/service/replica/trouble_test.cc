// Entries that cannot be applied, damaged state, full disks: one group on one node, in words.
#include "service/replica/snapshot_test_bench.h"

namespace asterias::replica {
namespace {

using Kind = Answer::Kind;

wire::Entry entry(uint64_t index, Bytes payload) {
    return wire::make_entry(kGroup, Term(1), LogIndex(index), wire::EntryKind::Effects,
                            std::move(payload));
}

void append(Bench& b, uint64_t after, std::vector<wire::Entry> entries, uint64_t commit) {
    b.receive({ReplicaId(2), ReplicaId(1), Term(1),
               raft::AppendRequest{LogIndex(after), Term(after > 0), LogIndex(commit),
                                   std::move(entries)}});
    b.run_for(milliseconds(60));
    b.receive({ReplicaId(2), ReplicaId(1), Term(1), raft::Heartbeat{LogIndex(commit), 1}});
    b.run_for(milliseconds(60));
}

Bytes effect(std::string_view key, std::string_view value) {
    session::Effects effects;
    effects.commit_time = HybridTime(9);
    kv::Record record;
    record.value = Bytes::copy(value);
    effects.writes.push_back({kv::data_key(kKeyspace, 0, key), kv::encode(record)});
    return session::encode(effects);
}

TEST(Trouble, AnEntryThatCannotBeAppliedIsTriedTwiceAndThenNoMore) {
    Bench b(3);
    append(b, 0, {entry(1, Bytes::copy("not effects"))}, 1);
    ASSERT_TRUE(b.replica->status().stopped);
    EXPECT_NE(b.replica->status().stopped_why.find("entry 1"), std::string::npos);
    EXPECT_NE(b.replica->status().stopped_why.find("once more"), std::string::npos);
    for (int start = 2; start <= 4; ++start) {
        b.kill();
        b.boot();
        ASSERT_FALSE(b.replica->status().stopped) << "it knows of no commit yet";
        append(b, 1, {}, 1);
        ASSERT_TRUE(b.replica->status().stopped);
        const std::string why = b.replica->status().stopped_why;
        EXPECT_EQ(why.find("not tried again") != std::string::npos, start > 2) << why;
        EXPECT_EQ(why.find("node/poison-2") != std::string::npos, start > 2) << why;
        EXPECT_TRUE(b.shard->fatal_text().empty());
    }
    b.image.erase("node/poison-2");
    b.kill();
    b.boot();
    append(b, 1, {}, 1);
    EXPECT_NE(b.replica->status().stopped_why.find("once more"), std::string::npos);
}

TEST(Trouble, DamagedStateStopsThisGroupInWordsAndNotTheNode) {
    Bench b(3);
    append(b, 0, {entry(1, effect("k", "v"))}, 1);
    b.engine->request_flush();
    while (b.engine->durable() < b.engine->written()) {
    }
    b.kill();
    ASSERT_TRUE(b.engine_image.damage(applied_key(kGroup).view()));
    b.boot();
    ASSERT_TRUE(b.replica);
    EXPECT_TRUE(b.replica->status().stopped);
    EXPECT_NE(b.replica->status().stopped_why.find("damaged"), std::string::npos);
    b.submit(1, 1, set("k", "v"));
    EXPECT_EQ(b.await(1).kind, Kind::NotLeader);
    b.receive({ReplicaId(2), ReplicaId(1), Term(1), raft::Heartbeat{LogIndex(1), 1}});
    b.replica->on_peer_down(NodeId(2));
    EXPECT_TRUE(std::holds_alternative<raft::NotLeader>(b.replica->transfer({})));
    b.run_for(seconds(1));
    EXPECT_TRUE(b.shard->fatal_text().empty());
    EXPECT_TRUE(b.sent.empty() ||
                !std::holds_alternative<raft::VoteRequest>(b.sent.back().message.body));
}

TEST(Trouble, WhileTheJournalsDiskIsFullWhatGrowsIsRefusedAndTheRestGoesOn) {
    Bench b(3);
    b.elect();
    b.submit(1, 1, set("k", "v"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.fill_disk();
    b.run_for(seconds(2));
    b.submit(10, 2, set("other", "w"));  // behind a write the journal looks
    ASSERT_EQ(b.await(10).kind, Kind::Done);
    b.run_for(milliseconds(100));
    b.submit(2, 3, set("k", "w"));
    EXPECT_EQ(b.await(2).kind, Kind::Full);
    EXPECT_EQ(b.read("k").text.view(), "v");
    b.peers_stalled = true;
    b.run_for(seconds(2));  // nobody could do better
    b.submit(3, 4, on_key(kv::Op::Del, "k"), 1'000'000);
    EXPECT_EQ(b.await(3).kind, Kind::Done);
    EXPECT_EQ(b.read("k"), kv::Reply::nil());
    b.free_disk();
    b.peers_stalled = false;
    b.run_for(seconds(3));
    b.submit(4, 5, set("k", "x"), 1'000'000);
    EXPECT_EQ(b.await(4).kind, Kind::Done);
    EXPECT_EQ(b.read("k").text.view(), "x");
}

TEST(Trouble, AFollowerTakesNoMoreThanFitsAndGoesOnByItself) {  // replica_full_follower_takes
    Bench b(3);
    b.peers_vote = false;
    b.fill_disk();
    b.run_for(milliseconds(1100));
    append(b, 0, {entry(1, effect("k", "v"))}, 0);  // behind a write the journal looks
    const auto last = [&] { return b.replica->status().raft.last.value; };
    const Bytes large = effect("k", std::string(900'000, 'x'));
    const auto push = [&] {
        const uint64_t next = last() + 1;
        append(b, next - 1, {entry(next, large)}, 0);
        return last() == next;
    };
    uint64_t taken = 1;
    while (taken < 40 && push())
        ++taken;
    EXPECT_GT(taken, 1u);
    EXPECT_LT(taken, 40u);
    EXPECT_FALSE(push());
    b.run_for(seconds(3));
    EXPECT_TRUE(b.shard->fatal_text().empty()) << b.shard->fatal_text();
    EXPECT_EQ(b.replica->status().raft.durable.value, taken) << "what it has it acknowledged";
    b.free_disk();
    b.run_for(seconds(3));
    EXPECT_TRUE(push());
}

// A leader is elected, although its engine takes nothing, and serves what needs no space: the
// others may be no better. Mutant replica_full_quorum_ignored.
TEST(Trouble, WhereEveryEngineIsFullANewLeaderReadsAndDeletesAndRefusesTheRest) {
    Bench b(3);
    b.stall_patience = seconds(1);
    b.kill();
    b.boot();
    b.elect();
    b.submit(1, 1, set("k", "v"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.run_for(milliseconds(100));
    engine::MemFaults full;
    full.stall_begins = 1;
    full.stall_writes_max = 1;
    b.engine_image.set_faults(full);
    b.peers_stalled = true;
    b.submit(2, 2, set("k", "w"));
    ASSERT_EQ(b.await(2).kind, Kind::Done);
    b.depose();
    b.peers_vote = true;
    ASSERT_TRUE(b.turns_until([&] { return b.leads(); }));
    b.run_for(seconds(2));
    ASSERT_TRUE(b.leads());
    b.submit(3, 3, set("k", "x"), 1'000'000);
    EXPECT_EQ(b.await(3).kind, Kind::Full);
    EXPECT_EQ(b.read("k").text.view(), "w");
    b.submit(4, 4, on_key(kv::Op::Del, "k"), 1'000'000);
    EXPECT_EQ(b.await(4).kind, Kind::Done);
    EXPECT_EQ(b.read("k"), kv::Reply::nil());
    b.engine_image.set_faults({});
    b.run_for(milliseconds(200));
    b.submit(5, 5, set("k", "y"), 1'000'000);
    EXPECT_EQ(b.await(5).kind, Kind::Full) << "a quorum of the others has no space";
    b.peers_stalled = false;
    b.run_for(milliseconds(200));
    b.submit(6, 6, set("k", "z"), 1'000'000);
    EXPECT_EQ(b.await(6).kind, Kind::Done);
    EXPECT_EQ(b.read("k").text.view(), "z");
}

// What was applied and the engine did not take is seen all the same. (One of several gives up its
// lead to one that has space.)
TEST(Trouble, ReadsOfALeaderThatIsAloneGoOnWhileItsEngineIsFull) {
    Bench b(1);
    b.stall_patience = seconds(1);
    b.kill();
    b.boot();
    b.elect();
    engine::MemFaults full;
    full.stall_begins = 1;
    full.stall_writes_max = 1;
    b.engine_image.set_faults(full);
    b.submit(1, 1, set("k", "v"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.run_for(seconds(2));
    b.submit(2, 0, get("k"));
    b.submit(3, 2, set("k", "w"));
    EXPECT_EQ(b.await(2).reply.text.view(), "v");
    EXPECT_EQ(b.await(3).kind, Kind::Full);
    b.engine_image.set_faults({});
    b.run_for(milliseconds(100));
    b.submit(4, 3, set("k", "x"));
    EXPECT_EQ(b.await(4).kind, Kind::Done);
    EXPECT_EQ(b.read("k").text.view(), "x");
}

// Mutant replica_unwritten_unbounded.
TEST(Trouble, NoMoreIsAppliedThanMayWaitForAnEngineThatIsFull) {
    Bench b(3);
    b.unwritten_bytes_max = 2'000'000;
    b.kill();
    b.boot();
    engine::MemFaults full;
    full.stall_begins = 1;
    full.stall_writes_max = 1;
    b.engine_image.set_faults(full);
    for (uint64_t i = 1; i <= 8; ++i)
        append(b, i - 1, {entry(i, effect("k" + std::to_string(i), std::string(500'000, 'x')))}, i);
    const LogIndex applied = b.replica->status().raft.applied;
    EXPECT_GE(applied, LogIndex(4));
    EXPECT_LE(applied, LogIndex(6));
    EXPECT_EQ(b.replica->status().raft.commit, LogIndex(8));
    b.engine_image.set_faults({});
    b.run_for(milliseconds(200));
    EXPECT_EQ(b.replica->status().raft.applied, LogIndex(8));
}

TEST(Trouble, AWitnessHoldsTheLogAndNoState) {
    Bench b(3);
    raft::Membership membership;
    membership.voters = {
        {ReplicaId(1), NodeId(1), true}, {ReplicaId(2), NodeId(2)}, {ReplicaId(3), NodeId(3)}};
    membership.last_replica = ReplicaId(3);
    append(b, 0,
           {wire::make_entry(kGroup, Term(1), LogIndex(1), wire::EntryKind::Config,
                             raft::encode(membership)),
            entry(2, effect("k", "v"))},
           2);
    EXPECT_EQ(b.replica->status().raft.applied, LogIndex(2));
    EXPECT_EQ(*b.engine->snapshot()->get(kv::data_key(kKeyspace, 0, "k").view()), std::nullopt);
    b.kill();
    b.boot();
    EXPECT_TRUE(b.replica->status().raft.membership.find(ReplicaId(1))->witness);
}

// Before its own place in the group is in its log, a replica does not know that it is a witness.
// Mutant replica_applies_unnamed.
TEST(Trouble, AReplicaAppliesNothingBeforeItIsNamed) {
    Bench b(3, 1, 9);
    const auto hear = [&](uint64_t after, wire::Entry next) {
        b.receive({ReplicaId(2), ReplicaId(9), Term(1),
                   raft::AppendRequest{
                       LogIndex(after), Term(after > 0), LogIndex(after + 1), {std::move(next)}}});
        b.run_for(milliseconds(60));
    };
    hear(0, entry(1, effect("k", "v")));
    EXPECT_EQ(b.replica->status().raft.commit, LogIndex(1));
    EXPECT_EQ(b.replica->status().raft.applied, LogIndex(0));
    raft::Membership membership;
    membership.voters = {{ReplicaId(2), NodeId(2)}, {ReplicaId(3), NodeId(3)}};
    membership.learners = {{ReplicaId(9), NodeId(1), true}};
    membership.last_replica = ReplicaId(9);
    hear(1, wire::make_entry(kGroup, Term(1), LogIndex(2), wire::EntryKind::Config,
                             raft::encode(membership)));
    EXPECT_EQ(b.replica->status().raft.applied, LogIndex(2));
    EXPECT_EQ(*b.engine->snapshot()->get(kv::data_key(kKeyspace, 0, "k").view()), std::nullopt);
}

// It cannot evaluate; who would wait for it would wait until its own deadline.
TEST(Trouble, AWitnessThatLeadsSaysAtOnceThatItIsNoLeader) {
    Bench b(3);
    raft::Membership membership;
    membership.voters = {
        {ReplicaId(1), NodeId(1), true}, {ReplicaId(2), NodeId(2)}, {ReplicaId(3), NodeId(3)}};
    membership.last_replica = ReplicaId(3);
    append(b, 0,
           {wire::make_entry(kGroup, Term(1), LogIndex(1), wire::EntryKind::Config,
                             raft::encode(membership))},
           1);
    ASSERT_TRUE(b.turns_until([&] { return b.leads(); }));
    b.submit(1, 1, set("k", "v"));
    b.submit(2, 0, get("k"), 2);
    for (const uint64_t ticket : {1, 2}) {
        ASSERT_EQ(b.answered(ticket), 1u) << "from inside submit()";
        EXPECT_EQ(b.answer_to(ticket).kind, Kind::NotLeader);
    }
    EXPECT_EQ(b.replica->status().queued, 0u);
}

// Mutant replica_witness_drops_tail.
TEST(Trouble, AWitnessKeepsMuchMoreOfTheLogThanOthersAndNotAllOfIt) {
    for (const bool witness : {false, true}) {
        Bench b(3);
        b.log_retained_bytes_max = 20'000;
        b.compact_entries = 10;
        b.kill();
        b.boot();
        raft::Membership membership;
        membership.voters = {{ReplicaId(1), NodeId(1), witness},
                             {ReplicaId(2), NodeId(2)},
                             {ReplicaId(3), NodeId(3)}};
        membership.last_replica = ReplicaId(3);
        append(b, 0,
               {wire::make_entry(kGroup, Term(1), LogIndex(1), wire::EntryKind::Config,
                                 raft::encode(membership))},
               1);
        uint64_t last = 1;
        const auto grow = [&](uint64_t entries) {
            for (uint64_t to = last + entries; last < to; last += 20) {
                std::vector<wire::Entry> more;
                for (uint64_t i = last + 1; i <= last + 20; ++i)
                    more.push_back(entry(i, effect("k", std::string(1000, 'v'))));
                append(b, last, std::move(more), last + 20);
                b.engine->request_flush();
            }
            b.run_for(seconds(2));
            return b.replica->status().log_bytes;
        };
        const uint64_t some = grow(200);
        EXPECT_FALSE(b.replica->status().tail_dropped);
        const uint64_t much = grow(400);
        EXPECT_EQ(b.replica->status().tail_dropped, witness) << "somebody has to be told";
        EXPECT_EQ(some > 200'000, witness) << some;
        EXPECT_EQ(much > 100'000, witness) << much;
        EXPECT_LT(much, 16 * 20'000u + 30'000) << witness;
        b.kill();
        b.boot();
        b.run_for(seconds(1));
        EXPECT_EQ(b.replica->status().tail_dropped, witness) << "also after a restart";
    }
}

TEST(Trouble, ARemovedReplicaSaysSoAndIsSilent) {
    Bench b(3);
    append(b, 0, {entry(1, effect("k", "v"))}, 1);
    b.sent.clear();
    b.receive({ReplicaId(2), ReplicaId(1), Term(1), raft::Removed{LogIndex(50)}});
    b.run_for(seconds(5));
    EXPECT_TRUE(b.removed);
    EXPECT_TRUE(b.replica->status().removed);
    EXPECT_TRUE(b.sent.empty());
    b.submit(1, 1, set("k", "w"));
    EXPECT_EQ(b.await(1).kind, Kind::NotLeader);
}

TEST(Trouble, ALeaderThatIsRemovedGivesItsLeadAway) {
    Bench b(3);
    b.elect();
    ASSERT_TRUE(
        std::holds_alternative<raft::Accepted>(b.replica->change(raft::RemoveReplica{NodeId(1)})));
    ASSERT_TRUE(b.turns_until([&] { return b.removed; }));
    ASSERT_FALSE(b.sent.empty());
    EXPECT_TRUE(std::holds_alternative<raft::TimeoutNow>(b.sent.back().message.body));
}

TEST(Trouble, WhomALeaderReplacesHereIsGoneEvenWhenItIsStopped) {
    Bench b(3);
    append(b, 0, {entry(1, Bytes::copy("not effects"))}, 1);
    ASSERT_TRUE(b.replica->status().stopped);
    EXPECT_FALSE(b.removed);
    b.replica->superseded();
    EXPECT_TRUE(b.removed);
    EXPECT_TRUE(b.replica->status().removed);
}

}  // namespace
}  // namespace asterias::replica
