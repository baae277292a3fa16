// app/operate.h: what the commands that ask a node's HTTP door share. They say on standard error
// what went wrong, with --json also as {"error":..,"exit_code":..} on standard output, and return
// the exit code.
#pragma once

#include <string>

#include "app/client.h"

namespace asterias::app {

// A command, as it was called.
struct Caller {
    const char* command;
    const char* flag;  // the option that names the node to ask
    bool json;

    void tell(const std::string& text) const;
    int fail(int exit_code, const std::string& text) const;
};

// Said already when it is an error.
Result<port::Address> door_of(const std::string& text, const Caller& caller);
int unreachable(const Error& error, const Caller& caller);
// The node answered, but not with what was asked for.
int failed(const HttpAnswer& answer, const Caller& caller);
// What it says instead.
std::string error_in(const HttpAnswer& answer);

}  // namespace asterias::app
