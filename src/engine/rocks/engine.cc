#include "engine/rocks/engine.h"

#include <atomic>
#include <coroutine>
#include <cstring>
#include <filesystem>
#include <shared_mutex>

#include <rocksdb/listener.h>
#include <rocksdb/write_batch.h>

#include "base/check.h"
#include "base/mutant.h"
#include "engine/rocks/disk_internal.h"
#include "engine/rocks/rocks_internal.h"
#include "engine/rocks/worker.h"
#include "port/disk.h"

namespace asterias::engine {
namespace {

using port::EngineBatch;
using port::EngineSeq;
using port::KeyValue;
using rocksdb::SequenceNumber;
using rocksdb::Status;

// What RocksDB tells from its own threads. It outlives the database.
struct Health final : rocksdb::EventListener {
    Health(std::shared_ptr<Disk> d, std::function<void(const Error&)> damage)
        : disk(std::move(d)), on_damage(std::move(damage)) {}

    const std::shared_ptr<Disk> disk;
    const std::function<void(const Error&)> on_damage;
    std::atomic<SequenceNumber> flushed{0};

    void raise_flushed(SequenceNumber to) {
        auto seen = flushed.load(std::memory_order_relaxed);
        while (seen < to && !flushed.compare_exchange_weak(seen, to, std::memory_order_acq_rel)) {
        }
        disk->tell();
    }

