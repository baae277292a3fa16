#include "port/engine.h"

#include <algorithm>

#include "base/check.h"

namespace asterias::port {

bool ScanLimit::reached_by(const std::vector<KeyValue>& found) const {
    size_t all = 0;
    for (const auto& pair : found)
        all += pair.key.size() + pair.value.size();
    return reached(found.size(), all);
}

void EngineBatch::keep_last_writes() {
    // By key, and among equals the latest first: then the first of each run is the one to keep. The
    // position is the tie-breaker, so that the result is the same everywhere.
    std::vector<uint32_t> order(ops_.size());
    for (uint32_t i = 0; i < order.size(); ++i) {
        CHECK(ops_[i].kind != Kind::DeleteRange, "a range has no place in an order by key");
        order[i] = i;
    }
    std::sort(order.begin(), order.end(), [this](uint32_t a, uint32_t b) {
        const int c = ops_[a].key.view().compare(ops_[b].key.view());
        return c != 0 ? c < 0 : a > b;
    });
    std::vector<Op> kept;
    kept.reserve(ops_.size());
    for (uint32_t i : order)
        if (kept.empty() || kept.back().key != ops_[i].key) kept.push_back(std::move(ops_[i]));
    ops_ = std::move(kept);
}

}  // namespace asterias::port
