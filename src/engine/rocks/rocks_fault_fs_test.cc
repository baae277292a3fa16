// The implementation of rocks_fault_fs_internal.h; a *_test.cc so that it is in the test binary
// only.
#include <algorithm>
#include <cstring>

#include <rocksdb/system_clock.h>

#include "base/check.h"
#include "engine/rocks/rocks_fault_fs_internal.h"

namespace asterias::engine {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

class MemSequential final : public rocksdb::FSSequentialFile {
public:
    MemSequential(FaultFs& fs, FaultFs::InodePtr inode) : fs_(fs), inode_(std::move(inode)) {}
    IOStatus Read(size_t count, const IOOptions&, Slice* out, char* scratch,
                  IODebugContext*) override {
        auto status = fs_.read(*inode_, at_, count, out, scratch);
        at_ += out->size();
        return status;
    }
    IOStatus Skip(uint64_t count) override {
        at_ += count;
        return IOStatus::OK();
    }

private:
    FaultFs& fs_;
    FaultFs::InodePtr inode_;
    uint64_t at_ = 0;
};

class MemRandom final : public rocksdb::FSRandomAccessFile {
public:
    MemRandom(FaultFs& fs, FaultFs::InodePtr inode) : fs_(fs), inode_(std::move(inode)) {}
    IOStatus Read(uint64_t offset, size_t count, const IOOptions&, Slice* out, char* scratch,
                  IODebugContext*) const override {
        return fs_.read(*inode_, offset, count, out, scratch);
    }

private:
    FaultFs& fs_;
    FaultFs::InodePtr inode_;
};

class MemWritable final : public rocksdb::FSWritableFile {
public:
    MemWritable(FaultFs& fs, FaultFs::InodePtr inode) : fs_(fs), inode_(std::move(inode)) {}
    using FSWritableFile::Append;
    IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
        return fs_.append(*inode_, fs_.size(*inode_), {data.data(), data.size()});
    }
    using FSWritableFile::PositionedAppend;
    IOStatus PositionedAppend(const Slice& data, uint64_t at, const IOOptions&,
                              IODebugContext*) override {
        return fs_.append(*inode_, at, {data.data(), data.size()});
    }
    IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
        return fs_.truncate(*inode_, size);
    }
    IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
    IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
    IOStatus Sync(const IOOptions&, IODebugContext*) override { return fs_.sync(*inode_); }
    IOStatus Fsync(const IOOptions&, IODebugContext*) override { return fs_.sync(*inode_); }
    uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return fs_.size(*inode_); }

private:
    FaultFs& fs_;
    FaultFs::InodePtr inode_;
};

class MemDirectory final : public rocksdb::FSDirectory {
public:
    explicit MemDirectory(FaultFs& fs) : fs_(fs) {}
    IOStatus Fsync(const IOOptions&, IODebugContext*) override { return fs_.sync_names(); }

private:
    FaultFs& fs_;
};

struct MemLock final : rocksdb::FileLock {
    explicit MemLock(std::string n) : name(std::move(n)) {}
    std::string name;
};

class LightSleeper final : public rocksdb::SystemClockWrapper {
public:
    using SystemClockWrapper::SystemClockWrapper;
    const char* Name() const override { return "LightSleeper"; }
    void SleepForMicroseconds(int micros) override {
        SystemClockWrapper::SleepForMicroseconds(std::min(micros, 300));
    }
};

class FaultEnv final : public rocksdb::EnvWrapper {
public:
    explicit FaultEnv(std::shared_ptr<FaultFs> fs) : EnvWrapper(rocksdb::NewCompositeEnv(fs)) {
        file_system_ = std::move(fs);
        system_clock_ = std::make_shared<LightSleeper>(rocksdb::SystemClock::Default());
    }
};

IOStatus missing(const std::string& name) { return IOStatus::PathNotFound(name, "no such file"); }

}  // namespace

std::unique_ptr<rocksdb::Env> make_fault_env(std::shared_ptr<FaultFs> fs) {
    return std::make_unique<FaultEnv>(std::move(fs));
}

