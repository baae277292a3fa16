#include "sim/explore/setups.h"

namespace asterias::sim::explore {

const std::vector<Setup>& setups() {
    static const std::vector<Setup> all = {
        {.name = "e1", .about = "x", .brief = true, .campaigns = 1, .crashes = 0},
        {.name = "e1c1", .about = "x", .brief = true, .campaigns = 1, .crashes = 1},
        {.name = "e2", .about = "x", .brief = true, .campaigns = 2, .crashes = 0},
        {.name = "e2c1", .about = "x", .brief = true, .campaigns = 2, .crashes = 1},
        {.name = "e1c1p1",
         .about = "x",
         .brief = true,
         .campaigns = 1,
         .crashes = 1,
         .proposals = 1},
        {.name = "e2p1", .about = "x", .brief = true, .campaigns = 2, .proposals = 1},
        {.name = "e2c1p1",
         .about = "x",
         .brief = true,
         .campaigns = 2,
         .crashes = 1,
         .proposals = 1},
        {.name = "e3n", .about = "x", .brief = true, .campaigns = 3, .late = false},
        {.name = "e3p1nw",
         .about = "x",
         .brief = true,
         .campaigns = 3,
         .proposals = 1,
         .writes_at_once = true,
         .late = false},
        {.name = "e4p1nw",
         .about = "x",
         .brief = true,
         .campaigns = 4,
         .proposals = 1,
         .writes_at_once = true,
         .one_entry_a_message = true,
         .late = false},
        {.name = "e2p1w",
         .about = "x",
         .brief = true,
         .campaigns = 2,
         .proposals = 1,
         .writes_at_once = true},
        {.name = "e2p1r1w",
         .about = "x",
         .brief = true,
         .campaigns = 2,
         .proposals = 1,
         .reads = 1,
         .writes_at_once = true},
        {.name = "l1p2c1",
         .about = "x",
         .brief = true,
         .campaigns = 1,
         .crashes = 1,
         .proposals = 2,
         .led = true},
        {.name = "l1p2c2",
         .about = "x",
         .brief = true,
         .campaigns = 1,
         .crashes = 2,
         .proposals = 2,
         .led = true},
        {.name = "l2p1n",
         .about = "x",
         .brief = true,
         .campaigns = 2,
         .proposals = 1,
         .led = true,
         .late = false},
    };
    return all;
}

const Setup* find_setup(std::string_view name) {
    for (const Setup& setup : setups())
        if (setup.name == name) return &setup;
    return nullptr;
}

}  // namespace asterias::sim::explore
