// runtime/epoll/poller.h: one epoll instance. Registrations are named by tokens that are never
// reused soon, so an event that was fetched before its owner died finds nobody instead of a ghost.
#pragma once

#include <cstdint>
#include <optional>
#include <sys/epoll.h>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/epoll/system.h"

namespace asterias::runtime {

class Pollable {
public:
    // `events`: EPOLL*; 0 when it was called again by its own wish (EpollShard::again).
    virtual void on_ready(uint32_t events) = 0;

protected:
    ~Pollable() = default;
};

using Token = uint64_t;  // 0: none

class Poller {
public:
    static constexpr size_t kEventsPerTurn = 512;

    static Result<Poller> create();

    // Errors: Limit.
    Result<Token> add(int fd, uint32_t events, Pollable& owner);
    void modify(Token token, int fd, uint32_t events);
    // The caller closes `fd` itself, afterwards.
    void remove(Token token, int fd);
    // Null if it was removed.
    Pollable* find(Token token) const;

    // Waits until something is ready or `timeout` has passed (negative: for ever).
    size_t wait(Duration timeout);
    // Calls the owners of what wait() found.
    void dispatch(size_t count);

private:
    struct Slot {
        Pollable* owner = nullptr;
        uint32_t generation = 1;
    };
    Fd epoll_;
    bool has_pwait2_ = true;
    std::vector<Slot> slots_;
    std::vector<uint32_t> free_;
    std::vector<epoll_event> events_;
};

}  // namespace asterias::runtime