FaultFs::FaultFs(Prng prng) : FileSystemWrapper(FileSystem::Default()), prng_(prng) {}

void FaultFs::set_mode(Mode mode) {
    std::lock_guard lock(mutex_);
    mode_ = mode;
    calls_left_ = 0;
    if (mode != Mode::Healthy) holding_ = false;
    released_.notify_all();
}

void FaultFs::turn(Mode mode, uint64_t calls) {
    std::lock_guard lock(mutex_);
    then_ = mode;
    calls_left_ = calls;
}

void FaultFs::hold_tables(bool hold) {
    std::lock_guard lock(mutex_);
    holding_ = hold;
    released_.notify_all();
}

void FaultFs::on_call(std::function<void()> observer) {
    std::lock_guard lock(mutex_);
    observer_ = std::move(observer);
}

uint64_t FaultFs::calls() {
    std::lock_guard lock(mutex_);
    return calls_;
}

void FaultFs::break_manifest_syncs(uint64_t spared) {
    std::lock_guard lock(mutex_);
    manifest_syncs_left_ = spared;
}

void FaultFs::crash() {
    std::lock_guard lock(mutex_);
    CHECK(locks_.empty(), "the database is gone before its disk forgets");
    mode_ = Mode::Healthy;
    calls_left_ = 0;
    holding_ = false;
    manifest_syncs_left_.reset();
    const size_t kept = prng_.chance(0.5) ? 0 : prng_.below(unsynced_names_.size() + 1);
    while (unsynced_names_.size() > kept) {
        auto& change = unsynced_names_.back();
        if (change.before)
            names_[change.name] = std::move(change.before);
        else
            names_.erase(change.name);
        unsynced_names_.pop_back();
    }
    unsynced_names_.clear();
    for (auto& [name, inode] : names_) {
        const size_t rest = inode->data.size() - inode->synced;
        const uint64_t draw = prng_.below(3);
        if (draw == 0) inode->data.resize(inode->synced);
        if (draw == 1) inode->data.resize(inode->synced + prng_.below(rest + 1));
        inode->synced = inode->data.size();
    }
}

bool FaultFs::flip_byte(std::string_view suffix) {
    std::lock_guard lock(mutex_);
    std::vector<Inode*> files;
    for (auto& [name, inode] : names_)
        if (name.ends_with(suffix) && !inode->data.empty()) files.push_back(inode.get());
    if (files.empty()) return false;
    Inode& file = *files[prng_.below(files.size())];
    const size_t at = prng_.below(file.data.size());
    char& byte = file.data[at];
    byte = static_cast<char>(byte ^ static_cast<char>(1 << prng_.below(8)));
    return true;
}

std::map<std::string, std::string> FaultFs::files() {
    std::lock_guard lock(mutex_);
    std::map<std::string, std::string> all;
    for (const auto& [name, inode] : names_)
        all[name] = inode->data;
    return all;
}

void FaultFs::put(const std::string& name, std::string content) {
    std::lock_guard lock(mutex_);
    auto inode = std::make_shared<Inode>();
    inode->synced = content.size();
    inode->data = std::move(content);
    inode->table = name.ends_with(".sst");
    inode->manifest = name.find("/MANIFEST-") != std::string::npos;
    names_[name] = std::move(inode);
}

void FaultFs::remove(const std::string& name) {
    std::lock_guard lock(mutex_);
    names_.erase(name);
}

IOStatus FaultFs::may_change(bool allocates) {
    ++calls_;
    if (observer_) observer_();
    if (calls_left_ > 0 && --calls_left_ == 0) mode_ = then_;
    if (mode_ == Mode::Dead) return IOStatus::IOError("dead");
    if (!allocates) return IOStatus::OK();
    if (mode_ == Mode::Full) return IOStatus::NoSpace("full");
    if (mode_ == Mode::Broken) return IOStatus::IOError("broken");
    return IOStatus::OK();
}

