// Transactions at the leader: a batch is one command, and the versions that WATCH compares.
#include "service/replica/replica_test_bench.h"

namespace asterias::replica {
namespace {

using Kind = Answer::Kind;

const session::SessionId kOther{NodeId(8), Incarnation(1), ShardId(0)};

kv::Command batch(std::vector<kv::Command> commands) {
    kv::Command c;
    c.op = kv::Op::Batch;
    c.keyspace = kKeyspace;
    for (auto& command : commands)
        command.keyspace = {};
    c.batch = std::move(commands);
    return c;
}

int64_t version_in(const Answer& answer) {
    EXPECT_EQ(answer.kind, Kind::Done);
    EXPECT_EQ(answer.reply.items.size(), 1u);
    return answer.reply.items.empty() ? -1 : answer.reply.items[0].integer;
}

// What a transaction hears that watched `key` at `version` and writes `x`.
kv::Reply run_if(Bench& b, std::string_view key, int64_t version) {
    static uint64_t next = 500;
    const uint64_t number = next++;
    b.submit(number, number, batch({on_key(kv::Op::IfVersion, key, version), set("x", "done")}));
    return b.await(number).reply;
}

TEST(ReplicaBatch, IsOneEntryAndItsRetryIsAnsweredWithoutBeingDoneAgain) {
    Bench b(3);
    b.elect();
    const auto last = b.replica->status().raft.last;
    b.submit(1, 1, batch({incr("n"), set("m", "1"), incr("n"), get("n")}));
    const kv::Reply reply = b.await(1).reply;
    ASSERT_EQ(reply.items.size(), 4u);
    EXPECT_EQ(reply.items[3].text.view(), "2");
    EXPECT_EQ(b.replica->status().raft.last, last.next());
    b.submit(2, 1, batch({incr("n")}), 2);
    EXPECT_EQ(b.await(2).reply, reply);
    EXPECT_EQ(b.read("n").text.view(), "2");
}

TEST(ReplicaBatch, OfReadsAloneIsAReadAndSeesWhatIsNotCommittedYet) {
    Bench b(3);
    b.elect();
    const auto last = b.replica->status().raft.last;
    b.peers_append = false;
    b.submit(1, 1, set("a", "1"));
    b.submit(2, 0, batch({get("a"), get("b")}));
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.answered(2), 0u) << "what it saw is not committed";
    b.peers_append = true;
    EXPECT_EQ(b.await(2).reply.items[0].text.view(), "1");
    EXPECT_EQ(b.replica->status().raft.last, last.next());
}

TEST(ReplicaBatch, ItsKeysAreReadFromDiskEachOnce) {
    Bench b(1);
    b.elect();
    b.submit(1, 1, set("n", "5"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.engine->request_flush();
    b.run_for(milliseconds(100));
    engine::MemFaults faults;
    faults.would_block = 1;
    b.engine_image.set_faults(faults);
    b.engine->reads = 0;
    b.submit(2, 2, batch({incr("n"), incr("n"), get("m"), get("n")}));
    EXPECT_EQ(b.await(2).reply.items[3].text.view(), "7");
    EXPECT_EQ(b.engine->reads, 1u) << "that m is absent is known without";
}

// Two writes of one key in one turn would be of one version if it were told between them. Mutant
// replica_version_of_open_entry.
TEST(ReplicaBatch, AVersionIsToldOnlyWhenNothingElseCanBeWrittenUnderIt) {
    Bench b(3);
    b.elect();
    b.submit(1, 1, set("k", "1"), 1, kOther);
    b.submit(2, 0, on_key(kv::Op::Version, "k"));
    b.submit(3, 2, set("k", "2"), 1, kOther);
    const int64_t version = version_in(b.await(2));
    b.await(3);
    EXPECT_EQ(run_if(b, "k", version), kv::Reply::nil());
    b.submit(4, 0, on_key(kv::Op::Version, "k"));
    EXPECT_EQ(run_if(b, "k", version_in(b.await(4))).items.size(), 1u);
}

TEST(ReplicaBatch, AnAbsentKeyThatCameAndWentHasChanged) {
    Bench b(3);
    b.elect();
    b.submit(1, 0, on_key(kv::Op::Version, "k"));
    const int64_t version = version_in(b.await(1));
    EXPECT_EQ(run_if(b, "k", version).items.size(), 1u);
    b.submit(2, 1, set("k", "1"), 1, kOther);
    b.submit(3, 2, on_key(kv::Op::Del, "k"), 1, kOther);
    b.await(3);
    EXPECT_EQ(run_if(b, "k", version), kv::Reply::nil());
    // Again, and all in one turn.
    b.submit(4, 3, set("k", "1"), 1, kOther);
    b.submit(5, 4, on_key(kv::Op::Del, "k"), 1, kOther);
    b.submit(6, 0, on_key(kv::Op::Version, "k"));
    b.submit(7, 5, set("k", "1"), 1, kOther);
    b.submit(8, 6, on_key(kv::Op::Del, "k"), 1, kOther);
    b.await(8);
    EXPECT_EQ(run_if(b, "k", version_in(b.await(6))), kv::Reply::nil());
}

TEST(ReplicaBatch, AKeyThatWasPastItsDeadlineWhenItWasWatchedIsUnchanged) {
    Bench b(3);
    b.elect();
    kv::Command brief = set("k", "old");
    brief.flags = kv::flag::kExpire | kv::flag::kRelative;
    brief.number = 1;
    b.submit(1, 1, brief, 1, kOther);
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.run_for(milliseconds(2));
    b.submit(2, 0, on_key(kv::Op::Version, "k"));
    // In the same turn, behind the deletion that the watch logs.
    b.submit(3, 2, set("other", "1"), 1, kOther);
    const int64_t version = version_in(b.await(2));
    EXPECT_LT(version, 0);
    EXPECT_EQ(run_if(b, "k", version).items.size(), 1u);
}

TEST(ReplicaBatch, AnotherLeadershipKnowsNothingOfDeletionsBeforeIt) {
    Bench b(3);
    b.elect();
    b.submit(1, 0, on_key(kv::Op::Version, "k"));
    const int64_t version = version_in(b.await(1));
    b.kill();
    b.boot();
    b.elect();
    EXPECT_EQ(run_if(b, "k", version), kv::Reply::nil()) << "another try, and no more";
    b.submit(2, 0, on_key(kv::Op::Version, "k"));
    EXPECT_EQ(run_if(b, "k", version_in(b.await(2))).items.size(), 1u);
}

}  // namespace
}  // namespace asterias::replica
