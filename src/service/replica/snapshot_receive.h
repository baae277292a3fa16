// service/replica/snapshot_receive.h: one snapshot that comes in and is staged aside: whether each
// piece and the whole are what the sender read. Pure but for the queue's signal; whoever drives it
// stages and installs (install.cc). Threading: one shard.
#pragma once

#include <deque>
#include <memory>

#include "port/sync.h"
#include "service/replica/snapshot.h"

namespace asterias::replica {

class SnapshotReceiver {
public:
    SnapshotReceiver(port::Shard& shard, NodeId node, const SnapshotMessage& begin,
                     std::vector<port::Span> spans, std::unique_ptr<port::Staging> staging);

    const NodeId node;  // whom to answer
    const GroupId group;
    const ReplicaId self, from;
    const Term term;
    const uint64_t id;
    const SnapshotHead head;
    const std::unique_ptr<port::Staging> staging;
    port::Signal changed;  // a piece is there, or dropped
    bool dropped = false;  // whoever stages it gives up
    bool busy = false;     // it waits for something here: the silence is not the sender's
    SnapshotStep step = SnapshotStep::Staging;
    Instant heard;

    // False: not in turn, or there is no room for it; say where this is.
    bool take(SnapshotPiece piece);
    bool has_piece() const { return !queue_.empty(); }
    // The content of the next piece in the queue, ascending and inside the spans; it is to be
    // staged before the next is asked for. Errors: Corrupt.
    Result<std::vector<port::KeyValue>> next_content();
    void staged() { ++staged_; }
    // Everything before this piece is staged.
    uint64_t next() const { return staged_; }
    // The last piece is staged, and the counts and checksums agree.
    bool whole() const { return whole_ && staged_ == taken_; }
    // About it, as it is now.
    SnapshotReply reply(SnapshotReply::Kind kind, std::string why = {}) const {
        return {group, self, from, id, kind, next(), std::move(why)};
    }

private:
    Result<void> verify(const SnapshotPiece& piece, const std::vector<port::KeyValue>& pairs);

    const std::vector<port::Span> spans_;
    std::deque<SnapshotPiece> queue_;
    uint64_t queued_ = 0, taken_ = 0, staged_ = 0;  // pieces that ever were
    uint64_t pairs_ = 0;
    uint32_t crc_ = 0;
    Bytes last_key_;
    bool whole_ = false;
};

}  // namespace asterias::replica