IOStatus FaultFs::append(Inode& inode, size_t at, std::string_view data) {
    std::lock_guard lock(mutex_);
    auto status = may_change(true);
    CHECK(at >= inode.synced && at <= inode.data.size(), "tables and manifests only grow");
    inode.data.resize(at);
    if (!status.ok()) {
        // Some of it may have reached the disk.
        inode.data.append(data.substr(0, prng_.below(data.size() + 1)));
        return status;
    }
    inode.data.append(data);
    return status;
}

IOStatus FaultFs::truncate(Inode& inode, size_t size) {
    std::lock_guard lock(mutex_);
    auto status = may_change(false);
    if (!status.ok()) return status;
    inode.data.resize(size);
    inode.synced = std::min(inode.synced, size);
    return status;
}

IOStatus FaultFs::sync(Inode& inode) {
    std::unique_lock lock(mutex_);
    if (inode.table) released_.wait(lock, [this] { return !holding_; });
    const bool alive = mode_ != Mode::Dead;
    auto status = may_change(true);
    if (inode.manifest && manifest_syncs_left_ && (*manifest_syncs_left_)-- == 0) {
        manifest_syncs_left_ = 0;
        return IOStatus::IOError("broken sync");
    }
    // Who dies in the middle of a sync does not know whether it happened.
    const bool cut = alive && mode_ == Mode::Dead;
    if (status.ok() || (cut && prng_.chance(0.5))) inode.synced = inode.data.size();
    return status;
}

IOStatus FaultFs::sync_names() {
    std::lock_guard lock(mutex_);
    auto status = may_change(true);
    if (status.ok()) unsynced_names_.clear();
    return status;
}

IOStatus FaultFs::read(const Inode& inode, uint64_t offset, size_t count, Slice* out,
                       char* scratch) {
    std::lock_guard lock(mutex_);
    const size_t size = inode.data.size();
    const size_t from = std::min<size_t>(offset, size);
    const size_t bytes = std::min(count, size - from);
    std::memcpy(scratch, inode.data.data() + from, bytes);
    *out = Slice(scratch, bytes);
    return IOStatus::OK();
}

size_t FaultFs::size(const Inode& inode) {
    std::lock_guard lock(mutex_);
    return inode.data.size();
}

IOStatus FaultFs::open_inode(const std::string& name, InodePtr* inode) {
    std::lock_guard lock(mutex_);
    auto it = names_.find(name);
    if (it == names_.end()) return missing(name);
    *inode = it->second;
    return IOStatus::OK();
}

void FaultFs::rename_to(const std::string& name, InodePtr inode) {
    auto it = names_.find(name);
    unsynced_names_.push_back({name, it == names_.end() ? nullptr : it->second});
    if (inode)
        names_[name] = std::move(inode);
    else
        names_.erase(name);
}

IOStatus FaultFs::NewSequentialFile(const std::string& name, Files,
                                    std::unique_ptr<rocksdb::FSSequentialFile>* file, Debug) {
    InodePtr inode;
    auto status = open_inode(name, &inode);
    if (status.ok()) *file = std::make_unique<MemSequential>(*this, std::move(inode));
    return status;
}

IOStatus FaultFs::NewRandomAccessFile(const std::string& name, Files,
                                      std::unique_ptr<rocksdb::FSRandomAccessFile>* file, Debug) {
    InodePtr inode;
    auto status = open_inode(name, &inode);
    if (status.ok()) *file = std::make_unique<MemRandom>(*this, std::move(inode));
    return status;
}

IOStatus FaultFs::NewWritableFile(const std::string& name, Files,
                                  std::unique_ptr<rocksdb::FSWritableFile>* file, Debug) {
    std::lock_guard lock(mutex_);
    auto status = may_change(true);
    if (!status.ok()) return status;
    auto inode = std::make_shared<Inode>();
    inode->table = name.ends_with(".sst");
    inode->manifest = name.find("/MANIFEST-") != std::string::npos;
    rename_to(name, inode);
    *file = std::make_unique<MemWritable>(*this, std::move(inode));
    return status;
}

