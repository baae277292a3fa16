#include "engine/rocks/engine.h"

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstring>
#include <mutex>
#include <shared_mutex>

#include <rocksdb/listener.h>
#include <rocksdb/write_batch.h>

#include "base/check.h"
#include "base/mutant.h"
#include "engine/rocks/rocks_internal.h"
#include "engine/rocks/worker.h"

namespace asterias::engine {
namespace {

using port::EngineBatch;
using port::EngineSeq;
using port::KeyValue;
using rocksdb::SequenceNumber;
using rocksdb::Status;

// What RocksDB tells from its own threads. It outlives the database.
struct Health final : rocksdb::EventListener {
    std::atomic<SequenceNumber> flushed{0};
    std::atomic<bool> full{false};    // out of space; ends when a resume succeeds
    std::atomic<bool> failed{false};  // a background error; never ends

    void raise_flushed(SequenceNumber to) {
        auto seen = flushed.load(std::memory_order_relaxed);
        while (seen < to && !flushed.compare_exchange_weak(seen, to, std::memory_order_acq_rel)) {
        }
    }

    // Called once the file and the manifest edit that names it are synced. README.md has the
    // argument why everything up to largest_seqno is then durable.
    void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo& info) override {
        raise_flushed(info.largest_seqno);
    }
    // A full disk is survived while it hits table files. In the manifest it is an error like any
    // other: RocksDB 7.8 may abort when it resumes from that.
    void OnBackgroundError(rocksdb::BackgroundErrorReason reason, Status* error) override {
        using Reason = rocksdb::BackgroundErrorReason;
        const bool manifest =
            reason == Reason::kManifestWrite || reason == Reason::kManifestWriteNoWAL;
        (is_no_space(*error) && !manifest ? full : failed).store(true, std::memory_order_release);
    }
    void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, Status, bool* automatic) override {
        *automatic = false;
    }
};

// Sequence number of a batch's first operation, which DB::Write fills in. The layout (fixed64 at
// the start) is RocksDB's log record format.
SequenceNumber first_sequence(const rocksdb::WriteBatch& batch) {
    SequenceNumber sequence;
    std::memcpy(&sequence, batch.Data().data(), sizeof sequence);
    return sequence;
}

void fill(rocksdb::WriteBatch& rows, const EngineBatch& batch) {
    Status status;
    for (const auto& op : batch.ops()) {
        switch (op.kind) {
            case EngineBatch::Kind::Put:
                status = rows.Put(slice(op.key), slice(op.value));
                break;
            case EngineBatch::Kind::Delete:
                status = rows.Delete(slice(op.key));
                break;
            case EngineBatch::Kind::DeleteRange:
                CHECK(!op.value.empty(), "a deleted range has an upper bound");
                // An empty range would take a sequence number that no memtable holds.
                if (op.key < op.value) status = rows.DeleteRange(slice(op.key), slice(op.value));
                break;
        }
        CHECK(status.ok(), "a batch in memory takes what fits in memory");
    }
}

class RocksEngine final : public port::Engine {
public:
    RocksEngine(std::string directory, std::unique_ptr<rocksdb::Env> env, rocksdb::Options options,
                std::shared_ptr<Health> health, std::unique_ptr<rocksdb::DB> db,
                uint32_t read_threads, const RocksInternal& internal)
        : directory_(std::move(directory)),
          env_(std::move(env)),
          options_(std::move(options)),
          health_(std::move(health)),
          db_(std::move(db)),
          base_(db_->GetLatestSequenceNumber()),
          internal_(internal),
          readers_(read_threads),
          housekeeping_(1) {
        health_->raise_flushed(base_);
        volatile_write_.disableWAL = true;
        volatile_write_.no_slowdown = true;
        from_memory_.read_tier = rocksdb::kBlockCacheTier;
    }
    ~RocksEngine() override;

