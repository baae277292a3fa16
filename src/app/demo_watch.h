// app/demo_watch.h: what the nodes of the demo say of themselves, asked again and again at their
// HTTP doors by a thread of its own, so that a node that is silent holds up nobody else.
// Threading: made and ended by one thread; every function may be called by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "app/local_cluster.h"

namespace asterias::app {

class DemoWatch {
public:
    explicit DemoWatch(const LocalCluster& cluster);  // outlives this
    ~DemoWatch();

    // A node that was killed or stopped, or is about to begin again: what it said is no longer
    // true, and while it is down it is not asked.
    void forget(size_t node, bool down);
    bool answers(size_t node) const;
    // Who leads, by the newest term that a node knows; cluster.size(): nobody that answers.
    size_t leader() const;
    // All nodes answer, and those that hold a copy name the leader.
    bool all_well() const;

private:
    struct View {
        bool down = false;
        uint64_t generation = 0;  // of what may be told: an answer asked for before is none
        bool answers = false;
        bool holds = false;  // a copy of the keyspace
        size_t leader = 0;
        uint64_t term = 0;
    };
    void look();
    void look_at(size_t node);
    size_t leader_locked() const;

    const LocalCluster& cluster_;
    mutable std::mutex mutex_;
    std::vector<View> views_;
    std::atomic<bool> over_{false};
    std::thread thread_;
};

}  // namespace asterias::app
