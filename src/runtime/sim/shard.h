// runtime/sim/shard.h: port::Shard in virtual time.
//
// Turns follow port/shard.h. A turn is one event of the World, so nothing of another node happens
// within it; it begins a drawn moment after something became ready, takes a drawn number of ready
// events, and keeps the shard busy for a drawn time. The borders between ready events, phases,
// hooks and connections are crash points: the process may die at each of them, and a coroutine
// that suspends always passes one.
//
// fatal() returns (unlike in runtime/epoll): the node counts as crashed from that moment, the
// current callback unwinds, and nothing that it still does has an effect; then the node is gone.
#pragma once

#include <coroutine>
#include <deque>
#include <memory>
#include <vector>

#include "runtime/sim/kernel.h"

namespace asterias::sim {

struct Node;
struct Stream;
class Network;

class SimShard final : public port::Shard, port::Clock, port::Timers, port::Entropy {
public:
    SimShard(Kernel& kernel, Network& network, Node& node, size_t index);
    ~SimShard() override;

    ShardId id() const override { return ShardId(index_); }
    port::Clock& clock() override { return *this; }
    port::Timers& timers() override { return *this; }
    port::Entropy& entropy() override { return *this; }
    port::Net& net() override { return *net_; }
    port::Disk& disk() override;
    void post(port::Callback fn) override;
    void submit(ShardId to, port::Callback fn) override;
    size_t shard_count() const override;
    void add_turn_hook(port::TurnPhase phase, port::TurnHook& hook) override;
    void remove_turn_hook(port::TurnHook& hook) override;
    bool crashed() const override;
    void fatal(const char* why) override;

    // For World and Network.
    enum class Work : uint8_t { Call, Timer, Serve, Accept, Dial };
    Node& node() { return node_; }
    void make_ready(Work kind, uint64_t id);  // Serve, Accept, Dial
    void make_disk();
    void run_turn();
    void fire_timer(uint64_t id);
    void receive_submit(size_t from);
    // A turn is due although nothing may be ready (after boot and after a pause).
    void schedule_turn();
    // Destroys every callback that it holds, without running it.
    void drop_callbacks();

    // The ends of streams that this shard may have to flush, by rising id; Network's.
    struct OpenEnd {
        Stream* stream;
        int side;
    };
    std::vector<OpenEnd> open_ends;

private:
    struct Ready {
        Work kind;
        uint64_t id;
        port::Callback fn;
    };
    struct TimerSlot {
        uint32_t generation = 1;
        bool armed = false;
        Instant deadline;
        port::Callback fn;
    };

    Instant now() const override;
    WallTime wall() const override;
    port::TimerId after(Duration delay, port::Callback fn) override;
    void cancel(port::TimerId id) override;
    uint64_t next() override { return entropy_.next(); }

    size_t draw_turn_length();
    void run_ready(Ready ready);
    void run_timer(uint64_t id);
    bool run_hooks(port::TurnPhase phase, Fault mid);
    TimerSlot* timer(uint64_t id);
    void release(uint64_t id);
    void push_ready(Work kind, uint64_t id, port::Callback fn);

    Kernel& kernel_;
    Network& network_;
    Node& node_;
    const size_t index_;
    Prng entropy_;
    std::unique_ptr<port::Net> net_;
    std::unique_ptr<port::Disk> disk_;

    bool in_turn_ = false;
    bool turn_scheduled_ = false;
    Instant turn_now_{};    // local time, while in_turn_
    Instant busy_until_{};  // virtual time
    std::deque<Ready> ready_;
    std::vector<TimerSlot> timers_;
    std::vector<uint32_t> free_timers_;
    std::vector<port::TurnHook*> hooks_[2];  // nullptr: removed while hooks run
    bool running_hooks_ = false;

    struct Inbox {  // of one sending shard
        std::deque<port::Callback> callbacks;
        Instant last_arrival{};
    };
    std::vector<Inbox> inboxes_;
};

}  // namespace asterias::sim
