// app/operate.h: what the commands that ask a node's HTTP door share. They say on standard error
// what went wrong, and return the exit code.
#pragma once

#include <string>

#include "app/client.h"

namespace asterias::app {

// `flag` is the option that the text comes from.
Result<port::Address> door_of(const std::string& text, const char* command, const char* flag);
int unreachable(const Error& error, const char* command, const char* flag);
// The node answered, but not with what was asked for.
int failed(const HttpAnswer& answer, const char* command);

}  // namespace asterias::app
