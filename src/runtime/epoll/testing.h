// runtime/epoll/testing.h: what the tests of this room share: a Runtime that runs one task per
// shard and stops when all have ended.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/mutant.h"
#include "port/scope.h"
#include "port/shard.h"
#include "runtime/epoll/runtime.h"

namespace asterias::runtime {

class MemorySink final : public LogSink {
public:
    void write(LogLevel, std::string_view, std::string text) override {
        const std::lock_guard lock(mutex_);
        text_ += text + "\n";
    }
    bool enabled(LogLevel) const override { return true; }
    std::string text() const {
        const std::lock_guard lock(mutex_);
        return text_;
    }

private:
    mutable std::mutex mutex_;
    std::string text_;
};

// In the mutant build: switches the planted bug on that $ASTERIAS_MUTANT names.
inline void choose_mutant() {
#ifdef ASTERIAS_MUTANTS
    if (const char* name = std::getenv("ASTERIAS_MUTANT")) set_mutant(name);
#endif
}

class World {
public:
    explicit World(RuntimeOptions options = {})
        : runtime_(std::move(*Runtime::create(options, registry, Log(sink, "test")))) {
        choose_mutant();
    }

    using Body = std::function<port::Task<void>(port::Shard&)>;
    // Runs `body` as the only root task, on shard 0. A lambda may capture: it lives for the whole
    // run.
    void run(Body body) {
        runtime_->run([this, &body](port::Shard& shard) {
            if (shard.id() != ShardId(0)) return;
            scope_ = std::make_unique<port::Scope>(shard);
            scope_->spawn("test", root(*this, body(shard)));
        });
        scope_.reset();
    }
    Runtime& runtime() { return *runtime_; }

    Registry registry;
    MemorySink sink;

private:
    static port::Task<void> root(World& world, port::Task<void> body) {
        co_await std::move(body);
        world.runtime_->stop();
    }
    std::unique_ptr<Runtime> runtime_;
    std::unique_ptr<port::Scope> scope_;
};

class TempDirectory {
public:
    TempDirectory() {
        std::string path = (std::filesystem::temp_directory_path() / "asterias-XXXXXX").string();
        path_ = ::mkdtemp(path.data());
    }
    ~TempDirectory() { std::filesystem::remove_all(path_); }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace asterias::runtime
