// engine/rocks/rocks_fault_fs_internal.h: a RocksDB file system in memory that forgets what was not
// synced and fails on demand. Tests only. Fault model of a crash: a file keeps its synced bytes and
// a drawn prefix of the appended rest (what ext4 and xfs leave of an appended file); names follow a
// drawn prefix of the operations since the last sync of the directory. Bytes at rest change only by
// flip_byte(). Modes: Full and Broken fail what allocates or syncs; Dead fails everything that
// changes something, like a kill -9 in the middle of a call. hold_tables() lets table files wait in
// their sync.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include "base/prng.h"

namespace asterias::engine {

class FaultFs final : public rocksdb::FileSystemWrapper {
public:
    enum class Mode : unsigned char { Healthy, Full, Broken, Dead };

    explicit FaultFs(Prng prng);

    void set_mode(Mode mode);
    // In that mode from the `calls`-th call on that changes something.
    void turn(Mode mode, uint64_t calls);
    void hold_tables(bool hold);
    // Called at each call that changes something, whatever becomes of it; must not call back.
    void on_call(std::function<void()> observer);
    // How many there were.
    uint64_t calls();
    // After the database is gone: forgets, and is healthy again.
    void crash();
    // After so many more, syncs of manifests fail, whether or not the data survives; everything
    // else works.
    void break_manifest_syncs(uint64_t spared);
    // Changes one byte of a file whose name ends so; false if there is none.
    bool flip_byte(std::string_view suffix);
    // The names and contents of all files, and one changed at rest.
    std::map<std::string, std::string> files();
    void put(const std::string& name, std::string content);
    void remove(const std::string& name);

    struct Inode {
        std::string data;
        size_t synced = 0;
        bool table = false;
        bool manifest = false;
    };
    using InodePtr = std::shared_ptr<Inode>;

    // For the file objects.
    rocksdb::IOStatus append(Inode& inode, size_t at, std::string_view data);
    rocksdb::IOStatus truncate(Inode& inode, size_t size);
    rocksdb::IOStatus sync(Inode& inode);
    rocksdb::IOStatus sync_names();
    rocksdb::IOStatus read(const Inode& inode, uint64_t offset, size_t count, rocksdb::Slice* out,
                           char* scratch);
    size_t size(const Inode& inode);

    using IO = const rocksdb::IOOptions&;
    using Files = const rocksdb::FileOptions&;
    using Debug = rocksdb::IODebugContext*;
    const char* Name() const override { return "FaultFs"; }
    rocksdb::IOStatus NewSequentialFile(const std::string& name, Files,
                                        std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                        Debug) override;
    rocksdb::IOStatus NewRandomAccessFile(const std::string& name, Files,
                                          std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                          Debug) override;
    rocksdb::IOStatus NewWritableFile(const std::string& name, Files,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      Debug) override;
    rocksdb::IOStatus ReopenWritableFile(const std::string& name, Files,
                                         std::unique_ptr<rocksdb::FSWritableFile>* file,
                                         Debug) override;
    rocksdb::IOStatus ReuseWritableFile(const std::string&, const std::string&, Files,
                                        std::unique_ptr<rocksdb::FSWritableFile>*, Debug) override {
        return rocksdb::IOStatus::NotSupported("reuse");
    }
    rocksdb::IOStatus NewRandomRWFile(const std::string&, Files,
                                      std::unique_ptr<rocksdb::FSRandomRWFile>*, Debug) override {
        return rocksdb::IOStatus::NotSupported("random write");
    }
    rocksdb::IOStatus NewDirectory(const std::string& name, IO,
                                   std::unique_ptr<rocksdb::FSDirectory>* directory,
                                   Debug) override;
    rocksdb::IOStatus FileExists(const std::string& name, IO, Debug) override;
    rocksdb::IOStatus GetChildren(const std::string& directory, IO, std::vector<std::string>* names,
                                  Debug) override;
    rocksdb::IOStatus DeleteFile(const std::string& name, IO, Debug) override;
    rocksdb::IOStatus CreateDir(const std::string& name, IO, Debug) override;
    rocksdb::IOStatus CreateDirIfMissing(const std::string& name, IO, Debug) override;
    rocksdb::IOStatus DeleteDir(const std::string& name, IO, Debug) override;
    rocksdb::IOStatus GetFileSize(const std::string& name, IO, uint64_t* size, Debug) override;
    rocksdb::IOStatus GetFileModificationTime(const std::string&, IO, uint64_t* time,
                                              Debug) override {
        *time = 0;
        return rocksdb::IOStatus::OK();
    }
    rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, IO,
                                 Debug) override;
    rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to, IO, Debug) override;
    rocksdb::IOStatus LockFile(const std::string& name, IO, rocksdb::FileLock** lock,
                               Debug) override;
    rocksdb::IOStatus UnlockFile(rocksdb::FileLock* lock, IO, Debug) override;
    rocksdb::IOStatus GetAbsolutePath(const std::string& name, IO, std::string* out,
                                      Debug) override {
        *out = name;
        return rocksdb::IOStatus::OK();
    }
    rocksdb::IOStatus IsDirectory(const std::string& name, IO, bool* is, Debug) override;
    rocksdb::IOStatus GetFreeSpace(const std::string&, IO, uint64_t* free, Debug) override {
        *free = uint64_t{1} << 40;
        return rocksdb::IOStatus::OK();
    }

private:
    struct NameChange {
        std::string name;
        InodePtr before;
    };

    rocksdb::IOStatus may_change(bool allocates);
    rocksdb::IOStatus open_inode(const std::string& name, InodePtr* inode);
    void rename_to(const std::string& name, InodePtr inode);

    std::mutex mutex_;
    std::condition_variable released_;
    Prng prng_;
    Mode mode_ = Mode::Healthy;
    uint64_t calls_ = 0;
    std::function<void()> observer_;
    uint64_t calls_left_ = 0;  // until then_; 0: never
    Mode then_ = Mode::Dead;
    bool holding_ = false;
    std::map<std::string, InodePtr> names_;
    std::vector<NameChange> unsynced_names_;
    std::set<std::string> directories_;
    std::set<std::string> locks_;
    std::optional<uint64_t> manifest_syncs_left_;
};

// The environment over a FaultFs. RocksDB sleeps a second after a failed flush or compaction;
// here 300 us.
std::unique_ptr<rocksdb::Env> make_fault_env(std::shared_ptr<FaultFs> fs);

}  // namespace asterias::engine
