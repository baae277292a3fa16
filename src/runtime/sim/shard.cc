#include "runtime/sim/shard.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"
#include "runtime/sim/network.h"
#include "runtime/sim/node.h"

namespace asterias::sim {
namespace {
constexpr uint32_t kDelayedTurnPpm = 30'000;    // a wake-up late by up to kLateWakeup
constexpr uint32_t kDelayedSubmitPpm = 30'000;  // likewise, between shards
constexpr Duration kLateWakeup = milliseconds(1);
constexpr Duration kWakeup = microseconds(10);
constexpr size_t kLongestTurn = 4096;
}  // namespace

void doom(Kernel& kernel, Node& node, CrashKind kind, Farewell farewell) {
    if (node.crashed || !node.up) return;
    node.crashed = true;
    node.crash_kind = kind;
    node.farewell = farewell;
    if (kind == CrashKind::PowerCut) kernel.faults.hit(Fault::CrashPowerCut);
    kernel.dying.push_back(node.index);
}

bool crash_point(Kernel& kernel, Node& node, Fault where) {
    if (node.crashed) return true;
    if (node.crash_countdown == 0 || --node.crash_countdown > 0) return false;
    kernel.faults.hit(where);
    doom(kernel, node, node.armed_kind, Farewell::Drawn);
    return true;
}

SimShard::SimShard(Kernel& kernel, Network& network, Node& node, size_t index)
    : kernel_(kernel),
      network_(network),
      node_(node),
      index_(index),
      entropy_(node.prng.split()),
      net_(make_net(network, *this)),
      inboxes_(node.options.shards) {}

SimShard::~SimShard() = default;

void SimShard::make_disk() {
    if (node_.options.disk) disk_ = node_.options.disk(*this, node_.prng.split());
}

port::Disk& SimShard::disk() {
    CHECK(disk_, "this node was added with a disk");
    return *disk_;
}

size_t SimShard::shard_count() const { return node_.options.shards; }
bool SimShard::crashed() const { return node_.crashed; }

void SimShard::fatal(const char* why) {
    if (node_.crashed) return;
    node_.fatal_reason = why;
    kernel_.trace.add(std::string_view(why));
    kernel_.faults.hit(Fault::CrashFatal);
    doom(kernel_, node_, CrashKind::Kill, Farewell::Drawn);
}

// --- time ------------------------------------------------------------------------------------

Instant SimShard::now() const { return in_turn_ ? turn_now_ : node_.clock.local(kernel_.now()); }
WallTime SimShard::wall() const { return node_.clock.wall(now()); }

SimShard::TimerSlot* SimShard::timer(uint64_t id) {
    const uint64_t slot = (id & 0xFFFF'FFFF) - 1;
    if (slot >= timers_.size()) return nullptr;
    TimerSlot& t = timers_[slot];
    return t.armed && t.generation == id >> 32 ? &t : nullptr;
}

void SimShard::release(uint64_t id) {
    const auto slot = static_cast<uint32_t>((id & 0xFFFF'FFFF) - 1);
    timers_[slot].armed = false;
    ++timers_[slot].generation;
    free_timers_.push_back(slot);
}

port::TimerId SimShard::after(Duration delay, port::Callback fn) {
    CHECK(delay >= Duration::zero(), "a timer is armed for the future");
    if (free_timers_.empty()) {
        free_timers_.push_back(static_cast<uint32_t>(timers_.size()));
        timers_.emplace_back();
    }
    const uint32_t slot = free_timers_.back();
    free_timers_.pop_back();
    TimerSlot& t = timers_[slot];
    t.armed = true;
    t.deadline = now() + delay;
    t.fn = std::move(fn);
    const uint64_t id = static_cast<uint64_t>(t.generation) << 32 | (slot + 1);
    if (!node_.crashed)
        kernel_.push(node_.clock.when_shows(t.deadline), EventKind::Timer, node_.index, node_.epoch,
                     index_, id);
    return port::TimerId(id);
}

void SimShard::cancel(port::TimerId id) {
    TimerSlot* t = timer(id.value);
    if (!t) return;
    const port::Callback fn = std::move(t->fn);  // dies last: its captures may cancel others
    release(id.value);
}

void SimShard::fire_timer(uint64_t id) {
    TimerSlot* t = timer(id);
    if (!t) return;
    if (node_.clock.local(kernel_.now()) < t->deadline) {  // the clock was slowed meanwhile
        kernel_.push(node_.clock.when_shows(t->deadline), EventKind::Timer, node_.index,
                     node_.epoch, index_, id);
        return;
    }
    push_ready(Work::Timer, id, {});
}

void SimShard::run_timer(uint64_t id) {
    TimerSlot* t = timer(id);
    if (!t) return;  // cancelled since it became ready
    port::Callback fn = std::move(t->fn);
    release(id);
    fn();
}

// --- work ------------------------------------------------------------------------------------

void SimShard::push_ready(Work kind, uint64_t id, port::Callback fn) {
    ready_.push_back({kind, id, std::move(fn)});
    if (!in_turn_) schedule_turn();
}

void SimShard::make_ready(Work kind, uint64_t id) { push_ready(kind, id, {}); }
void SimShard::post(port::Callback fn) { push_ready(Work::Call, 0, std::move(fn)); }

void SimShard::submit(ShardId to, port::Callback fn) {
    CHECK(to.value < node_.options.shards, "submit() addresses a shard of this node");
    if (to.value == index_) return post(std::move(fn));
    Inbox& inbox = node_.shards[to.value]->inboxes_[index_];
    inbox.callbacks.push_back(std::move(fn));
    if (node_.crashed) return;
    Duration delay = kernel_.between({}, kWakeup);
    if (kernel_.chance_ppm(kDelayedSubmitPpm)) {
        kernel_.faults.hit(Fault::SubmitDelayed);
        delay += kernel_.between({}, kLateWakeup);
    }
    inbox.last_arrival = std::max(inbox.last_arrival, kernel_.now() + delay);
    kernel_.push(inbox.last_arrival, EventKind::Submit, node_.index, node_.epoch, to.value, index_);
}

void SimShard::receive_submit(size_t from) {
    auto& callbacks = inboxes_[from].callbacks;
    CHECK(!callbacks.empty(), "one event was pushed for each submitted callback");
    port::Callback fn;
    if (MUTANT(sim_submit_reordered)) {
        fn = std::move(callbacks.back());
        callbacks.pop_back();
    } else {
        fn = std::move(callbacks.front());
        callbacks.pop_front();
    }
    post(std::move(fn));
}

void SimShard::add_turn_hook(port::TurnPhase phase, port::TurnHook& hook) {
    hooks_[static_cast<size_t>(phase)].push_back(&hook);
}

void SimShard::remove_turn_hook(port::TurnHook& hook) {
    for (auto& hooks : hooks_) {
        std::replace(hooks.begin(), hooks.end(), &hook, static_cast<port::TurnHook*>(nullptr));
        if (!running_hooks_) std::erase(hooks, nullptr);
    }
}

// --- turns -----------------------------------------------------------------------------------

void SimShard::schedule_turn() {
    if (turn_scheduled_ || node_.crashed || node_.paused(kernel_.now())) return;
    turn_scheduled_ = true;
    Duration delay = kernel_.between({}, kWakeup);
    if (kernel_.chance_ppm(kDelayedTurnPpm)) {
        kernel_.faults.hit(Fault::TurnDelayed);
        delay += kernel_.between({}, kLateWakeup);
    }
    kernel_.push(std::max(busy_until_, kernel_.now() + delay), EventKind::Turn, node_.index,
                 node_.epoch, index_);
}

size_t SimShard::draw_turn_length() {
    if (node_.options.turns == TurnStyle::One) return 1;
    if (node_.options.turns == TurnStyle::All) return kLongestTurn;
    switch (kernel_.prng.below(4)) {
        case 0:
            return 1;
        case 1:
            return kernel_.prng.between(1, ready_.size() + 1);
        default:
            return kLongestTurn;
    }
}

void SimShard::run_ready(Ready ready) {
    switch (ready.kind) {
        case Work::Call:
            return ready.fn();
        case Work::Timer:
            return run_timer(ready.id);
        case Work::Serve:
            return network_.serve(*this, ready.id);
        case Work::Accept:
            return network_.accept(*this, ready.id);
        case Work::Dial:
            return network_.finish_dial(ready.id);
    }
}

bool SimShard::run_hooks(port::TurnPhase phase, Fault mid) {
    auto& hooks = hooks_[static_cast<size_t>(phase)];
    running_hooks_ = true;
    for (size_t i = 0; i < hooks.size() && !node_.crashed; ++i) {
        if (i > 0 && crash_point(kernel_, node_, mid)) break;
        if (hooks[i]) hooks[i]->on_turn_end();
    }
    running_hooks_ = false;
    std::erase(hooks, nullptr);
    return !node_.crashed;
}

void SimShard::run_turn() {
    turn_scheduled_ = false;
    if (node_.paused(kernel_.now())) return;  // Resume schedules it again
    const InNodeCode in_node_code(kernel_);
    turn_now_ = node_.clock.local(kernel_.now());
    in_turn_ = true;
    const size_t most = draw_turn_length();
    size_t taken = 0;
    for (; taken < most && !ready_.empty(); ++taken) {
        if (crash_point(kernel_, node_, taken ? Fault::CrashMidTurn : Fault::CrashBeforeTurn))
            break;
        Ready ready = std::move(ready_.front());
        ready_.pop_front();
        run_ready(std::move(ready));
        if (node_.crashed) break;
    }
    const bool alive = !crash_point(kernel_, node_, Fault::CrashBeforeWork) &&
                       run_hooks(port::TurnPhase::Work, Fault::CrashMidWork) &&
                       !crash_point(kernel_, node_, Fault::CrashBeforeFlush) &&
                       network_.flush(*this) &&
                       !crash_point(kernel_, node_, Fault::CrashBeforeSync) &&
                       run_hooks(port::TurnPhase::Sync, Fault::CrashMidSync) &&
                       !crash_point(kernel_, node_, Fault::CrashAfterTurn);
    in_turn_ = false;
    if (!alive) return;
    busy_until_ = kernel_.now() + kernel_.between(node_.options.turn_min, node_.options.turn_max);
    if (ready_.empty()) return;
    if (taken == most) kernel_.faults.hit(Fault::TurnCutShort);
    schedule_turn();
}

void SimShard::drop_callbacks() {
    // What a callback owns may, dying, post or arm again; so until nothing is left.
    for (;;) {
        const auto ready = std::exchange(ready_, {});
        std::vector<port::Callback> others;
        for (auto& t : timers_)
            if (t.fn) others.push_back(std::move(t.fn));
        for (auto& inbox : inboxes_)
            for (auto& fn : std::exchange(inbox.callbacks, {}))
                others.push_back(std::move(fn));
        if (ready.empty() && others.empty()) return;
    }
}

}  // namespace asterias::sim
