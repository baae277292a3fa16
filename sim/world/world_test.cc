#include <map>
#include <set>

#include <gtest/gtest.h>

#include "sim/world/raft_process.h"
#include "sim/world/run.h"
#include "sim/world/workload.h"

namespace asterias::sim {
namespace {

Scenario scenario_of(std::string_view text) {
    auto scenario = parse_scenario("test.txt", text);
    EXPECT_TRUE(scenario.has_value()) << scenario.error().describe();
    return *scenario;
}

const char* const kSmall =
    "world nodes=3 shards=2 duration=6s liveness=20s\n"
    "workload kv clients=4 keys=10 pipeline=1..4 rate=60\n"
    "workload pairs clients=2 keys=4 rate=20\n"
    "fault crash mode=one every=1s..3s down=100ms..1s lose=0.5\n"
    "fault frames drop=0.01 duplicate=0.01 late=0.01\n"
    "fault net delay=0s..5ms\n"
    "check linearizable order atomic\n";

TEST(Run, TheSameSeedIsTheSameRunWhetherItIsToldOrNot) {
    const Scenario scenario = scenario_of(kSmall);
    size_t lines = 0;
    RunOptions told;
    told.story = [&lines](std::string_view) { ++lines; };
    for (uint64_t seed = 0; seed < 3; ++seed) {
        const RunResult one = run_seed(scenario, seed), two = run_seed(scenario, seed, told);
        EXPECT_EQ(one.stats.verdict, Verdict::Pass) << one.explanation;
        EXPECT_EQ(one.hash, two.hash) << seed;
        EXPECT_EQ(print(one.history), print(two.history)) << seed;
        EXPECT_GT(one.stats.operations, 100u);
        EXPECT_GT(one.stats.crashes, 0u);
    }
    EXPECT_GT(lines, 100u);
}

TEST(Run, EveryWrittenKeyIsReadThroughEveryNodeAtTheEnd) {
    const RunResult run = run_seed(scenario_of(kSmall), 7);
    ASSERT_EQ(run.stats.verdict, Verdict::Pass) << run.explanation;
    for (const std::string& key : written_keys(run.history)) {
        size_t reads = 0;
        for (const Op& op : run.history)
            reads += op.client >= 1'000'000 && op.keys[0] == key && op.outcome == Outcome::Ok;
        EXPECT_EQ(reads, 3u) << key;
    }
}

resp::Value error(std::string_view text) {
    resp::Value v;
    v.kind = resp::ValueKind::Error;
    v.text = Bytes::copy(text);
    return v;
}

TEST(Workload, TheHonestErrorsAreTakenAtTheirWordAndNothingElseIs) {
    Op op;
    op.kind = OpKind::Set;
    op.keys = {"k"};
    op.arguments = {"v"};
    using M = Meaning;
    const auto holds = [&](auto tag, std::string_view text) {
        const M m = meaning_of(op, error(text));
        return std::holds_alternative<decltype(tag)>(m);
    };
    EXPECT_TRUE(holds(CertainlyNot{}, "CLUSTERDOWN nothing was done: no leader"));
    EXPECT_TRUE(holds(CertainlyNot{}, "TRYAGAIN nothing was done: overtaken"));
    EXPECT_TRUE(holds(PerhapsDone{}, "UNKNOWN the write may or may not take effect"));
    EXPECT_TRUE(holds(Strange{}, "ERR syntax error"));
    EXPECT_TRUE(holds(Strange{}, "CLUSTERDOWNISH"));
    EXPECT_TRUE(std::holds_alternative<Strange>(meaning_of(op, resp::Value{})));
}

TEST(Workload, CommandsAreRespArraysAndNamedOnesAreWrapped) {
    Op op;
    op.client = 4;
    op.kind = OpKind::Incr;
    op.keys = {"a:n"};
    op.arguments = {"3"};
    const std::string plain = "*3\r\n$6\r\nINCRBY\r\n$3\r\na:n\r\n$1\r\n3\r\n";
    EXPECT_NE(encode_command(op).bytes.find(plain), std::string::npos);
    op.request = 9;
    EXPECT_EQ(encode_command(op).replies_before, 0u);
    EXPECT_EQ(encode_command(op).bytes,
              "*6\r\n$16\r\nASTERIAS.REQUEST\r\n$7\r\nclient4\r\n$1\r\n9\r\n"
              "$6\r\nINCRBY\r\n$3\r\na:n\r\n$1\r\n3\r\n");
}

TEST(Workload, TheSameIsAskedForInSeveralWaysAndTheAnswersMeanTheSame) {
    using resp::Value, resp::ValueKind;
    const auto reply = [](ValueKind kind, std::string_view text, int64_t integer = 0) {
        Value v;
        v.kind = kind;
        v.text = Bytes::copy(text);
        v.integer = integer;
        return v;
    };
    Op op;
    op.kind = OpKind::SetNx;
    op.keys = {"k"};
    std::map<std::string, size_t> spelled;
    for (int i = 0; i < 1000; ++i) {
        op.arguments = {std::to_string(i)};
        const Encoded asked = encode_command(op);
        const bool set = asked.bytes.contains("NX\r\n") && asked.bytes.contains("\r\nSET\r\n");
        ++spelled[std::string(set                              ? "SET"
                              : asked.bytes.contains("MSETNX") ? "MSETNX"
                                                               : "SETNX") +
                  (asked.replies_before ? " in MULTI" : "")];
        Value told = set ? reply(ValueKind::Simple, "OK") : reply(ValueKind::Integer, "", 1);
        if (asked.replies_before) {
            EXPECT_EQ(asked.replies_before, 2u);
            Value all = reply(ValueKind::Array, "");
            all.items.push_back(told);
            told = all;
        }
        const Meaning meaning = meaning_of(op, told);
        ASSERT_TRUE(std::holds_alternative<Answered>(meaning)) << asked.bytes;
        EXPECT_EQ(std::get<Answered>(meaning).results[0], "1");
    }
    EXPECT_EQ(spelled.size(), 6u);
}

TEST(Cluster, HasAsManyKeyspacesAsTheScenarioAsksForAndElseFew) {
    for (const uint64_t asked : {0, 30, 64}) {
        Scenario scenario = scenario_of(kSmall);
        scenario.world.keyspaces = {asked, asked};
        const Cluster cluster(draw(scenario, 1), RaftProcess::make, {});
        const std::vector<std::string>& names = cluster.keyspaces();
        EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
        if (asked) EXPECT_EQ(names.size(), asked);
        if (!asked) EXPECT_LE(names.size(), 3u);
    }
}

TEST(Workload, SomeKeysGetDeadlinesAndTheOthersNeverDo) {
    Workload workload;
    workload.expire = {0.5, 0.5};
    workload.ttl = {milliseconds(5), milliseconds(9)};
    OpSource source(workload, 0, 5, {"a", "b"}, false, Prng(1));
    std::map<std::string, size_t> kinds;  // by key: bit 1 a SetPx, bit 2 an Incr, bit 3 a Del
    for (int i = 0; i < 20000; ++i) {
        bool named = false;
        const Op op = source.next(named);
        size_t& seen = kinds[op.keys[0]];
        seen |= op.kind == OpKind::SetPx ? 1 : op.kind == OpKind::Incr ? 2 : 0;
        seen |= op.kind == OpKind::Del ? 4 : 0;
        if (op.kind != OpKind::SetPx) continue;
        ASSERT_EQ(op.arguments.size(), 2u);
        EXPECT_GE(std::stoi(op.arguments[1]), 5);
        EXPECT_LE(std::stoi(op.arguments[1]), 9);
        const std::string bytes = encode_command(op).bytes;
        EXPECT_TRUE(bytes.contains("$2\r\nPX\r\n$1\r\n" + op.arguments[1] + "\r\n") ||
                    bytes.contains("PSETEX\r\n"));
    }
    size_t with = 0;
    for (const auto& [key, seen] : kinds) {
        EXPECT_TRUE(seen == 7 || seen == 4) << key;
        with += seen == 7;
    }
    EXPECT_EQ(with, 16u);
    EXPECT_EQ(kinds.size(), 40u);
}

TEST(Workload, AClientOfOrderStaysWithinOneKeyspace) {
    Workload workload;
    workload.kind = "order";
    workload.keys = {12, 12};
    OpSource source(workload, 0, 5, {"a", "b"}, false, Prng(1));
    bool named = false;
    const std::string first = source.next(named).keys[0];
    for (int i = 0; i < 100; ++i)
        EXPECT_EQ(keyspace_of(source.next(named).keys[0]), keyspace_of(first));
}

}  // namespace
}  // namespace asterias::sim