    // Called once the file and the manifest edit that names it are synced. README.md has the
    // argument why everything up to largest_seqno is then durable.
    void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo& info) override {
        raise_flushed(info.largest_seqno);
    }
    void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override {
        disk->tell();
    }
    void OnStallConditionsChanged(const rocksdb::WriteStallInfo&) override { disk->tell(); }
    void OnBackgroundError(rocksdb::BackgroundErrorReason reason, Status* status) override {
        // First, so that nobody ends the process for the failure alone.
        if (reason == rocksdb::BackgroundErrorReason::kCompaction && status->IsCorruption() &&
            on_damage)
            on_damage(to_error(*status, "compaction"));
        disk->fail();
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

uint64_t reserve_of(const RocksOptions& options) {
    std::error_code error;
    const auto space = std::filesystem::space(options.directory, error);
    return options.reserve_bytes.value_or(error ? 0 : port::default_reserve(space.capacity));
}

class RocksEngine final : public port::Engine {
public:
    class Staging;

    RocksEngine(std::string directory, std::unique_ptr<rocksdb::Env> env, rocksdb::Options options,
                std::shared_ptr<Health> health, std::unique_ptr<rocksdb::DB> db,
                const RocksOptions& our_options)
        : directory_(std::move(directory)),
          env_(std::move(env)),
          options_(std::move(options)),
          health_(std::move(health)),
          disk_(*health_->disk),
          db_(std::move(db)),
          base_(db_->GetLatestSequenceNumber()),
          staging_limits_{our_options.staged_file_bytes, reserve_of(our_options)},
          readers_(our_options.read_threads),
          flusher_(1),
          install_flusher_(1),
          installer_(1) {
        health_->raise_flushed(base_);
        volatile_write_.disableWAL = true;
        volatile_write_.no_slowdown = true;
        from_memory_.read_tier = rocksdb::kBlockCacheTier;
    }
    ~RocksEngine() override;

    Result<EngineSeq> write(const EngineBatch& batch) override;
    EngineSeq durable() const override {
        if (MUTANT(engine_durable_too_early)) return written();
        return EngineSeq(health_->flushed.load(std::memory_order_acquire) - base_);
    }
    EngineSeq written() const override { return EngineSeq(db_->GetLatestSequenceNumber() - base_); }
    void request_flush() override;
    TryGet try_get(std::string_view key) override;
    TryGet try_get_part(std::string_view key, const Take& take) override;
    port::Task<Result<std::optional<Bytes>>> get(port::Shard& shard, Bytes key) override;
    port::Task<Result<std::vector<KeyValue>>> scan(port::Shard& shard, Bytes from, Bytes to,
                                                   port::ScanLimit limit) override;
    std::unique_ptr<port::EngineSnapshot> snapshot() override { return make_snapshot(*db_); }
    port::Task<Result<std::vector<KeyValue>>> scan_view(port::Shard& shard,
                                                        std::shared_ptr<port::EngineSnapshot> view,
                                                        Bytes from, Bytes to,
                                                        port::ScanLimit limit) override;
    Result<std::unique_ptr<port::Staging>> stage(std::vector<port::Span> spans) override;

private:
    // Work for another thread, and who waits for it.
    template <typename T>
    struct Errand {
        port::Shard& shard;
        std::move_only_function<T()> work;
        std::optional<T> answer;
        std::coroutine_handle<> waiter;  // touched on the shard only; null once the frame is gone
    };
    template <typename T>
    port::Task<T> off_shard(Workers& workers, port::Shard& shard,
                            std::move_only_function<T()> work);

    Result<std::optional<Bytes>> read(std::string_view key);
    std::optional<Error> refusal() const;
    Result<void> flush_all(bool may_stall_writers) const;
    Result<void> flush_unless_full();
    Result<void> install(StagedFiles& files, const EngineBatch& meta);
    Result<void> ingest(const std::vector<std::string>& paths);

    const std::string directory_;
    const std::unique_ptr<rocksdb::Env> env_;
    const rocksdb::Options options_;
    const std::shared_ptr<Health> health_;
    Disk& disk_;
    const std::unique_ptr<rocksdb::DB> db_;
    const SequenceNumber base_;  // EngineSeq counts from the opening
    rocksdb::WriteOptions volatile_write_;
    rocksdb::ReadOptions from_memory_;
    const StagedFiles::Limits staging_limits_;
    // Shared by writes, held by an install from its last flush to its ingestion.
    std::shared_mutex gate_;
    std::atomic<bool> flush_queued_{false};
    std::atomic<SequenceNumber> flush_wanted_{0};
    std::atomic<uint64_t> stagings_{0};
    Workers readers_;
    Workers flusher_;
    Workers install_flusher_;  // never behind a flush that waits for compactions
    Workers installer_;        // one thread: installs come one after another
};

RocksEngine::~RocksEngine() {
    // Closing RocksDB alone would abandon a flush in flight: it flushes the active memtable only.
    if (!refusal())
        if (auto flushed = flush_unless_full(); !flushed)
            rocksdb::Log(rocksdb::InfoLogLevel::WARN_LEVEL, options_.info_log, "close: %s",
                         flushed.error().context.c_str());
    disk_.close();
}

std::optional<Error> RocksEngine::refusal() const {
    if (disk_.failed()) return Error{Errc::Io, "engine: background error"};
    if (disk_.full()) return Error{Errc::NoSpace, "engine: disk full"};
    return std::nullopt;
}

Result<EngineSeq> RocksEngine::write(const EngineBatch& batch) {
    if (auto no = refusal()) return std::unexpected(std::move(*no));
    std::shared_lock gate(gate_, std::try_to_lock);
    if (!gate) return fail(Errc::NoSpace, "engine: stalled by an install");

    thread_local rocksdb::WriteBatch rows;
    rows.Clear();
    fill(rows, batch);
    if (rows.Count() == 0) return written();
    const Status status = db_->Write(volatile_write_, &rows);
    if (status.IsIncomplete()) return fail(Errc::NoSpace, "engine: stalled");
    if (!status.ok()) {
        disk_.fail();
        return fail(Errc::Io, "engine write: " + status.ToString());
    }
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
    if (flush_queued_.exchange(true)) return;
    flusher_.run([this] {
        // What is written from here on may ask again.
        flush_queued_ = false;
        if (health_->flushed < flush_wanted_) (void)flush_all(false);  // Disk hears of errors
        disk_.tell();
    });
}

port::Engine::TryGet RocksEngine::try_get(std::string_view key) {
    rocksdb::PinnableSlice value;
    const Status status = db_->Get(from_memory_, db_->DefaultColumnFamily(), slice(key), &value);
    if (status.ok()) return copy(value);
    if (status.IsNotFound()) return port::Absent{};
    if (status.IsIncomplete()) return port::WouldBlock{};
    return to_error(status, "read");
}

port::Engine::TryGet RocksEngine::try_get_part(std::string_view key, const Take& take) {
    rocksdb::PinnableSlice value;
    const Status status = db_->Get(from_memory_, db_->DefaultColumnFamily(), slice(key), &value);
    if (status.ok()) return take({value.data(), value.size()});
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
port::Task<T> RocksEngine::off_shard(Workers& workers, port::Shard& shard,
                                     std::move_only_function<T()> work) {
    auto errand = std::make_shared<Errand<T>>(shard, std::move(work));
    struct Awaiter {
        Workers& workers;
        std::shared_ptr<Errand<T>> errand;
        ~Awaiter() { errand->waiter = {}; }
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> self) {
            errand->waiter = self;
            workers.run([e = errand] {
                e->answer.emplace(e->work());
                e->shard.submit(e->shard.id(), [e] {
                    if (e->waiter) e->waiter.resume();
                });
            });
        }
        void await_resume() const noexcept {}
    };
    co_await Awaiter{workers, errand};
    co_return std::move(*errand->answer);
}

port::Task<Result<std::optional<Bytes>>> RocksEngine::get(port::Shard& shard, Bytes key) {
    co_return co_await off_shard<Result<std::optional<Bytes>>>(
        readers_, shard, [this, key = std::move(key)] { return read(key.view()); });
}

port::Task<Result<std::vector<KeyValue>>> RocksEngine::scan(port::Shard& shard, Bytes from,
                                                            Bytes to, port::ScanLimit limit) {
    co_return co_await off_shard<Result<std::vector<KeyValue>>>(
        readers_, shard, [this, from = std::move(from), to = std::move(to), limit] {
            return make_snapshot(*db_)->scan(from.view(), to.view(), limit);
        });
}

port::Task<Result<std::vector<KeyValue>>> RocksEngine::scan_view(
    port::Shard& shard, std::shared_ptr<port::EngineSnapshot> view, Bytes from, Bytes to,
    port::ScanLimit limit) {
    co_return co_await off_shard<Result<std::vector<KeyValue>>>(
        readers_, shard,
        [view = std::move(view), from = std::move(from), to = std::move(to), limit] {
            return view->scan(from.view(), to.view(), limit);
        });
}

Result<void> RocksEngine::flush_all(bool may_stall_writers) const {
    const SequenceNumber written = db_->GetLatestSequenceNumber();
    rocksdb::FlushOptions how;
    how.allow_write_stall = may_stall_writers;  // false: rather waits here
    const Status status = db_->Flush(how);
    if (!status.ok()) return std::unexpected(to_error(status, "flush"));
    // Flush() may answer OK for a stopped database; the listener has heard of every error first.
    if (disk_.failed()) return fail(Errc::Io, "engine flush: background error");
    health_->raise_flushed(written);
    return {};
}

// For callers that shall not wait until somebody makes space. The flush itself goes on.
Result<void> RocksEngine::flush_unless_full() {
    using Answer = std::optional<Result<void>>;
    auto answer = std::make_shared<Answer>();
    install_flusher_.run([this, answer] {
        auto flushed = flush_all(true);
        disk_.notify([&] { answer->emplace(std::move(flushed)); });
    });
    if (!disk_.wait_unless_full([&] { return answer->has_value(); }))
        return fail(Errc::NoSpace, "engine: disk full");
    return **answer;
}

Result<void> RocksEngine::ingest(const std::vector<std::string>& paths) {
    rocksdb::IngestExternalFileOptions how;
    how.move_files = true;
    how.write_global_seqno = false;  // the file stays as its checksums say
    const Status status = db_->IngestExternalFile(paths, how);
    if (!status.ok()) return std::unexpected(to_error(status, "install"));
    // Everything before was flushed, writers are held off, and the ingestion is in the manifest.
    health_->raise_flushed(db_->GetLatestSequenceNumber());
    return {};
}

Result<void> RocksEngine::install(StagedFiles& files, const EngineBatch& meta) {
    if (auto no = refusal()) return std::unexpected(std::move(*no));
    const bool torn = MUTANT(engine_install_not_atomic);
    auto done = [&]() -> Result<void> {
        const auto paths = TRY(files.finish(torn ? EngineBatch() : meta));
        TRY(flush_unless_full());  // the bulk, while writers go on
        std::unique_lock gate(gate_);
        TRY(flush_unless_full());  // the rest: what precedes an install is durable with it
        return ingest(paths);
    }();
    // Lack of space is met before the manifest is, so that nothing has happened; in the manifest it
    // has failed the disk. After any other error a crash may or may not find the files ingested.
    if (!done && (done.error().code != Errc::NoSpace || disk_.failed())) {
        disk_.fail();
        done.error().code = Errc::Io;
    }
    if (done && torn) return write(meta) ? Result<void>() : fail(Errc::Io, "engine: mutant");
    return done;
}

// Its files are touched by the installing thread only.
class RocksEngine::Staging final : public port::Staging {
public:
    Staging(RocksEngine& engine, std::shared_ptr<StagedFiles> files)
        : engine_(engine), files_(std::move(files)) {}
    ~Staging() override {
        engine_.installer_.run([files = files_] { files->remove(); });
    }

    port::Task<Result<void>> add(port::Shard& shard, std::vector<KeyValue> content) override {
        auto added = co_await engine_.off_shard<Result<void>>(
            engine_.installer_, shard,
            [&engine = engine_, files = files_, content = std::move(content)]() -> Result<void> {
                if (auto no = engine.refusal()) return std::unexpected(std::move(*no));
                return files->add(content);
            });
        bytes_ = files_->bytes();
        co_return added;
    }
    port::Task<Result<void>> install(port::Shard& shard, EngineBatch meta) override {
        co_return co_await engine_.off_shard<Result<void>>(
            engine_.installer_, shard, [&engine = engine_, files = files_, meta = std::move(meta)] {
                return engine.install(*files, meta);
            });
    }
    uint64_t bytes() const override { return bytes_; }

private:
    RocksEngine& engine_;
    const std::shared_ptr<StagedFiles> files_;
    uint64_t bytes_ = 0;
};

Result<std::unique_ptr<port::Staging>> RocksEngine::stage(std::vector<port::Span> spans) {
    const std::string prefix = directory_ + "/" + std::to_string(++stagings_);
    return std::make_unique<Staging>(
        *this, std::make_shared<StagedFiles>(options_, prefix, staging_limits_, std::move(spans)));
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
    auto health = std::make_shared<Health>(
        std::make_shared<Disk>(internal.space_retry, options.log, internal.news),
        options.on_damage);
    auto env = make_disk_env(internal.env ? internal.env : rocksdb::Env::Default(), health->disk);
    rocksdb::Options how = make_options(options, env.get());
    how.listeners.push_back(health);
    // RocksDB would make it, too, but logs an error first because it is not there.
    env->CreateDirIfMissing(options.directory).PermitUncheckedError();
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
                                         std::move(health), std::move(db), options);
}

}  // namespace asterias::engine