    Result<EngineSeq> write(const EngineBatch& batch) override;
    EngineSeq durable() const override {
        if (health_->full.load(std::memory_order_relaxed)) try_resume();
        if (MUTANT(engine_durable_too_early)) return written();
        return EngineSeq(health_->flushed.load(std::memory_order_acquire) - base_);
    }
    EngineSeq written() const override { return EngineSeq(db_->GetLatestSequenceNumber() - base_); }
    void request_flush() override;
    TryGet try_get(std::string_view key) override;
    port::Task<Result<std::optional<Bytes>>> get(port::Shard& shard, Bytes key) override;
    port::Task<Result<std::vector<KeyValue>>> scan(port::Shard& shard, Bytes from, Bytes to,
                                                   size_t limit) override;
    std::unique_ptr<port::EngineSnapshot> snapshot() override { return make_snapshot(*db_); }
    Result<void> install(Bytes from, Bytes to, std::vector<KeyValue> content,
                         EngineBatch meta) override;

private:
    // Work for a reader thread, and who waits for it.
    template <typename T>
    struct Errand {
        port::Shard& shard;
        std::move_only_function<T()> work;
        std::optional<T> answer;
        std::coroutine_handle<> waiter;  // touched on the shard only; null once the frame is gone
    };
    template <typename T>
    port::Task<T> off_shard(port::Shard& shard, std::move_only_function<T()> work);

    Result<std::optional<Bytes>> read(std::string_view key);
    Error refusal(const Status& status) const;
    void try_resume() const;
    bool resume() const;
    void flush_in_background() const;
    Result<void> flush_all(bool may_stall_writers) const;
    Result<void> ingest(const std::string& path);

    const std::string directory_;
    const std::unique_ptr<rocksdb::Env> env_;
    const rocksdb::Options options_;
    const std::shared_ptr<Health> health_;
    const std::unique_ptr<rocksdb::DB> db_;
    const SequenceNumber base_;  // EngineSeq counts from the opening
    const RocksInternal internal_;
    rocksdb::WriteOptions volatile_write_;
    rocksdb::ReadOptions from_memory_;
    // Shared by writes, held by an install from its last flush to its ingestion.
    std::shared_mutex gate_;
    mutable std::mutex maintenance_;  // installs and resumes, one at a time; taken before gate_
    mutable std::atomic<bool> flush_queued_{false};
    mutable std::atomic<SequenceNumber> flush_wanted_{0};
    mutable std::atomic<int64_t> next_resume_{0};
    std::atomic<uint64_t> installs_{0};
    Workers readers_;
    mutable Workers housekeeping_;
};

RocksEngine::~RocksEngine() {
    resume();
    if (health_->failed || health_->full) return;
    // Closing alone would abandon a flush in flight: RocksDB flushes the active memtable only.
    if (auto flushed = flush_all(true); !flushed && options_.info_log)
        rocksdb::Log(rocksdb::InfoLogLevel::WARN_LEVEL, options_.info_log, "close: %s",
                     flushed.error().context.c_str());
}

Error RocksEngine::refusal(const Status& status) const {
    if (health_->failed) return {Errc::Io, "engine: background error"};
    if (health_->full || is_no_space(status)) return {Errc::NoSpace, "engine: disk full"};
    if (status.IsIncomplete()) return {Errc::NoSpace, "engine: stalled"};
    health_->failed = true;
    return {Errc::Io, "engine write: " + status.ToString()};
}

Result<EngineSeq> RocksEngine::write(const EngineBatch& batch) {
    if (health_->failed.load(std::memory_order_acquire))
        return fail(Errc::Io, "engine: background error");
    if (health_->full.load(std::memory_order_acquire)) {
        try_resume();
        return fail(Errc::NoSpace, "engine: disk full");
    }
    std::shared_lock gate(gate_, std::try_to_lock);
    if (!gate) return fail(Errc::NoSpace, "engine: stalled by an install");

    thread_local rocksdb::WriteBatch rows;
    rows.Clear();
    fill(rows, batch);
    if (rows.Count() == 0) return written();
    const Status status = db_->Write(volatile_write_, &rows);
    if (!status.ok()) return std::unexpected(refusal(status));
    const SequenceNumber last = first_sequence(rows) + rows.Count() - 1;
    CHECK(last > base_ && last <= db_->GetLatestSequenceNumber(),
          "RocksDB puts a written batch's sequence number into its header");
    constexpr size_t kKeepBytes = 256 * 1024;
    if (rows.GetDataSize() > kKeepBytes) rows = rocksdb::WriteBatch();
    return EngineSeq(last - base_);
}

void RocksEngine::request_flush() {
    const SequenceNumber written = db_->GetLatestSequenceNumber();
    auto wanted = flush_wanted_.load();
    while (wanted < written && !flush_wanted_.compare_exchange_weak(wanted, written)) {
    }
    if (health_->full) try_resume();
    flush_in_background();
}

