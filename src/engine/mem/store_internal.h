// engine/mem/store_internal.h: an ordered map with two histories, both made of preimages (what a
// key held before a change): one per unflushed batch, to rewind; one per open view, to freeze it.
// A change costs one map operation and one preimage; a flush drops preimages, amortised O(1) per
// change; opening a view is free, and it costs a preimage per key changed while it is open.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "engine/mem/mem.h"
#include "port/engine.h"

namespace asterias::engine {

struct BytesLess {
    using is_transparent = void;
    static std::string_view view(std::string_view v) { return v; }
    static std::string_view view(const Bytes& b) { return b.view(); }
    bool operator()(const auto& a, const auto& b) const { return view(a) < view(b); }
};

// Counts changes since the image was made; never goes back, so that a value's position tells
// whether it was flushed. EngineSeq counts from the opening instead.
using Position = uint64_t;

class MemStore {
public:
    struct Value {
        Bytes bytes;
        Position written = 0;
    };
    using Map = std::map<Bytes, Value, BytesLess>;
    // Keys changed since a view was opened, with what they held then.
    using Overlay = std::map<Bytes, std::optional<Bytes>, BytesLess>;

    // One atomic, volatile step; becomes written().
    void apply(const port::EngineBatch& batch);
    void replace(const std::vector<port::Span>& spans, const std::vector<port::KeyValue>& content);
    void flush(Position through);
    // Leaves exactly the steps up to `to`; durable() <= to <= written().
    void rewind(Position to);
    // What a rewind must never do; planted bug.
    void rewind_with_hole(Prng& prng);

    Position written() const { return written_; }
    Position durable() const { return durable_; }
    uint64_t bytes() const { return bytes_; }
    const Map& map() const { return map_; }
    bool flushed(const Value& value) const { return value.written <= durable_; }

    void open_view(Overlay* overlay) { views_.push_back(overlay); }
    void close_view(Overlay* overlay) { std::erase(views_, overlay); }

    bool damaged(std::string_view key) const {
        return !damaged_.empty() && damaged_.find(key) != damaged_.end();
    }
    void set_damaged(std::string_view key) { damaged_.insert(Bytes::copy(key)); }

    // Content that lies aside, by the Staging that it is of. Gone after a crash.
    struct Staged {
        std::vector<port::Span> spans;
        std::vector<port::KeyValue> content;
        uint64_t bytes = 0;
    };
    std::map<uint64_t, Staged> staged;
    uint64_t last_staging = 0;

    MemFaults faults;
    MemCounts counts;
    Position flushing_to = 0;     // a flush is in flight while above durable()
    const void* owner = nullptr;  // the open engine

private:
    struct Preimage {
        Bytes key;
        std::optional<Value> value;
    };
    struct Step {
        Position position;
        std::vector<Preimage> before;
    };

    void begin_step();
    void apply_op(const port::EngineBatch::Op& op);
    void put(std::string_view key, std::string_view value);
    void erase(std::string_view key);
    void erase_range(std::string_view from, std::string_view to);
    void before_change(const Bytes& key, const std::optional<Value>& old);
    void restore(Preimage& preimage);

    Map map_;
    uint64_t bytes_ = 0;
    Position written_ = 0;
    Position durable_ = 0;
    std::deque<Step> unflushed_;
    std::vector<Overlay*> views_;
    std::set<Bytes, BytesLess> damaged_;
};

}  // namespace asterias::engine
