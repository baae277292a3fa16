// runtime/sim/tiny_shard.h: the smallest port::Shard that can run a task: one node, one shard,
// virtual time, no network. For unit tests of rooms that need a disk and timers only.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/prng.h"
#include "port/scope.h"
#include "port/shard.h"
#include "port/task.h"

namespace asterias::sim {

class TinyShard final : public port::Shard, port::Clock, port::Timers, port::Entropy {
public:
    explicit TinyShard(uint64_t seed) : prng_(seed) {}

    void use(port::Disk& disk) { disk_ = &disk; }
    void set_crashed() { crashed_ = true; }
    const std::string& fatal_text() const { return fatal_; }

    // One turn: what is ready, or else the next timer. False when nothing will ever happen.
    bool step() {
        if (ready_.empty() && !dirty_) {
            if (timers_.empty()) return false;
            auto next = timers_.begin();
            now_ = std::max(now_, next->first.first);
            port::Callback fn = std::move(next->second);
            timers_.erase(next);
            fn();
        }
        dirty_ = false;
        while (!ready_.empty()) {
            port::Callback fn = std::move(ready_.front());
            ready_.pop_front();
            fn();
        }
        for (auto phase : {port::TurnPhase::Work, port::TurnPhase::Sync})
            for (const auto& [when, hook] : std::vector(hooks_))
                if (when == phase) hook->on_turn_end();
        return true;
    }
    // Work was handed in from outside of a turn: let one happen.
    void touch() { dirty_ = true; }

    ShardId id() const override { return ShardId(0); }
    port::Clock& clock() override { return *this; }
    port::Timers& timers() override { return *this; }
    port::Entropy& entropy() override { return *this; }
    port::Net& net() override { check_failed("net", "a tiny shard has no network"); }
    port::Disk& disk() override { return *disk_; }
    void post(port::Callback fn) override { ready_.push_back(std::move(fn)); }
    void submit(ShardId, port::Callback fn) override { post(std::move(fn)); }
    size_t shard_count() const override { return 1; }
    void add_turn_hook(port::TurnPhase phase, port::TurnHook& hook) override {
        hooks_.emplace_back(phase, &hook);
    }
    void remove_turn_hook(port::TurnHook& hook) override {
        std::erase_if(hooks_, [&](const auto& h) { return h.second == &hook; });
    }
    bool crashed() const override { return crashed_; }
    void fatal(const char* why) override { fatal_ = why; }

    Instant now() const override { return now_; }
    WallTime wall() const override { return {now_.time_since_epoch().count() / 1000}; }
    port::TimerId after(Duration delay, port::Callback fn) override {
        const port::TimerId id(++last_timer_);
        timers_.emplace(std::pair(now_ + delay, id), std::move(fn));
        return id;
    }
    void cancel(port::TimerId id) override {
        std::erase_if(timers_, [&](const auto& t) { return t.first.second == id; });
    }
    uint64_t next() override { return prng_.next(); }

private:
    Prng prng_;
    port::Disk* disk_ = nullptr;
    Instant now_{};
    uint64_t last_timer_ = 0;
    std::map<std::pair<Instant, port::TimerId>, port::Callback> timers_;
    std::deque<port::Callback> ready_;
    std::vector<std::pair<port::TurnPhase, port::TurnHook*>> hooks_;
    bool dirty_ = false, crashed_ = false;
    std::string fatal_;
};

// Runs `task` into `out`; both outlive it.
template <typename T>
port::Task<> deliver(port::Task<T> task, std::optional<T>* out) {
    out->emplace(co_await std::move(task));
}

// `task` to its end. Nothing if the shard ran dry first.
template <typename T>
std::optional<T> run(TinyShard& shard, port::Task<T> task) {
    std::optional<T> out;
    port::Scope scope(shard);
    scope.spawn("test.run", deliver(std::move(task), &out));
    while (!out && shard.step()) {
    }
    return out;
}

}  // namespace asterias::sim
