#include "sim/explore/setups.h"

namespace asterias::sim::explore {

const std::vector<Setup>& setups() {
    static const std::vector<Setup> all = {
        {.name = "e1c1", .bounds = {.campaigns = 1, .crashes = 1}},
        {.name = "e1c1p1", .bounds = {.campaigns = 1, .crashes = 1, .proposals = 1}},
        {.name = "e2", .bounds = {.campaigns = 2}},
        {.name = "e2c1", .bounds = {.campaigns = 2, .crashes = 1}},
        {.name = "e4p1nw",
         .bounds = {.campaigns = 4, .proposals = 1},
         .writes_at_once = true,
         .one_entry_a_message = true,
         .late = false},
        {.name = "s1",
         .bounds = {.campaigns = 1, .crashes = 1, .proposals = 1, .beats = 1, .compactions = 1},
         .led = true,
         .late = false},
        {.name = "s2",
         .bounds = {.campaigns = 1, .crashes = 0, .proposals = 1, .beats = 1, .compactions = 1},
         .writes_at_once = true,
         .led = true,
         .late = false},
        {.name = "s1o",
         .bounds = {.campaigns = 1, .crashes = 1, .proposals = 1, .beats = 1, .compactions = 1},
         .led = true,
         .late = false,
         .in_order = true},
        {.name = "s2o",
         .bounds = {.campaigns = 1, .crashes = 0, .proposals = 1, .beats = 1, .compactions = 1},
         .writes_at_once = true,
         .led = true,
         .late = false,
         .in_order = true},
        {.name = "e3p1no",
         .bounds = {.campaigns = 3, .crashes = 1, .proposals = 1},
         .late = false,
         .in_order = true},
        {.name = "e2p1nor",
         .bounds = {.campaigns = 2, .crashes = 0, .proposals = 1, .reads = 1},
         .late = false,
         .in_order = true},
    };
    return all;
}

const Setup* find_setup(std::string_view name) {
    for (const Setup& setup : setups())
        if (setup.name == name) return &setup;
    return nullptr;
}

}  // namespace asterias::sim::explore
