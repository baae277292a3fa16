#include "proto/resp/request.h"

#include <memory>

namespace asterias::resp {

void Request::reset() {
    std::destroy_n(data(), size_);
    if (heap_) std::allocator<Bytes>().deallocate(heap_, capacity_);
    heap_ = nullptr;
    size_ = 0;
    capacity_ = kInline;
    content_bytes_ = 0;
}

void Request::grow() {
    const uint32_t capacity = capacity_ * 2;
    Bytes* bigger = std::allocator<Bytes>().allocate(capacity);
    std::uninitialized_move_n(data(), size_, bigger);
    std::destroy_n(data(), size_);
    if (heap_) std::allocator<Bytes>().deallocate(heap_, capacity_);
    heap_ = bigger;
    capacity_ = capacity;
}

void Request::steal(Request& o) noexcept {
    heap_ = std::exchange(o.heap_, nullptr);
    if (!heap_) {
        std::uninitialized_move_n(o.data(), o.size_, data());
        std::destroy_n(o.data(), o.size_);
    }
    size_ = std::exchange(o.size_, 0);
    capacity_ = std::exchange(o.capacity_, static_cast<uint32_t>(kInline));
    content_bytes_ = std::exchange(o.content_bytes_, 0);
}

}  // namespace asterias::resp
