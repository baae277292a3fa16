// Replicas that their group has lost, and what becomes of what they leave.
#include "service/replica/replica_test_bench.h"

namespace asterias::replica {
namespace {

bool is_question(const Bench::Sent& sent) {
    const auto* asked = std::get_if<raft::VoteRequest>(&sent.message.body);
    return asked && asked->pre && !sent.to && !sent.message.to;
}

TEST(Lost, WhoWasMadeAndHearsNothingMoreAsksEveryNodeUntilItIsTold) {
    Bench b(0);
    b.run_for(seconds(5));
    EXPECT_GE(std::count_if(b.sent.begin(), b.sent.end(), is_question), 2);
    EXPECT_FALSE(b.removed);
    b.receive({ReplicaId(2), ReplicaId(1), Term(3), raft::Removed{LogIndex(4)}});
    ASSERT_TRUE(b.turns_until([&] { return b.removed; }, 100));
    b.sent.clear();
    b.run_for(seconds(5));
    EXPECT_TRUE(b.sent.empty());
}

TEST(Lost, WhoIsLedAsksNobody) {
    Bench b(3);
    b.elect();
    b.run_for(seconds(5));
    EXPECT_TRUE(std::none_of(b.sent.begin(), b.sent.end(), is_question));
}

// The number of a change that was lost with its leader is given again; here to node 2.
TEST(Lost, WhoHasANumberThatIsSomebodyElsesIsToldThatItIsNobody) {
    Bench b(3);
    b.peers_vote = false;
    const raft::Message ask{ReplicaId(2), ReplicaId(1), Term(9), raft::VoteRequest{.pre = true}};
    b.sent.clear();
    b.replica->receive(NodeId(7), ask);
    ASSERT_EQ(b.sent.size(), 1u);
    EXPECT_EQ(b.sent[0].to, NodeId(7));
    EXPECT_TRUE(std::holds_alternative<raft::Removed>(b.sent[0].message.body));
    // Nor is anything else that it says heard.
    b.replica->receive(NodeId(7), {ReplicaId(2), ReplicaId(1), Term(9), raft::Heartbeat{}});
    b.turn();
    EXPECT_EQ(b.replica->status().raft.term, Term(0));
    b.replica->receive(NodeId(2), {ReplicaId(2), ReplicaId(1), Term(9), raft::Heartbeat{}});
    EXPECT_EQ(b.replica->status().raft.term, Term(9));
}

TEST(Lost, AnEngineThatFailsToFlushIsNoticedByWhoeverDeletes) {
    Bench b(1);
    b.elect();
    b.engine_image.set_faults({.flush_fails = 1});
    std::optional<Result<void>> erased;
    port::Scope scope(*b.shard);
    const auto erase = [](Bench& b, std::optional<Result<void>>& out,
                          const port::Scope& scope) -> port::Task<> {
        out = co_await erase_state(*b.engine, *b.shard, kGroup, kKeyspace, ReplicaId(1), scope);
    };
    scope.spawn("erase", erase(b, erased, scope));
    ASSERT_TRUE(b.turns_until([&] { return erased.has_value(); }, 2000));
    ASSERT_FALSE(erased->has_value());
    EXPECT_EQ(erased->error().code, Errc::Io);
}

// A node that stops must not wait for space that may never come.
TEST(Lost, ADeletionEndsWithItsScopeAlthoughTheEngineStaysFull) {
    Bench b(1);
    b.elect();
    engine::MemFaults full;
    full.stall_begins = 1;
    full.stall_writes_max = 1;
    b.engine_image.set_faults(full);
    std::optional<Result<void>> erased;
    port::Scope scope(*b.shard);
    const auto erase = [](Bench& b, std::optional<Result<void>>& out,
                          const port::Scope& scope) -> port::Task<> {
        out = co_await erase_state(*b.engine, *b.shard, kGroup, kKeyspace, ReplicaId(1), scope);
    };
    scope.spawn("erase", erase(b, erased, scope));
    b.run_for(seconds(3));
    EXPECT_FALSE(erased.has_value());
    scope.request_stop();
    const bool ended = b.turns_until([&] { return erased.has_value(); }, 2000);
    EXPECT_TRUE(ended);
    if (!ended) b.engine_image.set_faults({});
    ASSERT_TRUE(b.turns_until([&] { return erased.has_value(); }, 2000));
    ASSERT_FALSE(erased->has_value());
    EXPECT_EQ(erased->error().code, Errc::Closed);
    EXPECT_EQ(sim::run(*b.shard, load_removed(*b.engine, *b.shard, kGroup))->value(), ReplicaId());
}

TEST(Lost, AJournalWithoutWhatTheEngineHasIsRefusedInWords) {
    Bench b(1);
    b.elect();
    b.submit(1, 1, set("k", "v"));
    ASSERT_EQ(b.await(1).kind, Answer::Kind::Done);
    ASSERT_TRUE(b.turns_until([&] {
        return b.engine->durable() == b.engine->written() || (b.engine->request_flush(), false);
    }));
    raft::Config config;
    config.group = kGroup;
    config.self = ReplicaId(1);
    Registry registry;
    QuietSink sink;
    const auto opened = sim::run(
        *b.shard, Replica::open({*b.shard, *b.engine, *b.journal, b, registry, Log(sink, "test")},
                                kKeyspace, config, {}));
    ASSERT_TRUE(opened && !*opened);
    EXPECT_EQ(opened->error().code, Errc::Corrupt);
    for (const char* words :
         {"journal", "engine already has", "ends at 0", "put back", "--replace"})
        EXPECT_NE(opened->error().context.find(words), std::string::npos)
            << opened->error().context;
}

}  // namespace
}  // namespace asterias::replica
