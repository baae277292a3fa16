#include "app/log_sink.h"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

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

std::string escaped(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return out;
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
        if (form_ == LogForm::Json)
            logger_->log(level_of(level), R"("node":"{}","room":"{}","text":"{}")", prefix_, room,
                         escaped(text));
        else
            logger_->log(level_of(level), "{}{}{}: {}", prefix_, prefix_.empty() ? "" : " ", room,
                         text);
        if (const size_t lost = pool_->overrun_counter(); lost != lost_.exchange(lost))
            logger_->log(spdlog::level::warn, "log: {} lines were dropped so far", lost);
    }
    bool enabled(LogLevel level) const override { return level >= lowest_; }

private:
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
