// runtime/epoll/workers.h: threads for calls that block. A job runs on one of them and its result
// comes back to the shard that asked, as a resumption like any other.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

#include "port/task.h"

namespace asterias::runtime {

class EpollShard;

class Workers {
public:
    using Job = std::move_only_function<void()>;

    // `name` (a literal, at most 15 characters) is what ps shows; threads start with the first job.
    Workers(const char* name, size_t threads) : name_(name), most_(threads) {}
    ~Workers() { join(); }
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    // Thread-safe.
    void push(Job job);
    // Finishes the running jobs, drops the waiting ones. Nothing may be pushed afterwards.
    void join();

private:
    void work();

    const char* const name_;
    const size_t most_;
    std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<Job> jobs_;
    std::vector<std::thread> threads_;
    size_t idle_ = 0;
    bool stopping_ = false;
};

namespace detail {
void resume_on(EpollShard& shard, std::move_only_function<void()> fn);
}

// Runs `fn` on `workers` and resumes the awaiting task on `shard`. The task may be destroyed
// meanwhile: the job then finishes for nobody, so `fn` owns all that it touches.
template <typename Fn>
auto run_on(Workers& workers, EpollShard& shard, Fn fn) -> port::Task<std::invoke_result_t<Fn&>> {
    using R = std::invoke_result_t<Fn&>;
    struct State {
        explicit State(Fn&& f) : fn(std::move(f)) {}
        Fn fn;
        std::optional<R> result;
        std::coroutine_handle<> waiter;  // touched on the shard only
    };
    struct Awaiter {
        Workers& workers;
        EpollShard& shard;
        std::shared_ptr<State> state;
        Awaiter(Workers& w, EpollShard& s, Fn&& f)
            : workers(w), shard(s), state(std::make_shared<State>(std::move(f))) {}
        Awaiter(const Awaiter&) = delete;
        ~Awaiter() { state->waiter = {}; }
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> h) {
            state->waiter = h;
            workers.push([&to = shard, s = state]() mutable {
                s->result.emplace(s->fn());
                detail::resume_on(to, [s = std::move(s)] {
                    if (s->waiter) s->waiter.resume();
                });
            });
        }
        R await_resume() { return std::move(*state->result); }
    };
    co_return co_await Awaiter(workers, shard, std::move(fn));
}

}  // namespace asterias::runtime
