#include "sim/check/report.h"

#include <gtest/gtest.h>

#include "sim/check/checks.h"

namespace asterias::sim {
namespace {

SeedStats stats(uint64_t seed, uint64_t operations, uint64_t crashes) {
    SeedStats s;
    s.seed = seed;
    s.operations = operations;
    s.crashes = crashes;
    s.simulated_seconds = 60;
    s.cpu_seconds = 0.25;
    s.sites = {{"disk.torn", crashes}, {"net.loss", 7}};
    return s;
}

TEST(SweepReport, PrintsTidyTables) {
    SweepReport report({{"operations", 100}, {"crashes", 1}});
    report.add(stats(1, 250, 1));
    report.add(stats(2, 90, 2));
    EXPECT_TRUE(report.passed());
    EXPECT_EQ(report.print(),
              "    seed  ops  unknown  failed  leaders  crashes  losing  partitio"
              "ns  snapshots  members  faults  sim s  cpu s  verdict\n"
              "       1  250        0       0        0        1       0          "
              " 0          0        0       0   60.0   0.25  pass\n"
              "       2   90        0       0        0        2       0          "
              " 0          0        0       0   60.0   0.25  pass\n"
              "     min   90        0       0        0        1       0          "
              " 0          0        0       0   60.0   0.25\n"
              "  median  170        0       0        0      1.5       0          "
              " 0          0        0       0   60.0   0.25\n"
              "     max  250        0       0        0        2       0          "
              " 0          0        0       0   60.0   0.25\n"
              "   total  340        0       0        0        3       0          "
              " 0          0        0       0  120.0   0.50\n"
              "\n"
              "  required    median  minimum\n"
              "  operations     170      100  ok\n"
              "  crashes        1.5        1  ok\n"
              "\n"
              "  fault site  hits  seeds\n"
              "  disk.torn      3      2\n"
              "  net.loss      14      2\n"
              "\n"
              "PASS: 2 seeds\n");
}

TEST(SweepReport, TooLittleHappeningIsAFailure) {
    SweepReport report({{"operations", 100}, {"partitions", 0}});
    report.add(stats(1, 99, 0));
    report.know_site("disk.eio");
    EXPECT_EQ(
        report.failures(),
        (std::vector<std::string>{
            "median of operations is 99, required 100", "median of partitions is 0, required 1",
            "fault site disk.eio was never hit", "fault site disk.torn was never hit"}));
}

TEST(SweepReport, NoSeedsUndecidedSeedsAndNamedFailuresAreFailures) {
    EXPECT_EQ(SweepReport({}).failures(), std::vector<std::string>{"no seed was run"});
    SweepReport report({});
    SeedStats undecided = stats(3, 1, 1), stuck = stats(4, 1, 1);
    undecided.verdict = Verdict::Undecided;
    stuck.failure = "client 2 did not complete";
    report.add(undecided);
    report.add(stuck);
    EXPECT_EQ(
        report.failures(),
        (std::vector<std::string>{"seed 3: undecided", "seed 4: pass: client 2 did not complete"}));
}

TEST(SweepReport, ManySeedsAreCutButNeverTheFailingOnes) {
    SweepReport report({});
    for (uint64_t seed = 1; seed <= 50; ++seed)
        report.add(stats(seed, 1, 1));
    SeedStats bad = stats(51, 1, 1);
    bad.verdict = Verdict::Violation;
    report.add(bad);
    const std::string text = report.print(5);
    EXPECT_NE(text.find("(46 more seeds not shown)"), std::string::npos) << text;
    EXPECT_NE(text.find("    51    1 "), std::string::npos) << text;
}

TEST(Checks, RunByNameAndABreachIsReportedOnce) {
    const auto history = parse_history(
        "c1 n1.1 0..10 set x 1 -> ok\n"
        "c2 n2.1 20..30 get x -> nil\n");
    ASSERT_TRUE(history);
    const CheckReport report = run_checks(*history, {"linearizable", "order", "atomic"});
    ASSERT_EQ(report.findings.size(), 1u) << report.print();
    EXPECT_EQ(report.findings[0].check, "linearizable");
    EXPECT_EQ(run_checks(*history, {"atomic"}).verdict(), Verdict::Pass);
    SeedStats s;
    count_operations(*history, s);
    EXPECT_EQ(s.operations, 2u);
}

}  // namespace
}  // namespace asterias::sim
