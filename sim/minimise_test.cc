#include "sim/minimise.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "sim/scenarios.h"
#include "sim/world/run.h"

namespace asterias::sim {
namespace {

bool has(const Scenario& scenario, std::string_view verb, std::string_view who) {
    return std::ranges::any_of(scenario.script.steps, [&](const Step& step) {
        return step.verb == verb && step.who == who;
    });
}

const std::function<bool()> kNever = [] { return false; };

TEST(Minimise, LeavesOnlyWhatTheFailureNeeds) {
    std::string text =
        "world nodes=5 shards=2 duration=60s\nworkload kv clients=8\nworkload order\n"
        "fault net\nfault frames drop=0.1\ncheck order\n";
    for (int i = 1; i <= 40; ++i)
        text += "at " + std::to_string(i) + "s " +
                (i == 7    ? "crash n2"
                 : i == 13 ? "pause n1"
                           : "isolate n3") +
                "\n";
    const auto scenario = parse_scenario("t", text);
    ASSERT_TRUE(scenario) << scenario.error().describe();
    const Fails fails = [](const Scenario& s) -> std::string {
        const bool wrong = has(s, "crash", "n2") && has(s, "pause", "n1") && !s.faults.empty() &&
                           s.workloads[0].clients.low >= 3;
        return wrong ? "order: key k1" : s.script.steps.empty() ? "liveness: none" : "";
    };
    const Minimal minimal = minimise(*scenario, "order: key k9", fails, kNever);
    ASSERT_TRUE(minimal.reproduced);
    EXPECT_EQ(minimal.scenario.script.steps.size(), 2u) << print(minimal.scenario);
    EXPECT_EQ(minimal.scenario.faults.size(), 1u);
    EXPECT_EQ(minimal.scenario.workloads.size(), 1u);
    EXPECT_EQ(minimal.scenario.workloads[0].clients.low, 4u);
    EXPECT_EQ(minimal.scenario.world.nodes.low, 3u);
    EXPECT_EQ(minimal.scenario.world.shards.low, 1u);
    EXPECT_LT(minimal.scenario.world.duration, seconds(20));
    EXPECT_EQ(fails(minimal.scenario), "order: key k1");
    EXPECT_LT(minimal.tries, 100u);
    EXPECT_TRUE(parse_scenario("printed", print(minimal.scenario)));
}

TEST(Minimise, SaysWhenItFailsOtherwiseOrNotAtAllAndStopsWhenTold) {
    const auto scenario = parse_scenario("t", "world\nworkload kv\ncheck order\nat 1s crash n1\n");
    ASSERT_TRUE(scenario);
    const Fails other = [](const Scenario&) { return std::string("liveness: x"); };
    EXPECT_FALSE(minimise(*scenario, "order: y", other, kNever).reproduced);
    const Minimal stopped = minimise(*scenario, "liveness: y", other, [] { return true; });
    EXPECT_TRUE(stopped.reproduced);
    EXPECT_EQ(stopped.scenario, *scenario);
    EXPECT_EQ(stopped.tries, 1u);
}

TEST(Minimise, FailuresAreTheSameByCheckOrByTheLastWordsOfAProcess) {
    EXPECT_EQ(kind_of_failure("order: key 3"), kind_of_failure("order: key 4"));
    EXPECT_NE(kind_of_failure("order: key 3"), kind_of_failure("linearizable: key 3"));
    EXPECT_EQ(kind_of_failure("process: CHECK(a.cc:3) x"),
              kind_of_failure("process: CHECK(a.cc:7) x"));
    EXPECT_NE(kind_of_failure("process: CHECK x"), kind_of_failure("process: CHECK y"));
}

// What is drawn and what is written is the same run: else a failure could not be made smaller.
TEST(Minimise, SpelledOutASeedTellsItsClientsTheSame) {
    const auto swarm = find_scenario("swarm");
    ASSERT_TRUE(swarm);
    Scenario shorter = *swarm;
    shorter.world.duration = seconds(20);
    for (uint64_t seed = 0; seed < 6; ++seed) {
        const Scenario script = spelled_out(shorter, seed);
        const auto printed = parse_scenario("printed", print(script));
        ASSERT_TRUE(printed) << printed.error().describe() << print(script);
        EXPECT_EQ(print(run_seed(shorter, seed).history), print(run_seed(*printed, seed).history))
            << seed;
    }
}

}  // namespace
}  // namespace asterias::sim