void RocksEngine::flush_in_background() const {
    if (flush_queued_.exchange(true)) return;
    housekeeping_.run([this] {
        // What is written from here on may ask again.
        flush_queued_ = false;
        if (health_->flushed >= flush_wanted_) return;
        // Errors show in Health; the resume that ends them asks again.
        (void)flush_all(false);
    });
}

void RocksEngine::try_resume() const {
    const int64_t now = std::chrono::steady_clock::now().time_since_epoch().count();
    int64_t due = next_resume_;
    if (now < due ||
        !next_resume_.compare_exchange_strong(due, now + internal_.resume_interval.count()))
        return;
    housekeeping_.run([this] {
        if (resume()) flush_in_background();
    });
}

// True if a full disk was met and is over.
bool RocksEngine::resume() const {
    if (health_->failed || !health_->full) return false;
    // A compaction or an install that fails in the manifest meanwhile would make RocksDB 7.8 abort.
    // While the error stands no new compaction begins.
    std::lock_guard alone(maintenance_);
    std::unique_lock<std::mutex> unhurt;
    if (internal_.resuming) unhurt = std::unique_lock(*internal_.resuming);
    if (health_->failed) return false;
    uint64_t compactions = 0;
    db_->GetIntProperty(rocksdb::DB::Properties::kNumRunningCompactions, &compactions);
    if (compactions > 0) return false;
    // Cleared first: an error during the resume sets it again.
    health_->full = false;
    if (db_->Resume().ok()) return true;
    health_->full = true;
    return false;
}

port::Engine::TryGet RocksEngine::try_get(std::string_view key) {
    rocksdb::PinnableSlice value;
    const Status status = db_->Get(from_memory_, db_->DefaultColumnFamily(), slice(key), &value);
    if (status.ok()) return copy(value);
    if (status.IsNotFound()) return port::Absent{};
    if (status.IsIncomplete()) return port::WouldBlock{};
    return to_error(status, "read");
}

Result<std::optional<Bytes>> RocksEngine::read(std::string_view key) {
    rocksdb::PinnableSlice value;
    const Status status =
        db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), slice(key), &value);
    if (status.ok()) return copy(value);
    if (status.IsNotFound()) return std::nullopt;
    return std::unexpected(to_error(status, "read"));
}

template <typename T>
port::Task<T> RocksEngine::off_shard(port::Shard& shard, std::move_only_function<T()> work) {
    auto errand = std::make_shared<Errand<T>>(shard, std::move(work));
    struct Awaiter {
        RocksEngine& engine;
        std::shared_ptr<Errand<T>> errand;
        ~Awaiter() { errand->waiter = {}; }
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> self) {
            errand->waiter = self;
            engine.readers_.run([e = errand] {
                e->answer.emplace(e->work());
                e->shard.submit(e->shard.id(), [e] {
                    if (e->waiter) e->waiter.resume();
                });
            });
        }
        void await_resume() const noexcept {}
    };
    co_await Awaiter{*this, errand};
    co_return std::move(*errand->answer);
}

port::Task<Result<std::optional<Bytes>>> RocksEngine::get(port::Shard& shard, Bytes key) {
    co_return co_await off_shard<Result<std::optional<Bytes>>>(
        shard, [this, key = std::move(key)] { return read(key.view()); });
}

port::Task<Result<std::vector<KeyValue>>> RocksEngine::scan(port::Shard& shard, Bytes from,
                                                            Bytes to, size_t limit) {
    co_return co_await off_shard<Result<std::vector<KeyValue>>>(
        shard, [this, from = std::move(from), to = std::move(to), limit] {
            return make_snapshot(*db_)->scan(from.view(), to.view(), limit);
        });
}

Result<void> RocksEngine::flush_all(bool may_stall_writers) const {
    const SequenceNumber written = db_->GetLatestSequenceNumber();
    rocksdb::FlushOptions how;
    how.allow_write_stall = may_stall_writers;  // false: rather waits here
    const Status status = db_->Flush(how);
    if (!status.ok()) return std::unexpected(to_error(status, "flush"));
    // Flush() may answer OK for a stopped database; the listener has heard of every error first.
    if (health_->failed || health_->full) return std::unexpected(refusal(status));
    health_->raise_flushed(written);
    return {};
}

