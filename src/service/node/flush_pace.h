// service/node/flush_pace.h: when a shard whose journal has grown too long asks the engine for a
// flush. Entries stay in the journal until the engine holds them durably and every replica has
// them; a flush mends only the first. While a follower is away the journal stays long whatever is
// flushed, and asking on every tick would make one tiny table after another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "service/replica/replica.h"

namespace asterias::node {

class FlushPace {
public:
    // Asks beyond `limit_bytes`; logs are shortened by `compact_entries` or more at a time.
    FlushPace(uint64_t limit_bytes, uint64_t compact_entries)
        : limit_(limit_bytes), compact_entries_(compact_entries) {}

    bool over(uint64_t journal_bytes) {
        lowest_ = std::min(lowest_, journal_bytes);
        return journal_bytes > limit_ && journal_bytes >= lowest_ + step_;
    }
    // Whether the flush would let that group's log be shortened. When what is durable would allow
    // it already, the log waits for a replica and not for the engine.
    bool helps(const replica::Status& group) const {
        const uint64_t wanted = group.raft.first.prev().value + compact_entries_;
        return !group.stopped && group.durable_applied.value < wanted &&
               group.in_engine.value >= wanted;
    }
    // True: ask now. The next time at the earliest when the journal has grown by a step over the
    // shortest that it was since; all that was written before is being made durable meanwhile.
    bool due(uint64_t journal_bytes, const std::vector<replica::Status>& groups) {
        if (!over(journal_bytes)) return false;
        if (!std::any_of(groups.begin(), groups.end(), [&](const auto& g) { return helps(g); }))
            return false;
        lowest_ = journal_bytes;
        step_ = std::max<uint64_t>(1, limit_ / kStepsOfLimit);
        return true;
    }

private:
    static constexpr uint64_t kStepsOfLimit = 4;
    const uint64_t limit_, compact_entries_;
    uint64_t lowest_ = UINT64_MAX;
    uint64_t step_ = 0;  // the first time needs no growth
};

}  // namespace asterias::node