IOStatus FaultFs::ReopenWritableFile(const std::string& name, Files,
                                     std::unique_ptr<rocksdb::FSWritableFile>* file, Debug) {
    InodePtr inode;
    auto status = open_inode(name, &inode);
    if (status.ok()) *file = std::make_unique<MemWritable>(*this, std::move(inode));
    return status;
}

IOStatus FaultFs::NewDirectory(const std::string&, IO,
                               std::unique_ptr<rocksdb::FSDirectory>* directory, Debug) {
    *directory = std::make_unique<MemDirectory>(*this);
    return IOStatus::OK();
}

IOStatus FaultFs::FileExists(const std::string& name, IO, Debug) {
    std::lock_guard lock(mutex_);
    if (names_.contains(name) || directories_.contains(name)) return IOStatus::OK();
    return IOStatus::NotFound(name);
}

IOStatus FaultFs::GetChildren(const std::string& directory, IO, std::vector<std::string>* names,
                              Debug) {
    std::lock_guard lock(mutex_);
    names->clear();
    const std::string prefix = directory + "/";
    for (const auto& [name, inode] : names_)
        if (name.starts_with(prefix)) names->push_back(name.substr(prefix.size()));
    return IOStatus::OK();
}

IOStatus FaultFs::DeleteFile(const std::string& name, IO, Debug) {
    std::lock_guard lock(mutex_);
    auto status = may_change(false);
    if (!status.ok()) return status;
    if (!names_.contains(name)) return missing(name);
    rename_to(name, nullptr);
    return status;
}

IOStatus FaultFs::CreateDir(const std::string& name, IO, Debug) {
    std::lock_guard lock(mutex_);
    directories_.insert(name);
    return IOStatus::OK();
}

IOStatus FaultFs::CreateDirIfMissing(const std::string& name, IO io, Debug debug) {
    return CreateDir(name, io, debug);
}

IOStatus FaultFs::DeleteDir(const std::string& name, IO, Debug) {
    std::lock_guard lock(mutex_);
    directories_.erase(name);
    return IOStatus::OK();
}

IOStatus FaultFs::GetFileSize(const std::string& name, IO, uint64_t* size, Debug) {
    InodePtr inode;
    auto status = open_inode(name, &inode);
    if (status.ok()) *size = this->size(*inode);
    return status;
}

IOStatus FaultFs::RenameFile(const std::string& from, const std::string& to, IO, Debug) {
    std::lock_guard lock(mutex_);
    auto status = may_change(true);
    if (!status.ok()) return status;
    auto it = names_.find(from);
    if (it == names_.end()) return missing(from);
    InodePtr inode = it->second;
    // Atomic: a crash that keeps half of it keeps the new name beside the old one.
    rename_to(to, inode);
    rename_to(from, nullptr);
    return status;
}

IOStatus FaultFs::LinkFile(const std::string& from, const std::string& to, IO, Debug) {
    std::lock_guard lock(mutex_);
    auto status = may_change(true);
    if (!status.ok()) return status;
    auto it = names_.find(from);
    if (it == names_.end()) return missing(from);
    rename_to(to, it->second);
    return status;
}

IOStatus FaultFs::LockFile(const std::string& name, IO, rocksdb::FileLock** lock, Debug) {
    std::lock_guard guard(mutex_);
    if (!locks_.insert(name).second) return IOStatus::IOError("While lock file", name);
    *lock = new MemLock(name);
    return IOStatus::OK();
}

IOStatus FaultFs::UnlockFile(rocksdb::FileLock* lock, IO, Debug) {
    std::lock_guard guard(mutex_);
    locks_.erase(static_cast<MemLock*>(lock)->name);
    delete lock;
    return IOStatus::OK();
}

IOStatus FaultFs::IsDirectory(const std::string& name, IO, bool* is, Debug) {
    std::lock_guard lock(mutex_);
    *is = directories_.contains(name);
    return IOStatus::OK();
}

}  // namespace asterias::engine
