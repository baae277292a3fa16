// sim/sweep.h: seeds, each in a process of its own (a failed CHECK ends one seed, not the sweep),
// several at a time.
#pragma once

#include <functional>
#include <string>

#include "sim/world/run.h"

namespace asterias::sim {

// What is left of a process that ran something.
struct Remains {
    bool ended_well = false;
    std::string how;     // else: "signal 6", "no end within 300 s"
    std::string output;  // what it returned
    std::string errors;  // what it wrote to standard error, the last of it
};

// Runs work(i) for i in [0, count), at most `jobs` at a time, and hands what each returned to
// done(i, remains), in order of i. done() answers whether to go on.
void in_processes(size_t count, size_t jobs, const std::function<std::string(size_t)>& work,
                  const std::function<bool(size_t, Remains)>& done);

struct SeedOutcome {
    SeedStats stats;
    uint64_t hash = 0, events = 0;
    std::string profile, explanation;
};
// Runs one seed here, twice if asked to (a difference is a violation), and measures its CPU time.
SeedOutcome run_measured(const Scenario& scenario, uint64_t seed, bool twice, const Story& story);
std::string encode(const SeedOutcome& outcome);
// Of a process that ended badly it makes a violation of seed `seed`.
SeedOutcome decode(uint64_t seed, const Remains& remains);

struct SweepPlan {
    std::string program = "asterias sim";  // for the lines that replay a seed
    std::string scenario = "swarm";        // as find_scenario() takes it
    uint64_t from = 0, seeds = 100;
    size_t jobs = 2;
    bool twice = false;
    bool hashes = false;  // print each seed's
    // The first failing seed is made smaller, for so much CPU time; 0: it is not.
    double shrink_cpu_seconds = 60;
};
// Prints tables and failures; the last line sums up. True if it passed.
bool run_sweep(const SweepPlan& plan, const Scenario& scenario);

}  // namespace asterias::sim
