#include "runtime/epoll/disk.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/epoll/file.h"

namespace asterias::runtime {
namespace {

Result<void> check(int result, const std::string& what) {
    if (result != 0) return errno_fail(errno, what);
    return {};
}

Result<Fd> open_file(const std::string& path, port::OpenMode mode) {
    int flags = O_CLOEXEC;
    switch (mode) {
        case port::OpenMode::Read:
            flags |= O_RDONLY;
            break;
        case port::OpenMode::Write:
            flags |= O_RDWR;
            break;
        case port::OpenMode::Create:
            flags |= O_RDWR | O_CREAT | O_EXCL;
            break;
    }
    Fd fd(::open(path.c_str(), flags, 0640));
    if (!fd.valid()) return errno_fail(errno, "open " + path);
    return fd;
}

Result<void> fsync_directory(const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return errno_fail(errno, "open directory " + path);
    return check(::fsync(fd.get()), "sync directory " + path);
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), ::closedir);
    if (!dir) return errno_fail(errno, "list " + path);
    std::vector<std::string> names;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(dir.get());
        if (!entry) break;
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return errno_fail(errno, "list " + path);
    std::ranges::sort(names);
    return names;
}

class Lock final : public port::FileLock {
public:
    explicit Lock(Fd fd) : fd_(std::move(fd)) {}

private:
    Fd fd_;
};

}  // namespace

EpollDisk::EpollDisk(EpollShard& shard)
    : shard_(shard),
      inline_syncs_(shard.common().registry.counter("asterias_disk_syncs_total",
                                                    "synced writes, by where they ran",
                                                    shard.label() + ",where=\"shard\"")),
      thread_syncs_(shard.common().registry.counter("asterias_disk_syncs_total",
                                                    "synced writes, by where they ran",
                                                    shard.label() + ",where=\"thread\"")),
      sync_time_(shard.common().registry.histogram("asterias_disk_sync_micros",
                                                   "how long synced writes took", shard.label())),
      pace_(shard.common().options.inline_sync_limit),
      sync_thread_("ast-disk", 1) {}

EpollDisk::~EpollDisk() = default;

void EpollDisk::record_sync(Duration took, bool was_inline) {
    const bool before = pace_.run_inline();
    pace_.record(took);
    (was_inline ? inline_syncs_ : thread_syncs_).add();
    sync_time_.record_micros(static_cast<uint64_t>(std::max<int64_t>(took.count(), 0)) / 1000);
    if (was_inline) shard_.counts().inline_sync += took;
    if (before != pace_.run_inline())
        shard_.log().info("shard " + to_string(shard_.id()) + " syncs " +
                          (pace_.run_inline() ? "inline again" : "on its disk thread from now on") +
                          ": they take " + std::to_string(pace_.average() / microseconds(1)) +
                          " us on average");
}

port::Task<Result<std::unique_ptr<port::File>>> EpollDisk::open(std::string path,
                                                                port::OpenMode mode) {
    auto fd = co_await run_on(shard_.common().blocking, shard_,
                              [path, mode] { return open_file(path, mode); });
    if (!fd) co_return std::unexpected(fd.error());
    co_return std::make_unique<EpollFile>(*this, std::move(*fd), std::move(path));
}

port::Task<Result<void>> EpollDisk::create_directories(std::string path) {
    return run_on(shard_.common().blocking, shard_, [path = std::move(path)]() -> Result<void> {
        std::error_code error;
        std::filesystem::create_directories(path, error);
        if (error) return errno_fail(error.value(), "create directory " + path);
        return {};
    });
}

port::Task<Result<void>> EpollDisk::remove(std::string path) {
    return run_on(shard_.common().blocking, shard_, [path = std::move(path)] {
        return check(::remove(path.c_str()), "remove " + path);
    });
}

port::Task<Result<void>> EpollDisk::rename(std::string from, std::string to) {
    return run_on(shard_.common().blocking, shard_, [from = std::move(from), to = std::move(to)] {
        return check(::rename(from.c_str(), to.c_str()), "rename " + from + " to " + to);
    });
}

port::Task<Result<void>> EpollDisk::sync_directory(std::string path) {
    return run_on(shard_.common().blocking, shard_,
                  [path = std::move(path)] { return fsync_directory(path); });
}

port::Task<Result<std::vector<std::string>>> EpollDisk::list(std::string path) {
    return run_on(shard_.common().blocking, shard_,
                  [path = std::move(path)] { return list_directory(path); });
}

port::Task<Result<port::Space>> EpollDisk::space(std::string path) {
    return run_on(shard_.common().blocking, shard_,
                  [path = std::move(path)]() -> Result<port::Space> {
                      struct statvfs s{};
                      if (::statvfs(path.c_str(), &s) != 0)
                          return errno_fail(errno, "space of " + path);
                      return port::Space{s.f_blocks * s.f_frsize, s.f_bavail * s.f_frsize};
                  });
}

Result<std::unique_ptr<port::FileLock>> EpollDisk::lock(std::string path) {
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
    if (!fd.valid()) return errno_fail(errno, "lock " + path);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return errno_fail(errno, "lock " + path);
        char pid[32] = {};
        if (::pread(fd.get(), pid, sizeof pid - 1, 0) <= 0) pid[0] = 0;
        return fail(Errc::Conflict, "lock " + path + ": held by another process" +
                                        (pid[0] ? " (pid " + std::string(pid) + ")" : ""));
    }
    // Only a hint for whoever finds it taken; the lock is the flock.
    const std::string pid = std::to_string(::getpid());
    if (::ftruncate(fd.get(), 0) != 0 ||
        ::pwrite(fd.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
        return errno_fail(errno, "lock " + path);
    return std::make_unique<Lock>(std::move(fd));
}

}  // namespace asterias::runtime
