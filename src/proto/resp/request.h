// proto/resp/request.h: Request, the argument list of one command. Arguments are slices of the read
// buffer (no copy); up to kInline of them live inside the object, so that a common command
// allocates nothing.
// Threading: a value; one owner at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace asterias::resp {

class Request {
public:
    static constexpr size_t kInline = 8;

    Request() = default;
    Request(Request&& o) noexcept { steal(o); }
    Request& operator=(Request&& o) noexcept {
        if (this != &o) {
            reset();
            steal(o);
        }
        return *this;
    }
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    ~Request() { reset(); }

    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    // i < size().
    const Bytes& operator[](size_t i) const { return data()[i]; }
    Bytes& operator[](size_t i) { return data()[i]; }
    const Bytes* begin() const { return data(); }
    const Bytes* end() const { return data() + size_; }
    std::span<const Bytes> arguments() const { return {data(), size_}; }
    // Sum of the sizes of the arguments.
    size_t content_bytes() const { return content_bytes_; }
    // What it holds in memory: the arguments, and what holds each of them.
    size_t bytes() const { return content_bytes_ + size_ * sizeof(Bytes); }

    void push_back(Bytes argument) {
        if (size_ == capacity_) [[unlikely]]
            grow();
        content_bytes_ += argument.size();
        new (data() + size_) Bytes(std::move(argument));
        ++size_;
    }
    // Drops all arguments and what was allocated for them.
    void reset();

private:
    Bytes* data() { return heap_ ? heap_ : reinterpret_cast<Bytes*>(inline_); }
    const Bytes* data() const { return heap_ ? heap_ : reinterpret_cast<const Bytes*>(inline_); }
    void grow();
    void steal(Request& o) noexcept;

    alignas(Bytes) unsigned char inline_[kInline * sizeof(Bytes)];
    Bytes* heap_ = nullptr;
    uint32_t size_ = 0;
    uint32_t capacity_ = kInline;
    size_t content_bytes_ = 0;
};

}  // namespace asterias::resp
