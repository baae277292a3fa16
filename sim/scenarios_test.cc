#include "sim/scenarios.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace asterias::sim {
namespace {

const std::string kDirectory =
    std::filesystem::path(ASTERIAS_TESTDATA).parent_path().string() + "/scenarios/";

TEST(Scenarios, TheProgramHoldsTheTextsOfTheCheckoutAndTheyParse) {
    ASSERT_FALSE(house_scenarios().empty());
    EXPECT_TRUE(std::ranges::is_sorted(house_scenarios(), {}, &HouseScenario::name));
    for (const HouseScenario& scenario : house_scenarios()) {
        std::ifstream file(kDirectory + std::string(scenario.name) + ".txt");
        std::ostringstream text;
        text << file.rdbuf();
        EXPECT_EQ(text.str(), scenario.text) << scenario.name;
        const auto parsed = find_scenario(std::string(scenario.name));
        EXPECT_TRUE(parsed) << parsed.error().describe();
        EXPECT_TRUE(summary(scenario).ends_with(".")) << scenario.name;
    }
}

TEST(Scenarios, AFileIsFoundByItsPath) {
    const auto by_path = find_scenario(kDirectory + "swarm.txt"), by_name = find_scenario("swarm");
    ASSERT_TRUE(by_path && by_name);
    EXPECT_EQ(*by_path, *by_name);
}

TEST(Scenarios, WhatIsNeitherIsAnErrorThatNamesThoseThatThereAre) {
    for (const std::string name : {"swam", "swarm.txt", kDirectory.c_str(), ""}) {
        const auto missing = find_scenario(name);
        ASSERT_FALSE(missing) << name;
        EXPECT_EQ(missing.error().code, Errc::NotFound);
        EXPECT_NE(missing.error().context.find(
                      "basic, bridge, bridge_long, clocks, crash, crash_loop, cut, d"),
                  std::string::npos)
            << missing.error().context;
    }
}

// What the main proof promises to have done to the cluster, per seed and in the median.
TEST(Scenarios, TheSwarmAsksForLeaderChangesLostDataAndOperations) {
    const auto swarm = find_scenario("swarm");
    ASSERT_TRUE(swarm);
    for (const Requirement& least :
         {Requirement{"leader_changes", 3}, Requirement{"crashes_losing_data", 2},
          Requirement{"operations", 2000}, Requirement{"snapshots", 1}, Requirement{"members", 1}})
        EXPECT_TRUE(std::ranges::any_of(swarm->required, [&](const Requirement& r) {
            return r.metric == least.metric && r.minimum >= least.minimum;
        })) << least.metric;
    EXPECT_GE(swarm->world.duration, seconds(60));
}

}  // namespace
}  // namespace asterias::sim
