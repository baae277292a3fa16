#include "engine/mem/mem.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "base/mutant.h"
#include "engine/mem/store_internal.h"
#include "port/sync.h"

namespace asterias::engine {
namespace {

using port::EngineBatch;
using port::EngineSeq;
using port::KeyValue;
using port::ScanLimit;

Error corrupt() { return {Errc::Corrupt, "engine block"}; }

// Finds damage: known already, or drawn now for a key whose value was flushed.
bool hits_damage(MemStore& store, Prng& prng, std::string_view key) {
    if (store.damaged(key)) {
        ++store.counts.damaged_reads;
        return true;
    }
    if (store.faults.read_corrupt <= 0 || !prng.chance(store.faults.read_corrupt)) return false;
    auto it = store.map().find(key);
    if (it == store.map().end() || !store.flushed(it->second)) return false;
    store.set_damaged(key);
    ++store.counts.damaged_reads;
    return true;
}

Result<std::optional<Bytes>> read(MemStore& store, Prng& prng, std::string_view key) {
    if (hits_damage(store, prng, key)) return std::unexpected(corrupt());
    auto it = store.map().find(key);
    if (it == store.map().end()) return std::nullopt;
    return it->second.bytes;
}

uint64_t put_bytes(const EngineBatch& batch) {
    uint64_t bytes = 0;
    for (const auto& op : batch.ops())
        if (op.kind == EngineBatch::Kind::Put) bytes += op.key.size() + op.value.size();
    return bytes;
}

class MemSnapshot final : public port::EngineSnapshot {
public:
    MemSnapshot(std::shared_ptr<MemStore> store, Prng prng)
        : store_(std::move(store)), prng_(prng) {
        store_->open_view(&overlay_);
    }
    ~MemSnapshot() override { store_->close_view(&overlay_); }

    Result<std::optional<Bytes>> get(std::string_view key) override {
        auto it = overlay_.find(key);
        if (it != overlay_.end()) return it->second;
        return read(*store_, prng_, key);
    }

    // Merges the live map with the overlay; where both hold a key the overlay is the view's.
    Result<std::vector<KeyValue>> scan(std::string_view from, std::string_view to,
                                       ScanLimit limit) override {
        std::vector<KeyValue> found;
        size_t bytes = 0;
        const auto add = [&](const Bytes& key, const Bytes& value) {
            bytes += key.size() + value.size();
            found.push_back({key, value});
        };
        auto live = store_->map().lower_bound(from);
        auto old = overlay_.lower_bound(from);
        const auto inside = [to](const Bytes& key) { return to.empty() || key.view() < to; };
        while (!limit.reached(found.size(), bytes)) {
            const bool live_left = live != store_->map().end() && inside(live->first);
            const bool old_left = old != overlay_.end() && inside(old->first);
            if (!live_left && !old_left) break;
            if (old_left && (!live_left || old->first <= live->first)) {
                if (live_left && old->first == live->first) ++live;
                if (old->second) add(old->first, *old->second);
                ++old;
            } else {
                if (hits_damage(*store_, prng_, live->first.view()))
                    return std::unexpected(corrupt());
                add(live->first, live->second.bytes);
                ++live;
            }
        }
        return found;
    }

private:
    std::shared_ptr<MemStore> store_;
    Prng prng_;
    MemStore::Overlay overlay_;
};

class MemEngine final : public port::Engine {
public:
    class Staging;

    MemEngine(std::shared_ptr<MemStore> store, const MemOptions& options)
        : store_(std::move(store)),
          options_(options),
          prng_(options.prng),
          base_(store_->written()) {
        store_->owner = this;
    }
    ~MemEngine() override {
        if (store_->owner == this) store_->owner = nullptr;
    }

    Result<EngineSeq> write(const EngineBatch& batch) override;
    EngineSeq durable() const override {
        advance_flush();
        if (MUTANT(engine_durable_too_early)) return seq(store_->written());
        return seq(store_->durable());
    }
    EngineSeq written() const override { return seq(store_->written()); }
    void request_flush() override {
        check_open();
        begin_flush();
    }
    TryGet try_get(std::string_view key) override;
    port::Task<Result<std::optional<Bytes>>> get(port::Shard& shard, Bytes key) override {
        check_open();
        const Duration delay = draw_read_delay();
        return read_later(store_, prng_.split(), shard, std::move(key), delay);
    }
    port::Task<Result<std::vector<KeyValue>>> scan(port::Shard& shard, Bytes from, Bytes to,
                                                   ScanLimit limit) override {
        check_open();
        const Duration delay = draw_read_delay();
        return scan_later(store_, prng_.split(), shard, std::move(from), std::move(to), limit,
                          delay);
    }
    std::unique_ptr<port::EngineSnapshot> snapshot() override {
        check_open();
        return std::make_unique<MemSnapshot>(store_, prng_.split());
    }
    port::Task<Result<std::vector<KeyValue>>> scan_view(port::Shard& shard,
                                                        std::shared_ptr<port::EngineSnapshot> view,
                                                        Bytes from, Bytes to,
                                                        ScanLimit limit) override {
        check_open();
        const Duration delay = draw_read_delay();
        return scan_view_later(std::move(view), shard, std::move(from), std::move(to), limit,
                               delay);
    }
    Result<std::unique_ptr<port::Staging>> stage(std::vector<port::Span> spans) override;

private:
    Duration draw_read_delay() {
        const auto range =
            static_cast<uint64_t>((options_.read_delay_max - options_.read_delay_min).count());
        return options_.read_delay_min + Duration(static_cast<int64_t>(prng_.below(range + 1)));
    }
    // `shard` outlives its tasks; the store is shared, so the engine may die meanwhile.
    static port::Task<Result<std::optional<Bytes>>> read_later(std::shared_ptr<MemStore> store,
                                                               Prng prng, port::Shard& shard,
                                                               Bytes key, Duration delay) {
        co_await port::sleep(shard, delay);
        co_return read(*store, prng, key.view());
    }
    static port::Task<Result<std::vector<KeyValue>>> scan_later(std::shared_ptr<MemStore> store,
                                                                Prng prng, port::Shard& shard,
                                                                Bytes from, Bytes to,
                                                                ScanLimit limit, Duration delay) {
        co_await port::sleep(shard, delay);
        co_return MemSnapshot(std::move(store), prng).scan(from.view(), to.view(), limit);
    }

