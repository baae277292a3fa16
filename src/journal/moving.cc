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
    if (no_space() && bytes_left() < 2 * retention_.live_bytes(oldest)) return;
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

// How far the reading of a segment has come.
struct Writer::Move {
    const uint64_t sequence;  // of the segment whose entries are moved
    Position at;              // the next record; in a later segment for the end of a sliced entry
    std::unique_ptr<port::File> file;     // of at.segment
    size_t window = kWindowBytes;         // at least the next record
    std::optional<RecordHeader> slicing;  // of an entry of which slices are missing
    BytesBuilder sliced{};
};

port::Task<Result<void>> Writer::move_from(uint64_t sequence) {
    Move move{.sequence = sequence, .at = {sequence, kSegmentHeaderBytes}};
    while (!failed_ && !scope_.stop_requested()) {
        const auto sealed = sealed_.find(move.at.segment);
        // Gone: purged meanwhile. Or the end of an entry that reaches into the current segment, too
        // large and too young to be worth it.
        if (sealed == sealed_.end()) break;
        const uint64_t end = sealed->second.end;
        if (move.at.offset >= end) {
            if (!move.slicing) break;
            move.at = {std::next(sealed) == sealed_.end() ? 0 : std::next(sealed)->first,
                       kSegmentHeaderBytes};
            move.file.reset();
            continue;
        }
        auto bytes = co_await read_on(move, end);
        if (!bytes) co_return std::unexpected(bytes.error());
        if (scope_.stop_requested()) break;

        SegmentReader reader(bytes->span(), move.at, life_);
        stage_moved(move, reader, *bytes);
        if (move.at.segment != sequence && !move.slicing) break;
        if (reader.position() == move.at) {
            if (auto wider = widen(move, *bytes, end); !wider) co_return wider;
            continue;
        }
        move.at = reader.position();
        co_await until_persisted(batch_);
    }
    co_return Result<void>();
}

// The next window. `move` is the awaiting caller's.
port::Task<Result<Bytes>> Writer::read_on(Move& move, uint64_t end) {
    if (!move.file) {
        auto opened =
            co_await shard_.disk().open(spares_.path(move.at.segment), port::OpenMode::Read);
        if (!opened) co_return std::unexpected(opened.error());
        move.file = std::move(*opened);
    }
    co_return co_await move.file->read(move.at.offset,
                                       std::min<uint64_t>(move.window, end - move.at.offset));
}

// Stages what is to be moved of the whole records in `window`, which `reader` reads.
void Writer::stage_moved(Move& move, SegmentReader& reader, const Bytes& window) {
    const bool here = move.at.segment == move.sequence;
    while (auto record = reader.next()) {
        const RecordHeader& h = record->header;
        if (h.type != RecordType::Entry && h.type != RecordType::Moved) continue;
        const Bytes body = window.slice(static_cast<size_t>(record->body.data() - window.data()),
                                        record->body.size());
        if (h.fragment == Fragment::Whole) {
            if (here && wants_move(h, move.sequence)) stage_moved(h, body);
            continue;
        }
        if (h.fragment == Fragment::First) {
            move.slicing.reset();
            if (!here || !wants_move(h, move.sequence)) continue;
            move.slicing = h;
            move.sliced.clear();
        }
        if (!move.slicing) continue;
        move.sliced.append(body.view());
        if (h.fragment != Fragment::Last) continue;
        if (wants_move(h, move.sequence)) stage_moved(h, move.sliced.take());
        move.slicing.reset();
        if (!here) return;
    }
}

void Writer::stage_moved(const RecordHeader& h, Bytes payload) {
    stage_entry(RecordType::Moved, h.group,
                {h.term, h.index, wire::EntryKind{h.entry_kind}, h.entry_crc, std::move(payload)},
                0);
    metrics_.moved.add();
}

// No whole record was in `window`: takes in the next one's size, or it is damaged.
Result<void> Writer::widen(Move& move, const Bytes& window, uint64_t end) const {
    const auto header = decode_record_header(window.span(), move.at, life_);
    if (!header || window.size() == end - move.at.offset ||
        move.window >= record_bytes(header->body_bytes))
        return fail(Errc::Corrupt,
                    spares_.path(move.at.segment) + " at offset " + std::to_string(move.at.offset));
    move.window = record_bytes(header->body_bytes);
    return {};
}

}  // namespace asterias::journal
