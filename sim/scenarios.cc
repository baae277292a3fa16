#include "sim/scenarios.h"

#include <fstream>
#include <sstream>

namespace asterias::sim {

std::string summary(const HouseScenario& scenario) {
    std::string line;
    for (std::string_view rest = scenario.text; rest.starts_with("#");) {
        const size_t end = rest.find('\n');
        line += rest.substr(1, end == std::string_view::npos ? end : end - 1);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    line.erase(0, line.find_first_not_of(' '));
    const size_t stop = line.find(". ");
    return stop == std::string::npos ? line : line.substr(0, stop + 1);
}

Result<std::string> scenario_text(const std::string& name_or_path) {
    std::string names;
    for (const HouseScenario& scenario : house_scenarios()) {
        if (scenario.name == name_or_path) return std::string(scenario.text);
        names += (names.empty() ? "" : ", ") + std::string(scenario.name);
    }
    std::ifstream file(name_or_path);
    std::ostringstream text;  // takes a directory for an empty file, where iterators would throw
    if (!file || !(text << file.rdbuf()))
        return fail(Errc::NotFound, "no scenario '" + name_or_path +
                                        "': neither a file that can be read nor one of " + names);
    return text.str();
}

Result<Scenario> find_scenario(const std::string& name_or_path) {
    auto text = scenario_text(name_or_path);
    if (!text) return std::unexpected(text.error());
    return parse_scenario(name_or_path, *text);
}

}  // namespace asterias::sim
