// port/engine.h: the ordered key-value engine under the state of all groups of a node.
// Contract (docs/adr/0005-rocksdb-without-wal-and-record-format.md; engine/conformance checks both
// implementations against it):
//   - write() is atomic and volatile, and returns the batch's sequence number, rising by call
//   order;
//   - durable() is monotone; a crash leaves exactly the batches with Seq <= S for some S >=
//   durable():
//     a prefix of the writes, never a hole;
//   - a staged install replaces key spans by prepared content together with its meta keys,
//     atomically, and is durable on return;
//   - a read returns the newest written value or reports corruption; it never guesses.
// Hence the rule for the journal: an entry may be purged only when the applied index contained in
// durable() is at or above it.
// Threading: write, try_get, snapshot, durable and request_flush may be called from any shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
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
// calls run off the shard, one at a time, and resume on `shard`; the object outlives them, and the
// engine the object. Takes the memory of a few pieces and of a table file (RocksOptions) at most.
class Staging {
public:
    virtual ~Staging() = default;
    // Ascending over all calls, each key inside one of the spans. Errors: NoSpace (nothing of this
    // call was taken; ask again later), Io (give up).
    virtual Task<Result<void>> add(Shard& shard, std::vector<KeyValue> content) = 0;
    // Replaces all that the spans hold by what was added, and applies `meta` (puts outside the
    // spans), in one atomic step, durable on return; so is all that was written before. Writes that
    // meet it answer NoSpace. Once it has answered Ok, nothing more is called. Errors: NoSpace
    // (nothing happened; ask again), Io (fatal: it may have happened or not).
    virtual Task<Result<void>> install(Shard& shard, EngineBatch meta) = 0;
    virtual uint64_t bytes() const = 0;  // of keys and values, added so far
};

// What every Staging demands of its caller; for engines.
class StagingRules {
public:
    explicit StagingRules(std::vector<Span> spans);

    const std::vector<Span>& spans() const { return spans_; }
    // A program that breaks them is wrong and ends.
    void check_content(const std::vector<KeyValue>& content) const;
    void check_meta(const EngineBatch& meta) const;
    // `content` was taken.
    void took(const std::vector<KeyValue>& content);

private:
    // The span that holds `key`; spans().size() if there is none.
    size_t span_of(std::string_view key) const;

    std::vector<Span> spans_;
    Bytes last_;  // key; empty: none yet
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
    // As try_get(), of what `take` makes of the value: it is called at most once, in between, with
    // all of it, and copies what it wants. For large values of which little is needed.
    using Take = std::function<Bytes(std::string_view)>;
    virtual TryGet try_get_part(std::string_view key, const Take& take);
    // May go to disk, off the shard; resumes on `shard`. `key` is owned by the call.
    virtual Task<Result<std::optional<Bytes>>> get(Shard& shard, Bytes key) = 0;

    // What EngineSnapshot::scan would say of this moment or a little later; off the shard, as
    // get().
    virtual Task<Result<std::vector<KeyValue>>> scan(Shard& shard, Bytes from, Bytes to,
                                                     ScanLimit limit) = 0;

    virtual std::unique_ptr<EngineSnapshot> snapshot() = 0;
    // EngineSnapshot::scan of a frozen view, off the shard; the call keeps the view alive. One at a
    // time for a view.
    virtual Task<Result<std::vector<KeyValue>>> scan_view(Shard& shard,
                                                          std::shared_ptr<EngineSnapshot> view,
                                                          Bytes from, Bytes to,
                                                          ScanLimit limit) = 0;

    // Prepares an install that is larger than memory, aside. The spans ascend, are not empty and do
    // not meet. Leftovers of a crash are removed when the engine opens. At most one for a span at a
    // time. Errors: Io.
    virtual Result<std::unique_ptr<Staging>> stage(std::vector<Span> spans) = 0;
};

}  // namespace asterias::port
