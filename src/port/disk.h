// port/disk.h: files, asynchronously. What a crash keeps: bytes covered by a completed sync;
// directory entries covered by a completed sync_directory. Everything else may be there, wholly, in
// part, torn at 512 bytes, in any order, or not at all. After a failed write or sync nothing about
// the file is known: the caller stops the node (Shard::fatal), it never retries (reliability rule
// 36). Paths are absolute or relative to the node's working directory, '/'-separated. Errors name
// the path: NotFound, AlreadyExists, Conflict (no permission, read-only), NoSpace, Limit, Io, else
// InvalidArgument. Threading: tasks start, resume and end on the shard whose disk it is; files and
// disk outlive their tasks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "port/task.h"

namespace asterias::port {

enum class Durability : unsigned char { Volatile, Synced };

class File {
public:
    virtual ~File() = default;  // closes
    // Writes the pieces one after another at `offset`; with Synced, completes when they (and every
    // earlier write to this file) are durable. At most one write or sync of a file is in flight.
    virtual Task<Result<void>> write(uint64_t offset, std::vector<Bytes> pieces,
                                     Durability durability) = 0;
    // Every earlier write to this file is durable when it completes.
    virtual Task<Result<void>> sync() = 0;
    // Up to `count` bytes; fewer only at the end of the file.
    virtual Task<Result<Bytes>> read(uint64_t offset, size_t count) = 0;
    virtual Task<Result<uint64_t>> size() = 0;  // in bytes
    // Written (zeroes where nothing was) and synced up to `bytes`: overwrites change no metadata.
    virtual Task<Result<void>> preallocate(uint64_t bytes) = 0;
};

// Read: reading only. Write: reading and writing of a file that is there. Create: of a new one.
enum class OpenMode : unsigned char { Read, Write, Create /* fails if it exists */ };

// Held while it lives; lost with the process.
class FileLock {
public:
    virtual ~FileLock() = default;
};

struct Space {  // bytes of the file system; available to this process
    uint64_t total = 0, available = 0;
};
// What is to stay available, so that a node can still make room on a disk that fills up (D2): 2 %,
// and 1 GiB at most.
constexpr uint64_t default_reserve(uint64_t total) {
    return total / 50 < (uint64_t{1} << 30) ? total / 50 : uint64_t{1} << 30;
}

class Disk {
public:
    virtual ~Disk() = default;
    virtual Task<Result<std::unique_ptr<File>>> open(std::string path, OpenMode mode) = 0;
    // With those above it; no error if it is there. Not durable before its parent is synced.
    virtual Task<Result<void>> create_directories(std::string path) = 0;
    virtual Task<Result<void>> remove(std::string path) = 0;
    // Atomic; replaces `to`. Durable after sync_directory() of its directory.
    virtual Task<Result<void>> rename(std::string from, std::string to) = 0;
    virtual Task<Result<void>> sync_directory(std::string path) = 0;
    // Names of the entries, sorted.
    virtual Task<Result<std::vector<std::string>>> list(std::string path) = 0;
    // Of the file system that holds `path`.
    virtual Task<Result<Space>> space(std::string path) = 0;
    // Makes the file if it is missing. Does not wait. Errors: Conflict when another process holds
    // it or the file may not be opened; the text says which.
    virtual Result<std::unique_ptr<FileLock>> lock(std::string path) = 0;
};

// The whole of a small file (Errc::NotFound if it is not there), and its durable replacement by
// write-aside, sync, rename, sync_directory.
Task<Result<Bytes>> read_file(Disk& disk, std::string path);
Task<Result<void>> replace_file(Disk& disk, std::string directory, std::string name, Bytes content);

}  // namespace asterias::port
