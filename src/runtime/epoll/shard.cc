#include "runtime/epoll/shard.h"

#include <algorithm>
#include <cerrno>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <thread>
#include <unistd.h>

#include "base/check.h"
#include "base/mutant.h"
#include "runtime/epoll/disk.h"
#include "runtime/epoll/net.h"

namespace asterias::runtime {

Common::Common(RuntimeOptions o, Registry& r, Log l)
    : options(o),
      registry(r),
      log(l),
      blocking("ast-blocking", o.blocking_threads),
      listens(std::make_unique<ListenTable>()) {}
Common::~Common() = default;

EpollShard::Metrics::Metrics(Registry& r, const std::string& l)
    : turns(r.counter("asterias_loop_turns_total", "turns of the event loop", l)),
      slow_turns(r.counter("asterias_loop_slow_turns_total", "turns longer than slow_turn", l)),
      receives(r.counter("asterias_net_receives_total", "receive calls", l)),
      received_bytes(r.counter("asterias_net_received_bytes_total", "bytes received", l)),
      sends(r.counter("asterias_net_sends_total", "send calls", l)),
      sent_bytes(r.counter("asterias_net_sent_bytes_total", "bytes sent", l)),
      accepts(r.counter("asterias_net_accepts_total", "connections accepted", l)),
      accept_errors(r.counter("asterias_net_accept_errors_total",
                              "connections refused for want of descriptors or by the limit", l)),
      wakeups(r.counter("asterias_loop_wakeups_total", "wake-ups by another thread", l)) {}

Result<std::unique_ptr<EpollShard>> EpollShard::create(Common& common, ShardId id) {
    auto poller = TRY(Poller::create());
    Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake.valid()) return errno_fail(errno, "eventfd");
    auto shard =
        std::unique_ptr<EpollShard>(new EpollShard(common, id, std::move(poller), std::move(wake)));
    // Edge-triggered: each write to the eventfd is an event, and nobody needs to read it.
    TRY(shard->poller_.add(shard->wake_.get(), EPOLLIN | EPOLLET, *shard));
    return shard;
}

EpollShard::EpollShard(Common& common, ShardId id, Poller poller, Fd wake)
    : common_(common),
      id_(id),
      log_(common.log.named("runtime")),
      metrics_(common.registry, label()),
      poller_(std::move(poller)),
      wake_(std::move(wake)),
      now_(monotonic_now()),
      net_(std::make_unique<EpollNet>(*this)),
      disk_(std::make_unique<EpollDisk>(*this)) {}

EpollShard::~EpollShard() = default;

port::Net& EpollShard::net() { return *net_; }
port::Disk& EpollShard::disk() { return *disk_; }

void EpollShard::submit(ShardId to, port::Callback fn) {
    // Also from threads that are no shard's (the engine's readers): only the own thread may post.
    if (to == id_ && std::this_thread::get_id() == loop_thread_) return post(std::move(fn));
    CHECK(to.value < common_.shards.size(), "messages go to shards of this node");
    common_.shards[to.value]->deliver(std::move(fn));
}

void EpollShard::deliver(port::Callback fn) {
    bool wake = false;
    {
        const std::lock_guard lock(inbox_mutex_);
        inbox_.push_back(std::move(fn));
        inbox_filled_.store(true, std::memory_order_relaxed);
        wake = std::exchange(asleep_, false);
    }
    if (MUTANT(epoll_submit_no_wake)) return;
    if (!wake) return;
    const uint64_t one = 1;
    CHECK(::write(wake_.get(), &one, sizeof one) == sizeof one, "an eventfd takes 2^64 wake-ups");
}

void EpollShard::on_ready(uint32_t) { metrics_.wakeups.add(); }

void EpollShard::request_stop() {
    deliver([this] { stopping_ = true; });
}

void EpollShard::add_turn_hook(port::TurnPhase phase, port::TurnHook& hook) {
    hooks_[static_cast<size_t>(phase)].push_back(&hook);
}

// Leaves a gap, because the list may be being walked; run_hooks closes it.
void EpollShard::remove_turn_hook(port::TurnHook& hook) {
    for (auto& list : hooks_)
        std::ranges::replace(list, &hook, nullptr);
}

