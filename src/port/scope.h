// port/scope.h: structured concurrency. Every background task is spawned into its owner's Scope;
// the owner requests stop and awaits close() before it dies, so a member coroutine may trust
// `this`. `grep spawn` lists every fiber of the program.
#pragma once

#include <string_view>

#include "port/shard.h"
#include "port/sync.h"
#include "port/task.h"

namespace asterias::port {

class Scope {
public:
    explicit Scope(Shard& shard) : shard_(shard) {}
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    // CHECKs that nothing is left, or (crashed shard) destroys what is left.
    ~Scope();

    // Starts `task` at once, up to its first suspension. `name` is a literal, for diagnostics.
    void spawn(std::string_view name, Task<void> task);
    // Asks tasks to end; they see it through stop_requested() when they next look.
    void request_stop() { stop_ = true; }
    bool stop_requested() const { return stop_; }
    // Completes when the last task has ended. Called once.
    Task<void> close();
    size_t active() const { return active_; }

private:
    struct Fiber;  // a running root task, in an intrusive list
    struct Node {
        Node* prev = this;
        Node* next = this;
        std::coroutine_handle<> handle;
        std::string_view name;
    };
    static Fiber run(Scope& scope, std::string_view name, Task<void> task);

    Shard& shard_;
    Node fibers_;
    size_t active_ = 0;
    bool stop_ = false;
    std::coroutine_handle<> closer_;
};

}  // namespace asterias::port
