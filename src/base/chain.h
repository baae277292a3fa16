// base/chain.h: outgoing bytes as a list of pieces. Small pieces are copied together into chunks;
// large Bytes are linked without a copy. One writev sends the front of it.
#pragma once

#include <deque>
#include <string_view>

#include "base/bytes.h"

namespace asterias {

class Chain {
public:
    // Pieces below this size are copied: a separate iovec costs about as much as copying so many
    // bytes.
    static constexpr size_t kLinkBytes = 1024;
    static constexpr size_t kChunkBytes = 16 * 1024;

    void append(std::string_view text);
    void append(const Bytes& bytes);
    // `count` bytes at the end to be written by the caller at once; count <= kChunkBytes.
    uint8_t* extend(size_t count);

    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    // Up to `most` pieces from the front, in order. The views hold until the next non-const call.
    size_t front(std::span<std::string_view> pieces) const;
    // Drops `count` bytes from the front; count <= size().
    void consume(size_t count);
    void clear();
    // All of it in one piece (tests, simulator).
    Bytes flatten() const;

private:
    std::deque<Bytes> pieces_;  // before tail_
    BytesBuilder tail_;         // being filled
    size_t consumed_ = 0;       // of the first piece, or of the tail when there are no pieces
    size_t size_ = 0;

    void seal_tail();
};

}  // namespace asterias
