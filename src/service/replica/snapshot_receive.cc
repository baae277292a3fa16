#include "service/replica/snapshot_receive.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/mutant.h"

namespace asterias::replica {
namespace {
constexpr size_t kQueueMax = 32;  // pieces; more than any sender leaves unanswered
}

SnapshotReceiver::SnapshotReceiver(port::Shard& shard, NodeId sender, const SnapshotMessage& begin,
                                   std::vector<port::Span> spans,
                                   std::unique_ptr<port::Staging> aside)
    : node(sender),
      group(begin.group),
      self(begin.to),
      from(begin.from),
      term(begin.term),
      id(begin.id),
      head(std::get<SnapshotBegin>(begin.body).head),
      staging(std::move(aside)),
      changed(shard),
      heard(shard.clock().now()),
      spans_(std::move(spans)) {}

bool SnapshotReceiver::take(SnapshotPiece piece) {
    if (piece.number != queued_ || queue_.size() >= kQueueMax || whole_) return false;
    ++queued_;
    queue_.push_back(std::move(piece));
    changed.notify();
    return true;
}

Result<std::vector<port::KeyValue>> SnapshotReceiver::next_content() {
    const SnapshotPiece piece = std::move(queue_.front());
    queue_.pop_front();
    ++taken_;
    if (crc32c(piece.content.view()) != piece.crc && !MUTANT(replica_snapshot_unverified))
        return fail(Errc::Corrupt, "checksum of piece " + std::to_string(piece.number));
    auto pairs = TRY(decode_pairs(piece.content));
    TRY(verify(piece, pairs));
    return pairs;
}

Result<void> SnapshotReceiver::verify(const SnapshotPiece& piece,
                                      const std::vector<port::KeyValue>& pairs) {
    for (const auto& [key, value] : pairs) {
        const bool inside = std::ranges::any_of(
            spans_, [&](const auto& span) { return key >= span.from && key < span.to; });
        if (!inside || key <= last_key_)
            return fail(Errc::Corrupt, "keys of piece " + std::to_string(piece.number));
        last_key_ = key;
    }
    last_key_ = Bytes::copy(last_key_.view());
    pairs_ += pairs.size();
    crc_ = crc32c(piece.content.view(), crc_);
    whole_ = piece.last;
    if (whole_ && (piece.pairs != pairs_ || piece.crc_of_all != crc_) &&
        !MUTANT(replica_snapshot_unverified))
        return fail(Errc::Corrupt, "the whole is not what the sender read");
    return {};
}

}  // namespace asterias::replica
