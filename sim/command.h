// sim/command.h: the simulator's command line, shared by `asterias sim` and `asterias-sim`.
#pragma once

#include <string>

namespace asterias::sim {

// Runs what argv[1..argc) asks for; prints to standard output, what is wrong with the asking to
// standard error. `program` stands in help, and in lines that replay a seed. Forks: call it before
// there is a second thread. Returns the exit code: 0 passed, 1 failed, 2 wrong use.
int run_command(int argc, const char* const* argv, const std::string& program);

}  // namespace asterias::sim
