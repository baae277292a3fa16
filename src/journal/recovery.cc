#include "journal/recovery.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "base/mutant.h"
#include "journal/replay.h"

namespace asterias::journal {
namespace {

constexpr size_t kHeadBytes = kSegmentHeaderBytes + record_bytes(kStartBodyBytes);

struct Found {
    SegmentFile file;
    std::string path;
    std::optional<SegmentHeader> header;  // nothing: it has none that is valid
    std::optional<Start> start;           // nothing: no record of this segment was completed
    Bytes head;                           // of a file without a header

    bool named_right() const { return header && header->sequence == file.sequence; }
    bool used() const { return named_right() && start; }
};

// The files of a directory in order of their numbers, and what all of them together say.
struct Survey {
    std::vector<Found> files;
    uint64_t life = 0;
    const Found* newest_used = nullptr;
};

Error damage(const std::string& path, uint64_t offset, const std::string& why) {
    return {Errc::Corrupt, path + ": damaged at offset " + std::to_string(offset) + ": " + why};
}

Result<void> check_owner(const Found& found, const Options& options) {
    const SegmentHeader& h = *found.header;
    if (h.cluster == options.cluster && h.node == options.node) return {};
    return fail(Errc::Conflict, found.path + " belongs to node " + to_string(h.node) +
                                    " of cluster " + to_string(h.cluster) + ", not to node " +
                                    to_string(options.node) + " of cluster " +
                                    to_string(options.cluster));
}

port::Task<Result<Bytes>> read_whole(port::Disk& disk, std::string path, uint64_t bytes) {
    auto file = co_await disk.open(std::move(path), port::OpenMode::Read);
    if (!file) co_return std::unexpected(file.error());
    co_return co_await (*file)->read(0, bytes);
}

port::Task<Result<Found>> look_at(port::Disk& disk, Options options, uint64_t sequence) {
    Found found;
    found.file.sequence = sequence;
    found.path = options.directory + "/" + segment_name(sequence);
    auto file = co_await disk.open(found.path, port::OpenMode::Read);
    if (!file) co_return std::unexpected(file.error());
    auto size = co_await (*file)->size();
    if (!size) co_return std::unexpected(size.error());
    found.file.bytes = *size;
    auto head = co_await (*file)->read(0, kHeadBytes);
    if (!head) co_return std::unexpected(head.error());

    auto header = decode_segment_header(head->span());
    if (!header) {
        if (header.error().code == Errc::Unsupported)
            co_return fail(Errc::Unsupported, found.path + ": " + header.error().context);
        found.head = std::move(*head);
        co_return found;
    }
    found.header = *header;
    if (auto owner = check_owner(found, options); !owner) co_return std::unexpected(owner.error());
    if (found.named_right()) {
        if (found.file.bytes < header->segment_bytes)
            co_return std::unexpected(damage(found.path, found.file.bytes, "the file was cut off"));
        const auto record = decode_record(head->span().subspan(kSegmentHeaderBytes),
                                          {sequence, kSegmentHeaderBytes}, header->life);
        if (record) found.start = decode_start(*record);
    }
    co_return found;
}

// A missing segment may have been let go by a word that damage hides: of the newest segment in use
// from `end` on, or of one that seems not to have begun. Where that would be.
std::string other_damage(const Survey& survey, Position end) {
    std::string places =
        "; or else " + damage(survey.newest_used->path, end.offset, "no valid record").context;
    for (const Found& found : survey.files)
        if (found.file.sequence > end.segment)
            return places + ", or " +
                   damage(found.path, kSegmentHeaderBytes, "no valid record").context;
    return places;
}

// Which segments make up the journal: those in use, from `oldest` on, without a gap.
Result<std::vector<Found>> chain_of(const std::vector<Found>& all, uint64_t oldest,
                                    const std::string& or_else, const Options& options) {
    std::vector<Found> chain;
    for (const Found& found : all)
        if (found.used() && found.file.sequence >= oldest) chain.push_back(found);
    uint64_t wanted = oldest;
    for (size_t i = 0; i < chain.size(); ++i) {
        if (i > 0) wanted = chain[i].start->previous_end.segment;
        const uint64_t there = i > 0 ? chain[i - 1].file.sequence : chain[0].file.sequence;
        if (there == wanted) continue;
        const std::string path = options.directory + "/" + segment_name(wanted);
        const auto lost = std::find_if(all.begin(), all.end(),
                                       [&](const Found& f) { return f.file.sequence == wanted; });
        if (lost == all.end())
            return fail(Errc::Corrupt, path + " is missing; later segments build on it" + or_else);
        return std::unexpected(damage(path, lost->named_right() ? kSegmentHeaderBytes : 0,
                                      "later segments build on this one"));
    }
    for (size_t i = 0; i + 1 < chain.size(); ++i)
        chain[i].file.end = chain[i + 1].start->previous_end.offset;
    return chain;
}

// One segment's records into `replay`.
struct SegmentEnd {
    uint64_t offset = kSegmentHeaderBytes;  // of the first record that was not applied
    std::string why;                        // empty: there is no valid record
    Replay::Verdict verdict = Replay::Verdict::Applied;
    Position proven;      // highest synced_through among the applied
    uint64_t oldest = 0;  // segment needed, by the applied
};
SegmentEnd replay_segment(Replay& replay, const Bytes& content, const Found& segment) {
    SegmentEnd end;
    const uint64_t stop = segment.file.end ? segment.file.end : segment.file.bytes;
    while (end.offset < stop) {
        const auto record =
            decode_record(content.span().subspan(end.offset), {segment.file.sequence, end.offset},
                          segment.header->life);
        if (!record) {
            if (!MUTANT(journal_chain_ignored) || end.offset + kRecordAlign >= stop) return end;
            end.offset += kRecordAlign;
            continue;
        }
        end.verdict = replay.apply(*record);
        if (end.verdict != Replay::Verdict::Applied) {
            end.why = replay.why() + " (group " + to_string(record->header.group) + ", index " +
                      to_string(record->header.index) + ")";
            return end;
        }
        end.proven = std::max(end.proven, record->header.synced_through);
        end.oldest = std::max(end.oldest, record->header.oldest());
        end.offset += record_bytes(record->header.body_bytes);
    }
    return end;
}

// Rule 37. The journal seems to end at `end`: does anything say that more of it was durable?
std::optional<Error> contradicts_end(const Found& where, const Bytes& content, Position end,
                                     uint64_t life, const std::string& path, const std::string& why,
                                     bool& torn) {
    const bool same = where.file.sequence == end.segment;
    const uint64_t from = same ? end.offset + kRecordAlign : kSegmentHeaderBytes;
    const Evidence evidence = search_evidence(content.span(), where.file.sequence, from, life);
    torn |= evidence.any;
    if (!evidence.any || evidence.synced_through <= end || MUTANT(journal_damage_as_tail))
        return std::nullopt;
    return damage(path, same ? end.offset : kSegmentHeaderBytes,
                  (why.empty() ? "no valid record" : why) + ", but the record at offset " +
                      std::to_string(evidence.at) + " of segment " +
                      std::to_string(where.file.sequence) + " says that all up to segment " +
                      std::to_string(evidence.synced_through.segment) + " offset " +
                      std::to_string(evidence.synced_through.offset) + " was durable");
}

bool has_records(const Bytes& content) {
    const auto bytes = content.span();
    return std::any_of(
        bytes.begin() + static_cast<ptrdiff_t>(std::min(bytes.size(), kSegmentHeaderBytes)),
        bytes.end(), [](uint8_t byte) { return byte != 0; });
}

port::Task<Result<Survey>> survey(port::Disk& disk, Options options) {
    Survey out;
    auto names = co_await disk.list(options.directory);
    if (!names) co_return std::unexpected(names.error());
    for (const std::string& name : *names) {
        const auto sequence = parse_segment_name(name);
        if (!sequence) continue;
        auto found = co_await look_at(disk, options, *sequence);
        if (!found) co_return std::unexpected(found.error());
        if (found->header) {
            if (out.life != 0 && out.life != found->header->life)
                co_return fail(Errc::Conflict, found->path + " belongs to another journal");
            out.life = found->header->life;
        }
        out.files.push_back(std::move(*found));
    }
    for (const Found& found : out.files)
        if (found.used()) out.newest_used = &found;
    for (const Found& found : out.files) {
        if (out.newest_used && found.file.sequence < out.newest_used->file.sequence) continue;
        // The header is durable before the first record is written.
        if (found.head.size() == kHeadBytes &&
            decode_record(found.head.span().subspan(kSegmentHeaderBytes),
                          {found.file.sequence, kSegmentHeaderBytes}, out.life))
            co_return std::unexpected(damage(found.path, 0, "the segment header"));
    }
    co_return out;
}

// Of the newest opening, the first segment after those in use is there, or none is
// (SegmentHeader::opening_first).
Result<void> none_missing(const Survey& survey, const Options& options) {
    uint64_t opening = 0;
    for (const Found& found : survey.files)
        if (found.named_right()) opening = std::max(opening, found.header->opening_first);
    const uint64_t newest = survey.newest_used ? survey.newest_used->file.sequence : 0;
    const uint64_t wanted = std::max(newest + 1, opening);
    uint64_t ready = 0;
    for (const Found& found : survey.files) {
        if (found.file.sequence == wanted) return {};
        // Renamed to be used again, and not ready yet under its new name.
        if (found.header && found.header->sequence == wanted) return {};
        if (found.named_right() && found.header->opening_first == opening &&
            found.file.sequence > wanted)
            ready = found.file.sequence;
    }
    if (ready == 0 || MUTANT(journal_lost_segment_unnoticed)) return {};
    return fail(Errc::Corrupt, options.directory + "/" + segment_name(wanted) +
                                   " is missing; segment " + std::to_string(ready) +
                                   " was made ready after it");
}

port::Task<Result<void>> replay_all(port::Disk& disk, Recovery& out, std::vector<Found> chain,
                                    Bytes newest, std::string& why) {
    Replay replay(out.oldest);
    for (Found& segment : chain) {
        const bool last = &segment == &chain.back();
        Bytes content = newest;
        if (!last) {
            auto read = co_await read_whole(disk, segment.path, segment.file.bytes);
            if (!read) co_return std::unexpected(read.error());
            content = std::move(*read);
        }
        const SegmentEnd end = replay_segment(replay, content, segment);
        if (end.verdict == Replay::Verdict::Damage || (!last && end.offset != segment.file.end))
            co_return std::unexpected(damage(
                segment.path, end.offset,
                end.why.empty() ? "no valid record, though later segments build on it" : end.why));
        if (last) {
            segment.file.end = end.offset;
            why = end.why;
            out.end = {segment.file.sequence, end.offset};
            // What is cut off may yet vanish from the disk, and with it its word.
            out.oldest = end.oldest;
            const uint64_t proven = end.proven.segment == segment.file.sequence
                                        ? end.proven.offset
                                        : kSegmentHeaderBytes;
            if (proven > end.offset)
                co_return std::unexpected(damage(segment.path, end.offset,
                                                 "records before it say "
                                                 "that more was durable"));
            out.unproven = content.slice(proven, end.offset - proven);
            out.recovered.torn_tail =
                !end.why.empty() || replay.unfinished() ||
                decode_record_header(content.span().subspan(end.offset), out.end, out.life);
        }
        out.used.push_back(segment.file);
    }
    out.recovered.records = replay.records();
    out.recovered.bytes = replay.bytes();
    auto result = replay.finish();
    if (!result) co_return std::unexpected(result.error());
    out.recovered.groups = std::move(result->recovered);
    out.chains = std::move(result->chains);
    out.retention = std::move(result->retention);
    co_return Result<void>();
}

}  // namespace

port::Task<Result<Recovery>> recover(port::Disk& disk, Options options) {
    auto found = co_await survey(disk, options);
    if (!found) co_return std::unexpected(found.error());
    if (auto all = none_missing(*found, options); !all) co_return std::unexpected(all.error());
    Recovery out;
    out.life = found->life;
    if (!found->files.empty()) out.next_sequence = found->files.back().file.sequence + 1;

    std::string why, last_path = options.directory;
    if (const Found* newest = found->newest_used) {
        auto content = co_await read_whole(disk, newest->path, newest->file.bytes);
        if (!content) co_return std::unexpected(content.error());
        // Every record tells the oldest segment needed; the latest word counts.
        SegmentReader reader(content->span().subspan(kSegmentHeaderBytes),
                             {newest->file.sequence, kSegmentHeaderBytes}, out.life);
        while (auto record = reader.next())
            out.oldest = std::max(out.oldest, record->header.oldest());
        auto chain =
            chain_of(found->files, out.oldest, other_damage(*found, reader.position()), options);
        if (!chain) co_return std::unexpected(chain.error());
        last_path = newest->path;
        if (auto done = co_await replay_all(disk, out, std::move(*chain), *content, why); !done)
            co_return std::unexpected(done.error());
        if (auto error = contradicts_end(*newest, *content, out.end, out.life, last_path, why,
                                         out.recovered.torn_tail))
            co_return std::unexpected(std::move(*error));
    }
    for (const Found& file : found->files) {
        if (file.used() && file.file.sequence >= out.oldest) continue;  // or left for next time
        out.spare.push_back(file.file);
        // Younger than the end and never begun, as it seems. Its records would know better.
        if (file.file.sequence < out.end.segment || file.used()) continue;
        auto content = co_await read_whole(disk, file.path, file.file.bytes);
        if (!content) co_return std::unexpected(content.error());
        if (out.life == 0 && has_records(*content))
            co_return std::unexpected(damage(file.path, 0, "the segment header"));
        if (auto error = contradicts_end(file, *content, out.end, out.life, file.path,
                                         "the segment's beginning", out.recovered.torn_tail))
            co_return std::unexpected(std::move(*error));
    }
    co_return out;
}

}  // namespace asterias::journal
