// service/replica/snapshot.h: what two replicas say to each other while one sends the other its
// state (ADR 0014; bytes in docs/formats/rpc.md).
//
// The sender says Begin and hears where the receiver is; then it sends pieces in key order, a
// bounded number of them unanswered. Each is answered when it lies aside. After silence, a lost
// connection or anything out of turn the sender says Begin again, and goes on where the answer
// says. Behind the last piece, which carries the counts and the checksum of the whole, it waits for
// Installed.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/raft/types.h"
#include "port/engine.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace asterias::replica {

struct SnapshotHead {
    raft::SnapshotMeta meta;
    HybridTime commit_time;  // of Applied at meta.index, as is the next
    LogIndex matched_by_all;
    bool operator==(const SnapshotHead&) const = default;
};

struct SnapshotBegin {
    SnapshotHead head;
    bool operator==(const SnapshotBegin&) const = default;
};
struct SnapshotPiece {
    uint64_t number = 0;  // from 0
    Bytes content;        // pairs: bytes key, bytes value
    uint32_t crc = 0;     // of content
    bool last = false;
    // With the last one: of all pieces, this one included.
    uint64_t pairs = 0;
    uint32_t crc_of_all = 0;
    bool operator==(const SnapshotPiece&) const = default;
};

// One Snapshot frame.
struct SnapshotMessage {
    GroupId group;
    ReplicaId from, to;
    Term term;        // in which `from` leads
    uint64_t id = 0;  // drawn by the sender for each snapshot
    std::variant<SnapshotBegin, SnapshotPiece> body;
    bool operator==(const SnapshotMessage&) const = default;
};

// One SnapshotReply frame.
struct SnapshotReply {
    enum class Kind : uint8_t {
        Going = 1,      // everything before piece `next` lies aside; that one is expected
        Installed = 2,  // the state here is the snapshot's, or ahead of it
        Refused = 3,    // it will not be taken; `why`
        Busy = 4,       // not now: ask again
    };
    GroupId group;
    ReplicaId from, to;
    uint64_t id = 0;
    Kind kind = Kind::Going;
    uint64_t next = 0;
    std::string why;
    bool operator==(const SnapshotReply&) const = default;
};

void write_snapshot(wire::Writer& out, const SnapshotMessage& message);
void write_snapshot_reply(wire::Writer& out, const SnapshotReply& reply);
// Errors: Corrupt (bytes, or numbers that nobody correct sends), Unsupported.
Result<SnapshotMessage> read_snapshot(const Bytes& body);
Result<SnapshotReply> read_snapshot_reply(const Bytes& body);

Bytes encode_pairs(const std::vector<port::KeyValue>& pairs);
// Slices of `content`. Errors: Corrupt.
Result<std::vector<port::KeyValue>> decode_pairs(const Bytes& content);

// How far one that comes in is: pieces are staged aside; the journal is told that it will be
// installed; the engine replaces the state; the core is about to hear of it.
enum class SnapshotStep : uint8_t { Staging, Beginning, Replacing, Loading };

// How many snapshots are on their way at a time: a shard's replicas share it.
class SnapshotSlots {
public:
    explicit SnapshotSlots(size_t max) : max_(max) {}
    bool take() {
        if (taken_ >= max_) return false;
        ++taken_;
        return true;
    }
    void give_back() { --taken_; }
    size_t taken() const { return taken_; }

private:
    const size_t max_;
    size_t taken_ = 0;
};

}  // namespace asterias::replica