    static port::Task<Result<std::vector<KeyValue>>> scan_view_later(
        std::shared_ptr<port::EngineSnapshot> view, port::Shard& shard, Bytes from, Bytes to,
        ScanLimit limit, Duration delay) {
        co_await port::sleep(shard, delay);
        co_return view->scan(from.view(), to.view(), limit);
    }

    EngineSeq seq(Position position) const { return EngineSeq(position - base_); }
    void check_open() const {
        CHECK(store_->owner == this, "an engine is not used after its node crashed");
    }
    void begin_flush() {
        if (store_->flushing_to <= store_->durable())
            store_->flushing_to = store_->written();
        else
            flush_again_ = true;
    }
    void advance_flush() const;
    bool fits(uint64_t growth) const {
        if (growth == 0) return true;
        uint64_t used = store_->bytes();
        for (const auto& [id, staged] : store_->staged)
            used += staged.bytes;
        return used + growth <= store_->faults.capacity_bytes;
    }
    // Why nothing may grow by so much now; nothing if it may.
    std::optional<Error> refusal(uint64_t growth);
    Result<void> install(const MemStore::Staged& staged, const EngineBatch& meta);

    std::shared_ptr<MemStore> store_;
    const MemOptions options_;
    mutable Prng prng_;
    const Position base_;
    uint32_t stalled_writes_left_ = 0;
    // Polling durable() lets time pass for the flush in flight.
    mutable bool flush_again_ = false;
    mutable bool failed_ = false;
};

void MemEngine::advance_flush() const {
    check_open();
    if (failed_ || store_->flushing_to <= store_->durable()) return;
    if (!prng_.chance(options_.flush_ends)) return;
    if (prng_.chance(store_->faults.flush_fails)) {
        failed_ = true;
        ++store_->counts.flush_failures;
        return;
    }
    store_->flush(store_->flushing_to);
    if (std::exchange(flush_again_, false)) store_->flushing_to = store_->written();
}

std::optional<Error> MemEngine::refusal(uint64_t growth) {
    if (failed_) return Error{Errc::Io, "engine: background error"};
    if (stalled_writes_left_ == 0 && store_->faults.stall_begins > 0 &&
        prng_.chance(store_->faults.stall_begins))
        stalled_writes_left_ =
            static_cast<uint32_t>(prng_.between(1, store_->faults.stall_writes_max));
    if (stalled_writes_left_ > 0) {
        --stalled_writes_left_;
        ++store_->counts.stalls;
        return Error{Errc::NoSpace, "engine: stalled"};
    }
    if (!fits(growth)) {
        ++store_->counts.full;
        return Error{Errc::NoSpace, "engine: disk full"};
    }
    return std::nullopt;
}

Result<EngineSeq> MemEngine::write(const EngineBatch& batch) {
    advance_flush();
    if (batch.empty() && !failed_) return written();
    if (auto no = refusal(put_bytes(batch))) return std::unexpected(std::move(*no));
    store_->apply(batch);
    if (prng_.chance(options_.flush_begins)) begin_flush();
    return written();
}

port::Engine::TryGet MemEngine::try_get(std::string_view key) {
    check_open();
    if (hits_damage(*store_, prng_, key)) return corrupt();
    auto it = store_->map().find(key);
    const bool in_memtable = it != store_->map().end() && !store_->flushed(it->second);
    if (!in_memtable && store_->faults.would_block > 0 &&
        prng_.chance(store_->faults.would_block)) {
        ++store_->counts.would_block;
        return port::WouldBlock{};
    }
    if (it == store_->map().end()) return port::Absent{};
    return it->second.bytes;
}

Result<void> MemEngine::install(const MemStore::Staged& staged, const EngineBatch& meta) {
    if (auto no = refusal(put_bytes(meta))) return std::unexpected(std::move(*no));
    if (store_->faults.install_fails > 0 && prng_.chance(store_->faults.install_fails)) {
        failed_ = true;
        ++store_->counts.install_failures;
        if (prng_.chance(0.5)) return fail(Errc::Io, "engine: install");
    }
    // All that was written before goes to disk first: install is durable, and there are no holes.
    store_->flush(store_->written());
    store_->replace(staged.spans, staged.content);
    if (MUTANT(engine_install_not_atomic)) store_->flush(store_->written());
    store_->apply(meta);
    if (!MUTANT(engine_install_not_atomic)) store_->flush(store_->written());
    store_->flushing_to = store_->durable();
    flush_again_ = false;
    if (failed_) return fail(Errc::Io, "engine: install");
    return {};
}

// Keeps nothing itself: a crash takes it from the store.
class MemEngine::Staging final : public port::Staging {
public:
    Staging(MemEngine& engine, std::vector<port::Span> spans)
        : engine_(engine),
          store_(engine.store_),
          rules_(std::move(spans)),
          id_(++store_->last_staging) {
        store_->staged[id_].spans = rules_.spans();
    }
    ~Staging() override { store_->staged.erase(id_); }

