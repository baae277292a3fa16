// runtime/sim/node.h: one machine of a World and the process on it. Internal to this room.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/sim/clock.h"
#include "runtime/sim/kernel.h"
#include "runtime/sim/shard.h"

namespace asterias::sim {

struct Node {
    NodeIndex index;
    std::string name;
    NodeOptions options;
    NodeClock clock;
    Prng prng;  // of the node's own draws: entropy, disks

    uint32_t epoch = 1;  // counts the lives of the process
    bool up = false;
    bool powered = true;  // the machine answers packets, even without a process
    Instant paused_until{};
    bool no_files = false;  // out of file descriptors: outlives the process

    // Set when the process is doomed, before it is torn down: from then on nothing that its code
    // does has an effect.
    bool crashed = false;
    CrashKind crash_kind = CrashKind::Kill;
    Farewell farewell = Farewell::Drawn;
    uint64_t crash_countdown = 0;  // in crash points; 0: not armed
    CrashKind armed_kind = CrashKind::Kill;
    std::string fatal_reason;

    std::vector<std::unique_ptr<SimShard>> shards;
    std::shared_ptr<void> inhabitant;

    bool paused(Instant now) const { return now < paused_until; }
};

// Dooms the process of `node` from inside or outside its code; World tears it down as soon as none
// of its code is on the stack.
void doom(Kernel& kernel, Node& node, CrashKind kind, Farewell farewell);
// One more place where the process may die has been reached. True if it died here.
bool crash_point(Kernel& kernel, Node& node, Fault where);

}  // namespace asterias::sim
