// base/bytes.h: Bytes, an immutable slice of a reference-counted buffer. Copying and slicing share
// the buffer; it is freed with its last slice. A small slice keeps its whole buffer alive: copy()
// what is to be kept for long.
// Threading: the count is atomic, so slices of one buffer may live on several threads.
#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/budget.h"

namespace asterias {

namespace detail {
struct Buffer {
    std::atomic<uint32_t> refs{1};
    uint32_t capacity = 0;
    Budget* budget = nullptr;
    uint8_t* data() { return reinterpret_cast<uint8_t*>(this + 1); }

    static Buffer* make(size_t capacity, Budget* budget);
    void ref() { refs.fetch_add(1, std::memory_order_relaxed); }
    void unref() {
        if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
    }

private:
    void destroy();
};
}  // namespace detail

class Bytes {
public:
    Bytes() = default;
    Bytes(const Bytes& o) : buffer_(o.buffer_), data_(o.data_), size_(o.size_) {
        if (buffer_) buffer_->ref();
    }
    Bytes(Bytes&& o) noexcept
        : buffer_(std::exchange(o.buffer_, nullptr)),
          data_(std::exchange(o.data_, nullptr)),
          size_(std::exchange(o.size_, 0)) {}
    Bytes& operator=(Bytes o) noexcept {
        std::swap(buffer_, o.buffer_);
        std::swap(data_, o.data_);
        std::swap(size_, o.size_);
        return *this;
    }
    ~Bytes() {
        if (buffer_) buffer_->unref();
    }

    // A fresh buffer with a copy of `text`, charged to `budget` if there is one.
    static Bytes copy(std::string_view text, Budget* budget = nullptr);
    // A slice of memory that lives for ever (string literals).
    static Bytes literal(std::string_view text) {
        Bytes b;
        b.data_ = reinterpret_cast<const uint8_t*>(text.data());
        b.size_ = text.size();
        return b;
    }

    const uint8_t* data() const { return data_; }
    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    uint8_t operator[](size_t i) const { return data_[i]; }
    std::string_view view() const { return {reinterpret_cast<const char*>(data_), size_}; }
    std::span<const uint8_t> span() const { return {data_, size_}; }
    std::string str() const { return std::string(view()); }

    // offset + count <= size().
    Bytes slice(size_t offset, size_t count) const;
    Bytes suffix(size_t offset) const { return slice(offset, size_ - offset); }
    // Nobody else shares the buffer: whoever filled it may fill it again.
    bool unique() const { return buffer_ && buffer_->refs.load(std::memory_order_acquire) == 1; }
    // A copy of its own if this slice is a small part of its buffer; else itself.
    Bytes compact() const;

    friend bool operator==(const Bytes& a, const Bytes& b) { return a.view() == b.view(); }
    friend std::strong_ordering operator<=>(const Bytes& a, const Bytes& b) {
        return a.view() <=> b.view();
    }

private:
    friend class BytesBuilder;
    detail::Buffer* buffer_ = nullptr;
    const uint8_t* data_ = nullptr;
    size_t size_ = 0;
};

// A growing buffer that becomes Bytes without a copy.
class BytesBuilder {
public:
    explicit BytesBuilder(size_t capacity = 0, Budget* budget = nullptr);
    BytesBuilder(BytesBuilder&& o) noexcept
        : buffer_(std::exchange(o.buffer_, nullptr)),
          size_(std::exchange(o.size_, 0)),
          budget_(o.budget_) {}
    BytesBuilder& operator=(BytesBuilder&& o) noexcept {
        std::swap(buffer_, o.buffer_);
        std::swap(size_, o.size_);
        std::swap(budget_, o.budget_);
        return *this;
    }
    ~BytesBuilder() {
        if (buffer_) buffer_->unref();
    }

    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    size_t capacity() const { return buffer_ ? buffer_->capacity : 0; }
    uint8_t* data() { return buffer_ ? buffer_->data() : nullptr; }
    const uint8_t* data() const { return buffer_ ? buffer_->data() : nullptr; }
    std::string_view view() const { return {reinterpret_cast<const char*>(data()), size_}; }

    // `count` uninitialised bytes at the end; the pointer holds until the next growth.
    uint8_t* extend(size_t count) {
        if (size_ + count > capacity()) grow(size_ + count);
        uint8_t* at = buffer_->data() + size_;
        size_ += count;
        return at;
    }
    void append(std::string_view text) {
        if (!text.empty()) std::memcpy(extend(text.size()), text.data(), text.size());
    }
    void append(const void* data, size_t count) { append({static_cast<const char*>(data), count}); }
    void push_back(uint8_t byte) { *extend(1) = byte; }
    void reserve(size_t capacity) {
        if (capacity > this->capacity()) grow(capacity);
    }
    // Shrinks; count <= size().
    void truncate(size_t count);
    void clear() { size_ = 0; }

    // What was built; the builder is empty afterwards and allocates anew.
    Bytes take();

private:
    void grow(size_t at_least);

    detail::Buffer* buffer_ = nullptr;
    size_t size_ = 0;
    Budget* budget_ = nullptr;
};

}  // namespace asterias

template <>
struct std::hash<asterias::Bytes> {
    size_t operator()(const asterias::Bytes& b) const noexcept {
        return std::hash<std::string_view>{}(b.view());
    }
};
