#include "journal/segments.h"

#include <algorithm>

#include "journal/record.h"

namespace asterias::journal {

std::string SpareSegments::path(uint64_t sequence) const {
    return options_.directory + "/" + segment_name(sequence);
}

port::Task<SpareSegments::Prepared> SpareSegments::recycle(SegmentFile file, uint64_t sequence) {
    if (auto renamed = co_await disk_.rename(path(file.sequence), path(sequence)); !renamed) {
        spare_.push_back(file);
        co_return std::unexpected(renamed.error());
    }
    failed_ = sequence;
    co_return co_await disk_.open(path(sequence), port::OpenMode::Write);
}

port::Task<SpareSegments::Prepared> SpareSegments::create(uint64_t sequence) {
    auto file = co_await disk_.open(path(sequence), port::OpenMode::Create);
    if (file) failed_ = sequence;
    co_return file;
}

port::Task<Result<void>> SpareSegments::finish(port::File& file, uint64_t sequence, bool sized) {
    // A header must never outlive the size that it promises.
    if (!sized)
        if (auto filled = co_await file.preallocate(options_.segment_bytes); !filled)
            co_return filled;
    // The header is durable before any record is written: from then on whoever finds a record of
    // this segment without a header has found damage.
    std::vector<Bytes> header;
    header.push_back(encode(SegmentHeader{.sequence = sequence,
                                          .segment_bytes = options_.segment_bytes,
                                          .cluster = options_.cluster,
                                          .node = options_.node,
                                          .shard = shard_,
                                          .life = life_,
                                          .opening_first = first_}));
    if (auto written = co_await file.write(0, std::move(header), port::Durability::Synced);
        !written)
        co_return written;
    co_return co_await disk_.sync_directory(options_.directory);
}

// Nothing is known about a file after a failed write or sync: it is not tried again, it goes. That
// must succeed before its name can be used again.
port::Task<Result<void>> SpareSegments::clear_failed() {
    if (failed_ == 0) co_return Result<void>();
    auto removed = co_await disk_.remove(path(failed_));
    if (removed || removed.error().code == Errc::NotFound) {
        failed_ = 0;
        co_return Result<void>();
    }
    co_return removed;
}

port::Task<SpareSegments::Prepared> SpareSegments::prepare(uint64_t sequence) {
    if (auto cleared = co_await clear_failed(); !cleared)
        co_return std::unexpected(cleared.error());
    // The youngest: should this fail, those that an earlier opening made ready and that are left
    // still follow the segments in use (SegmentHeader::opening_first).
    auto fit = spare_.end();
    for (auto spare = spare_.begin(); spare != spare_.end(); ++spare)
        if (spare->bytes == options_.segment_bytes &&
            (fit == spare_.end() || spare->sequence > fit->sequence))
            fit = spare;
    port::Task<Prepared> making;
    bool sized = false;
    if (fit != spare_.end()) {
        const SegmentFile file = *fit;
        sized = file.sized;
        spare_.erase(fit);
        making = recycle(file, sequence);
    } else {
        making = create(sequence);
    }
    // From the moment that it has its final name until it is ready, failed_ says so.
    auto file = co_await std::move(making);
    Result<void> finished;
    if (file) finished = co_await finish(**file, sequence, sized);
    if (file && finished) {
        failed_ = 0;
        co_return file;
    }
    Error why = file ? finished.error() : file.error();
    if (file) file->reset();
    const auto cleared = co_await clear_failed();  // or before the next try
    co_return std::unexpected(std::move(why));
}

port::Task<Result<void>> SpareSegments::trim() {
    while (surplus()) {
        // One of another size is of no use; else the oldest.
        auto victim = std::find_if(spare_.begin(), spare_.end(), [&](const SegmentFile& s) {
            return s.bytes != options_.segment_bytes;
        });
        if (victim == spare_.end()) victim = spare_.begin();
        const uint64_t sequence = victim->sequence;
        spare_.erase(victim);
        if (auto removed = co_await disk_.remove(path(sequence)); !removed) co_return removed;
    }
    co_return Result<void>();
}

}  // namespace asterias::journal
