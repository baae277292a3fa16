#include <rocksdb/file_system.h>

#include "engine/rocks/disk_internal.h"
#include "engine/rocks/rocks_internal.h"

namespace asterias::engine {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

using DiskPtr = std::shared_ptr<Disk>;

constexpr std::string_view kNoSpaceMark = "disk full";

// RocksDB must take a full disk, where nobody waits, for an error like any other: its own recovery
// from NoSpace leaves ErrorHandler::is_db_stopped_ set, after which waiting flushes answer OK
// without waiting and ingestions use file number 0. And it must retry nothing.
IOStatus final_error(IOStatus status) {
    if (status.IsNoSpace()) status = IOStatus::IOError(slice(kNoSpaceMark), status.ToString());
    status.SetRetryable(false);
    return status;
}

enum class FileKind : unsigned char { Table, Manifest, Other };

FileKind kind_of(const std::string& name) {
    if (name.ends_with(".sst")) return FileKind::Table;
    return name.find("/MANIFEST-") != std::string::npos ? FileKind::Manifest : FileKind::Other;
}

IOStatus refused() { return IOStatus::IOError("the disk has failed before"); }

// `attempt` until it finds space, or for good if nobody may wait.
template <typename Attempt>
IOStatus change(Disk& disk, bool may_wait, Attempt attempt) {
    if (disk.failed()) return refused();
    IOStatus status = attempt();
    if (status.IsNoSpace() && may_wait) {
        Disk::Wait waiting(disk);
        while (status.IsNoSpace() && waiting.again())
            status = attempt();
    }
    return status.ok() || status.IsNotSupported() ? status : final_error(std::move(status));
}

class DiskFile final : public rocksdb::FSWritableFileOwnerWrapper {
public:
    using Base = FSWritableFileOwnerWrapper;
    using IO = const IOOptions&;
    using Debug = IODebugContext*;
    using Check = const rocksdb::DataVerificationInfo&;

    DiskFile(std::unique_ptr<rocksdb::FSWritableFile> file, DiskPtr disk, FileKind kind, bool fresh)
        : Base(std::move(file)), disk_(std::move(disk)), kind_(kind), fresh_(fresh) {}

    // With its position, because an attempt that finds no space may have written some of it.
    IOStatus Append(const Slice& data, IO io, Debug debug) override {
        if (!waits()) return changed([&] { return Base::Append(data, io, debug); });
        return appended(data, [&] { return Base::PositionedAppend(data, size_, io, debug); });
    }
    IOStatus Append(const Slice& data, IO io, Check check, Debug debug) override {
        if (!waits()) return changed([&] { return Base::Append(data, io, check, debug); });
        return appended(data,
                        [&] { return Base::PositionedAppend(data, size_, io, check, debug); });
    }
    // RocksDB uses these with direct IO only, and we do not.
    IOStatus PositionedAppend(const Slice&, uint64_t, IO, Debug) override {
        return IOStatus::NotSupported("direct IO");
    }
    IOStatus PositionedAppend(const Slice&, uint64_t, IO, Check, Debug) override {
        return IOStatus::NotSupported("direct IO");
    }
    IOStatus Truncate(uint64_t size, IO io, Debug debug) override {
        return changed([&] { return Base::Truncate(size, io, debug); });
    }
    IOStatus Close(IO io, Debug debug) override {
        auto status = Base::Close(io, debug);  // also when nothing may be changed any more
        if (status.ok()) return status;
        return changed([&] { return status; });
    }
    IOStatus Flush(IO io, Debug debug) override {
        return changed([&] { return Base::Flush(io, debug); });
    }
    IOStatus Sync(IO io, Debug debug) override {
        return changed([&] { return Base::Sync(io, debug); });
    }
    IOStatus Fsync(IO io, Debug debug) override {
        return changed([&] { return Base::Fsync(io, debug); });
    }
    IOStatus RangeSync(uint64_t at, uint64_t count, IO io, Debug debug) override {
        return changed([&] { return Base::RangeSync(at, count, io, debug); });
    }

private:
    bool waits() const { return kind_ == FileKind::Table && fresh_; }

    // Any error of a manifest is final before RocksDB hears of it. A failed sync is not tried
    // again, even for lack of space: what it should have written may be gone from the cache.
    template <typename Attempt>
    IOStatus changed(Attempt attempt) {
        auto status = change(*disk_, false, attempt);
        if (!status.ok() && !status.IsNotSupported() && kind_ == FileKind::Manifest) disk_->fail();
        return status;
    }
    template <typename Attempt>
    IOStatus appended(const Slice& data, Attempt attempt) {
        auto status = change(*disk_, true, attempt);
        if (status.ok()) size_ += data.size();
        return status;
    }

    const DiskPtr disk_;
    const FileKind kind_;
    const bool fresh_;  // empty when opened
    uint64_t size_ = 0;
};

class DiskDirectory final : public rocksdb::FSDirectoryWrapper {
public:
    DiskDirectory(std::unique_ptr<rocksdb::FSDirectory> directory, DiskPtr disk)
        : FSDirectoryWrapper(std::move(directory)), disk_(std::move(disk)) {}
    IOStatus Fsync(const IOOptions& io, IODebugContext* debug) override {
        return change(*disk_, false, [&] { return FSDirectoryWrapper::Fsync(io, debug); });
    }
    IOStatus FsyncWithDirOptions(const IOOptions& io, IODebugContext* debug,
                                 const rocksdb::DirFsyncOptions& how) override {
        return change(*disk_, false,
                      [&] { return FSDirectoryWrapper::FsyncWithDirOptions(io, debug, how); });
    }

private:
    const DiskPtr disk_;
};

class DiskFs final : public rocksdb::FileSystemWrapper {
public:
    using Base = FileSystemWrapper;
    using IO = const IOOptions&;
    using Debug = IODebugContext*;
    using WritablePtr = std::unique_ptr<rocksdb::FSWritableFile>;

