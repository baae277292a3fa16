// app/secret.h: words that must not be seen. Threading: one thread.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace asterias::app {

// A line of `fd`. On a terminal `prompt` is shown on standard error and what is typed is not;
// nothing: Ctrl-C, or the end of the input.
std::optional<std::string> read_secret(int fd, const std::string& prompt);
// The same from the terminal of this process; nothing, too, if it has none.
std::optional<std::string> ask_secret(const std::string& prompt);
// The first line of a file.
Result<std::string> secret_in(const std::string& path);

}  // namespace asterias::app
