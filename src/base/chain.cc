#include "base/chain.h"

#include <algorithm>

#include "base/check.h"

namespace asterias {

void Chain::seal_tail() {
    if (tail_.empty()) return;
    Bytes piece = tail_.take();
    if (pieces_.empty() && consumed_ > 0) {
        piece = piece.suffix(consumed_);
        consumed_ = 0;
    }
    if (!piece.empty()) pieces_.push_back(std::move(piece));
}

uint8_t* Chain::extend(size_t count) {
    CHECK(count <= kChunkBytes, "larger pieces are linked, not copied");
    if (tail_.size() + count > tail_.capacity()) {
        seal_tail();
        tail_ = BytesBuilder(kChunkBytes);
    }
    size_ += count;
    return tail_.extend(count);
}

void Chain::append(std::string_view text) {
    while (!text.empty()) {
        const size_t n = std::min(text.size(), kChunkBytes);
        std::memcpy(extend(n), text.data(), n);
        text.remove_prefix(n);
    }
}

void Chain::append(const Bytes& bytes) {
    if (bytes.size() < kLinkBytes) return append(bytes.view());
    seal_tail();
    pieces_.push_back(bytes);
    size_ += bytes.size();
}

size_t Chain::front(std::span<std::string_view> pieces) const {
    size_t n = 0;
    size_t skip = consumed_;
    for (const auto& piece : pieces_) {
        if (n == pieces.size()) return n;
        pieces[n++] = piece.view().substr(skip);
        skip = 0;
    }
    if (n < pieces.size() && tail_.size() > skip) pieces[n++] = tail_.view().substr(skip);
    return n;
}

void Chain::consume(size_t count) {
    CHECK(count <= size_, "only what is there can be consumed");
    size_ -= count;
    while (!pieces_.empty()) {
        const size_t left = pieces_.front().size() - consumed_;
        if (count < left) {
            consumed_ += count;
            return;
        }
        count -= left;
        consumed_ = 0;
        pieces_.pop_front();
    }
    consumed_ += count;
    if (consumed_ == tail_.size()) {
        tail_.clear();
        consumed_ = 0;
    }
}

void Chain::clear() {
    pieces_.clear();
    tail_ = BytesBuilder();
    consumed_ = 0;
    size_ = 0;
}

Bytes Chain::flatten() const {
    BytesBuilder all(size_);
    size_t skip = consumed_;
    for (const auto& piece : pieces_) {
        all.append(piece.view().substr(skip));
        skip = 0;
    }
    all.append(tail_.view().substr(skip));
    return all.take();
}

}  // namespace asterias