    DiskFs(const std::shared_ptr<rocksdb::FileSystem>& target, DiskPtr disk)
        : Base(target), disk_(std::move(disk)) {}
    const char* Name() const override { return "DiskFs"; }

    IOStatus NewWritableFile(const std::string& name, const FileOptions& options, WritablePtr* file,
                             Debug debug) override {
        const FileKind kind = kind_of(name);
        auto status = change(*disk_, kind == FileKind::Table,
                             [&] { return Base::NewWritableFile(name, options, file, debug); });
        if (!status.ok() && kind == FileKind::Manifest) disk_->fail();
        return wrapped(std::move(status), name, true, file);
    }
    IOStatus ReopenWritableFile(const std::string& name, const FileOptions& options,
                                WritablePtr* file, Debug debug) override {
        auto status = change(*disk_, false,
                             [&] { return Base::ReopenWritableFile(name, options, file, debug); });
        return wrapped(std::move(status), name, false, file);
    }
    IOStatus ReuseWritableFile(const std::string&, const std::string&, const FileOptions&,
                               WritablePtr*, Debug) override {
        return IOStatus::NotSupported("files are reused for write-ahead logs only");
    }
    IOStatus NewRandomAccessFile(const std::string& name, const FileOptions& options,
                                 std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                 Debug debug) override {
        auto status = Base::NewRandomAccessFile(name, options, file, debug);
        if (!status.ok() || kind_of(name) != FileKind::Table) return status;
        uint64_t size = 0;
        status = Base::GetFileSize(name, options.io_options, &size, debug);
        if (status.ok()) status = check_table(**file, size, name);
        if (!status.ok()) file->reset();
        return status;
    }
    IOStatus NewDirectory(const std::string& name, IO io,
                          std::unique_ptr<rocksdb::FSDirectory>* directory, Debug debug) override {
        auto status = Base::NewDirectory(name, io, directory, debug);
        if (status.ok()) *directory = std::make_unique<DiskDirectory>(std::move(*directory), disk_);
        return status;
    }
    IOStatus RenameFile(const std::string& from, const std::string& to, IO io,
                        Debug debug) override {
        return change(*disk_, false, [&] { return Base::RenameFile(from, to, io, debug); });
    }
    IOStatus LinkFile(const std::string& from, const std::string& to, IO io, Debug debug) override {
        return change(*disk_, false, [&] { return Base::LinkFile(from, to, io, debug); });
    }
    // A manifest whose sync failed may yet survive, and then the tables that it names must.
    IOStatus DeleteFile(const std::string& name, IO io, Debug debug) override {
        return change(*disk_, false, [&] { return Base::DeleteFile(name, io, debug); });
    }

private:
    IOStatus wrapped(IOStatus status, const std::string& name, bool fresh,
                     WritablePtr* file) const {
        if (status.ok())
            *file = std::make_unique<DiskFile>(std::move(*file), disk_, kind_of(name), fresh);
        return status;
    }

    const DiskPtr disk_;
};

class DiskEnv final : public rocksdb::EnvWrapper {
public:
    DiskEnv(rocksdb::Env* base, DiskPtr disk) : EnvWrapper(base) {
        file_system_ = std::make_shared<DiskFs>(base->GetFileSystem(), std::move(disk));
        system_clock_ = base->GetSystemClock();
    }
};

}  // namespace

void Disk::close() {
    notify([this] { closing_ = true; });
}

bool Disk::wait_unless_full(const std::function<bool()>& done) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done() || full(); });
    return done();
}

void Disk::notify(const std::function<void()>& change) {
    {
        std::lock_guard lock(mutex_);
        change();
        changed_.notify_all();
    }
    tell();
}

Disk::Wait::Wait(Disk& disk) : disk_(disk) {
    disk_.notify([this] {
        if (disk_.waiting_++ == 0 && disk_.log_)
            disk_.log_->error("disk full: writes are refused until there is space");
    });
}

Disk::Wait::~Wait() {
    disk_.notify([this] {
        if (--disk_.waiting_ == 0 && disk_.log_ && !disk_.closing_)
            disk_.log_->warn("the disk has space again");
    });
}

bool Disk::Wait::again() {
    std::unique_lock lock(disk_.mutex_);
    disk_.changed_.wait_for(lock, disk_.retry_, [this] { return disk_.closing_; });
    return !disk_.closing_ && !disk_.failed();
}

std::unique_ptr<rocksdb::Env> make_disk_env(rocksdb::Env* base, std::shared_ptr<Disk> disk) {
    return std::make_unique<DiskEnv>(base, std::move(disk));
}

bool is_no_space(const rocksdb::Status& status) {
    return status.IsNoSpace() ||
           (status.IsIOError() && status.getState() &&
            std::string_view(status.getState()).find(kNoSpaceMark) != std::string_view::npos);
}

}  // namespace asterias::engine
