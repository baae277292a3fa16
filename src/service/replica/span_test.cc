// Reads of all keys, and what deletes them.
#include "service/replica/replica_test_bench.h"

namespace asterias::replica {
namespace {

using Kind = Answer::Kind;

kv::Command span(kv::Op op, std::vector<std::string> values = {}, int64_t number = 0) {
    kv::Command c;
    c.op = op;
    c.keyspace = kKeyspace;
    c.number = number;
    for (const auto& value : values)
        c.values.push_back(Bytes::copy(value));
    return c;
}
kv::Command count() { return span(kv::Op::Count); }
kv::Command flush() { return span(kv::Op::Flush); }

kv::Command many(size_t from, size_t keys) {
    kv::Command c;
    c.op = kv::Op::MSet;
    c.keyspace = kKeyspace;
    for (size_t i = from; i < from + keys; ++i) {
        c.keys.push_back(Bytes::copy("k" + std::to_string(100'000 + i)));
        c.values.push_back(Bytes::literal("v"));
    }
    return c;
}

TEST(ReplicaSpan, AReadSeesWhatItsSessionWroteBefore) {  // mutant replica_span_before_own_writes
    Bench b(3);
    b.elect();
    b.submit(1, 1, set("a", "1"));
    b.submit(2, 2, set("b", "1"));
    b.submit(3, 0, count());
    EXPECT_EQ(b.await(3).reply, kv::Reply::number(2));
    EXPECT_EQ(b.answer_to(3).kind, Kind::Done);
}

TEST(ReplicaSpan, AReadIsNotAnsweredBeforeAHeartbeatRoundNorBeforeEarlierWritesAreCommitted) {
    Bench b(3);
    b.elect();
    b.peers_heartbeat = false;
    b.turn();
    b.submit(1, 0, count());
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.answered(1), 0u);
    b.peers_heartbeat = true;
    EXPECT_EQ(b.await(1).reply, kv::Reply::number(0));
    b.peers_append = false;
    b.submit(2, 1, set("a", "1"));
    b.submit(3, 0, count());
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.answered(3), 0u);
}

TEST(ReplicaSpan, WhoLosesTheLeadSaysThatTheReadIsLost) {
    Bench b(3);
    b.elect();
    b.peers_append = false;
    b.submit(1, 1, set("a", "1"));
    b.submit(2, 0, count());
    b.run_for(milliseconds(50));
    b.depose();
    EXPECT_EQ(b.answer_to(2).kind, Kind::Lost);
    EXPECT_EQ(b.answered(2), 1u);
}

TEST(ReplicaSpan, ManyKeysAreReadInSlicesAndAScanMeetsEachOnce) {
    Bench b(1);
    b.elect();
    for (size_t i = 0; i < 3; ++i) {
        b.submit(i + 1, i + 1, many(i * 4000, 4000));
        ASSERT_EQ(b.await(i + 1).kind, Kind::Done);
    }
    b.submit(10, 0, count());
    EXPECT_EQ(b.await(10).reply, kv::Reply::number(12'000));
    b.submit(11, 0, span(kv::Op::Keys, {"k10000*"}));
    EXPECT_EQ(b.await(11).reply.items.size(), 10u);
    std::string from;
    std::set<std::string> seen;
    for (uint64_t ticket = 20; ticket < 100; ++ticket) {
        b.submit(ticket, 0, span(kv::Op::Scan, {"*", from}, 1000));
        const kv::Reply reply = b.await(ticket).reply;
        ASSERT_EQ(reply.items.size(), 2u);
        for (const auto& key : reply.items[1].items)
            EXPECT_TRUE(seen.insert(key.text.str()).second);
        if (reply.items[0].kind == kv::Reply::Kind::Nil) break;
        from = reply.items[0].text.str();
    }
    EXPECT_EQ(seen.size(), 12'000u);
}

// Neither in the same entry, nor while it is on its way, nor when the engine has it.
TEST(ReplicaSpan, AFlushHidesWhatWasWrittenBeforeIt) {  // mutant replica_flush_not_hidden
    Bench b(3);
    b.elect();
    b.submit(1, 1, set("in_engine", "1"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.run_for(milliseconds(100));
    b.peers_append = false;
    b.submit(2, 2, set("a", "1"));
    b.submit(3, 3, flush());
    b.submit(4, 4, incr("a"));
    b.run_for(milliseconds(50));
    b.submit(5, 5, incr("in_engine"));
    b.submit(6, 6, on_key(kv::Op::Exists, "b"));
    b.run_for(milliseconds(50));
    b.peers_append = true;
    EXPECT_EQ(b.await(5).reply, kv::Reply::number(1));
    EXPECT_EQ(b.answer_to(3).reply, kv::Reply::ok());
    EXPECT_EQ(b.answer_to(4).reply, kv::Reply::number(1));
    b.submit(7, 0, span(kv::Op::Keys, {"*"}));
    EXPECT_EQ(b.await(7).reply.items.size(), 2u);
    b.submit(8, 7, flush());
    b.submit(9, 0, count());
    EXPECT_EQ(b.await(9).reply, kv::Reply::number(0));
    EXPECT_EQ(b.read("a"), kv::Reply::nil());
}

TEST(ReplicaSpan, AFlushIsAppliedAgainFromTheLog) {  // mutant replica_flush_not_applied
    Bench b(1);
    b.elect();
    b.submit(1, 1, set("a", "1"));
    b.submit(2, 2, flush());
    b.submit(3, 3, set("b", "1"));
    ASSERT_EQ(b.await(3).kind, Kind::Done);
    b.kill();
    b.boot();
    b.elect();
    EXPECT_EQ(b.read("a"), kv::Reply::nil());
    EXPECT_EQ(b.read("b").text.view(), "1");
    b.submit(4, 2, flush(), 2);
    b.await(4);
    EXPECT_EQ(b.read("b").text.view(), "1") << "it came once more, and was done before";
}

// What is applied and the engine does not take is seen all the same, in the order of the log.
TEST(ReplicaSpan, AFlushIsSeenWhileTheEngineIsFull) {
    Bench b(1);
    b.stall_patience = seconds(1);
    b.kill();
    b.boot();
    b.elect();
    b.submit(1, 1, set("a", "1"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.run_for(milliseconds(200));
    engine::MemFaults full;
    full.stall_begins = 1;
    full.stall_writes_max = 1;
    b.engine_image.set_faults(full);
    b.submit(2, 2, set("b", "1"));
    b.submit(3, 3, flush());
    b.submit(4, 4, set("c", "1"));
    ASSERT_EQ(b.await(4).kind, Kind::Done);
    for (const bool restarted : {false, true}) {
        if (restarted) {  // another leadership made them: they are in no overlay
            b.kill();
            b.boot();
            b.elect();
        }
        b.run_for(seconds(2));
        EXPECT_EQ(b.read("a"), kv::Reply::nil()) << restarted;
        EXPECT_EQ(b.read("b"), kv::Reply::nil()) << restarted;
        EXPECT_EQ(b.read("c").text.view(), "1") << restarted;
    }
    b.engine_image.set_faults({});
    b.submit(5, 0, count(), 1'000'000);
    EXPECT_EQ(b.await(5).reply, kv::Reply::number(1));
}

TEST(ReplicaSpan, WhoWatchesAKeyHearsOfAFlush) {
    Bench b(1);
    b.elect();
    kv::Command version = on_key(kv::Op::Version, "a");
    b.submit(1, 0, version);
    const int64_t before = b.await(1).reply.items[0].integer;
    b.submit(2, 1, set("a", "1"));
    b.submit(3, 2, flush());
    b.submit(4, 0, version);
    EXPECT_NE(b.await(4).reply.items[0].integer, before);
}

// Mutant kv_flush_deletes_nothing: above.
TEST(ReplicaSpan, WhoWatchesAnAbsentKeyHearsNothingOfAFlushOfOthers) {
    Bench b(1);
    b.elect();
    b.submit(1, 1, set("b", "1"));
    b.submit(2, 2, set("a", "1"));
    b.submit(3, 3, on_key(kv::Op::Del, "a"));
    const kv::Command version = on_key(kv::Op::Version, "a");
    b.submit(4, 0, version);
    const int64_t before = b.await(4).reply.items[0].integer;
    b.submit(5, 4, flush());
    b.submit(6, 0, version);
    EXPECT_EQ(b.await(6).reply.items[0].integer, before);
    b.submit(7, 5, set("a", "2"));
    b.submit(8, 6, flush());
    b.submit(9, 7, flush());
    b.submit(10, 0, version);
    EXPECT_NE(b.await(10).reply.items[0].integer, before);
}

// A hundred long names and a pattern that almost matches each of their bytes.
void submit_hard_to_match(Bench& b, uint64_t ticket) {
    kv::Command all;
    all.op = kv::Op::MSet;
    all.keyspace = kKeyspace;
    for (int i = 0; i < 100; ++i) {
        all.keys.push_back(Bytes::copy(std::to_string(100 + i) + std::string(3000, 'a')));
        all.values.push_back(Bytes::literal("v"));
    }
    b.submit(ticket, 1, all);
    ASSERT_EQ(b.await(ticket).kind, Kind::Done);
    b.submit(ticket + 1, 0, span(kv::Op::Keys, {"*" + std::string(200, 'a') + "b"}));
    ASSERT_TRUE(b.turns_until([&] { return b.engine->view_scans > 0; }));
}

TEST(ReplicaSpan, HardMatchingLeavesTurnsToOthers) {
    Bench b(1);
    b.elect();
    submit_hard_to_match(b, 1);
    EXPECT_EQ(b.answered(2), 0u) << "not all of a slice in one turn";
    b.submit(3, 0, get("x"));
    EXPECT_EQ(b.await(3).kind, Kind::Done);
    EXPECT_EQ(b.answered(2), 0u);
    EXPECT_EQ(b.await(2).reply.items.size(), 0u);
    EXPECT_EQ(b.answer_to(2).kind, Kind::Done);
}

TEST(ReplicaSpan, WhoLosesTheLeadMatchesNoMore) {
    Bench b(3);
    b.elect();
    submit_hard_to_match(b, 1);
    ASSERT_EQ(b.answered(2), 0u);
    b.depose();
    EXPECT_EQ(b.answer_to(2).kind, Kind::Lost);
    b.run_for(seconds(1));
    EXPECT_EQ(b.answered(2), 1u);
}

// The other leader's clock may be behind.  mutant replica_span_expiry_not_logged
TEST(ReplicaSpan, WhatWasTakenForExpiredIsDeletedInTheLogBeforeTheAnswer) {
    Bench b(3);
    b.elect();
    kv::Command soon = set("a", "1");
    soon.flags = kv::flag::kExpire | kv::flag::kRelative;
    soon.number = 100;
    b.submit(1, 1, soon);
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.peers_append = false;
    b.run_for(milliseconds(200));
    b.submit(2, 0, count());
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.answered(2), 0u);
    b.peers_append = true;
    EXPECT_EQ(b.await(2).reply, kv::Reply::number(0));
}

}  // namespace
}  // namespace asterias::replica
