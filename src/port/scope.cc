#include "port/scope.h"

#include <exception>

namespace asterias::port {

struct Scope::Fiber {
    struct promise_type {
        Scope& scope;
        Node node;

        promise_type(Scope& s, std::string_view name, Task<void>&) : scope(s) {
            node.handle = std::coroutine_handle<promise_type>::from_promise(*this);
            node.name = name;
            node.prev = scope.fibers_.prev;
            node.next = &scope.fibers_;
            node.prev->next = node.next->prev = &node;
            ++scope.active_;
        }
        ~promise_type() {
            node.prev->next = node.next;
            node.next->prev = node.prev;
            if (--scope.active_ == 0 && scope.closer_)
                scope.shard_.post([c = std::exchange(scope.closer_, {})] { c.resume(); });
        }
        static void* operator new(size_t bytes) { return allocate_frame(bytes); }
        static void operator delete(void* frame, size_t bytes) noexcept {
            free_frame(frame, bytes);
        }

        Fiber get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { check_failed("no exception", "an exception escaped a fiber"); }
    };
};

Scope::Fiber Scope::run(Scope&, std::string_view, Task<void> task) { co_await std::move(task); }

void Scope::spawn(std::string_view name, Task<void> task) { run(*this, name, std::move(task)); }

Scope::~Scope() {
    if (shard_.crashed()) {
        closer_ = {};
        while (fibers_.next != &fibers_)
            fibers_.next->handle.destroy();
    }
    CHECK(active_ == 0, "a Scope is closed before it dies");
}

Task<void> Scope::close() {
    stop_ = true;
    if (active_ == 0) co_return;
    struct Awaiter {
        Scope& scope;
        bool await_ready() const noexcept { return scope.active_ == 0; }
        void await_suspend(std::coroutine_handle<> h) { scope.closer_ = h; }
        void await_resume() const noexcept {}
    };
    co_await Awaiter{*this};
}

}  // namespace asterias::port
