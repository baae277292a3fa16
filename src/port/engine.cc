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

StagingRules::StagingRules(std::vector<Span> spans) : spans_(std::move(spans)) {
    CHECK(!spans_.empty(), "an install replaces something");
    for (size_t i = 0; i < spans_.size(); ++i) {
        CHECK(spans_[i].from < spans_[i].to, "a replaced span is not empty");
        CHECK(i == 0 || spans_[i - 1].to <= spans_[i].from, "replaced spans ascend");
    }
}

size_t StagingRules::span_of(std::string_view key) const {
    for (size_t i = 0; i < spans_.size(); ++i)
        if (spans_[i].from.view() <= key && key < spans_[i].to.view()) return i;
    return spans_.size();
}

void StagingRules::check_content(const std::vector<KeyValue>& content) const {
    std::string_view last = last_.view();
    for (const auto& pair : content) {
        CHECK(span_of(pair.key.view()) < spans_.size(), "staged content lies inside the spans");
        CHECK(last.empty() || last < pair.key.view(), "staged keys ascend");
        last = pair.key.view();
    }
}

void StagingRules::check_meta(const EngineBatch& meta) const {
    for (const auto& op : meta.ops()) {
        CHECK(op.kind == EngineBatch::Kind::Put, "the meta of an install are puts");
        CHECK(span_of(op.key.view()) == spans_.size(), "the meta of an install lie outside");
    }
}

void StagingRules::took(const std::vector<KeyValue>& content) {
    if (!content.empty()) last_ = Bytes::copy(content.back().key.view());
}

Engine::TryGet Engine::try_get_part(std::string_view key, const Take& take) {
    TryGet found = try_get(key);
    if (const auto* value = std::get_if<Bytes>(&found)) return take(value->view());
    return found;
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
