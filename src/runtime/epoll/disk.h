// runtime/epoll/disk.h: files of one shard. Writes go to the page cache on the shard; a sync runs
// there, too, while the device is fast, and with its writes on the shard's disk thread when it is
// not (one wake-up each way per batch). Whatever may take long goes to the blocking pool.
#pragma once

#include "base/metrics.h"
#include "port/disk.h"
#include "runtime/epoll/shard.h"
#include "runtime/epoll/sync_pace.h"

namespace asterias::runtime {

class EpollDisk final : public port::Disk {
public:
    explicit EpollDisk(EpollShard& shard);
    ~EpollDisk() override;

    port::Task<Result<std::unique_ptr<port::File>>> open(std::string path,
                                                         port::OpenMode mode) override;
    port::Task<Result<void>> create_directories(std::string path) override;
    port::Task<Result<void>> remove(std::string path) override;
    port::Task<Result<void>> rename(std::string from, std::string to) override;
    port::Task<Result<void>> sync_directory(std::string path) override;
    port::Task<Result<std::vector<std::string>>> list(std::string path) override;
    port::Task<Result<port::Space>> space(std::string path) override;
    Result<std::unique_ptr<port::FileLock>> lock(std::string path) override;

    const StallFlag& sync_flag() const { return sync_flag_; }

    // For the files.
    EpollShard& shard() { return shard_; }
    Workers& sync_thread() { return sync_thread_; }
    StallFlag& thread_sync_flag() { return sync_flag_; }
    bool sync_inline() const { return pace_.run_inline(); }
    void record_sync(Duration took, bool was_inline);
    // Finishes the jobs of the disk thread; the shard's loop has ended.
    void join() { sync_thread_.join(); }

private:
    EpollShard& shard_;
    Counter &inline_syncs_, &thread_syncs_;
    Histogram& sync_time_;
    SyncPace pace_;
    StallFlag sync_flag_;
    Workers sync_thread_;
};

}  // namespace asterias::runtime
