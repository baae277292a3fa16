// The same clients and checkers over asynchronous primary and backups: right without faults, and
// caught at what it cannot promise.
#include <gtest/gtest.h>

#include "sim/strategy/primary_backup.h"
#include "sim/world/run.h"

namespace asterias::sim {
namespace {

constexpr uint64_t kSeeds = 20;

struct Sweep {
    uint64_t passed = 0, not_linearizable = 0, other = 0, operations = 0;
    std::string first_other;
};

Sweep sweep(const std::string& faults, const RunOptions& options) {
    const auto scenario = parse_scenario("test.txt",
                                         "world nodes=3 duration=15s liveness=20s\n"
                                         "workload kv clients=6 keys=12 pipeline=1..4 rate=150\n"
                                         "workload counter clients=2 keys=2 rate=20\n" +
                                             faults + "check linearizable atomic\n");
    EXPECT_TRUE(scenario.has_value());
    Sweep s;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
        const RunResult run = run_seed(*scenario, seed, options);
        s.operations += run.stats.operations;
        if (run.stats.verdict == Verdict::Pass) {
            ++s.passed;
        } else if (run.explanation.find("VIOLATION of linearizable") != std::string::npos) {
            ++s.not_linearizable;
        } else if (s.other++ == 0) {
            s.first_other = run.explanation;
        }
    }
    return s;
}

RunOptions primary_backup() {
    RunOptions options;
    options.factory = make_primary_backup;
    return options;
}

const char* const kCrashes = "fault crash mode=leader every=2s..5s down=1s..3s lose=0\n";
const char* const kPauses = "fault pause mode=leader every=2s..5s for=1s..3s\n";

TEST(PrimaryBackup, IsLinearizableWhileNothingFails) {
    const Sweep s = sweep("fault net delay=0s..5ms\n", primary_backup());
    EXPECT_EQ(s.passed, kSeeds) << s.first_other;
    EXPECT_GT(s.operations, kSeeds * 1000);
}

TEST(PrimaryBackup, LosesAcknowledgedWritesWithItsPrimaryAndTheCheckerSeesIt) {
    EXPECT_GT(sweep(std::string(kCrashes) + "fault net delay=0s..20ms\n", primary_backup())
                  .not_linearizable,
              0u);
}

TEST(PrimaryBackup, AnswersStaleReadsAfterAPauseAndTheCheckerSeesIt) {
    EXPECT_GT(sweep(kPauses, primary_backup()).not_linearizable, 0u);
}

TEST(Raft, BearsTheSameCrashesAndPauses) {
    const Sweep s = sweep(std::string(kCrashes) + kPauses + "fault net delay=0s..20ms\n", {});
    EXPECT_EQ(s.passed, kSeeds) << s.first_other;
}

}  // namespace
}  // namespace asterias::sim
