// sim/world/run.h: one seed of a scenario, from the birth of the cluster to the verdict.
//
// Birth: the founder is initialised and the others join, without faults. Safety phase: clients work
// while faults happen. Liveness phase: everything heals; within the scenario's `liveness` all nodes
// of the core are up, each client is answered, everything begun has ended, every written key is
// read through every node, and all replicas of a group hold the same. Then the checkers judge.
#pragma once

#include "sim/check/verdict.h"
#include "sim/world/cluster.h"

namespace asterias::sim {

struct RunOptions {
    Story story;             // empty: silent
    ProcessFactory factory;  // empty: RaftProcess
};

struct RunResult {
    SeedStats stats;    // without cpu_seconds
    uint64_t hash = 0;  // of everything that happened, and of the history
    uint64_t events = 0;
    std::string profile;      // what the seed drew, as a scenario would write it
    std::string explanation;  // of a failure; several lines
    History history;
};

RunResult run_seed(const Scenario& scenario, uint64_t seed, const RunOptions& options = {});

// What `seed` makes of a scenario, as a scenario with one way to go: drawn numbers, faults per
// operation, and each scheduled fault as a line of a script. At this seed it is the same run.
Scenario spelled_out(const Scenario& scenario, uint64_t seed);

// The fault sites that a scenario is able to hit: a sweep that never hits one proves less than it
// seems.
std::vector<std::string> expected_sites(const Scenario& scenario);

}  // namespace asterias::sim
