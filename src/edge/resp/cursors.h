// edge/resp/cursors.h: where the SCANs of a door's clients stand. A cursor is a number that names a
// place kept here: {node, 12 bits}{shard, 8}{random, 43}, below 2^63 and never 0. It holds until
// the cursor that it led to is used, for kIdle without use, and while there is room: the longest
// unused go first. Threading: one shard; Place and what is
// static: any.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace asterias::edge_resp {

class Cursors {
public:
    static constexpr size_t kMost = 10'000;
    static constexpr size_t kBytesMost = 16 * 1024 * 1024;
    static constexpr Duration kIdle = seconds(600);

    struct Place {
        KeyspaceId keyspace;
        Bytes from;               // user key
        uint64_t generation = 0;  // of the newest catalogue that was gone by
    };
    // For the way between doors. Errors: Corrupt.
    static Bytes encode(const Place& place);
    static Result<Place> decode(const Bytes& bytes);
    // Of a cursor: who keeps it, the node's number without what is above 12 bits.
    static uint64_t node_of(uint64_t cursor) { return cursor >> 51 & 0xFFF; }
    static ShardId shard_of(uint64_t cursor) { return ShardId(cursor >> 43 & 0xFF); }

    // At most `most` places of `bytes_most` together.
    Cursors(uint64_t node, ShardId shard, size_t most = kMost, size_t bytes_most = kBytesMost)
        : prefix_((node & 0xFFF) << 51 | (shard.value & 0xFF) << 43),
          most_(most),
          bytes_most_(bytes_most) {}

    // `random`: drawn by the caller. `before`: the cursor that led here, 0 at the beginning.
    uint64_t put(Place place, uint64_t before, uint64_t random, Instant now);
    std::optional<Place> find(uint64_t cursor, Instant now);
    // A door of this node and shard gave it, or one that was here before a restart.
    bool is_own(uint64_t cursor) const { return cursor >> 43 == prefix_ >> 43; }
    size_t size() const { return entries_.size(); }
    // With those that are gone and not forgotten yet: some hundred more than twice size().
    size_t uses() const { return by_use_.size(); }

private:
    struct Entry {
        Place place;
        uint64_t before;
        Instant used;
    };
    void drop(uint64_t cursor);
    bool drop_oldest(Instant unused_since);

    const uint64_t prefix_;
    const size_t most_, bytes_most_;
    std::map<uint64_t, Entry> entries_;
    std::deque<std::pair<Instant, uint64_t>> by_use_;  // an entry used since comes again behind
    size_t bytes_ = 0;
};

}  // namespace asterias::edge_resp
