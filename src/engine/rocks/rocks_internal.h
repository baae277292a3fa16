// engine/rocks/rocks_internal.h: what the files of this room and its tests share. Includes RocksDB;
// no other room includes it.
#pragma once

#include <functional>
#include <memory>
#include <span>
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

inline constexpr std::string_view kInstallSuffix = ".install";

// The content of one Staging, as table files that no database names yet; the rows of the next one
// are in memory. One thread at a time. `options` outlives this.
class StagedFiles {
public:
    struct Limits {
        uint64_t file_bytes;     // of rows, in memory and in a file
        uint64_t reserve_bytes;  // that stay available on the disk
    };
    StagedFiles(const rocksdb::Options& options, std::string prefix, Limits limits,
                std::vector<port::Span> spans);

    // As Staging::add().
    Result<void> add(const std::vector<port::KeyValue>& content);
    uint64_t bytes() const { return bytes_; }
    // The files that are to be ingested together, of which no two overlap. Errors: NoSpace (ask
    // again), Io.
    Result<std::vector<std::string>> finish(const port::EngineBatch& meta);
    // From the disk.
    void remove();

private:
    Result<void> check_space(uint64_t bytes) const;
    Result<void> write_rows(bool all);
    // Of [from, to) only `rows` remain; an empty range: nothing is replaced.
    Result<void> write_file(const std::string& path, std::span<const port::KeyValue> rows,
                            std::string_view from, std::string_view to) const;
    void remove(const std::vector<std::string>& paths) const;
    std::string next_path();

    const rocksdb::Options& options_;
    const std::string prefix_;
    const Limits limits_;
    port::StagingRules rules_;
    std::vector<port::KeyValue> rows_;
    uint64_t rows_bytes_ = 0, bytes_ = 0, made_ = 0;
    size_t span_ = 0;   // that the next file begins in
    std::string from_;  // and where
    std::vector<std::string> files_, meta_files_;
};

}  // namespace asterias::engine
