// Keys that a group does not serve (any more): the fence is in the log, and holds from its entry
// on.
#include "core/catalogue/boundary.h"

#include <algorithm>

#include "service/execute/execute.h"
#include "service/replica/snapshot_test_bench.h"

namespace asterias::replica {
namespace {

using Kind = Answer::Kind;
using What = catalogue::Order::What;

const kv::Reply kMoved = kv::Reply::error(execute::kMoved);

kv::Command order(What what, uint64_t generation, std::vector<kv::Write> items = {}) {
    return catalogue::command_of({what, generation, "cart", std::move(items)}, kKeyspace);
}

TEST(Fence, RefusesReadsAndWritesOfItsKeysAndNoOther) {  // mutant replica_fence_not_checked
    Bench b(3);
    b.elect();
    b.submit(1, 1, set("cart:1", "a"));
    b.submit(2, 2, order(What::Fence, 2));
    b.submit(3, 3, set("cart:1", "b"));
    b.submit(4, 0, get("cart:1"));
    b.submit(5, 4, set("other:1", "c"));
    EXPECT_EQ(b.await(2).reply, kv::Reply::ok());
    EXPECT_EQ(b.await(3).reply, kMoved);
    EXPECT_EQ(b.await(4).reply, kMoved);
    EXPECT_EQ(b.await(5).reply, kv::Reply::ok());
    b.submit(6, 5, order(What::Lift, 3));
    EXPECT_EQ(b.await(6).reply, kv::Reply::ok());
    EXPECT_EQ(b.read("cart:1").text.view(), "a");
}

TEST(Fence, WhatItRefusedIsNotDoneByALateCopyOnceItIsLifted) {
    Bench b(3);
    b.elect();
    b.submit(1, 1, order(What::Fence, 2));
    b.submit(2, 2, set("cart:1", "b"));
    b.submit(3, 3, order(What::Lift, 3));
    EXPECT_EQ(b.await(2).reply, kMoved);
    b.submit(4, 2, set("cart:1", "b"), 2);
    EXPECT_EQ(b.await(4).reply, kMoved) << "it has an answer already";
    EXPECT_EQ(b.read("cart:1"), kv::Reply::nil());
}

TEST(Fence, NothingIsRefusedBeforeItIsCommitted) {
    Bench b(3);
    b.elect();
    b.peers_append = false;
    b.submit(1, 1, order(What::Fence, 2));
    b.submit(2, 0, get("cart:1"), 1);
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.answered(2), 0u);
    b.peers_append = true;
    EXPECT_EQ(b.await(2).reply, kMoved);
}

TEST(Fence, GoesWithTheEntryThatALostLeaderDidNotCommit) {
    Bench c(3);
    c.elect();
    c.peers_append = false;
    c.submit(1, 1, order(What::Fence, 2));
    c.run_for(milliseconds(50));
    c.depose();
    // Its place in the log is another's.
    raft::AppendRequest append;
    const auto s = c.replica->status().raft;
    append.prev_index = s.commit;
    append.prev_term = Term(1);
    const auto noop = wire::make_entry(kGroup, s.term, s.commit.next(), wire::EntryKind::Noop, {});
    append.entries.push_back(noop);
    append.commit = noop.index;
    c.receive({ReplicaId(2), ReplicaId(1), s.term, append});
    c.peers_vote = c.peers_append = true;
    c.elect();
    EXPECT_EQ(c.read("cart:1"), kv::Reply::nil());
}

// Absent here before and behind, it may have been there elsewhere. Mutant replica_lift_unwatched.
TEST(Fence, AWatchedKeyThatWasElsewhereMeanwhileHasChanged) {
    Bench b(3);
    b.elect();
    kv::Command version;
    version.op = kv::Op::Version;
    version.keyspace = kKeyspace;
    version.keys.push_back(Bytes::literal("cart:1"));
    b.submit(1, 0, version);
    const kv::Reply before = b.await(1).reply;
    b.submit(2, 1, order(What::Fence, 2));
    b.submit(3, 2, order(What::Lift, 3));
    EXPECT_EQ(b.await(3).reply, kv::Reply::ok());
    b.submit(4, 0, version);
    EXPECT_NE(b.await(4).reply, before);
}

TEST(Fence, OutlivesTheProcessAndItsLeadership) {
    Bench b(3);
    b.elect();
    b.submit(1, 1, order(What::Fence, 2));
    EXPECT_EQ(b.await(1).reply, kv::Reply::ok());
    b.run_for(milliseconds(100));
    b.kill();
    b.boot();
    b.elect();
    EXPECT_EQ(b.read("cart:1"), kMoved);
    b.depose();
    b.peers_vote = true;
    b.elect();
    b.submit(2, 0, get("cart:1"), 2'000'000);
    EXPECT_EQ(b.await(2).reply, kMoved);
}

TEST(Fence, ComesWithASnapshot) {  // mutant replica_fence_not_in_snapshot
    Bench b(3);
    auto made = make_snapshot(100, 2);
    catalogue::Boundary boundary;
    boundary.generation = boundary.since = 7;
    boundary.fenced.push_back("cart");
    made.pairs.push_back({catalogue::boundary_key(kGroup), catalogue::encode(boundary)});
    std::ranges::sort(made.pairs, {}, &port::KeyValue::key);
    hear_all(b, made);
    ASSERT_TRUE(b.turns_until([&] { return installed(b, made); }, 2000));
    b.elect();
    EXPECT_EQ(b.read("cart:1"), kMoved);
    b.submit(1, 1, order(What::Lift, 6), 3, {NodeId(8), Incarnation(1), ShardId(0)});
    EXPECT_EQ(b.await(1).reply, kv::Reply::error(catalogue::kLate));
    EXPECT_EQ(b.read("cart:1"), kMoved);
}

kv::Command on_all(kv::Op op, uint64_t generation, std::vector<std::string> values = {}) {
    kv::Command c;
    c.op = op;
    c.keyspace = kKeyspace;
    c.generation = generation;
    c.number = 1;
    for (const auto& value : values)
        c.values.push_back(Bytes::copy(value));
    return c;
}

// mutants replica_span_over_fence, replica_span_sees_hidden
TEST(Fence, WhoSpeaksOfAllKeysKnowsOfItAndDoesNotSeeWhatItHides) {
    Bench b(3);
    b.elect();
    b.submit(1, 1, set("a:1", "v"));
    b.submit(2, 2, set("cart:1", "v"));
    b.submit(3, 3, set("cart:2", "v"));
    b.submit(4, 4, set("z", "v"));
    b.submit(5, 0, on_all(kv::Op::Count, 1));
    EXPECT_EQ(b.await(5).reply, kv::Reply::number(4));
    b.submit(6, 5, order(What::Fence, 2));
    ASSERT_EQ(b.await(6).reply, kv::Reply::ok());
    b.submit(7, 0, on_all(kv::Op::Count, 2));
    EXPECT_EQ(b.await(7).reply, kMoved) << "it would not ask those who have them";
    b.submit(8, 0, on_all(kv::Op::Count, 3));
    EXPECT_EQ(b.await(8).reply, kv::Reply::number(2));
    // A scan that looks at one key a time is not over where all are hidden.
    b.submit(9, 0, on_all(kv::Op::Scan, 3, {"*", "cart:1"}));
    EXPECT_EQ(b.await(9).reply.items.at(0).kind, kv::Reply::Kind::Bulk);
    EXPECT_TRUE(b.await(9).reply.items.at(1).items.empty());
    b.submit(10, 6, on_all(kv::Op::Flush, 2));
    EXPECT_EQ(b.await(10).reply, kMoved);
    b.submit(11, 7, order(What::Lift, 4));
    ASSERT_EQ(b.await(11).reply, kv::Reply::ok());
    b.submit(12, 0, on_all(kv::Op::Count, 5));
    EXPECT_EQ(b.await(12).reply, kv::Reply::number(4)) << "nothing was flushed";
    b.submit(13, 8, on_all(kv::Op::Flush, 5));
    EXPECT_EQ(b.await(13).reply, kv::Reply::ok());
    b.submit(14, 0, on_all(kv::Op::Count, 5));
    EXPECT_EQ(b.await(14).reply, kv::Reply::number(0));
}

TEST(Fence, AClosedGroupServesNobodyAndTakesOrders) {
    Bench b(3);
    b.elect();
    b.submit(1, 1, order(What::Close, 2));
    EXPECT_EQ(b.await(1).reply, kv::Reply::ok());
    EXPECT_EQ(b.read("any"), kMoved);
    b.submit(2, 2, order(What::Open, 3), 2'000'000);
    EXPECT_EQ(b.await(2).reply, kv::Reply::ok());
    b.submit(3, 0, get("any"), 2'000'000);
    EXPECT_EQ(b.await(3).reply, kv::Reply::nil());
}

}  // namespace
}  // namespace asterias::replica
