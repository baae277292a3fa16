// app/configure.h: what the operator said of a node, read from the file and the environment.
#pragma once

#include "app/commands.h"
#include "app/config/load.h"
#include "runtime/epoll/runtime.h"

namespace asterias::app {

config::Loaded configure(const ConfigOptions& options);
// At SIGHUP.
config::Reloaded configure_again(const ConfigOptions& options, const config::Loaded& running);
// Null: the Redis door is plain. Errors: InvalidArgument, naming the file.
Result<std::shared_ptr<runtime::Tls>> load_tls(const config::Settings& settings);
runtime::TlsFiles tls_files(const config::Settings& settings);
// Prints the problems, which there are, and returns kUsage.
int tell_problems(const char* command, const config::Loaded& loaded);

}  // namespace asterias::app
