// journal/segments.h: the segment files that nobody writes records to yet: made ready ahead of
// need, from files that are no longer needed where there are any. A recycled file saves the
// zero-filling, which costs as much disk bandwidth as the journal itself.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "journal/journal.h"
#include "journal/recovery.h"
#include "port/disk.h"
#include "port/task.h"

namespace asterias::journal {

class SpareSegments {
public:
    // `disk` outlives this.
    // `first`: the first number that prepare() will be asked for.
    SpareSegments(port::Disk& disk, Options options, ShardId shard, uint64_t life, uint64_t first)
        : disk_(disk), options_(std::move(options)), shard_(shard), life_(life), first_(first) {}

    void add(SegmentFile file) { spare_.push_back(file); }

    // The file for `sequence`: of full size, with its header, name and header durable. Errors:
    // NoSpace (nothing is left behind under that name: ask again), Io.
    port::Task<Result<std::unique_ptr<port::File>>> prepare(uint64_t sequence);
    // Deletes all spare files but one. Deletions need not be durable: a file that comes back is
    // found to be spare again.
    port::Task<Result<void>> trim();
    bool surplus() const { return spare_.size() > kKeep; }
    std::string path(uint64_t sequence) const;

private:
    static constexpr size_t kKeep = 1;
    using Prepared = Result<std::unique_ptr<port::File>>;
    port::Task<Prepared> recycle(SegmentFile file, uint64_t sequence);
    port::Task<Prepared> create(uint64_t sequence);
    port::Task<Result<void>> finish(port::File& file, uint64_t sequence, bool sized);
    port::Task<Result<void>> clear_failed();

    port::Disk& disk_;
    const Options options_;
    const ShardId shard_;
    const uint64_t life_, first_;
    std::vector<SegmentFile> spare_;
    uint64_t failed_ = 0;  // the file of this name could not be made ready and must go
};

}  // namespace asterias::journal
