// service/replica/retention.h: how many bytes of payload a log holds, and where a shorter one would
// begin: what the bound on the log kept for slow peers is measured by (rule 31). Four bytes an
// entry.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "wire/entry.h"

namespace asterias::replica {

class LogSizes {
public:
    // The log begins behind `start`, and is empty.
    void reset(LogIndex start) {
        start_ = start;
        sizes_.clear();
        bytes_ = 0;
    }
    // As the journal takes them: the first may overwrite. Those at or below the start are skipped.
    void append(const std::vector<wire::Entry>& entries) {
        for (const auto& entry : entries) {
            if (entry.index <= start_) continue;
            truncate(entry.index);
            sizes_.push_back(static_cast<uint32_t>(entry.payload.size()));
            bytes_ += sizes_.back();
        }
    }
    // The log begins behind `through` now, which may lie beyond its end.
    void compact(LogIndex through) {
        while (start_ < through && !sizes_.empty()) {
            bytes_ -= sizes_.front();
            sizes_.pop_front();
            start_ = start_.next();
        }
        if (start_ < through) start_ = through;
    }
    uint64_t bytes() const { return bytes_; }
    // The lowest index such that what is behind it holds no more than `most` bytes.
    LogIndex start_for(uint64_t most) const {
        uint64_t left = bytes_;
        LogIndex through = start_;
        for (const uint32_t size : sizes_) {
            if (left <= most) break;
            left -= size;
            through = through.next();
        }
        return through;
    }

private:
    void truncate(LogIndex from) {
        while (!sizes_.empty() && start_.value + sizes_.size() >= from.value) {
            bytes_ -= sizes_.back();
            sizes_.pop_back();
        }
    }

    LogIndex start_;
    std::deque<uint32_t> sizes_;
    uint64_t bytes_ = 0;
};

}  // namespace asterias::replica
