#include "base/bytes.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <limits>
#include <new>

#include "base/check.h"

namespace asterias {
namespace detail {

Buffer* Buffer::make(size_t capacity, Budget* budget) {
    CHECK(capacity <= std::numeric_limits<uint32_t>::max(), "one buffer holds less than 4 GiB");
    void* memory = std::malloc(sizeof(Buffer) + capacity);
    if (!memory) throw std::bad_alloc();
    auto* buffer = new (memory) Buffer;
    buffer->capacity = static_cast<uint32_t>(capacity);
    buffer->budget = budget;
    if (budget) budget->charge(capacity);
    return buffer;
}

void Buffer::destroy() {
    if (budget) budget->release(capacity);
    std::free(this);
}

}  // namespace detail

Bytes Bytes::copy(std::string_view text, Budget* budget) {
    if (text.empty()) return {};
    Bytes b;
    b.buffer_ = detail::Buffer::make(text.size(), budget);
    std::memcpy(b.buffer_->data(), text.data(), text.size());
    b.data_ = b.buffer_->data();
    b.size_ = text.size();
    return b;
}

Bytes Bytes::slice(size_t offset, size_t count) const {
    CHECK(offset <= size_ && count <= size_ - offset, "a slice lies inside its bytes");
    Bytes b(*this);
    b.data_ += offset;
    b.size_ = count;
    return b;
}

Bytes Bytes::compact() const {
    if (!buffer_ || size_ * 2 >= buffer_->capacity) return *this;
    return copy(view(), buffer_->budget);
}

BytesBuilder::BytesBuilder(size_t capacity, Budget* budget) : budget_(budget) {
    if (capacity > 0) buffer_ = detail::Buffer::make(capacity, budget);
}

void BytesBuilder::grow(size_t at_least) {
    size_t capacity = std::max<size_t>({at_least, this->capacity() * 2, 64});
    auto* bigger = detail::Buffer::make(capacity, budget_);
    if (size_ > 0) std::memcpy(bigger->data(), buffer_->data(), size_);
    if (buffer_) buffer_->unref();
    buffer_ = bigger;
}

void BytesBuilder::truncate(size_t count) {
    CHECK(count <= size_, "truncate only shrinks");
    size_ = count;
}

Bytes BytesBuilder::take() {
    Bytes b;
    b.buffer_ = std::exchange(buffer_, nullptr);
    b.data_ = b.buffer_ ? b.buffer_->data() : nullptr;
    b.size_ = std::exchange(size_, 0);
    return b;
}

}  // namespace asterias