    port::Task<Result<void>> add(port::Shard& shard, std::vector<KeyValue> content) override {
        engine_.check_open();
        rules_.check_content(content);
        co_await port::sleep(shard, engine_.draw_read_delay());
        co_return take(content);
    }
    port::Task<Result<void>> install(port::Shard& shard, EngineBatch meta) override {
        engine_.check_open();
        rules_.check_meta(meta);
        CHECK(!installed_, "what is staged is installed once");
        co_await port::sleep(shard, engine_.draw_read_delay());
        engine_.check_open();
        auto done = engine_.install(store_->staged.at(id_), meta);
        if (done) {
            installed_ = true;
            store_->staged.erase(id_);
        }
        co_return done;
    }
    uint64_t bytes() const override { return bytes_; }

private:
    Result<void> take(const std::vector<KeyValue>& content) {
        engine_.check_open();
        uint64_t growth = 0;
        for (const auto& pair : content)
            growth += pair.key.size() + pair.value.size();
        if (auto no = engine_.refusal(growth)) return std::unexpected(std::move(*no));
        MemStore::Staged& staged = store_->staged.at(id_);
        for (const auto& [key, value] : content)
            staged.content.push_back({Bytes::copy(key.view()), Bytes::copy(value.view())});
        staged.bytes += growth;
        bytes_ += growth;
        rules_.took(content);
        return {};
    }

    MemEngine& engine_;
    const std::shared_ptr<MemStore> store_;
    port::StagingRules rules_;
    const uint64_t id_;
    uint64_t bytes_ = 0;
    bool installed_ = false;
};

Result<std::unique_ptr<port::Staging>> MemEngine::stage(std::vector<port::Span> spans) {
    check_open();
    return std::make_unique<Staging>(*this, std::move(spans));
}

}  // namespace

MemImage::MemImage() : store_(std::make_shared<MemStore>()) {}
MemImage::~MemImage() = default;
MemImage::MemImage(MemImage&&) noexcept = default;
MemImage& MemImage::operator=(MemImage&&) noexcept = default;

void MemImage::crash(Prng& prng) {
    MemStore& store = *store_;
    store.owner = nullptr;
    if (MUTANT(engine_hole_after_crash)) store.rewind_with_hole(prng);
    const double draw = prng.unit();
    Position to = store.durable();
    if (draw >= 0.6 && draw < 0.8) to = std::max(to, store.flushing_to);
    if (draw >= 0.8 && draw < 0.9) to = prng.between(store.durable(), store.written());
    if (draw >= 0.9) to = store.written();
    store.rewind(to);
    for (const auto& [id, staged] : store.staged) {
        if (!MUTANT(engine_staged_leftover_installed)) break;
        store.replace(staged.spans, staged.content);
        store.flush(store.written());
    }
    store.staged.clear();
}

void MemImage::set_faults(const MemFaults& faults) { store_->faults = faults; }
const MemFaults& MemImage::faults() const { return store_->faults; }
const MemCounts& MemImage::counts() const { return store_->counts; }
uint64_t MemImage::bytes() const { return store_->bytes(); }
uint64_t MemImage::keys() const { return store_->map().size(); }

bool MemImage::damage(std::string_view key) {
    auto it = store_->map().find(key);
    if (it == store_->map().end() || !store_->flushed(it->second)) return false;
    store_->set_damaged(key);
    return true;
}

Result<std::unique_ptr<port::Engine>> open_mem(MemImage& image, const MemOptions& options) {
    MemStore& store = *image.store_;
    if (store.owner) return fail(Errc::Conflict, "engine: image is open already");
    CHECK(options.read_delay_max >= options.read_delay_min, "a delay is drawn from a range");
    store.flush(store.written());  // a clean close, unless crash() rewound it
    store.staged.clear();
    store.flushing_to = store.durable();
    return std::make_unique<MemEngine>(image.store_, options);
}

}  // namespace asterias::engine
