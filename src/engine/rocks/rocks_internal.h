// engine/rocks/rocks_internal.h: what the files of this room and its tests share. Includes RocksDB;
// no other room includes it.
#pragma once

#include <functional>
#include <memory>
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
    rocksdb::Env* env = nullptr;        // null: the real one; outlives the engine
    Duration space_retry = seconds(1);  // how often a file that waits for space tries again
    // Called after anything in the background that may change what write() or durable() answer, and
    // after every flush that request_flush() started. From any thread, with locks held: must not
    // call the engine.
    std::function<void()> news;
};

Result<std::unique_ptr<port::Engine>> open_rocks_with(const RocksOptions& options,
                                                      const RocksInternal& internal);

rocksdb::Options make_options(const RocksOptions& options, rocksdb::Env* env);

inline rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
inline rocksdb::Slice slice(const Bytes& bytes) { return slice(bytes.view()); }
inline Bytes copy(const rocksdb::Slice& s) { return Bytes::copy({s.data(), s.size()}); }

bool is_no_space(const rocksdb::Status& status);  // also one that disk_internal.h has changed
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
