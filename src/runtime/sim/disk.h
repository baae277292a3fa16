// runtime/sim/disk.h: the disk of a simulated node. DiskImage is what lies on the platter and in
// the page cache and survives the process; SimDisk is one shard's port::Disk onto it for one boot.
// All shards of a node share one image.
//
// Fault model. May break, by DiskFaults and Prng:
//   - power loss (crash): each write that no completed sync covers is kept, lost, or torn at 512
//     bytes, independently of every other, whether or not its call had returned; each directory
//     operation (create, rename, remove) that no completed sync_directory covers is kept or lost;
//   - a write or sync fails with EIO after any part of it reached the page cache. What a failed
//   sync
//     should have covered is forgotten (Linux marks the pages clean): later syncs succeed without
//     it, reads still show it, a power loss takes it. Only writing it again helps;
//   - a read fails with EIO, or flips one bit of what is stored, for good (bit rot);
//   - a write succeeds but lands on other sectors of this or another file (misdirected), or nowhere
//     (lost);
//   - growing past the capacity fails with NoSpace and changes nothing;
//   - opening a file fails with Limit while there are no file descriptors;
//   - any operation takes its latency, and now and then stalls.
// Must survive: bytes covered by a completed sync and names covered by a completed sync_directory
// (but for bit rot and misdirected writes). A sector is atomic. A rename within one directory is
// atomic: both names change or neither. Killing the process (kill) loses nothing that was written.
// Not modelled: directories themselves are durable once created; a rename across directories
// belongs to the target's directory; modification order between files is free in any case.
// Threading: one (the simulator's).
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/prng.h"
#include "base/time.h"
#include "port/disk.h"
#include "port/shard.h"

namespace asterias::sim {

inline constexpr size_t kSectorBytes = 512;

// Drawn per seed by the caller. Probabilities are per operation.
struct DiskFaults {
    struct Range {
        Duration low{}, high{};
    };
    Range write_latency, sync_latency, read_latency;
    double stall = 0;  // an operation takes stall_latency on top
    Range stall_latency;
    double write_error = 0, sync_error = 0, read_error = 0;
    double bit_rot = 0;      // per read: one bit of the range flips for good
    double misdirected = 0;  // per write inside a file's size
    uint64_t capacity_bytes = UINT64_MAX;
    bool no_files = false;  // nothing can be opened
};

// What a power loss took.
struct CrashLoss {
    uint64_t writes = 0;  // lost wholly or in part
    uint64_t torn = 0;    // of these: in part
    uint64_t holes = 0;   // of these: a later write to the same file was kept whole
    uint64_t bytes = 0;
    uint64_t directory_operations = 0;
};

class DiskImage {
public:
    DiskImage() = default;
    DiskImage(const DiskImage&) = delete;
    DiskImage& operator=(const DiskImage&) = delete;

    // Power loss. Every SimDisk and file of the boot is dead afterwards (destroy them; they must
    // not be called). Locks are dropped.
    CrashLoss crash(Prng& prng);
    // The process died, the machine lives: the page cache stays, locks are dropped.
    void kill();

    // For tests and targeted faults; all act on what is stored, at once and durably.
    std::vector<std::string> paths() const;
    std::optional<Bytes> content(const std::string& path) const;
    bool flip(const std::string& path, uint64_t offset, uint8_t mask);
    bool overwrite(const std::string& path, uint64_t offset, std::string_view bytes);
    bool truncate(const std::string& path, uint64_t bytes);
    void erase(const std::string& path);
    // Makes `path` a file with this content.
    void put(const std::string& path, std::string_view bytes);
    uint64_t used_bytes() const;
    // Flips a bit of what is durable, in a file drawn from those below `directory`. What was
    // written last is spared, in each file and in all of them, so that something durable vouches
    // for what is damaged. Returns the place for people; empty: there was nothing to damage.
    // `within`: among so many bytes before what is spared, in the file that was written last.
    std::string rot(const std::string& directory, Prng& prng, uint64_t within = UINT64_MAX);
    // The next write inside a file's size reports success, but is lost or lands elsewhere.
    void lie_next() { lie_ = Lie{.pending = true}; }
    bool lie_told() const { return lie_ && !lie_->pending; }
    // So many writes to the file that should have got it have been issued since.
    uint64_t writes_since_lie() const { return lie_ ? lie_->writes_since : 0; }
    // Becomes what a backup of `other` holds, made while nobody uses it: all durable.
    void assign(const DiskImage& other);
    // Writes that a power loss now could take, and sectors that a failed sync left behind.
    uint64_t unsynced_writes() const;

private:
    friend class SimDisk;
    friend class SimFile;
    friend class SimLock;

