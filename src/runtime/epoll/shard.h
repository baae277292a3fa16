// runtime/epoll/shard.h: one event loop: the turns that port/shard.h promises, over epoll.
// A turn: what epoll reported, what asked to be called again, what other threads delivered, timers
// that are due, posted callbacks until none are left; then hooks, one write per connection, hooks.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "port/shard.h"
#include "runtime/epoll/poller.h"
#include "runtime/epoll/runtime.h"
#include "runtime/epoll/stall.h"
#include "runtime/epoll/timers.h"
#include "runtime/epoll/workers.h"

namespace asterias::runtime {

class EpollDisk;
class EpollNet;
class EpollShard;
class ListenTable;

// What the shards of one Runtime share.
struct Common {
    const RuntimeOptions options;
    Registry& registry;
    const Log log;
    Workers blocking;
    std::unique_ptr<ListenTable> listens;
    std::vector<std::unique_ptr<EpollShard>> shards;

    Common(RuntimeOptions o, Registry& r, Log l);
    ~Common();
};

// Counted in plain integers during a turn and added to the registry at its end.
struct TurnCounts {
    uint64_t receives = 0, received_bytes = 0, sends = 0, sent_bytes = 0;
    uint64_t accepts = 0, accept_errors = 0;
    Duration inline_sync{};
};

class EpollShard final : public port::Shard,
                         private port::Clock,
                         private port::Entropy,
                         private Pollable {
public:
    // Errors: Limit.
    static Result<std::unique_ptr<EpollShard>> create(Common& common, ShardId id);
    ~EpollShard() override;

    ShardId id() const override { return id_; }
    port::Clock& clock() override { return *this; }
    port::Timers& timers() override { return timers_; }
    port::Entropy& entropy() override { return *this; }
    port::Net& net() override;
    port::Disk& disk() override;
    void post(port::Callback fn) override { posted_.push_back(std::move(fn)); }
    void submit(ShardId to, port::Callback fn) override;
    size_t shard_count() const override { return common_.shards.size(); }
    void add_turn_hook(port::TurnPhase phase, port::TurnHook& hook) override;
    void remove_turn_hook(port::TurnHook& hook) override;
    [[noreturn]] void fatal(const char* why) override;

    // Below: for the other files of this room.

    // Thread-safe: runs `fn` here, in order of delivery; wakes the loop only if it may be asleep.
    void deliver(port::Callback fn);
    // Runs turns on the calling thread until request_stop().
    void loop();
    void request_stop();  // thread-safe

    Instant now() const override { return now_; }
    Poller& poller() { return poller_; }
    // Calls the owner of `token` with no events in the next turn, which begins at once.
    void again(Token token) { again_.push_back(token); }
    Common& common() { return common_; }
    const Log& log() const { return log_; }
    TurnCounts& counts() { return counts_; }
    std::string label() const { return "shard=\"" + to_string(id_) + "\""; }
    const StallFlag& turn_flag() const { return turn_flag_; }
    const EpollDisk& epoll_disk() const { return *disk_; }

private:
    struct Metrics {
        Counter &turns, &slow_turns, &receives, &received_bytes, &sends, &sent_bytes, &accepts,
            &accept_errors, &wakeups;
        Metrics(Registry& registry, const std::string& label);
    };
    EpollShard(Common& common, ShardId id, Poller poller, Fd wake);

    WallTime wall() const override { return wall_now(); }
    uint64_t next() override;
    void on_ready(uint32_t events) override;

    Duration idle_time();
    void turn(size_t ready);
    void drain_inbox();
    void run_posted();
    void run_hooks(port::TurnPhase phase);
    void end_turn();

    Common& common_;
    const ShardId id_;
    const Log log_;
    Metrics metrics_;
    TurnCounts counts_;

    Poller poller_;
    Fd wake_;
    Instant now_;
    std::thread::id loop_thread_;
    bool stopping_ = false;
    TimerHeap timers_{*this};
    std::array<std::vector<port::TurnHook*>, 2> hooks_;
    std::vector<port::Callback> posted_, running_;
    std::vector<Token> again_, again_running_;
    std::array<uint64_t, 32> random_{};
    size_t random_left_ = 0;
    StallFlag turn_flag_;
    LogGate slow_turn_gate_;

    std::mutex inbox_mutex_;
    std::vector<port::Callback> inbox_;      // under inbox_mutex_
    bool asleep_ = false;                    // under inbox_mutex_
    bool slept_ = false;                     // asleep_ as the loop itself remembers it
    std::atomic<bool> inbox_filled_{false};  // saves the lock when there is nothing
    std::vector<port::Callback> inbox_running_;

    std::unique_ptr<EpollNet> net_;
    std::unique_ptr<EpollDisk> disk_;
};

}  // namespace asterias::runtime
