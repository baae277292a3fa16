// sim/world/expect.h: judges the `expect` lines of a scenario: whether a cluster under a fault not
// only stays right but goes on, in time and at a rate. Times are those of the World. Who leads is
// looked at every 50 ms, so much is tolerated.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "sim/scenario/schedule.h"
#include "sim/world/client.h"

namespace asterias::sim {

// Of one replica and term: when it was seen to lead.
struct Lead {
    GroupId group;
    uint32_t node;
    Term term;
    Duration first, last;
};

// A term of a group that is higher than all before.
struct TermBegun {
    GroupId group;
    Term term;
    Duration at;
};

struct Cut {
    Duration begin, end;
    std::vector<sim::Link> links;
};

// What happened.
struct Timeline {
    uint32_t nodes = 0;
    Duration begin{0}, end{0};    // the safety phase
    Duration command_timeout{0};  // of the doors
    std::vector<Question> asked;
    std::vector<Lead> leads;
    std::vector<TermBegun> terms;
    std::vector<Cut> cuts;
};

// Commands that were asked and done in the safety phase.
uint64_t done(const Timeline& timeline);

// What is not as expected, in words; empty: nothing. `quiet` is the same seed without its faults
// and is looked at for `rate` only.
std::string unmet(const Expectation& expectation, const Timeline& timeline, const Timeline& quiet);

// The scenario of that quiet run.
Scenario quiet_of(const Scenario& scenario);

}  // namespace asterias::sim