void EpollShard::fatal(const char* why) {
    const std::string text =
        "asterias: fatal, shard " + to_string(id_) + ": " + why + "; the process ends here\n";
    // Straight to the descriptor: a log queue may never be drained again.
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
    ::_exit(1);
}

uint64_t EpollShard::next() {
    if (random_left_ == 0) {
        CHECK(::getrandom(random_.data(), sizeof random_, 0) == sizeof random_,
              "up to 256 bytes of randomness always come whole");
        random_left_ = random_.size();
    }
    return random_[--random_left_];
}

// For how long the loop may sleep; announces the sleep to deliver().
Duration EpollShard::idle_time() {
    if (!posted_.empty() || !again_.empty() || net_->has_unsent()) return Duration::zero();
    Duration timeout(-1);
    if (const auto deadline = timers_.next_deadline(); deadline) {
        // The turn may have taken a while: its now() is not the time to count from.
        timeout = std::max(*deadline - monotonic_now(), Duration::zero());
        if (timeout == Duration::zero()) return timeout;
    }
    const std::lock_guard lock(inbox_mutex_);
    if (!inbox_.empty()) return Duration::zero();
    asleep_ = slept_ = true;
    return timeout;
}

void EpollShard::loop() {
    loop_thread_ = std::this_thread::get_id();
    while (!stopping_) {
        const size_t ready = poller_.wait(idle_time());
        turn(ready);
    }
}

void EpollShard::turn(size_t ready) {
    turn_flag_.begin();
    now_ = monotonic_now();
    poller_.dispatch(ready);
    again_running_.swap(again_);
    for (const Token token : again_running_)
        if (Pollable* owner = poller_.find(token)) owner->on_ready(0);
    again_running_.clear();
    drain_inbox();
    timers_.run_due(now_);
    run_posted();
    run_hooks(port::TurnPhase::Work);
    net_->flush();
    run_hooks(port::TurnPhase::Sync);
    end_turn();
    turn_flag_.end();
}

void EpollShard::drain_inbox() {
    const bool slept = std::exchange(slept_, false);
    if (!slept && !inbox_filled_.load(std::memory_order_relaxed)) return;
    {
        const std::lock_guard lock(inbox_mutex_);
        asleep_ = false;
        inbox_filled_.store(false, std::memory_order_relaxed);
        inbox_running_.swap(inbox_);
    }
    for (auto& fn : inbox_running_)
        fn();
    inbox_running_.clear();
}

void EpollShard::run_posted() {
    while (!posted_.empty()) {
        running_.swap(posted_);
        for (auto& fn : running_)
            fn();
        running_.clear();
    }
}

void EpollShard::run_hooks(port::TurnPhase phase) {
    auto& hooks = hooks_[static_cast<size_t>(phase)];
    bool gaps = false;
    for (size_t i = 0; i < hooks.size(); ++i) {
        if (hooks[i]) hooks[i]->on_turn_end();
        gaps |= hooks[i] == nullptr;
    }
    if (gaps) std::erase(hooks, nullptr);
}

void EpollShard::end_turn() {
    const auto count = [](Counter& counter, uint64_t n) {
        if (n > 0) counter.add(n);
    };
    metrics_.turns.add();
    count(metrics_.receives, counts_.receives);
    count(metrics_.received_bytes, counts_.received_bytes);
    count(metrics_.sends, counts_.sends);
    count(metrics_.sent_bytes, counts_.sent_bytes);
    count(metrics_.accepts, counts_.accepts);
    count(metrics_.accept_errors, counts_.accept_errors);
    const Instant end = monotonic_now();
    if (end - now_ > common_.options.slow_turn) {
        metrics_.slow_turns.add();
        uint64_t held_back = 0;
        if (slow_turn_gate_.open(end, held_back)) {
            const auto ms = [](Duration d) { return std::to_string(d / milliseconds(1)) + " ms"; };
            log_.warn("a turn of shard " + to_string(id_) + " took " + ms(end - now_) +
                      ", of it in disk syncs " + ms(counts_.inline_sync) + " (" +
                      std::to_string(held_back) + " more not shown)");
        }
    }
    counts_ = {};
}

}  // namespace asterias::runtime
