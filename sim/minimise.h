// sim/minimise.h: from a scenario that fails at a seed to a small one that fails there in the same
// way: fewer faults, a shorter life, fewer clients. What it prints is a scenario like any other.
#pragma once

#include <functional>
#include <string>

#include "sim/scenario/scenario.h"

namespace asterias::sim {

// Runs a scenario at the seed in question and says how it failed; empty: it passed. Failures are
// the same if these words are.
using Fails = std::function<std::string(const Scenario& scenario)>;

struct Minimal {
    Scenario scenario;        // fails as `spelled_out` did
    bool reproduced = false;  // else: spelled out it does not fail so, and nothing was tried
    uint64_t tries = 0;
};

// `spelled_out`: what the seed drew, as a script (world/run.h). Tries until nothing more can go or
// `enough()` says so.
Minimal minimise(const Scenario& spelled_out, const std::string& failure, const Fails& fails,
                 const std::function<bool()>& enough);

// Of the first line of a failure what does not change with what happened before it.
std::string kind_of_failure(const std::string& failure);

}  // namespace asterias::sim
