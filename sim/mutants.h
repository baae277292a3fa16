// sim/mutants.h: the planted bugs (base/mutant.h) that a whole simulated cluster has to show, each
// with the scenario that brings it out.
#pragma once

#include <cstddef>
#include <string>

namespace asterias::sim {

// One line each: name, the program that catches it, and the scenario or a reason. In any build.
void list_mutants();

// Plants `name` in this process. False, and said on standard error: there is none of this name, or
// this build has no mutants.
bool plant(const std::string& name);

// Runs seeds with each bug planted (or `only` that one) until something catches it. Prints a table
// and a summary. False: one was not caught, or this build has no mutants.
bool hunt_mutants(const std::string& only, size_t jobs);

}  // namespace asterias::sim