    class Content {  // sparse: absent pages are zero
    public:
        static constexpr size_t kPage = 4096;
        uint64_t size() const { return size_; }
        void resize(uint64_t bytes);
        void read(uint64_t offset, uint8_t* out, size_t count) const;
        void write(uint64_t offset, const uint8_t* in, size_t count);

    private:
        std::map<uint64_t, std::array<uint8_t, kPage>> pages_;
        uint64_t size_ = 0;
    };
    using Sector = std::array<uint8_t, kSectorBytes>;
    struct Write {
        uint64_t id, offset;
        Bytes data;
    };
    struct Inode {
        Content current;                  // what a read sees
        std::map<uint64_t, Sector> base;  // durable content of sectors that unsynced writes touched
        std::vector<Write> unsynced;      // in order of issue
        uint64_t durable_size = 0;
        std::set<uint64_t> forgotten;  // sectors that a failed sync left behind; all in base
        static constexpr size_t kRecentWrites = 64;
        std::map<uint64_t, uint64_t> recent;  // places of the newest writes, by id

        void save_base(uint64_t offset, size_t count);
        void write(uint64_t id, uint64_t offset, Bytes data);
        void sync_through(uint64_t id);
        void forget();
        void settle(Prng& prng, CrashLoss& loss);
    };
    using InodePtr = std::shared_ptr<Inode>;
    using Names = std::map<std::string, InodePtr>;
    struct DirectoryOp {
        enum class Kind : uint8_t { Create, Remove, Rename } kind;
        std::string from, to;  // Create and Remove: `to`
        InodePtr inode;

        void apply(Names& names) const;
    };

    void change(DirectoryOp op);
    void sync_directory(const std::string& path);
    std::set<Inode*> inodes() const;

    Names names_, durable_names_;
    std::vector<DirectoryOp> unsynced_ops_;
    std::set<std::string> directories_;
    std::set<std::string> locks_;
    uint64_t boot_ = 0;  // so that a lock of an earlier boot unlocks nothing
    uint64_t next_write_ = 1;
    struct Lie {
        bool pending = false;
        InodePtr about;
        uint64_t writes_since = 0;
    };
    std::optional<Lie> lie_;
};

class SimDisk final : public port::Disk {
public:
    // `image` and `shard` outlive this and its files; `faults` may be changed by its owner
    // meanwhile and outlives this, too.
    // `sum`, if given, gets the counts added when this ends and outlives it.
    struct Counts;
    SimDisk(DiskImage& image, port::Shard& shard, const DiskFaults& faults, Prng prng,
            Counts* sum = nullptr)
        : image_(image), shard_(shard), faults_(faults), prng_(prng), sum_(sum) {}
    ~SimDisk() override {
        if (sum_) sum_->add(counts_);
    }

    port::Task<Result<std::unique_ptr<port::File>>> open(std::string path,
                                                         port::OpenMode mode) override;
    port::Task<Result<void>> create_directories(std::string path) override;
    port::Task<Result<void>> remove(std::string path) override;
    port::Task<Result<void>> rename(std::string from, std::string to) override;
    port::Task<Result<void>> sync_directory(std::string path) override;
    port::Task<Result<std::vector<std::string>>> list(std::string path) override;
    port::Task<Result<port::Space>> space(std::string path) override;
    Result<std::unique_ptr<port::FileLock>> lock(std::string path) override;

    // Completed operations and injected faults, so that a sweep can show that each was hit.
    struct Counts {
        uint64_t writes = 0, syncs = 0, reads = 0;
        uint64_t write_errors = 0, sync_errors = 0, read_errors = 0;
        uint64_t rotten = 0, misdirected = 0, lost = 0, no_space = 0, no_files = 0, stalls = 0;

        void add(const Counts& o) {
            writes += o.writes, syncs += o.syncs, reads += o.reads;
            write_errors += o.write_errors, sync_errors += o.sync_errors;
            read_errors += o.read_errors, rotten += o.rotten, misdirected += o.misdirected;
            lost += o.lost, no_space += o.no_space, no_files += o.no_files, stalls += o.stalls;
        }
    };
    const Counts& counts() const { return counts_; }

private:
    friend class SimFile;
    Duration draw(DiskFaults::Range range);
    Duration draw_with_stall(DiskFaults::Range range);
    bool fits(uint64_t growth);

    DiskImage& image_;
    port::Shard& shard_;
    const DiskFaults& faults_;
    Prng prng_;
    Counts counts_;
    Counts* const sum_;
};

}  // namespace asterias::sim
