// runtime/epoll/sync_pace.h: whether the next sync runs on the shard or on the disk thread. An
// inline sync of 0.1 ms is cheaper than two thread wake-ups; one of 10 ms would hold up everything
// else.
#pragma once

#include "base/time.h"

namespace asterias::runtime {

class SyncPace {
public:
    // `limit` 0: never inline.
    explicit SyncPace(Duration limit) : limit_(limit), inline_(limit > Duration::zero()) {}

    void record(Duration sync) {
        average_ += (sync - average_) / 8;
        // Two thresholds, so that a device near the limit does not flap.
        if (inline_ && average_ > limit_) inline_ = false;
        if (!inline_ && average_ < limit_ / 2) inline_ = true;
    }
    bool run_inline() const { return inline_; }
    Duration average() const { return average_; }

private:
    const Duration limit_;
    bool inline_;
    Duration average_{};
};

}  // namespace asterias::runtime
