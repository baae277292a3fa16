// engine/rocks/engine.h: the engine of a real node: RocksDB with its write-ahead log off and one
// column family. Contract: port/engine.h; how each clause is kept: README.md of this room.
// Threading: as the contract says; a snapshot's scan blocks. get() reads on a small pool, a Staging
// writes on a thread of its own; both resume through shard.submit(shard.id(), …), which must be
// callable from any thread. Lifetime: snapshots and reads in flight end before the engine, the
// engine before its shards. Closing (destroying) flushes everything, unless the disk has failed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/result.h"
#include "port/engine.h"

namespace asterias::engine {

// Memory: at most write_buffer_bytes * write_buffers_max + block_cache_bytes, and about 20 KiB per
// open file. All of it is taken when it is first used, so that an empty node stays small.
struct RocksOptions {
    std::string directory;  // created if missing; its parent exists
    uint64_t write_buffer_bytes = 16 * 1024 * 1024;
    uint32_t write_buffers_max = 3;  // full ones wait for their flush; beyond it writes stall
    uint64_t block_cache_bytes = 32 * 1024 * 1024;  // data, index and filter blocks
    uint32_t open_files_max = 512;
    uint32_t read_threads = 2;  // of get()
    // Of the file system, that staging leaves available; nothing: port::default_reserve().
    std::optional<uint64_t> reserve_bytes{};
    uint64_t staged_file_bytes = 16 * 1024 * 1024;  // in memory, for each Staging
    uint32_t background_jobs = 2;                   // flushes and compactions at a time
    std::optional<Log> log;  // warnings and errors of RocksDB; its sink is thread-safe
    // A compaction read a damaged table (Corrupt, naming the file): writes fail from now on, and
    // would again after a restart. Called from a thread of the engine, which waits for it; it ends
    // the process, or must not call the engine.
    std::function<void(const Error&)> on_damage{};
};

// Errors: Conflict (another process or engine has the directory), Corrupt, NoSpace, Io.
Result<std::unique_ptr<port::Engine>> open_rocks(const RocksOptions& options);

}  // namespace asterias::engine
