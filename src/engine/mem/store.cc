#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"
#include "engine/mem/store_internal.h"

namespace asterias::engine {

void MemStore::begin_step() { unflushed_.push_back({++written_, {}}); }

void MemStore::apply(const port::EngineBatch& batch) {
    begin_step();
    unflushed_.back().before.reserve(batch.ops().size());
    for (const auto& op : batch.ops())
        apply_op(op);
}

void MemStore::replace(const std::vector<port::Span>& spans,
                       const std::vector<port::KeyValue>& content) {
    begin_step();
    for (const auto& [from, to] : spans) {
        if (MUTANT(engine_install_keeps_old_keys)) break;
        erase_range(from.view(), to.view());
        // The span's blocks are gone, also those of keys that are no longer there.
        damaged_.erase(damaged_.lower_bound(from), damaged_.lower_bound(to));
    }
    for (const auto& pair : content)
        put(pair.key.view(), pair.value.view());
}

void MemStore::apply_op(const port::EngineBatch::Op& op) {
    switch (op.kind) {
        case port::EngineBatch::Kind::Put:
            return put(op.key.view(), op.value.view());
        case port::EngineBatch::Kind::Delete:
            return erase(op.key.view());
        case port::EngineBatch::Kind::DeleteRange:
            return erase_range(op.key.view(), op.value.view());
    }
}

// Keys and values are copied: a slice would keep its whole read buffer, and that buffer's budget,
// for as long as the key lives.
void MemStore::put(std::string_view key, std::string_view value) {
    auto it = map_.lower_bound(key);
    if (it != map_.end() && it->first.view() == key) {
        before_change(it->first, it->second);
        bytes_ += value.size() - it->second.bytes.size();
        it->second = {Bytes::copy(value), written_};
    } else {
        it = map_.emplace_hint(it, Bytes::copy(key), Value{Bytes::copy(value), written_});
        before_change(it->first, std::nullopt);
        bytes_ += key.size() + value.size();
    }
    if (!damaged_.empty()) damaged_.erase(it->first);
}

void MemStore::erase(std::string_view key) {
    auto it = map_.find(key);
    if (it == map_.end()) return;
    before_change(it->first, it->second);
    bytes_ -= it->first.size() + it->second.bytes.size();
    if (!damaged_.empty()) damaged_.erase(it->first);
    map_.erase(it);
}

void MemStore::erase_range(std::string_view from, std::string_view to) {
    CHECK(!to.empty(), "a deleted range has an upper bound");
    auto it = map_.lower_bound(from);
    while (it != map_.end() && it->first.view() < to) {
        before_change(it->first, it->second);
        bytes_ -= it->first.size() + it->second.bytes.size();
        if (!damaged_.empty()) damaged_.erase(it->first);
        it = map_.erase(it);
    }
}

void MemStore::before_change(const Bytes& key, const std::optional<Value>& old) {
    for (Overlay* view : views_)
        view->try_emplace(key, old ? std::optional(old->bytes) : std::nullopt);
    unflushed_.back().before.push_back({key, old});
}

void MemStore::flush(Position through) {
    CHECK(through <= written_, "only what was written can be flushed");
    while (!unflushed_.empty() && unflushed_.front().position <= through)
        unflushed_.pop_front();
    durable_ = std::max(durable_, through);
}

void MemStore::restore(Preimage& preimage) {
    auto it = map_.find(preimage.key);
    if (it != map_.end()) {
        bytes_ -= it->first.size() + it->second.bytes.size();
        if (!preimage.value) {
            map_.erase(it);
            return;
        }
    } else if (!preimage.value) {
        return;
    } else {
        it = map_.emplace(preimage.key, Value{}).first;
    }
    it->second = std::move(*preimage.value);
    bytes_ += it->first.size() + it->second.bytes.size();
}

void MemStore::rewind(Position to) {
    CHECK(to >= durable_ && to <= written_, "a crash keeps what is durable and invents nothing");
    while (!unflushed_.empty() && unflushed_.back().position > to) {
        auto& before = unflushed_.back().before;
        for (size_t i = before.size(); i > 0; --i)
            restore(before[i - 1]);
        unflushed_.pop_back();
    }
    // Positions never go back: what was lost is not written again under the same number.
    flush(written_);
    flushing_to = durable_;
    views_.clear();
}

void MemStore::rewind_with_hole(Prng& prng) {
    if (unflushed_.empty()) return;
    auto& lost = unflushed_[prng.below(unflushed_.size())].before;
    for (size_t i = lost.size(); i > 0; --i)
        restore(lost[i - 1]);
}

}  // namespace asterias::engine
