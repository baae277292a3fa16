#include <rocksdb/file_system.h>

#include "engine/rocks/rocks_internal.h"

namespace asterias::engine {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

using Flag = std::shared_ptr<std::atomic<bool>>;

constexpr std::string_view kMark = "no space left: asks for back-pressure";

IOStatus translated(IOStatus status) {
    if (!status.IsNoSpace()) return status;
    auto again = IOStatus::IOError(slice(kMark), status.ToString());
    again.SetRetryable(true);
    return again;
}

class SpaceFile final : public rocksdb::FSWritableFileOwnerWrapper {
public:
    using Base = FSWritableFileOwnerWrapper;
    using IO = const IOOptions&;
    using Debug = IODebugContext*;
    using Check = const rocksdb::DataVerificationInfo&;

    // `failed` is raised by any error of this file; null: no matter.
    SpaceFile(std::unique_ptr<rocksdb::FSWritableFile> file, Flag failed)
        : Base(std::move(file)), failed_(std::move(failed)) {}

    IOStatus Append(const Slice& data, IO io, Debug debug) override {
        return seen(Base::Append(data, io, debug));
    }
    IOStatus Append(const Slice& data, IO io, Check check, Debug debug) override {
        return seen(Base::Append(data, io, check, debug));
    }
    IOStatus PositionedAppend(const Slice& data, uint64_t at, IO io, Debug debug) override {
        return seen(Base::PositionedAppend(data, at, io, debug));
    }
    IOStatus PositionedAppend(const Slice& data, uint64_t at, IO io, Check check,
                              Debug debug) override {
        return seen(Base::PositionedAppend(data, at, io, check, debug));
    }
    IOStatus Truncate(uint64_t size, IO io, Debug debug) override {
        return seen(Base::Truncate(size, io, debug));
    }
    IOStatus Close(IO io, Debug debug) override { return seen(Base::Close(io, debug)); }
    IOStatus Flush(IO io, Debug debug) override { return seen(Base::Flush(io, debug)); }
    IOStatus Sync(IO io, Debug debug) override { return seen(Base::Sync(io, debug)); }
    IOStatus Fsync(IO io, Debug debug) override { return seen(Base::Fsync(io, debug)); }
    IOStatus RangeSync(uint64_t at, uint64_t count, IO io, Debug debug) override {
        return seen(Base::RangeSync(at, count, io, debug));
    }
    IOStatus Allocate(uint64_t at, uint64_t count, IO io, Debug debug) override {
        return seen(Base::Allocate(at, count, io, debug));
    }

private:
    IOStatus seen(IOStatus status) const {
        if (!status.ok() && !status.IsNotSupported() && failed_) *failed_ = true;
        return translated(std::move(status));
    }

    const Flag failed_;
};

class SpaceDirectory final : public rocksdb::FSDirectoryWrapper {
public:
    using FSDirectoryWrapper::FSDirectoryWrapper;
    IOStatus Fsync(const IOOptions& io, IODebugContext* debug) override {
        return translated(FSDirectoryWrapper::Fsync(io, debug));
    }
    IOStatus FsyncWithDirOptions(const IOOptions& io, IODebugContext* debug,
                                 const rocksdb::DirFsyncOptions& how) override {
        return translated(FSDirectoryWrapper::FsyncWithDirOptions(io, debug, how));
    }
};

class SpaceFs final : public rocksdb::FileSystemWrapper {
public:
    using Base = FileSystemWrapper;
    SpaceFs(const std::shared_ptr<rocksdb::FileSystem>& target, Flag manifest_failed)
        : Base(target), manifest_failed_(std::move(manifest_failed)) {}
    using WritablePtr = std::unique_ptr<rocksdb::FSWritableFile>;
    const char* Name() const override { return "SpaceFs"; }

    IOStatus NewWritableFile(const std::string& name, const FileOptions& options, WritablePtr* file,
                             IODebugContext* debug) override {
        return wrapped(Base::NewWritableFile(name, options, file, debug), name, file);
    }
    IOStatus ReopenWritableFile(const std::string& name, const FileOptions& options,
                                WritablePtr* file, IODebugContext* debug) override {
        return wrapped(Base::ReopenWritableFile(name, options, file, debug), name, file);
    }
    IOStatus ReuseWritableFile(const std::string& name, const std::string& old,
                               const FileOptions& options, WritablePtr* file,
                               IODebugContext* debug) override {
        return wrapped(Base::ReuseWritableFile(name, old, options, file, debug), name, file);
    }
    IOStatus NewDirectory(const std::string& name, const IOOptions& io,
                          std::unique_ptr<rocksdb::FSDirectory>* directory,
                          IODebugContext* debug) override {
        auto status = translated(Base::NewDirectory(name, io, directory, debug));
        if (status.ok()) *directory = std::make_unique<SpaceDirectory>(std::move(*directory));
        return status;
    }
    IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& io,
                        IODebugContext* debug) override {
        return translated(Base::RenameFile(from, to, io, debug));
    }
    IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions& io,
                      IODebugContext* debug) override {
        return translated(Base::LinkFile(from, to, io, debug));
    }

private:
    IOStatus wrapped(IOStatus status, const std::string& name, WritablePtr* file) const {
        if (!status.ok()) return translated(std::move(status));
        const bool manifest = name.find("/MANIFEST-") != std::string::npos;
        *file =
            std::make_unique<SpaceFile>(std::move(*file), manifest ? manifest_failed_ : nullptr);
        return status;
    }

    const Flag manifest_failed_;
};

class SpaceEnv final : public rocksdb::EnvWrapper {
public:
    SpaceEnv(rocksdb::Env* base, Flag manifest_failed) : EnvWrapper(base) {
        file_system_ = std::make_shared<SpaceFs>(base->GetFileSystem(), std::move(manifest_failed));
        system_clock_ = base->GetSystemClock();
    }
};

}  // namespace

std::unique_ptr<rocksdb::Env> make_space_env(rocksdb::Env* base,
                                             std::shared_ptr<std::atomic<bool>> manifest_failed) {
    return std::make_unique<SpaceEnv>(base, std::move(manifest_failed));
}

bool is_no_space(const rocksdb::Status& status) {
    return status.IsNoSpace() ||
           (status.IsIOError() && status.getState() &&
            std::string_view(status.getState()).find(kMark) != std::string_view::npos);
}

}  // namespace asterias::engine
