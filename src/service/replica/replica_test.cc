// Order, exactly once and honesty of one replica, against peers that the test plays.
#include <set>

#include "service/replica/replica_test_bench.h"

namespace asterias::replica {
namespace {

using Kind = Answer::Kind;

// ------------------------------------------------------------------------------- a healthy leader

TEST(Replica, ASingleVoterAnswersWritesOnlyWhenTheyAreOnItsDisk) {  // rule 45
    Bench b(1);
    b.elect();
    b.submit(1, 1, set("k", "v"));
    EXPECT_EQ(b.answered(1), 0u);
    EXPECT_EQ(b.await(1).kind, Kind::Done);
    EXPECT_EQ(b.answer_to(1).reply, kv::Reply::ok());
    EXPECT_GE(b.replica->status().raft.durable, b.answer_to(1).index);
    EXPECT_EQ(b.read("k").text.view(), "v");
}

TEST(Replica, AWriteIsNotAnsweredBeforeAQuorumHasIt) {  // mutant replica_ack_before_commit
    Bench b(3);
    b.elect();
    b.peers_append = false;
    b.submit(1, 1, set("k", "v"));
    b.run_for(milliseconds(300));
    EXPECT_EQ(b.answered(1), 0u);
}

TEST(Replica, AReadIsNotAnsweredBeforeAHeartbeatRoundBegunAfterIt) {  // rule 22
    Bench b(3);
    b.elect();
    b.submit(1, 1, set("k", "v"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.peers_heartbeat = false;
    b.turn();
    b.submit(2, 0, get("k"));
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.answered(2), 0u);
    b.peers_heartbeat = true;
    EXPECT_EQ(b.await(2).reply.text.view(), "v");
}

TEST(Replica, AReadThatSawAnUncommittedWriteWaitsForIt) {
    Bench b(3);
    b.elect();
    b.peers_append = false;
    b.submit(1, 1, set("k", "v"));
    b.submit(2, 0, get("k"), 1, {NodeId(8), Incarnation(1), ShardId(0)});
    b.run_for(milliseconds(300));
    EXPECT_EQ(b.answered(2), 0u);
}

// Program order of a connection: what it reads later must not become true earlier than what it
// wrote before, and an uncommitted write may still be lost and made again.
TEST(Replica, AReadIsNotAnsweredBeforeEarlierWritesOfItsSessionAreCommitted) {
    Bench b(3);
    b.elect();
    b.peers_append = false;
    b.submit(1, 1, set("x", "1"));
    b.submit(2, 0, get("y"));
    b.run_for(milliseconds(300));
    EXPECT_EQ(b.answered(2), 0u) << "the write before it may still be lost";
}

// Its client heard UNKNOWN and then reads: that has to be the end of it, under any later leader,
// too.
TEST(Replica, AWriteThatWasGivenUpTakesNoEffectBehindALaterRead) {  // replica_given_up_not_fenced
    Bench b(3);
    b.elect();
    Incoming read = b.request(1, 0, get("k"), 1, kSession);
    read.low_water = 2;  // number 1 never came
    b.replica->submit(std::move(read));
    b.shard->touch();
    b.await(1);
    EXPECT_EQ(b.answer_to(1).kind, Answer::Kind::Done);
    b.submit(2, 1, set("k", "late"));
    b.await(2);
    EXPECT_EQ(b.answer_to(2).kind, Answer::Kind::Refused);
    b.kill();
    b.boot();
    b.elect();
    b.submit(3, 1, set("k", "late"), 2);
    b.await(3);
    EXPECT_EQ(b.answer_to(3).kind, Answer::Kind::Refused);
}

// No correct gateway sends one, and a replica must not be stopped by one, least of all each of
// them.
TEST(Replica, AWriteBelowItsOwnLowWaterMarkIsRefused) {  // replica_below_low_water_logged
    Bench b(3);
    b.elect();
    b.peers_append = false;
    for (const uint64_t number : {1, 2}) {  // two entries, of which the first is not applied yet
        Incoming write = b.request(number, number, set("k", "v"));
        write.low_water = 100;
        b.replica->submit(std::move(write));
        b.shard->touch();
        b.run_for(milliseconds(40));
    }
    b.peers_append = true;
    b.submit(3, 100, set("k", "w"));
    EXPECT_EQ(b.await(3).kind, Kind::Done);
    EXPECT_FALSE(b.replica->status().stopped) << b.replica->status().stopped_why;
    EXPECT_EQ(b.answer_to(1).kind, Kind::Refused);
    EXPECT_EQ(b.answer_to(2).kind, Kind::Refused);
}

// Else the leader could fall in between, and the first be made again behind the second.
TEST(Replica, AReadIsNotAnsweredBeforeAnEarlierReadOfItsSession) {  // mutant replica_reads_overtake
    Bench b(3);
    b.elect();
    b.peers_append = false;
    const session::SessionId writer{NodeId(8), Incarnation(1), ShardId(0)};
    b.submit(1, 1, set("a", "new"), 1, writer);
    b.submit(2, 0, get("a"));
    b.submit(3, 0, get("b"));
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.answered(2), 0u) << "it saw what is not committed";
    EXPECT_EQ(b.answered(3), 0u);
    b.peers_append = true;
    b.await(3);
    EXPECT_EQ(b.answered(2), 1u);
    EXPECT_EQ(b.answer_to(2).reply.text.str(), "new");
}

// The first read makes an entry: it finds a deadline passed. Mutant replica_reads_overtake.
TEST(Replica, AReadIsNotAnsweredBeforeAnEarlierReadOfItsSessionThatLogsAnExpiry) {
    Bench b(3);
    b.elect();
    kv::Command brief = set("a", "old");
    brief.flags = kv::flag::kExpire | kv::flag::kRelative;
    brief.number = 1;
    b.submit(1, 1, brief, 1, {NodeId(8), Incarnation(1), ShardId(0)});
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.run_for(milliseconds(2));
    b.peers_append = false;
    ASSERT_EQ(b.replica->status().proposed, 0u) << "or the sweep was first";
    b.submit(2, 0, get("a"));
    b.submit(3, 0, get("b"));
    b.run_for(milliseconds(100));
    ASSERT_EQ(b.replica->status().proposed, 1u) << "the expiry";
    EXPECT_EQ(b.answered(2), 0u);
    EXPECT_EQ(b.answered(3), 0u) << "the first may still be lost, and made again behind this one";
    b.peers_append = true;
    b.await(3);
    EXPECT_EQ(b.answered(2), 1u);
    EXPECT_EQ(b.answer_to(2).reply, kv::Reply::nil());
}

TEST(Replica, AHotKeyPipelinesWithinATurnAndOverUncommittedEntries) {
    Bench b(3);
    b.elect();
    b.peers_append = false;
    for (uint64_t i = 1; i <= 10; ++i)
        b.submit(i, i, incr("n"));
    b.turn();
    for (uint64_t i = 11; i <= 20; ++i)
        b.submit(i, i, incr("n"));
    b.turn();
    EXPECT_EQ(b.replica->status().proposed, 2u) << "one entry per turn";
    b.peers_append = true;
    b.run_for(milliseconds(300));
    for (uint64_t i = 1; i <= 20; ++i)
        EXPECT_EQ(b.answer_to(i).reply, kv::Reply::number(static_cast<int64_t>(i)));
    EXPECT_EQ(b.replica->status().overlay, 0u) << "what is applied leaves the overlay";
}

// What is applied goes to the engine a little later; mutant replica_reads_miss_applied.
TEST(Replica, ALeaderSeesWhatItAppliedForAnEarlierOneBeforeTheEngineHasIt) {
    Bench b(3);
    b.elect();
    b.submit(1, 1, set("k", "v"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.kill();
    b.boot();
    b.elect();
    EXPECT_EQ(b.read("k").text.view(), "v");
}

TEST(Replica, EveryPendingCommandIsAnsweredByTheEndOfTheTerm) {  // rule 39
    Bench b(3);
    b.elect();
    b.peers_append = b.peers_heartbeat = false;
    constexpr uint64_t kPending = 10'000;
    for (uint64_t i = 1; i <= kPending; ++i)
        b.submit(i, i % 3 ? i : 0, i % 3 ? incr("n") : get("n"));
    b.turn();
    for (uint64_t i = kPending + 1; i <= kPending + 10; ++i)
        b.submit(i, i, incr("n"));
    b.depose();
    ASSERT_FALSE(b.leads());
    for (uint64_t i = 1; i <= kPending + 10; ++i) {
        ASSERT_EQ(b.answered(i), 1u) << i;
        ASSERT_EQ(b.answer_to(i).kind, i <= kPending ? Kind::Lost : Kind::NotLeader) << i;
    }
}

// ------------------------------------------------------------------------------- exactly once

TEST(Replica, ARequestSentAgainIsAnsweredFromTheTable) {  // rule 38, mutant session_dedupe_lost
    Bench b(3);
    b.elect();
    b.submit(1, 1, incr("n"));
    EXPECT_EQ(b.await(1).reply, kv::Reply::number(1));
    b.submit(2, 1, incr("n"), 2);
    EXPECT_EQ(b.await(2).reply, kv::Reply::number(1));
    EXPECT_EQ(b.read("n").text.view(), "1");
}

TEST(Replica, ARequestSentAgainJoinsItsProposal) {
    Bench b(3);
    b.elect();
    b.peers_append = false;
    b.submit(1, 1, incr("n"));
    b.turn();
    b.submit(2, 1, incr("n"), 2);
    b.turn();
    EXPECT_EQ(b.answered(2), 0u);
    b.peers_append = true;
    EXPECT_EQ(b.await(2).reply, kv::Reply::number(1));
    EXPECT_EQ(b.read("n").text.view(), "1");
}

TEST(Replica, ARequestSentTwiceInOneTurnIsNeverRefusedOnceItIsEvaluated) {
    Bench b(3);
    b.elect();
    b.submit(1, 1, incr("n"));
    b.submit(1, 1, incr("n"));     // duplicated on the way
    b.submit(1, 1, incr("n"), 2);  // sent again by its gateway
    b.run_for(milliseconds(100));
    ASSERT_GE(b.answered(1), 1u);
    for (const auto& heard : b.answers) {
        EXPECT_EQ(heard.answer.kind, Kind::Done) << "Refused says: never evaluated";
        EXPECT_EQ(heard.answer.reply, kv::Reply::number(1));
    }
    EXPECT_EQ(b.read("n").text.view(), "1");
}

// The peers' disks are faster than this one: committed and answered, not yet applied here. Mutant
// replica_answered_forgotten.
TEST(Replica, ARequestSentAgainBetweenCommitAndApplyIsAnsweredLikeTheFirst) {
    Bench b(3);
    b.elect();
    b.slow_disk(milliseconds(400));
    b.submit(1, 1, incr("n"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    const auto raft = b.replica->status().raft;
    ASSERT_LT(raft.applied, raft.commit) << "or this shows nothing";
    b.submit(2, 1, incr("n"), 2);
    EXPECT_EQ(b.await(2).kind, Kind::Done) << "Refused says: never evaluated";
    EXPECT_EQ(b.answer_to(2).reply, kv::Reply::number(1));
}

TEST(Replica, ANewLeaderKnowsWhatAnEarlierTermEvaluated) {
    Bench b(3);
    b.elect();
    b.submit(1, 1, incr("n"));
    EXPECT_EQ(b.await(1).reply, kv::Reply::number(1));
    b.depose();
    b.peers_vote = true;
    b.elect();
    b.submit(2, 1, incr("n"), 2);
    EXPECT_EQ(b.await(2).reply, kv::Reply::number(1));
    EXPECT_EQ(b.read("n").text.view(), "1");
}

TEST(Replica, TheSessionTableSurvivesARestart) {
    Bench b(1);
    b.elect();
    b.submit(1, 1, incr("n"));
    EXPECT_EQ(b.await(1).reply, kv::Reply::number(1));
    b.kill();
    b.boot();
    b.elect();
    b.submit(2, 1, incr("n"), 2);
    EXPECT_EQ(b.await(2).reply, kv::Reply::number(1));
}

// sim/regressions/no_effect_not_logged.txt, mutant of the same name.
TEST(Replica, AWriteThatChangedNothingStaysWithoutEffectAtTheNextLeader) {
    Bench b(3);
    b.elect();
    const session::SessionId other{NodeId(8), Incarnation(1), ShardId(0)};
    b.submit(1, 1, set("k", "there"), 1, other);
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    kv::Command unless_there = set("k", "late");
    unless_there.flags = kv::flag::kNx;
    b.submit(2, 1, unless_there);
    const kv::Reply nothing = b.await(2).reply;
    b.submit(3, 2, on_key(kv::Op::Del, "k"), 1, other);
    EXPECT_EQ(b.await(3).reply, kv::Reply::number(1));
    b.kill();
    b.boot();
    b.elect();
    b.submit(4, 1, unless_there, 2);  // a copy that was on its way meanwhile
    EXPECT_EQ(b.await(4).reply, nothing);
    EXPECT_TRUE(b.read("k").text.view().empty());
}

TEST(Replica, ALostWriteLeavesNoTraceInTheOverlay) {  // mutant replica_overlay_survives_leadership
    Bench b(3);
    b.elect();
    b.submit(1, 1, set("k", "old"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.peers_append = false;
    b.submit(2, 2, set("k", "lost"));
    b.turn();
    const auto s = b.replica->status();
    b.depose();
    EXPECT_EQ(b.answer_to(2).kind, Kind::Lost);
    // The new leader's no-op takes the place of the entry that nobody else has.
    const Term term = b.replica->status().raft.term;
    b.receive({ReplicaId(2), ReplicaId(1), term,
               raft::AppendRequest{s.raft.commit,
                                   s.raft.term,
                                   s.raft.commit,
                                   {wire::make_entry(kGroup, term, s.raft.commit.next(),
                                                     wire::EntryKind::Noop, {})}}});
    b.turn();
    b.peers_vote = b.peers_append = true;
    b.elect();
    EXPECT_EQ(b.read("k").text.view(), "old");
}

TEST(Replica, AnOvertakenNumberIsRefusedForGood) {  // mutant replica_retry_overtaken
    Bench b(3);
    b.elect();
    b.submit(1, 2, set("k", "second"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.submit(2, 1, set("k", "first"), 2);
    EXPECT_EQ(b.await(2).kind, Kind::Refused);
    EXPECT_EQ(b.read("k").text.view(), "second");
}

TEST(Replica, ALateRequestOfAGatewaysEarlierStartIsNotEvaluatedAgain) {
    Bench b(3);
    b.elect();
    b.submit(1, 1, incr("n"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    const session::SessionId restarted{kSession.node, Incarnation(2), kSession.shard};
    b.submit(2, 1, set("other", "x"), 1, restarted);
    ASSERT_EQ(b.await(2).kind, Kind::Done);
    // Another leader in between: this one has no memory of the earlier start but the table.
    b.kill();
    b.boot();
    b.elect();
    b.submit(3, 1, incr("n"), 2);
    EXPECT_EQ(b.await(3).kind, Kind::Refused);
    EXPECT_EQ(b.read("n").text.view(), "1");
}

TEST(Replica, WhatFindsNoRoomInTheQueueIsRefusedAndNoneOfItsCopiesTakesEffect) {
    Bench b(3);
    b.queue_bytes_max = 10'000;
    b.kill();
    b.boot();
    b.elect();
    constexpr uint64_t kCommands = 20;
    for ([[maybe_unused]] const int copy : {1, 2})  // duplicated on the way
        for (uint64_t i = 1; i <= kCommands; ++i) {
            kv::Command command = on_key(kv::Op::Append, "k");
            command.values = {Bytes::copy(std::string(1000, 'x'))};
            b.submit(i, i, std::move(command));
        }
    b.run_for(milliseconds(100));
    uint64_t done = 0, busy = 0;
    for (uint64_t i = 1; i <= kCommands; ++i) {
        ASSERT_GE(b.answered(i), 1u) << i;
        std::set<Kind> kinds;
        for (const auto& heard : b.answers)
            if (heard.origin.ticket == i) kinds.insert(heard.answer.kind);
        EXPECT_EQ(kinds.contains(Kind::Done), kinds.size() == 1) << "both said of ticket " << i;
        done += kinds.contains(Kind::Done);
        busy += kinds.contains(Kind::Busy);
    }
    EXPECT_GE(done, 5u);
    EXPECT_LE(done, 10u);
    EXPECT_EQ(busy, kCommands - done);
    EXPECT_EQ(b.read("k").text.size(), done * 1000) << "what was refused took no effect";
    b.submit(100, kCommands + 1, set("k", "v"), 2'000'000);
    EXPECT_EQ(b.await(100).kind, Kind::Done) << "there is room again";
}

TEST(Replica, TheQueueHasABoundAlsoForWhatIsTurnedAway) {
    Bench b(3);
    b.queue_max = 5;
    b.kill();
    b.boot();
    b.elect();
    for (uint64_t i = 1; i <= 30; ++i)
        b.submit(i, i, incr("n"));
    EXPECT_EQ(b.replica->status().queued, 10u);
    b.run_for(milliseconds(100));
    for (uint64_t i = 1; i <= 30; ++i)
        EXPECT_EQ(b.answer_to(i).kind, i <= 5    ? Kind::Done
                                       : i <= 10 ? Kind::Busy
                                                 : Kind::NotLeader)
            << i;
    b.submit(31, 11, incr("n"), 2);
    EXPECT_EQ(b.await(31).reply, kv::Reply::number(6)) << "sent again, as its gateway would";
}

TEST(Replica, BehindARefusalNothingOfTheSameEpochPasses) {
    Bench b(3);
    b.submit(1, 1, incr("n"));  // not leading yet
    EXPECT_EQ(b.await(1).kind, Kind::NotLeader);
    b.elect();
    b.submit(2, 2, incr("n"));
    EXPECT_EQ(b.await(2).kind, Kind::NotLeader) << "or it would overtake the first";
    b.submit(3, 1, incr("n"), 2);
    EXPECT_EQ(b.await(3).reply, kv::Reply::number(1));
    b.submit(4, 3, incr("n"), 1);
    EXPECT_EQ(b.await(4).kind, Kind::NotLeader) << "of an epoch that is over";
}

TEST(Replica, ExpiredWorkIsDroppedBeforeItRuns) {
    Bench b(3);
    b.elect();
    auto late = b.request(1, 1, incr("n"));
    late.deadline = b.shard->now() - milliseconds(1);
    b.replica->submit(std::move(late));
    b.shard->touch();
    EXPECT_EQ(b.await(1).kind, Kind::Refused);
    b.submit(2, 2, incr("n"));
    EXPECT_EQ(b.await(2).reply, kv::Reply::number(1));
}

TEST(Replica, AClientsOwnRequestTakesEffectOnceThroughAnyGateway) {  // ASTERIAS.REQUEST
    Bench b(3);
    b.elect();
    auto named = incr("n");
    named.request = {Bytes::copy("client"), 7};
    b.submit(1, 1, named);
    EXPECT_EQ(b.await(1).reply, kv::Reply::number(1));
    b.submit(2, 1, named, 1, {NodeId(8), Incarnation(1), ShardId(0)});
    EXPECT_EQ(b.await(2).reply, kv::Reply::number(1));
    named.request.sequence = 6;
    b.submit(3, 2, named, 1, {NodeId(8), Incarnation(1), ShardId(0)});
    EXPECT_EQ(b.await(3).reply.kind, kv::Reply::Kind::Error) << "a later one took effect";
    EXPECT_EQ(b.read("n").text.view(), "1");
}

TEST(Replica, WhatExpiresIsSweptAlsoByALeaderThatLostTheLeadershipBefore) {
    Bench b(3);
    for (uint64_t life = 1; life <= 2; ++life) {
        b.peers_vote = true;
        b.elect();
        auto brief = set("k", "v");
        brief.flags = kv::flag::kExpire | kv::flag::kRelative;
        brief.number = 50;
        b.submit(life, life, brief, life);
        ASSERT_EQ(b.await(life).kind, Kind::Done);
        b.run_for(seconds(2));
        const auto key = kv::data_key(kKeyspace, 0, "k");
        EXPECT_TRUE(std::holds_alternative<port::Absent>(b.engine->try_get(key.view()))) << life;
        b.depose();
    }
}

TEST(Replica, ADeadlineThatIsWrittenBehindTheSweepIsFoundByTheNextPass) {
    Bench b(1);
    b.elect();
    kv::Command fill = on_key(kv::Op::MSet, "k");
    fill.keys.clear();
    for (int i = 0; i < 1000; ++i) {
        fill.keys.push_back(Bytes::copy("m" + std::to_string(i)));
        fill.values.push_back(Bytes::literal("v"));
    }
    b.submit(1, 1, fill);
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.run_for(seconds(2));  // until the sweep rests
    const auto brief = [](std::string_view key, int64_t ms) {
        kv::Command c = set(key, "v");
        c.flags = kv::flag::kExpire | kv::flag::kRelative;
        c.number = ms;
        return c;
    };
    b.submit(2, 2, brief("z", 100'000));
    ASSERT_EQ(b.await(2).kind, Kind::Done);
    b.run_for(milliseconds(150));
    b.submit(3, 3, on_key(kv::Op::Del, "z"));  // this pass finds no deadline
    b.submit(4, 4, brief("a", 50));
    ASSERT_EQ(b.await(4).kind, Kind::Done);
    b.run_for(seconds(3));
    const auto key = kv::data_key(kKeyspace, 0, "a");
    EXPECT_TRUE(std::holds_alternative<port::Absent>(b.engine->try_get(key.view())));
}

TEST(Replica, TheSweepHoldsAFewLargeValuesAtATimeTakesItsTimeAndComesToTheEnd) {
    constexpr size_t kMiB = 1024 * 1024;
    Bench b(1);
    b.elect();
    uint64_t request = 0;
    for (int i = 10; i < 20; ++i) {
        ++request;
        b.submit(request, request, set("large" + std::to_string(i), std::string(4 * kMiB, 'x')));
        ASSERT_EQ(b.await(request).kind, Kind::Done);
    }
    kv::Command brief = set("medium", std::string(kMiB / 2, 'x'));
    brief.flags = kv::flag::kExpire | kv::flag::kRelative;
    brief.number = 1;
    ++request;
    b.submit(request, request, brief);
    ASSERT_EQ(b.await(request).kind, Kind::Done);
    // A new leader looks at everything once.
    b.kill();
    b.boot();
    b.elect();
    b.run_for(seconds(2));
    EXPECT_GE(b.engine->scanned, 12 * kMiB);
    EXPECT_LE(b.engine->scanned, (20 + 5) * kMiB) << "10 MiB a second";
    b.run_for(seconds(4));
    EXPECT_LE(b.engine->most_scanned, 5 * kMiB) << "1 MiB and the value that reached it";
    const auto key = kv::data_key(kKeyspace, 0, "medium");
    EXPECT_TRUE(std::holds_alternative<port::Absent>(b.engine->try_get(key.view())));
}

TEST(Replica, ACommandOfAnotherKeyspaceIsRefused) {
    Bench b(3);
    b.elect();
    auto foreign = set("k", "v");
    foreign.keyspace = KeyspaceId(5);
    b.submit(1, 1, foreign);
    EXPECT_EQ(b.await(1).kind, Kind::Refused);
}

// ------------------------------------------------------------------------------- faults below

TEST(Replica, AnEngineThatStallsHoldsBackCommandsAndLosesNothing) {
    Bench b(1);
    b.elect();
    engine::MemFaults faults;
    faults.stall_begins = 1;
    b.engine_image.set_faults(faults);
    b.submit(1, 1, incr("n"));
    ASSERT_EQ(b.await(1).kind, Kind::Done) << "it is on disk in the journal";
    b.run_for(milliseconds(100));
    b.submit(2, 2, incr("n"));
    b.run_for(milliseconds(60));
    EXPECT_EQ(b.answered(2), 0u);
    EXPECT_EQ(b.replica->status().queued, 1u);
    b.engine_image.set_faults({});
    EXPECT_EQ(b.await(2).reply, kv::Reply::number(2));
}

void stall(Bench& b) {
    engine::MemFaults faults;
    faults.stall_begins = 1;
    faults.stall_writes_max = 1;  // it ends with the faults
    b.engine_image.set_faults(faults);
}

TEST(Replica, ALeaderWhoseEngineStallsMakesRoomAndAnswersWhatWaits) {  // D10
    Bench b(3);
    b.elect();
    stall(b);
    b.submit(1, 1, incr("n"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.run_for(milliseconds(100));
    b.peers_vote = false;
    b.submit(2, 2, incr("n"));
    b.run_for(milliseconds(300));
    ASSERT_TRUE(b.leads());
    b.run_for(milliseconds(500));
    EXPECT_FALSE(b.leads());
    EXPECT_EQ(b.answer_to(2).kind, Kind::NotLeader) << "not evaluated: to be sent to the next";
}

TEST(Replica, ALeaderWhoseDiskHangsMakesRoom) {  // D8
    Bench b(3);
    b.elect();
    b.peers_vote = false;
    b.slow_disk(seconds(60));
    b.submit(1, 1, incr("n"));
    EXPECT_EQ(b.await(1).kind, Kind::Done) << "a quorum of healthy disks has it";
    b.run_for(seconds(1));
    EXPECT_FALSE(b.leads());
}

TEST(Replica, WhatExpiresInTheQueueIsAnsweredAlsoWhileNothingIsEvaluated) {
    Bench b(1);
    b.elect();
    stall(b);
    b.submit(1, 1, incr("n"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.run_for(milliseconds(100));
    const session::SessionId other{NodeId(8), Incarnation(1), ShardId(0)};
    auto patient = b.request(10, 1, incr("m"), 1, other);
    patient.deadline += seconds(60);
    b.replica->submit(std::move(patient));
    b.submit(2, 1, incr("n"), 2);  // sent again; known, expired or not
    b.submit(3, 2, incr("n"), 2);
    b.submit(4, 0, get("n"), 2);
    b.submit(5, 2, incr("m"), 1, other);
    b.submit(6, 0, get("m"), 1, other);
    b.run_for(milliseconds(4900));
    EXPECT_EQ(b.answered(3), 0u);
    b.run_for(milliseconds(300));
    EXPECT_EQ(b.answer_to(2).kind, Kind::Done);
    EXPECT_EQ(b.answer_to(3).kind, Kind::Refused);
    EXPECT_EQ(b.answer_to(4).kind, Kind::Refused);
    EXPECT_EQ(b.answered(5), 0u) << "to refuse it for good would refuse the one before it, too";
    EXPECT_EQ(b.answer_to(6).kind, Kind::Refused);
    EXPECT_EQ(b.replica->status().queued, 2u);
    b.submit(7, 2, incr("n"), 3);
    b.engine_image.set_faults({});
    EXPECT_EQ(b.await(7).kind, Kind::Refused) << "refused once is refused for good";
    EXPECT_EQ(b.await(10).reply, kv::Reply::number(1));
    EXPECT_EQ(b.await(5).kind, Kind::Refused);
    EXPECT_EQ(b.read("n").text.view(), "1");
}

// A new leader knows what earlier terms evaluated only when it has applied their entries. Mutant
// replica_expired_unlooked.
TEST(Replica, WhatExpiresBeforeTheTableIsCompleteIsNotSaidToBeRefused) {
    Bench b(3);
    b.elect();
    b.submit(1, 1, incr("n"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.kill();
    b.peers_append = false;
    b.boot();
    ASSERT_TRUE(b.turns_until([&] { return b.leads(); }));
    b.submit(2, 1, incr("n"), 2);
    b.submit(3, 0, get("n"), 2);
    b.run_for(seconds(6));
    ASSERT_TRUE(b.leads());
    EXPECT_EQ(b.answered(2), 0u);
    EXPECT_EQ(b.answer_to(3).kind, Kind::Refused) << "a read leaves nothing behind";
    b.peers_append = true;
    EXPECT_EQ(b.await(2).reply, kv::Reply::number(1));
    EXPECT_EQ(b.read("n").text.view(), "1");
}

// What a deposed leader applied is in no overlay any more; the engine, which stalled, has to have
// it before anybody reads there.
TEST(Replica, ALeaderDeposedWhileItsEngineStallsReadsWhatWasAppliedOnceItLeadsAgain) {
    for (const bool overwritten : {false, true}) {
        Bench b(3);
        b.elect();
        b.submit(1, 1, set("k", "old"));
        ASSERT_EQ(b.await(1).kind, Kind::Done);
        b.run_for(milliseconds(100));
        stall(b);
        b.submit(2, 2, set("k", "own"));
        ASSERT_EQ(b.await(2).kind, Kind::Done);
        b.run_for(milliseconds(100));
        const auto before = b.replica->status();
        ASSERT_LT(before.in_engine, before.raft.applied) << "or this shows nothing";
        b.depose();
        ASSERT_EQ(b.replica->status().overlay, 0u);
        const Term term = b.replica->status().raft.term;
        session::Effects effects;
        Bytes payload;
        if (overwritten) {
            kv::Record record;
            record.value = Bytes::literal("another's");
            effects.writes = {{kv::data_key(kKeyspace, 0, "k"), kv::encode(record)}};
            payload = session::encode(effects);
        }
        const auto kind = overwritten ? wire::EntryKind::Effects : wire::EntryKind::Noop;
        const LogIndex next = before.raft.last.next();
        b.receive({ReplicaId(2), ReplicaId(1), term,
                   raft::AppendRequest{before.raft.last,
                                       before.raft.term,
                                       next,
                                       {wire::make_entry(kGroup, term, next, kind, payload)}}});
        b.peers_vote = true;
        ASSERT_TRUE(b.turns_until([&] { return b.leads(); }));
        b.submit(3, 0, get("k"), 1'000'000);
        b.run_for(milliseconds(100));
        EXPECT_EQ(b.answered(3), 0u) << "the engine has the old value";
        b.engine_image.set_faults({});
        EXPECT_EQ(b.await(3).reply.text.view(), overwritten ? "another's" : "own");
    }
}

TEST(Replica, ABacklogIsAppliedInSlices) {
    Bench b(1);
    b.elect();
    constexpr uint64_t kEntries = 8000;
    for (uint64_t i = 1; i <= kEntries; ++i) {
        b.submit(i, i, incr("n"));
        b.turn();
    }
    ASSERT_EQ(b.await(kEntries).kind, Kind::Done);
    ASSERT_GE(b.replica->status().raft.applied.value, kEntries / 2);
    b.kill();
    b.boot();
    uint64_t applied = b.replica->status().raft.applied.value, most = 0;
    const uint64_t backlog = b.replica->status().raft.last.value - applied;
    ASSERT_GE(backlog, 4000u) << "or this shows nothing";
    ASSERT_TRUE(b.turns_until([&] {
        const uint64_t now = b.replica->status().raft.applied.value;
        most = std::max(most, now - std::exchange(applied, now));
        return b.ready();
    }));
    EXPECT_LE(most, 2u * 1024) << "two runs a turn";
    EXPECT_EQ(b.read("n").text.view(), std::to_string(kEntries));
}

TEST(Replica, CommandsWaitForRoomInTheLogInsteadOfStoppingTheGroup) {
    Bench b(3);
    b.limit_uncommitted(1'000'000);
    b.kill();
    b.boot();
    b.elect();
    b.peers_append = false;
    b.submit(1, 1, set("a", std::string(400'000, 'x')));
    b.turn();
    b.submit(2, 2, set("b", std::string(700'000, 'x')));
    b.submit(3, 3, incr("n"));
    b.run_for(milliseconds(300));
    ASSERT_FALSE(b.replica->status().stopped) << b.replica->status().stopped_why;
    EXPECT_EQ(b.replica->status().queued, 2u);
    b.peers_append = true;
    EXPECT_EQ(b.await(3).reply, kv::Reply::number(1));
    EXPECT_EQ(b.answer_to(2).kind, Kind::Done);
    // What alone exceeds the limit has the log to itself.
    b.submit(4, 4, set("c", std::string(1'500'000, 'x')));
    EXPECT_EQ(b.await(4).kind, Kind::Done);
    EXPECT_EQ(b.read("c").text.size(), 1'500'000u);
}

// A change of membership is uncommitted like a write, and may be large.
TEST(Replica, ACommandWaitsForAChangeThatTakesItsRoom) {  // mutant replica_changes_take_no_room
    for (size_t size = 3600; size < 4000; size += 16) {
        Bench b(40);
        b.kill();
        b.limit_uncommitted(4096);
        b.boot();
        b.elect();
        b.peers_append = false;
        ASSERT_TRUE(std::holds_alternative<raft::Accepted>(
            b.replica->change(raft::AddReplica{NodeId(77), false})));
        b.submit(1, 1, set("k", "v"));
        b.run_for(milliseconds(30));
        b.submit(2, 2, set("k", std::string(size, 'v')));
        b.run_for(milliseconds(30));
        ASSERT_FALSE(b.replica->status().stopped)
            << size << ": " << b.replica->status().stopped_why;
        b.peers_append = true;
        ASSERT_EQ(b.await(2).kind, Kind::Done) << size;
    }
}

TEST(Replica, ACommandWhoseEffectsAloneFillAnEntryIsRefusedAndTheRefusalRemembered) {
    Bench b(1);
    b.elect();
    kv::Command wide = on_key(kv::Op::MSet, "a");
    wide.keys.assign(4, Bytes::literal("k"));
    wide.values.assign(4, Bytes::copy(std::string(kv::kEffectsBytesMax / 4, 'x')));
    b.submit(1, 1, wide);
    EXPECT_EQ(b.await(1).reply, kv::Reply::error(kv::kEffectsTooLong));
    b.submit(2, 1, wide, 2);
    EXPECT_EQ(b.await(2).reply, kv::Reply::error(kv::kEffectsTooLong));
    EXPECT_EQ(b.read("k"), kv::Reply::nil());
    wide.request = {Bytes::literal("me"), 1};
    b.submit(3, 2, wide, 2'000'000);
    EXPECT_EQ(b.await(3).reply, kv::Reply::error(kv::kEffectsTooLong));
    wide.values.back() = {};
    b.submit(4, 3, wide, 2'000'000);
    EXPECT_EQ(b.await(4).reply, kv::Reply::error(kv::kEffectsTooLong)) << "the same request";
    wide.request = {};
    b.submit(5, 4, wide, 2'000'000);
    EXPECT_EQ(b.await(5).reply, kv::Reply::ok()) << "what fits is done";
}

TEST(Replica, WhatNoCorrectPeerCanSayIsDroppedAndCounted) {
    Bench b(3);
    b.elect();
    const auto raft = b.replica->status().raft;
    b.receive({ReplicaId(2), ReplicaId(1), raft.term,
               raft::AppendReply{true, raft.last.plus(1000), {}, {}}});
    b.receive({ReplicaId(3), ReplicaId(1), raft.term, raft::Heartbeat{raft.last, 1}});
    EXPECT_EQ(b.counted("asterias_group_refused_messages_total"), 2u);
    b.submit(1, 1, incr("n"));
    EXPECT_EQ(b.await(1).reply, kv::Reply::number(1));
}

TEST(Replica, APoisonousEntryStopsTheGroupNotTheNode) {
    Bench b(3);
    b.receive({ReplicaId(2), ReplicaId(1), Term(1),
               raft::AppendRequest{
                   {},
                   {},
                   {},
                   {wire::make_entry(kGroup, Term(1), LogIndex(1), wire::EntryKind::Effects,
                                     Bytes::copy("not effects"))}}});
    b.run_for(milliseconds(40));
    b.receive({ReplicaId(2), ReplicaId(1), Term(1), raft::Heartbeat{LogIndex(1), 1}});
    b.run_for(milliseconds(40));
    EXPECT_TRUE(b.replica->status().stopped);
    EXPECT_TRUE(b.shard->fatal_text().empty());
    b.submit(1, 1, incr("n"));
    EXPECT_EQ(b.await(1).kind, Kind::NotLeader);
}

// The last record of a journal cannot be told from a torn tail: nothing after it says that it was
// durable. Its leader knows, as long as it leads.
TEST(Replica, WhoLostWhatItAcknowledgedStopsInWordsAndANewLeaderHealsIt) {
    Bench b(3);
    const std::string payload = "acknowledged and then damaged";
    const auto entry = [](uint64_t index, wire::EntryKind kind, std::string_view text) {
        return wire::make_entry(kGroup, Term(1), LogIndex(index), kind, Bytes::copy(text));
    };
    const auto append = [&](ReplicaId from, uint64_t term, uint64_t index, const wire::Entry& e) {
        b.receive({from, ReplicaId(1), Term(term),
                   raft::AppendRequest{LogIndex(index - 1), Term(index > 1), {}, {e}}});
        b.run_for(milliseconds(40));
    };
    const auto noop = entry(1, wire::EntryKind::Noop, "");
    const auto last = entry(2, wire::EntryKind::Effects, payload);
    append(ReplicaId(2), 1, 1, noop);
    append(ReplicaId(2), 1, 2, last);
    ASSERT_EQ(b.replica->status().raft.durable, LogIndex(2));
    const auto& said = std::get<raft::AppendReply>(b.sent.back().message.body);
    ASSERT_EQ(said.match, LogIndex(2));
    b.kill();
    bool damaged = false;
    for (const auto& path : b.image.paths())
        if (const auto content = b.image.content(path); content)
            if (const size_t at = content->view().find(payload); at != std::string_view::npos)
                damaged |= b.image.flip(path, at, 1);
    ASSERT_TRUE(damaged);

    b.boot();
    ASSERT_EQ(b.replica->status().raft.last, LogIndex(1)) << "cut as a torn tail";
    b.receive({ReplicaId(2), ReplicaId(1), Term(1), raft::Heartbeat{LogIndex(2), 9}});
    b.turn();
    auto status = b.replica->status();
    ASSERT_TRUE(status.stopped);
    EXPECT_TRUE(b.shard->fatal_text().empty());
    for (const char* words : {"node 1 lost entries", "node 2, leader of term 1",
                              "counts on entry 2", "the log ends at 1", "in a term above 1"})
        EXPECT_NE(status.stopped_why.find(words), std::string::npos) << status.stopped_why;
    b.sent.clear();
    b.receive(
        {ReplicaId(3), ReplicaId(1), Term(5), raft::VoteRequest{false, LogIndex(1), Term(1)}});
    b.turn();
    EXPECT_TRUE(b.sent.empty()) << "it votes for nobody";

    b.kill();
    b.boot();
    append(ReplicaId(3), 2, 2, last);
    b.receive({ReplicaId(3), ReplicaId(1), Term(2), raft::Heartbeat{LogIndex(2), 1}});
    status = b.replica->status();
    EXPECT_FALSE(status.stopped) << status.stopped_why;
    EXPECT_EQ(status.raft.durable, LogIndex(2));
}

TEST(Replica, ADamagedKeyStopsTheGroupAndLeavesNobodyWaiting) {  // rule 39
    Bench b(1);
    b.elect();
    b.submit(1, 1, set("k", "v"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.engine->request_flush();
    b.run_for(milliseconds(200));
    ASSERT_TRUE(b.turns_until([&] {
        return b.engine->durable() == b.engine->written() || (b.engine->request_flush(), false);
    }));
    ASSERT_TRUE(b.engine_image.damage(kv::data_key(kKeyspace, 0, "k").view()));
    b.submit(2, 2, set("a", "1"));
    b.submit(3, 0, get("b"));
    b.submit(4, 0, get("k"));
    b.submit(5, 3, set("c", "1"));
    b.run_for(milliseconds(100));
    const Status status = b.replica->status();
    EXPECT_TRUE(status.stopped);
    EXPECT_EQ(status.raft.role, raft::Role::Follower) << "it led, and does so no more";
    EXPECT_FALSE(status.raft.leader);
    for (uint64_t ticket = 2; ticket <= 5; ++ticket)
        EXPECT_EQ(b.answered(ticket), 1u) << ticket;
}

TEST(Replica, AnEngineWithoutWhatTheJournalNoLongerHasIsRefusedInWords) {
    Bench b(1);
    raft::Config config;
    config.group = GroupId(3);  // of which this engine holds nothing
    config.self = ReplicaId(1);
    config.membership.voters = {{ReplicaId(1), NodeId(1)}};
    journal::RecoveredGroup recovered;
    recovered.purged_through = LogIndex(6);
    for (uint64_t index : {7, 8})
        recovered.entries.push_back(
            wire::make_entry(config.group, Term(1), LogIndex(index), wire::EntryKind::Noop, {}));
    Registry registry;
    QuietSink sink;
    const auto opened = sim::run(
        *b.shard, Replica::open({*b.shard, *b.engine, *b.journal, b, registry, Log(sink, "test")},
                                kKeyspace, config, std::move(recovered)));
    ASSERT_TRUE(opened && !*opened);
    EXPECT_EQ(opened->error().code, Errc::Corrupt);
    for (const char* words : {"group 3 ends at 0", "begins behind 7", "`engine`", "put back"})
        EXPECT_NE(opened->error().context.find(words), std::string::npos)
            << opened->error().context;
}

TEST(Replica, AnEntryWithAWrongChecksumIsDroppedAndCounted) {
    Bench b(3);
    auto entry = wire::make_entry(kGroup, Term(1), LogIndex(1), wire::EntryKind::Noop, {});
    entry.crc ^= 1;
    b.receive({ReplicaId(2), ReplicaId(1), Term(1), raft::AppendRequest{{}, {}, {}, {entry}}});
    b.turn();
    EXPECT_EQ(b.replica->status().raft.last, LogIndex(0));
}

}  // namespace
}  // namespace asterias::replica
