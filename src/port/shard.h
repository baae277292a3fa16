// port/shard.h: one event loop of a node, and everything that its inhabitants may ask of the world.
// An object belongs to one shard for life; crossing shards is a message (submit). Implementations:
// runtime/epoll (a thread) and runtime/sim (virtual time).
//
// Turns. A shard runs in turns: everything that is ready, including what that makes ready, then
//   1. the turn-end hooks of phase Work, in order of registration   (drive raft, fill connections)
//   2. the output of every connection, one writev each
//   3. the turn-end hooks of phase Sync                              (one write + sync of the
//   journal)
// Batching lives in turn ends; a hook may post, which begins the next turn at once. now() is
// constant within a turn. The simulator decides by seed how many ready events a turn takes.
#pragma once

#include <functional>

#include "base/ids.h"
#include "base/time.h"

namespace asterias::port {

class Net;
class Disk;

// Runs once. Small captures (3 words) do not allocate.
using Callback = std::move_only_function<void()>;

class Clock {
public:
    virtual ~Clock() = default;
    // Monotonic; constant within a turn.
    virtual Instant now() const = 0;
    // Labels only: never compared to decide anything that the log does not decide.
    virtual WallTime wall() const = 0;
};

using TimerId = TaggedId<struct TimerIdTag>;

class Timers {
public:
    virtual ~Timers() = default;
    // Runs `fn` on this shard once `delay` (>= 0) has passed. Equal deadlines fire in order of
    // arming.
    virtual TimerId after(Duration delay, Callback fn) = 0;
    // After this returns `fn` will not run. Unknown or fired ids are fine.
    virtual void cancel(TimerId id) = 0;
};

class Entropy {
public:
    virtual ~Entropy() = default;
    // Unpredictable in runtime/epoll, seeded in runtime/sim.
    virtual uint64_t next() = 0;
};

enum class TurnPhase : unsigned char { Work, Sync };

class TurnHook {
public:
    virtual ~TurnHook() = default;
    virtual void on_turn_end() = 0;
};

class Shard {
public:
    virtual ~Shard() = default;

    virtual ShardId id() const = 0;
    virtual Clock& clock() = 0;
    virtual Timers& timers() = 0;
    virtual Entropy& entropy() = 0;
    virtual Net& net() = 0;
    virtual Disk& disk() = 0;

    // Runs `fn` on this shard, in this turn if one is running; first in, first out.
    virtual void post(Callback fn) = 0;
    // Runs `fn` on shard `to` of this node; order is kept per pair of shards. The one call that may
    // come from any thread (an engine's reader hands its answer back so).
    virtual void submit(ShardId to, Callback fn) = 0;
    virtual size_t shard_count() const = 0;

    // `hook` is called at every turn end until removed; it must be removed before it dies.
    virtual void add_turn_hook(TurnPhase phase, TurnHook& hook) = 0;
    virtual void remove_turn_hook(TurnHook& hook) = 0;

    // True while the node is being torn down as if by kill -9 (simulator only): Scopes then destroy
    // their tasks instead of waiting for them.
    virtual bool crashed() const { return false; }
    // The node cannot go on (a failed sync, a failed CHECK in the journal): exits the process; in
    // the simulator, crashes the node. Does not return control to the caller's turn in
    // runtime/epoll.
    virtual void fatal(const char* why) = 0;
};

}  // namespace asterias::port
