// app/records.h: the records of a process (edge/resp/records.h), which its Redis doors share.
#pragma once

#include <mutex>

#include "edge/resp/records.h"

namespace asterias::app {

class SharedRecords final : public edge_resp::SharedRecords {
public:
    void with(const std::function<void(edge_resp::Records&)>& use) override {
        const std::lock_guard lock(mutex_);
        use(records_);
    }

private:
    std::mutex mutex_;
    edge_resp::Records records_;
};

}  // namespace asterias::app
