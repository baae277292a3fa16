// sim/scenarios.h: the scenarios of the house, and how a scenario is found by what a user wrote.
// The texts of sim/scenarios/ are built into the program (cmake/embed_scenarios.cmake), so that it
// needs no checkout.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sim/scenario/scenario.h"

namespace asterias::sim {

struct HouseScenario {
    std::string_view name;  // of its file, without .txt
    std::string_view text;
};
// By name, rising.
std::span<const HouseScenario> house_scenarios();
// The first sentence of a scenario's opening comment.
std::string summary(const HouseScenario& scenario);

// The text of the scenario of the house with this name, else of the file at this path. Errors:
// NotFound, naming the scenarios that there are.
Result<std::string> scenario_text(const std::string& name_or_path);
// The same, parsed. Errors: NotFound, InvalidArgument.
Result<Scenario> find_scenario(const std::string& name_or_path);

}  // namespace asterias::sim
