// app/log_sink.h: the node's log on standard error, one line each; safe from any thread. A bounded
// queue to one writer thread: when it is full the oldest lines go, and their number is said.
#pragma once

#include <memory>

#include "base/log.h"

namespace asterias::app {

enum class LogForm : unsigned char { Human, Json };

// `prefix` stands in every line ("n1"), empty: none.
std::unique_ptr<LogSink> make_log_sink(LogLevel lowest, LogForm form, std::string prefix);

}  // namespace asterias::app
