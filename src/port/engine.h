// port/engine.h: the ordered key-value engine under the state of all groups of a node.
// Contract (docs/adr/0005-rocksdb-without-wal-and-record-format.md; engine/conformance checks both
// implementations against it):
//   - write() is atomic and volatile, and returns the batch's sequence number, rising by call
//   order;
//   - durable() is monotone; a crash leaves exactly the batches with Seq <= S for some S >=
//   durable():
//     a prefix of the writes, never a hole;
//   - install() replaces a key span by prepared content together with its meta keys, atomically,
//   and
//     is durable on return;
//   - a read returns the newest written value or reports corruption; it never guesses.
// Hence the rule for the journal: an entry may be purged only when the applied index contained in
// durable() is at or above it.
// Threading: write, try_get, snapshot, durable and request_flush may be called from any shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "port/shard.h"
#include "port/task.h"

namespace asterias::port {

using EngineSeq = TaggedCounter<struct EngineSeqTag>;  // 0: nothing written since opening

class EngineBatch {
public:
    enum class Kind : uint8_t { Put, Delete, DeleteRange };
    struct Op {
        Kind kind;
        Bytes key;    // DeleteRange: first key
        Bytes value;  // DeleteRange: first key not deleted
    };
    void put(Bytes key, Bytes value) {
        ops_.push_back({Kind::Put, std::move(key), std::move(value)});
    }
    void del(Bytes key) { ops_.push_back({Kind::Delete, std::move(key), {}}); }
    void del_range(Bytes from, Bytes to) {
        ops_.push_back({Kind::DeleteRange, std::move(from), std::move(to)});
    }
    // Drops every Put and Delete that a later one of its key overrides, and orders the rest by key,
    // which a sorted store takes in faster. Only for batches without DeleteRange.
    void keep_last_writes();
    const std::vector<Op>& ops() const { return ops_; }
    bool empty() const { return ops_.empty(); }
    void clear() { ops_.clear(); }

private:
    std::vector<Op> ops_;
};

struct KeyValue {
    Bytes key, value;
    bool operator==(const KeyValue&) const = default;
};

// Where a scan stops at the latest: behind the first pair with which either bound is reached. So
// the result exceeds `bytes` by less than its last pair.
struct ScanLimit {
    size_t entries = SIZE_MAX;  // at least 1
    size_t bytes = SIZE_MAX;    // of keys and values together; at least 1

    bool reached(size_t entries_found, size_t bytes_found) const {
        return entries_found >= entries || bytes_found >= bytes;
    }
    // Of a scan's whole result. False: there was nothing more in the span.
    bool reached_by(const std::vector<KeyValue>& found) const;
};

struct Absent {};
struct WouldBlock {};  // not in memory: ask again with get()

// A consistent, frozen view. Holding one costs disk space, not memory.
class EngineSnapshot {
public:
    virtual ~EngineSnapshot() = default;
    virtual Result<std::optional<Bytes>> get(std::string_view key) = 0;
    // Pairs with from <= key < to, ascending, up to `limit`. An empty `to` means no upper bound.
    // To go on behind a limit, ask again from the last key and a zero byte. Blocks: run it where
    // blocking is allowed.
    virtual Result<std::vector<KeyValue>> scan(std::string_view from, std::string_view to,
                                               ScanLimit limit) = 0;
};

struct Span {
    Bytes from, to;  // from <= key < to
    bool operator==(const Span&) const = default;
};

// Content that lies aside until it is installed or thrown away (the destructor does that). Its
// calls run off the shard, one at a time, and resume on `shard`; the object outlives them.
class Staging {
public:
    virtual ~Staging() = default;
    // Ascending over all calls, each key inside one of the spans. Errors: NoSpace (nothing of this
    // call was taken; ask again later), Io (give up).
    virtual Task<Result<void>> add(Shard& shard, std::vector<KeyValue> content) = 0;
    // Replaces all spans by what was added, and applies `meta` (puts outside the spans), as
    // Engine::install() does: atomic, durable on return. Once, last. Errors: NoSpace (nothing
    // happened; ask again), Io (fatal: it may have happened or not).
    virtual Task<Result<void>> install(Shard& shard, EngineBatch meta) = 0;
    virtual uint64_t bytes() const = 0;  // of keys and values, added so far
};

class Engine {
public:
    virtual ~Engine() = default;

    // Errors: NoSpace (stalled or full; nothing was written, ask again later), Io (fatal).
    virtual Result<EngineSeq> write(const EngineBatch& batch) = 0;
    virtual EngineSeq durable() const = 0;
    virtual EngineSeq written() const = 0;
    // Makes everything written so far durable in the background; durable() shows when.
    virtual void request_flush() = 0;

    using TryGet = std::variant<Bytes, Absent, WouldBlock, Error>;
    // From memory only; never blocks.
    virtual TryGet try_get(std::string_view key) = 0;
    // May go to disk, off the shard; resumes on `shard`. `key` is owned by the call.
    virtual Task<Result<std::optional<Bytes>>> get(Shard& shard, Bytes key) = 0;

    // What EngineSnapshot::scan would say of this moment or a little later; off the shard, as
    // get().
    virtual Task<Result<std::vector<KeyValue>>> scan(Shard& shard, Bytes from, Bytes to,
                                                     ScanLimit limit) = 0;

    virtual std::unique_ptr<EngineSnapshot> snapshot() = 0;

    // Replaces everything in [from, to) by `content` (ascending keys inside the span) and applies
    // `meta` in the same atomic, durable step.
    virtual Result<void> install(Bytes from, Bytes to, std::vector<KeyValue> content,
                                 EngineBatch meta) = 0;

    // Prepares an install that is larger than memory, aside. Leftovers of a crash are removed when
    // the engine opens. At most one for a span at a time.
    virtual Result<std::unique_ptr<Staging>> stage(std::vector<Span> spans) = 0;
};

}  // namespace asterias::port