Result<void> RocksEngine::ingest(const std::string& path) {
    rocksdb::IngestExternalFileOptions how;
    how.move_files = true;
    how.write_global_seqno = false;  // the file stays as its checksums say
    const Status status = db_->IngestExternalFile({path}, how);
    if (!status.ok()) return std::unexpected(to_error(status, "install"));
    // Everything before was flushed, writers are held off, and the ingestion is in the manifest.
    health_->raise_flushed(db_->GetLatestSequenceNumber());
    return {};
}

Result<void> RocksEngine::install(Bytes from, Bytes to, std::vector<KeyValue> content,
                                  EngineBatch meta) {
    if (health_->failed) return fail(Errc::Io, "engine: background error");
    if (health_->full) {
        try_resume();
        return fail(Errc::NoSpace, "engine: disk full");
    }
    for (const auto& pair : content)
        CHECK(pair.key >= from && pair.key < to, "installed content lies inside its span");
    const std::string path =
        directory_ + "/" + std::to_string(++installs_) + std::string(kInstallSuffix);
    const EngineBatch late = MUTANT(engine_install_not_atomic) ? meta : EngineBatch();
    if (MUTANT(engine_install_not_atomic)) meta.clear();

    std::lock_guard alone(maintenance_);
    bool manifest_tried = false;
    auto done = [&]() -> Result<void> {
        const bool any =
            TRY(write_install_file(options_, path, from.view(), to.view(), content, meta));
        TRY(flush_all(true));  // the bulk, while writers go on
        std::unique_lock gate(gate_);
        TRY(flush_all(true));  // the rest: what precedes an install is durable with it
        if (!any) return {};
        auto ingested = ingest(path);
        // The listener hears of errors from the manifest on; before it nothing has happened.
        manifest_tried = !ingested && (health_->full || health_->failed);
        return ingested;
    }();
    if (!done) {
        options_.env->DeleteFile(path).PermitUncheckedError();
        // A full disk is not the end, unless it hit the manifest: then a crash may or may not find
        // the file ingested, as after any other error.
        if (done.error().code != Errc::NoSpace || manifest_tried) {
            health_->failed = true;
            done.error().code = Errc::Io;
        }
        return done;
    }
    if (!late.empty()) return write(late) ? Result<void>() : fail(Errc::Io, "engine: mutant");
    return {};
}

// A snapshot of a database that holds ingested files only gets sequence number 0, as their rows do.
// Under it a compaction of RocksDB 7.8 drops those rows: CompactionIterator starts each key with
// current_user_key_snapshot_ = 0, meaning none, and then takes the row for one hidden by a newer
// row of the same snapshot. So number 1 is taken before anybody can take a snapshot.
Status leave_sequence_zero(rocksdb::DB& db) {
    if (db.GetLatestSequenceNumber() > 0) return Status::OK();
    rocksdb::WriteOptions how;
    how.disableWAL = true;
    return db.Delete(how, rocksdb::Slice());
}

// Leftovers of installs that a crash cut short.
void remove_install_files(rocksdb::Env& env, const std::string& directory) {
    std::vector<std::string> names;
    if (!env.GetChildren(directory, &names).ok()) return;
    for (const auto& name : names)
        if (name.ends_with(kInstallSuffix))
            env.DeleteFile(directory + "/" + name).PermitUncheckedError();
}

}  // namespace

Result<std::unique_ptr<port::Engine>> open_rocks(const RocksOptions& options) {
    return open_rocks_with(options, {});
}

Result<std::unique_ptr<port::Engine>> open_rocks_with(const RocksOptions& options,
                                                      const RocksInternal& internal) {
    auto health = std::make_shared<Health>();
    auto env = make_space_env(internal.env ? internal.env : rocksdb::Env::Default(),
                              std::shared_ptr<std::atomic<bool>>(health, &health->failed));
    rocksdb::Options how = make_options(options, env.get());
    how.listeners.push_back(health);
    rocksdb::DB* opened = nullptr;
    Status status = rocksdb::DB::Open(how, options.directory, &opened);
    std::unique_ptr<rocksdb::DB> db(opened);
    if (status.ok()) status = leave_sequence_zero(*db);
    if (!status.ok()) {
        Error error = to_error(status, "open " + options.directory);
        if (status.ToString().find("/LOCK") != std::string::npos) error.code = Errc::Conflict;
        return std::unexpected(std::move(error));
    }
    remove_install_files(*how.env, options.directory);
    return std::make_unique<RocksEngine>(options.directory, std::move(env), std::move(how),
                                         std::move(health), std::move(db), options.read_threads,
                                         internal);
}

}  // namespace asterias::engine
