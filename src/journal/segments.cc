#include "journal/segments.h"

#include <algorithm>

#include "journal/record.h"

namespace asterias::journal {

std::string SpareSegments::path(uint64_t sequence) const {
    return options_.directory + "/" + segment_name(sequence);
}

port::Task<Result<std::unique_ptr<port::File>>> SpareSegments::recycle(SegmentFile file,
                                                                       uint64_t sequence) {
    if (auto renamed = co_await disk_.rename(path(file.sequence), path(sequence)); !renamed)
        co_return std::unexpected(renamed.error());
    auto opened = co_await disk_.open(path(sequence), port::OpenMode::Write);
    if (!opened || file.sized) co_return opened;
    // A header must never outlive the size that it promises.
    if (auto sized = co_await (*opened)->preallocate(options_.segment_bytes); !sized)
        co_return std::unexpected(sized.error());
    co_return opened;
}

port::Task<Result<std::unique_ptr<port::File>>> SpareSegments::create(uint64_t sequence) {
    auto file = co_await disk_.open(path(sequence), port::OpenMode::Create);
    if (!file) co_return file;
    if (auto filled = co_await (*file)->preallocate(options_.segment_bytes); !filled) {
        file->reset();
        const auto removed = co_await disk_.remove(path(sequence));
        co_return std::unexpected(removed ? filled.error() : removed.error());
    }
    co_return file;
}

port::Task<Result<std::unique_ptr<port::File>>> SpareSegments::prepare(uint64_t sequence) {
    const auto fit = std::find_if(spare_.begin(), spare_.end(), [&](const SegmentFile& s) {
        return s.bytes == options_.segment_bytes;
    });
    port::Task<Result<std::unique_ptr<port::File>>> making;
    if (fit != spare_.end()) {
        const SegmentFile file = *fit;
        spare_.erase(fit);
        making = recycle(file, sequence);
    } else {
        making = create(sequence);
    }
    auto file = co_await std::move(making);
    if (!file) co_return file;
    // The header is durable before any record is written: from then on whoever finds a record of
    // this segment without a header has found damage.
    std::vector<Bytes> header;
    header.push_back(encode(SegmentHeader{.sequence = sequence,
                                          .segment_bytes = options_.segment_bytes,
                                          .cluster = options_.cluster,
                                          .node = options_.node,
                                          .shard = shard_,
                                          .life = life_}));
    if (auto written = co_await (*file)->write(0, std::move(header), port::Durability::Synced);
        !written)
        co_return std::unexpected(written.error());
    if (auto synced = co_await disk_.sync_directory(options_.directory); !synced)
        co_return std::unexpected(synced.error());
    co_return file;
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
