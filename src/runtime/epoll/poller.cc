#include "runtime/epoll/poller.h"

#include <cerrno>

#include "base/check.h"

namespace asterias::runtime {
namespace {
uint32_t slot_of(Token token) { return static_cast<uint32_t>(token); }
uint32_t generation_of(Token token) { return static_cast<uint32_t>(token >> 32); }
}  // namespace

Result<Poller> Poller::create() {
    Poller poller;
    poller.epoll_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
    if (!poller.epoll_.valid()) return errno_fail(errno, "epoll_create1");
    poller.events_.resize(kEventsPerTurn);
    return poller;
}

Result<Token> Poller::add(int fd, uint32_t events, Pollable& owner) {
    if (free_.empty()) {
        free_.push_back(static_cast<uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    const uint32_t slot = free_.back();
    const Token token = uint64_t{slots_[slot].generation} << 32 | slot;
    epoll_event event{.events = events, .data = {.u64 = token}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
        return errno_fail(errno, "epoll_ctl");
    free_.pop_back();
    slots_[slot].owner = &owner;
    return token;
}

void Poller::modify(Token token, int fd, uint32_t events) {
    epoll_event event{.events = events, .data = {.u64 = token}};
    CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0, "the descriptor is there");
}

void Poller::remove(Token token, int fd) {
    CHECK(find(token), "what is removed was added");
    Slot& slot = slots_[slot_of(token)];
    slot.owner = nullptr;
    if (++slot.generation == 0) slot.generation = 1;
    free_.push_back(slot_of(token));
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

Pollable* Poller::find(Token token) const {
    if (token == 0) return nullptr;
    const Slot& slot = slots_[slot_of(token)];
    return slot.generation == generation_of(token) ? slot.owner : nullptr;
}

size_t Poller::wait(Duration timeout) {
    const auto most = static_cast<int>(events_.size());
    int n = -1;
    if (timeout > Duration::zero() && has_pwait2_) {
        const timespec t{.tv_sec = timeout.count() / 1'000'000'000,
                         .tv_nsec = timeout.count() % 1'000'000'000};
        n = ::epoll_pwait2(epoll_.get(), events_.data(), most, &t, nullptr);
        // Linux before 5.11; or a sandbox that does not know the call yet.
        if (n < 0 && (errno == ENOSYS || errno == EPERM)) has_pwait2_ = false;
    }
    if (timeout <= Duration::zero() || !has_pwait2_) {
        // Rounded up: a loop that wakes early only goes to sleep again.
        const auto ms = std::chrono::ceil<milliseconds>(timeout).count();
        n = ::epoll_wait(epoll_.get(), events_.data(), most,
                         timeout < Duration::zero()
                             ? -1
                             : static_cast<int>(std::min<int64_t>(ms, 24 * 3600 * 1000)));
    }
    if (n < 0) {
        CHECK(errno == EINTR, "epoll_wait fails only when interrupted");
        return 0;
    }
    return static_cast<size_t>(n);
}

void Poller::dispatch(size_t count) {
    for (size_t i = 0; i < count; ++i)
        if (Pollable* owner = find(events_[i].data.u64)) owner->on_ready(events_[i].events);
}

}  // namespace asterias::runtime
