// engine/rocks/rocks_internal.h: what the files of this room and its tests share. Includes RocksDB;
// no other room includes it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>

#include "base/time.h"
#include "engine/rocks/engine.h"

namespace asterias::engine {

// Injected by tests.
struct RocksInternal {
    rocksdb::Env* env = nullptr;            // null: the real one; outlives the engine
    Duration resume_interval = seconds(1);  // between attempts to go on after a full disk
    // Held during each attempt. A simulated kill takes it: a manifest error from a compaction that
    // the attempt itself began aborts RocksDB 7.8, which for a real node is an exit like any other.
    std::mutex* resuming = nullptr;
};

Result<std::unique_ptr<port::Engine>> open_rocks_with(const RocksOptions& options,
                                                      const RocksInternal& internal);

rocksdb::Options make_options(const RocksOptions& options, rocksdb::Env* env);

// `base`, with "no space" turned into a retryable IO error that is_no_space() recognises. RocksDB
// 7.8 recovers from a retryable error of a flush, but after its own handling of NoSpace it never
// clears ErrorHandler::is_db_stopped_: waiting flushes then return OK without waiting, and
// ingestions use file number 0. Any error of a manifest raises `manifest_failed` before RocksDB
// hears of it: from that there is no way back but a restart.
std::unique_ptr<rocksdb::Env> make_space_env(rocksdb::Env* base,
                                             std::shared_ptr<std::atomic<bool>> manifest_failed);

inline rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
inline rocksdb::Slice slice(const Bytes& bytes) { return slice(bytes.view()); }
inline Bytes copy(const rocksdb::Slice& s) { return Bytes::copy({s.data(), s.size()}); }

bool is_no_space(const rocksdb::Status& status);
Error to_error(const rocksdb::Status& status, std::string_view what);

std::unique_ptr<port::EngineSnapshot> make_snapshot(rocksdb::DB& db);

// One SST file that leaves of [from, to) exactly `content`, with `meta` applied on top. False: that
// is nothing at all, and no file was made.
Result<bool> write_install_file(const rocksdb::Options& options, const std::string& path,
                                std::string_view from, std::string_view to,
                                const std::vector<port::KeyValue>& content,
                                const port::EngineBatch& meta);
inline constexpr std::string_view kInstallSuffix = ".install";

}  // namespace asterias::engine
