// engine/conformance/test_shard.h: the smallest shard that an engine's asynchronous calls need, for
// tests: a queue that other threads may submit to, and virtual timers. No net, no disk.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>

#include "port/engine.h"
#include "port/scope.h"
#include "port/shard.h"

namespace asterias::engine {

class TestShard final : public port::Shard, port::Clock, port::Timers, port::Entropy {
public:
    explicit TestShard(ShardId id = ShardId(0)) : id_(id) {}

    // Runs what is ready, else the next timer, else waits for another thread, until `done()`.
    void run_until(const std::function<bool()>& done);
    // engine.get() to its end.
    Result<std::optional<Bytes>> read(port::Engine& engine, std::string_view key);
    // engine.scan() to its end, without an upper bound.
    Result<std::vector<port::KeyValue>> scan(port::Engine& engine, std::string_view from,
                                             port::ScanLimit limit);

    Result<void> add(port::Staging& staging, std::vector<port::KeyValue> content);
    Result<void> install(port::Staging& staging, port::EngineBatch meta);
    // A whole install, of content that fits in memory.
    Result<void> install(port::Engine& engine, std::vector<port::Span> spans,
                         std::vector<port::KeyValue> content, port::EngineBatch meta = {});

    ShardId id() const override { return id_; }
    port::Clock& clock() override { return *this; }
    port::Timers& timers() override { return *this; }
    port::Entropy& entropy() override { return *this; }
    port::Net& net() override;
    port::Disk& disk() override;
    void post(port::Callback fn) override { submit(id_, std::move(fn)); }
    void submit(ShardId to, port::Callback fn) override;  // thread-safe
    size_t shard_count() const override { return 1; }
    void add_turn_hook(port::TurnPhase, port::TurnHook&) override {}
    void remove_turn_hook(port::TurnHook&) override {}
    void fatal(const char* why) override { check_failed("Shard::fatal", why); }

private:
    template <typename T>
    T wait_for(port::Task<T> asked);

    Instant now() const override { return now_; }
    WallTime wall() const override { return {}; }
    port::TimerId after(Duration delay, port::Callback fn) override;
    void cancel(port::TimerId id) override;
    uint64_t next() override { return ++entropy_; }

    const ShardId id_;
    std::mutex mutex_;
    std::condition_variable submitted_;
    std::deque<port::Callback> ready_;
    std::map<std::pair<Instant, uint64_t>, port::Callback> timers_;
    Instant now_{};
    uint64_t last_timer_ = 0;
    uint64_t entropy_ = 0;
};

}  // namespace asterias::engine
