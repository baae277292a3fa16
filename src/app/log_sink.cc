#include "app/log_sink.h"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "app/text.h"

namespace asterias::app {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
    switch (level) {
        case LogLevel::Debug:
            return spdlog::level::debug;
        case LogLevel::Info:
            return spdlog::level::info;
        case LogLevel::Warn:
            return spdlog::level::warn;
        case LogLevel::Error:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

class StderrSink : public LogSink {
public:
    StderrSink(LogLevel lowest, LogForm form, std::string prefix)
        : lowest_(lowest),
          form_(form),
          prefix_(std::move(prefix)),
          pool_(std::make_shared<spdlog::details::thread_pool>(8192, 1)),
          logger_(std::make_shared<spdlog::async_logger>(
              "asterias", std::make_shared<spdlog::sinks::stderr_sink_mt>(), pool_,
              spdlog::async_overflow_policy::overrun_oldest)) {
        logger_->set_level(level_of(lowest));
        logger_->flush_on(spdlog::level::info);
        if (form == LogForm::Json)
            logger_->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l",%v})",
                                 spdlog::pattern_time_type::utc);
        else
            logger_->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%-5l%$ %v");
    }
    void write(LogLevel level, std::string_view room, std::string text) override {
        put(level, room, text);
        if (const size_t lost = pool_->overrun_counter(); lost != lost_.exchange(lost))
            put(LogLevel::Warn, "log", std::to_string(lost) + " lines were dropped so far");
    }
    bool enabled(LogLevel level) const override { return level >= lowest_; }

private:
    void put(LogLevel level, std::string_view room, const std::string& text) {
        if (form_ == LogForm::Json)
            logger_->log(level_of(level), R"("node":{},"room":{},"text":{})", json_string(prefix_),
                         json_string(room), json_string(text));
        else
            logger_->log(level_of(level), "{}{}{}: {}", prefix_, prefix_.empty() ? "" : " ", room,
                         text);
    }

    const LogLevel lowest_;
    const LogForm form_;
    const std::string prefix_;
    std::shared_ptr<spdlog::details::thread_pool> pool_;
    std::shared_ptr<spdlog::async_logger> logger_;
    std::atomic<size_t> lost_{0};
};

}  // namespace

std::unique_ptr<LogSink> make_log_sink(LogLevel lowest, LogForm form, std::string prefix) {
    return std::make_unique<StderrSink>(lowest, form, std::move(prefix));
}

}  // namespace asterias::app
