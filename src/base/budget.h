// base/budget.h: a named bound on bytes in use. Buffers charge one when they are made and release
// it when their last reference goes, whichever thread that is on.
#pragma once

#include <atomic>
#include <cstddef>
#include <string_view>

namespace asterias {

class Budget {
public:
    // `parent` is charged along with this one (connection -> shard -> node); it must outlive this.
    Budget(std::string_view name, size_t limit_bytes, Budget* parent = nullptr)
        : name_(name), limit_(limit_bytes), parent_(parent) {}
    Budget(const Budget&) = delete;
    Budget& operator=(const Budget&) = delete;

    void charge(size_t bytes) {
        for (Budget* b = this; b; b = b->parent_)
            b->used_.fetch_add(bytes, std::memory_order_relaxed);
    }
    void release(size_t bytes) {
        for (Budget* b = this; b; b = b->parent_)
            b->used_.fetch_sub(bytes, std::memory_order_relaxed);
    }
    size_t used() const { return used_.load(std::memory_order_relaxed); }
    size_t limit() const { return limit_; }
    std::string_view name() const { return name_; }
    // The first budget of the chain that is over its limit, or null. Whoever admits work asks this.
    const Budget* exceeded() const {
        for (const Budget* b = this; b; b = b->parent_)
            if (b->used() > b->limit_) return b;
        return nullptr;
    }

private:
    const std::string_view name_;
    const size_t limit_;
    Budget* const parent_;
    std::atomic<size_t> used_{0};
};

}  // namespace asterias
