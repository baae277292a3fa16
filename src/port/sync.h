// port/sync.h: how tasks wait for each other on one shard. Resumption always goes through
// Shard::post, never inline: whoever notifies keeps its own invariants until it returns.
#pragma once

#include <coroutine>
#include <optional>
#include <vector>

#include "base/check.h"
#include "port/shard.h"
#include "port/task.h"

namespace asterias::port {

// One value, set once, awaited once. Lives in the waiter's frame or owner; it must outlive the
// setter's use of it. Awaiting after set() does not suspend.
template <typename T>
class OneShot {
public:
    explicit OneShot(Shard& shard) : shard_(shard) {}
    OneShot(const OneShot&) = delete;
    OneShot& operator=(const OneShot&) = delete;

    bool is_set() const { return value_.has_value(); }
    void set(T value) {
        CHECK(!value_, "a OneShot is set once");
        value_.emplace(std::move(value));
        if (waiter_) shard_.post([w = std::exchange(waiter_, {})] { w.resume(); });
    }
    auto operator co_await() noexcept {
        struct Awaiter {
            OneShot& self;
            bool await_ready() const noexcept { return self.value_.has_value(); }
            void await_suspend(std::coroutine_handle<> h) noexcept { self.waiter_ = h; }
            T await_resume() { return std::move(*self.value_); }
        };
        return Awaiter{*this};
    }

private:
    Shard& shard_;
    std::optional<T> value_;
    std::coroutine_handle<> waiter_;
};

// A level: notify() lets one wait() pass, now or later; several notifications before a wait are
// one.
class Signal {
public:
    explicit Signal(Shard& shard) : shard_(shard) {}
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;

    void notify() {
        if (waiter_) {
            shard_.post([w = std::exchange(waiter_, {})] { w.resume(); });
        } else {
            set_ = true;
        }
    }
    // At most one waiter at a time.
    auto wait() noexcept {
        struct Awaiter {
            Signal& self;
            bool await_ready() const noexcept { return std::exchange(self.set_, false); }
            void await_suspend(std::coroutine_handle<> h) {
                CHECK(!self.waiter_, "a Signal has one waiter");
                self.waiter_ = h;
            }
            void await_resume() const noexcept {}
        };
        return Awaiter{*this};
    }

private:
    Shard& shard_;
    bool set_ = false;
    std::coroutine_handle<> waiter_;
};

// co_await sleep(shard, d). The owner's Scope must outlive the timer or the shard have crashed.
inline auto sleep(Shard& shard, Duration delay) {
    struct Awaiter {
        Shard& shard;
        Duration delay;
        TimerId timer{};
        Awaiter(Shard& s, Duration d) : shard(s), delay(d) {}
        Awaiter(const Awaiter&) = delete;
        ~Awaiter() {
            if (timer) shard.timers().cancel(timer);
        }
        bool await_ready() const noexcept { return delay <= Duration::zero(); }
        void await_suspend(std::coroutine_handle<> h) {
            timer = shard.timers().after(delay, [this, h] {
                timer = {};
                h.resume();
            });
        }
        void await_resume() const noexcept {}
    };
    return Awaiter(shard, delay);
}

}  // namespace asterias::port
