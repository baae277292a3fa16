// Moving: when more than half of the sealed segments is garbage that only the oldest one's few
// entries keep (cold groups), those entries are written again at the end. So the journal is at most
// about twice what it must be, and each byte of garbage pays for at most one byte moved
// (Rosenblum and Ousterhout, "The Design and Implementation of a Log-Structured File System",
// 1992).
#include <algorithm>
#include <optional>

#include "journal/writer.h"

namespace asterias::journal {
namespace {
constexpr size_t kWindowBytes = 256 * 1024;  // read at a time, and written per batch at most
}

void Writer::maybe_move() {
    if (moving_ || failed_ || scope_.stop_requested() || sealed_.size() < 2) return;
    const uint64_t oldest = sealed_.begin()->first;
    if (oldest == immovable_ || retention_.live_bytes(oldest) == 0) return;
    uint64_t used = 0;
    for (const auto& [sequence, segment] : sealed_)
        used += segment.end - kSegmentHeaderBytes;
    if (retention_.live_bytes_before(current_.sequence) * 2 >= used) return;
    moving_ = true;
    scope_.spawn("journal.move", move_oldest());
}

port::Task<> Writer::move_oldest() {
    const uint64_t sequence = sealed_.begin()->first;
    auto moved = co_await move_from(sequence);
    co_await until_persisted(batch_);
    if (!moved) {
        metrics_.damaged.add();
        log_.error("old segment not moved: " + moved.error().describe());
        immovable_ = sequence;
    }
    moving_ = false;
    if (moved && retention_.live_bytes(sequence) > 0) immovable_ = sequence;
}

// Waits until what is staged now is durable.
port::Task<> Writer::until_persisted(BatchId batch) {
    if (collecting_.empty()) batch = batch.prev();
    while (persisted_ < batch && !failed_ && !scope_.stop_requested())
        co_await progress_.wait();
}

bool Writer::wants_move(const RecordHeader& h, uint64_t sequence) const {
    if (h.type != RecordType::Entry && h.type != RecordType::Moved) return false;
    if (!retention_.lives_in(h.group, h.index, sequence)) return false;
    // Live as far as is durable; what is staged since may have purged or superseded it.
    auto chain = chains_.find(h.group);
    if (chain == chains_.end() || h.index <= chain->second.purged_through() ||
        h.index > chain->second.last())
        return false;
    const auto crc = chain->second.crc(h.index);
    return !crc || *crc == h.entry_crc;
}

port::Task<Result<void>> Writer::move_from(uint64_t sequence) {
    Position at{sequence, kSegmentHeaderBytes};
    std::unique_ptr<port::File> file;
    size_t window = kWindowBytes;
    std::optional<RecordHeader> slicing;
    BytesBuilder sliced;
    auto stage_moved = [&](const RecordHeader& h, Bytes payload) {
        stage_entry(
            RecordType::Moved, h.group,
            {h.term, h.index, wire::EntryKind{h.entry_kind}, h.entry_crc, std::move(payload)}, 0);
        metrics_.moved.add();
    };
    while (!failed_ && !scope_.stop_requested()) {
        const auto sealed = sealed_.find(at.segment);
        // Gone: purged meanwhile. Or the end of an entry that reaches into the current segment, too
        // large and too young to be worth it.
        if (sealed == sealed_.end()) break;
        const uint64_t end = sealed->second.end;
        if (at.offset >= end) {
            if (!slicing) break;
            at = {std::next(sealed) == sealed_.end() ? 0 : std::next(sealed)->first,
                  kSegmentHeaderBytes};
            file.reset();
            continue;
        }
        if (!file) {
            auto opened =
                co_await shard_.disk().open(spares_.path(at.segment), port::OpenMode::Read);
            if (!opened) co_return std::unexpected(opened.error());
            file = std::move(*opened);
        }
        auto bytes = co_await file->read(at.offset, std::min<uint64_t>(window, end - at.offset));
        if (!bytes) co_return std::unexpected(bytes.error());
        if (scope_.stop_requested()) break;

        SegmentReader reader(bytes->span(), at, life_);
        while (auto record = reader.next()) {
            const RecordHeader& h = record->header;
            if (h.type != RecordType::Entry && h.type != RecordType::Moved) continue;
            const Bytes body = bytes->slice(
                static_cast<size_t>(record->body.data() - bytes->data()), record->body.size());
            if (h.fragment == Fragment::Whole) {
                if (at.segment == sequence && wants_move(h, sequence)) stage_moved(h, body);
                continue;
            }
            if (h.fragment == Fragment::First) {
                slicing.reset();
                if (at.segment != sequence || !wants_move(h, sequence)) continue;
                slicing = h;
                sliced.clear();
            }
            if (!slicing) continue;
            sliced.append(body.view());
            if (h.fragment != Fragment::Last) continue;
            if (wants_move(h, sequence)) stage_moved(h, sliced.take());
            slicing.reset();
            if (at.segment != sequence) break;
        }
        if (at.segment != sequence && !slicing) break;
        if (reader.position() == at) {
            const auto header = decode_record_header(bytes->span(), at, life_);
            if (!header || bytes->size() == end - at.offset)
                co_return fail(Errc::Corrupt, spares_.path(at.segment) + " at offset " +
                                                  std::to_string(at.offset));
            if (window >= record_bytes(header->body_bytes))
                co_return fail(Errc::Corrupt, spares_.path(at.segment) + " at offset " +
                                                  std::to_string(at.offset));
            window = record_bytes(header->body_bytes);
            continue;
        }
        at = reader.position();
        co_await until_persisted(batch_);
    }
    co_return Result<void>();
}

}  // namespace asterias::journal
