// app/configure.h: what the operator said of a node, read from the file and the environment.
#pragma once

#include "app/commands.h"
#include "app/config/load.h"

namespace asterias::app {

config::Loaded configure(const ConfigOptions& options);
// Prints the problems, which there are, and returns kUsage.
int tell_problems(const char* command, const config::Loaded& loaded);

}  // namespace asterias::app
