// runtime/epoll/read_buffer.h: where received bytes land. Most receives end on a message boundary,
// so idle connections hold no buffer: they share the shard's chunk. A connection with part of a
// message left keeps it in a buffer of its own, in one piece, until the rest is there.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mutant.h"

namespace asterias::runtime {

// `capacity` bytes to be filled by receives. Slices handed out are never written again: filling
// goes on behind them, or from the front once nobody shares the buffer.
class FillBuffer {
public:
    FillBuffer() = default;
    FillBuffer(size_t capacity, Budget* budget) {
        BytesBuilder builder(capacity, budget);
        builder.extend(capacity);
        all_ = builder.take();
    }

    size_t capacity() const { return all_.size(); }
    size_t filled() const { return filled_; }
    std::span<uint8_t> room() {
        return {const_cast<uint8_t*>(all_.data()) + filled_, all_.size() - filled_};
    }
    void fill(size_t count) { filled_ += count; }
    Bytes slice(size_t from) const { return all_.slice(from, filled_ - from); }
    // Starts over, keeping what lies behind `from`, if nobody holds a slice.
    bool rewind(size_t from) {
        if (!all_.unique() && !MUTANT(epoll_kept_slice_overwritten)) return false;
        std::memmove(const_cast<uint8_t*>(all_.data()), all_.data() + from, filled_ - from);
        filled_ -= from;
        return true;
    }

private:
    Bytes all_;
    size_t filled_ = 0;
};

// The chunk that the connections of a shard share.
class SharedChunk {
public:
    SharedChunk(size_t bytes, Budget* budget) : bytes_(bytes), budget_(budget) {}

    // Room for one receive, at least a quarter of the chunk.
    std::span<uint8_t> room() {
        if (buffer_.room().size() < std::max<size_t>(bytes_ / 4, 1))
            buffer_ = FillBuffer(bytes_, budget_);
        return buffer_.room();
    }
    Bytes take(size_t count) {
        const size_t from = buffer_.filled();
        buffer_.fill(count);
        return buffer_.slice(from);
    }
    // After the handler: if it kept nothing, the next receive finds the same warm memory.
    void settle() { buffer_.rewind(buffer_.filled()); }

private:
    const size_t bytes_;
    Budget* const budget_;
    FillBuffer buffer_;
};

// The unconsumed input of one connection.
class Remainder {
public:
    size_t size() const { return buffer_.filled() - from_; }
    bool empty() const { return size() == 0; }
    Bytes bytes() const { return buffer_.slice(from_); }

    // Keeps a copy of what a handler left of the shared chunk.
    void keep(const Bytes& rest, size_t capacity, Budget* budget) {
        CHECK(empty(), "the shared chunk is read only when nothing is left");
        buffer_ = FillBuffer(std::max(capacity, rest.size()), budget);
        std::memcpy(buffer_.room().data(), rest.data(), rest.size());
        buffer_.fill(rest.size());
        from_ = 0;
    }
    // Drops `count` bytes from the front; frees the buffer with the last.
    void consume(size_t count) {
        from_ += count;
        if (from_ == buffer_.filled()) {
            buffer_ = {};
            from_ = 0;
        }
    }
    // Room behind what is there, so that up to `wanted` bytes lie in one piece. Grows by doubling
    // rather than to `wanted` at once: a length field alone must not buy memory.
    std::span<uint8_t> room(size_t wanted, size_t step, Budget* budget) {
        const size_t target =
            std::min(std::max(wanted, size() + step / 4), std::max(2 * size(), step));
        if (buffer_.capacity() - from_ < target) {
            if (buffer_.capacity() >= target && buffer_.rewind(from_)) {
                from_ = 0;
            } else {
                const Bytes rest = bytes();
                buffer_ = {};
                FillBuffer bigger(std::max(target, step), budget);
                std::memcpy(bigger.room().data(), rest.data(), rest.size());
                bigger.fill(rest.size());
                buffer_ = std::move(bigger);
                from_ = 0;
            }
        }
        return buffer_.room();
    }
    void fill(size_t count) { buffer_.fill(count); }

private:
    FillBuffer buffer_;
    size_t from_ = 0;
};

}  // namespace asterias::runtime
