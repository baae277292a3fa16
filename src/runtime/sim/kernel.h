// runtime/sim/kernel.h: virtual time and the one event queue of a World. Internal to this room.
// Events are plain values, ordered by (time, id); ids rise by order of scheduling, so the order is
// total and depends on nothing but the seed. Callbacks never live in the queue: they live in the
// shard that will run them, and die with it.
#pragma once

#include <vector>

#include "base/prng.h"
#include "base/time.h"
#include "runtime/sim/options.h"
#include "runtime/sim/trace.h"

namespace asterias::sim {

enum class EventKind : uint8_t {
    Call,     // a scenario's callback; a: its id
    Resume,   // of a paused node
    Turn,     // a: shard
    Timer,    // a: shard, b: timer
    Submit,   // a: shard, b: from which shard
    Packet,   // a: stream, b: sending side
    Window,   // a: stream, b: sending side
    GiveUp,   // a: stream, b: sending side and stall number
    Syn,      // a: dial
    Refused,  // a: dial
    kCount,
};
std::string_view to_string(EventKind kind);

struct Event {
    Instant at;
    uint64_t id;
    uint64_t a, b;
    NodeIndex node;
    uint32_t epoch;  // of the node; an event of an earlier life of the node never happens
    EventKind kind;

    bool later_than(const Event& o) const { return at != o.at ? at > o.at : id > o.id; }
};

class Kernel {
public:
    explicit Kernel(uint64_t seed) : prng(seed) { queue_.reserve(1024); }

    Instant now() const { return now_; }
    void push(Instant at, EventKind kind, NodeIndex node, uint32_t epoch, uint64_t a,
              uint64_t b = 0);
    // The next event, if it is due at or before `limit`; moves now() to it.
    bool pop(Instant limit, Event& event);
    // Nothing may be due before `at`.
    void advance_to(Instant at);

    bool chance_ppm(uint32_t ppm) { return ppm > 0 && prng.below(1'000'000) < ppm; }
    // Uniform in [low, high].
    Duration between(Duration low, Duration high) {
        return Duration(low.count() + static_cast<int64_t>(prng.below(
                                          static_cast<uint64_t>((high - low).count()) + 1)));
    }

    Prng prng;
    Trace trace;
    FaultCounters faults;
    // Code of a node is on the stack: a crash must wait until it has returned.
    bool in_node_code = false;
    std::vector<NodeIndex> dying;  // to be torn down as soon as no code of a node is running

private:
    Instant now_{};
    uint64_t next_id_ = 1;
    std::vector<Event> queue_;  // a binary heap, earliest first
};

// Marks that code of a node runs from here to the end of the scope.
class InNodeCode {
public:
    explicit InNodeCode(Kernel& kernel) : kernel_(kernel), before_(kernel.in_node_code) {
        kernel.in_node_code = true;
    }
    ~InNodeCode() { kernel_.in_node_code = before_; }
    InNodeCode(const InNodeCode&) = delete;
    InNodeCode& operator=(const InNodeCode&) = delete;

private:
    Kernel& kernel_;
    const bool before_;
};

}  // namespace asterias::sim
