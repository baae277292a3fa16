// engine/rocks/disk_internal.h: the file system as RocksDB sees it. RocksDB 7.8 does not recover
// soundly from every failed call (README.md of this room), so it never has to:
//   - a full disk is no error: a table file that finds no space waits, in RocksDB's own background
//     thread, and tries again; everything in the memory of the engine goes on meanwhile;
//   - any other failure of a manifest, and any background error, is final: from then on each call
//     that would change the disk is refused, so that the disk stays as a kill would have left it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include "base/log.h"
#include "base/time.h"

namespace asterias::engine {

// Shared by the engine and its file system. All members from any thread.
class Disk {
public:
    // `retry` passes between the attempts of a file that waits. `news`: RocksInternal::news.
    Disk(Duration retry, std::optional<Log> log, std::function<void()> news)
        : retry_(retry), log_(log), news_(std::move(news)) {}

    // Final: a restart is the only way on.
    bool failed() const { return failed_.load(std::memory_order_acquire); }
    void fail() {
        failed_.store(true, std::memory_order_release);
        tell();
    }
    // What writes or durable() answer may be another from now on.
    void tell() const {
        if (news_) news_();
    }
    // Some file waits for space.
    bool full() const { return waiting_.load(std::memory_order_acquire) > 0; }
    // Who waits for space gives up, now and later. For closing.
    void close();
    // Blocks until `done`, which somebody tells by notify(), or the disk is full. True: `done`.
    bool wait_unless_full(const std::function<bool()>& done);
    // Runs `change`, and then wakes those whose `done` it may have made true.
    void notify(const std::function<void()>& change);

    // For the file system: as long as one of these lives, the disk is full.
    class Wait {
    public:
        explicit Wait(Disk& disk);
        ~Wait();
        Wait(const Wait&) = delete;
        Wait& operator=(const Wait&) = delete;
        // False: give up. True, after a while: try again.
        bool again();

    private:
        Disk& disk_;
    };

private:
    const Duration retry_;
    const std::optional<Log> log_;
    const std::function<void()> news_;
    std::atomic<bool> failed_{false};
    std::atomic<uint32_t> waiting_{0};  // changes under mutex_
    std::mutex mutex_;
    std::condition_variable changed_;
    bool closing_ = false;
};

// A table's properties and the index of its meta blocks are parsed by RocksDB 7.8 before their
// checksum is compared, and an assertion ends the process if the top bit of such a block's restart
// count is damaged. So that bit is looked at first; all else is RocksDB's to judge.
rocksdb::IOStatus check_table(const rocksdb::FSRandomAccessFile& file, uint64_t size,
                              const std::string& name);

// `base`, behaving as said above. `base` outlives it.
std::unique_ptr<rocksdb::Env> make_disk_env(rocksdb::Env* base, std::shared_ptr<Disk> disk);

}  // namespace asterias::engine
