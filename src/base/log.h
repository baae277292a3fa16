// base/log.h: what rooms say to the operator. The sink is handed in by the composition root
// (app: a bounded queue to standard error; simulator: the trace); there is no global logger.
#pragma once

#include <string>
#include <string_view>

namespace asterias {

enum class LogLevel : unsigned char { Debug, Info, Warn, Error };

std::string_view to_string(LogLevel level);

class LogSink {
public:
    virtual ~LogSink() = default;
    // `room` names the speaker ("journal"). Never blocks; may drop, and then counts.
    virtual void write(LogLevel level, std::string_view room, std::string text) = 0;
    virtual bool enabled(LogLevel level) const = 0;
};

// A speaker: cheap to copy; its sink outlives it.
class Log {
public:
    Log(LogSink& sink, std::string_view room) : sink_(&sink), room_(room) {}
    Log named(std::string_view room) const { return Log(*sink_, room); }

    bool debug_enabled() const { return sink_->enabled(LogLevel::Debug); }
    void debug(std::string text) const { say(LogLevel::Debug, std::move(text)); }
    void info(std::string text) const { say(LogLevel::Info, std::move(text)); }
    void warn(std::string text) const { say(LogLevel::Warn, std::move(text)); }
    void error(std::string text) const { say(LogLevel::Error, std::move(text)); }

private:
    void say(LogLevel level, std::string text) const {
        if (sink_->enabled(level)) sink_->write(level, room_, std::move(text));
    }
    LogSink* sink_;
    std::string_view room_;  // a literal
};

}  // namespace asterias
