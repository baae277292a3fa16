// journal/record.h: the bytes of a journal: segment headers and records. Pure; drawn byte by byte
// in docs/formats/journal.md. Decoding trusts nothing: it never reads past its input and allocates
// nothing by a length that it has not checked.
//
// What makes a record at (segment, offset) valid: magic, format, a header checksum seeded with the
// journal's life number (drawn at its birth, so that nobody who chooses payloads can forge a
// record), this very segment and offset, a body that fits and has its checksum, zero padding. A
// record of a recycled segment's earlier life has another segment number and is never valid (J3).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "journal/journal.h"

namespace asterias::journal {

inline constexpr size_t kSegmentHeaderBytes = 512;  // one sector: written whole or not at all
inline constexpr size_t kRecordHeaderBytes = 88;
inline constexpr size_t kRecordAlign = 8;
inline constexpr size_t kGroupMarkBytes = 80;
inline constexpr size_t kVoteBodyBytes = 8;
inline constexpr size_t kStartBodyBytes = 24;
inline constexpr uint64_t kSegmentBytesMax = uint64_t{1} << 30;

// A place in the journal; ordered as written. (0, 0) is before everything.
struct Position {
    uint64_t segment = 0;
    uint64_t offset = 0;
    auto operator<=>(const Position&) const = default;
};

struct SegmentHeader {
    uint64_t sequence = 0;
    uint64_t segment_bytes = 0;  // size of the file
    ClusterId cluster;
    NodeId node;
    ShardId shard;  // informational: another shard may replay this journal
    uint64_t life = 0;
    // The first segment of the opening that made this one ready. An opening makes segments ready in
    // the order of their numbers, so between those in use and those ready none is missing.
    uint64_t opening_first = 0;
    bool operator==(const SegmentHeader&) const = default;
};
Bytes encode(const SegmentHeader& header);
// Errors: Corrupt (magic, checksum, impossible sizes), Unsupported (a format this build does not
// know).
Result<SegmentHeader> decode_segment_header(std::span<const uint8_t> bytes);

enum class Fragment : uint8_t { Whole = 1, First = 2, Middle = 3, Last = 4 };
enum class RecordType : uint8_t {
    Start = 1,    // first record of every segment: what it follows
    Groups = 2,   // after Start: marks of groups, so that older segments can go
    Vote = 3,     // term and vote (in `index`) of a group; its own replica in the body
    Purge = 4,    // entries through `index` will not be asked for again
    Entry = 5,    // supersedes the group's entries at and above `index`
    Moved = 6,    // an entry written again because it pinned an old segment; supersedes nothing
    Release = 7,  // nothing but its header, whose `oldest` lets old segments go
    Begin = 8,    // an install of a snapshot of (index, term) begins
    End = 9,      // it has ended, and the log stays
    Reset = 10    // the log is void and goes on behind (index, term); ends an install, too
};

struct RecordHeader {
    RecordType type = RecordType::Release;
    Fragment fragment = Fragment::Whole;
    uint8_t entry_kind = 0;
    uint32_t body_bytes = 0;
    Position at;
    Position synced_through;   // the journal was known durable up to here when this was written
    uint32_t oldest_back = 0;  // at.segment minus the oldest segment still needed
    GroupId group;
    Term term;
    LogIndex index;
    uint32_t entry_crc = 0;
    uint32_t prev_crc = 0;     // entry crc at index - 1 of the group, 0 if none or unknown
    uint32_t body_crc = 0;     // of everything but a whole entry, which has entry_crc
    uint32_t entry_bytes = 0;  // of the whole entry
    bool operator==(const RecordHeader&) const = default;

    uint64_t oldest() const { return at.segment - oldest_back; }
};

// Bytes that a record with this body takes, padding included.
constexpr uint64_t record_bytes(uint64_t body_bytes) {
    return (kRecordHeaderBytes + body_bytes + kRecordAlign - 1) / kRecordAlign * kRecordAlign;
}

// Writes kRecordHeaderBytes at `out`, all but what seal() fills in.
void lay_out(const RecordHeader& header, uint8_t* out);
// What is known only when the batch is written, and the checksum.
void seal(uint8_t* header, Position synced_through, uint32_t oldest_back, uint64_t life);
// The header at `bytes`, if it is one written for `at`.
std::optional<RecordHeader> decode_record_header(std::span<const uint8_t> bytes, Position at,
                                                 uint64_t life);

struct Record {
    RecordHeader header;
    std::span<const uint8_t> body;
};
// The whole valid record at the front of `bytes` (which may hold more).
std::optional<Record> decode_record(std::span<const uint8_t> bytes, Position at, uint64_t life);

// Body of Start.
struct Start {
    Position previous_end;  // where the segment before ends; (0, 0) for the first
    bool opening = false;   // the first segment since the journal was opened
    bool operator==(const Start&) const = default;
};
void encode(const Start& start, uint8_t* out);  // kStartBodyBytes
std::optional<Start> decode_start(const Record& record);

// Of a Vote record; nothing if its body does not name a replica.
std::optional<Vote> decode_vote(const Record& record);

// An element of Groups' body.
struct GroupMark {
    GroupId group;
    Vote vote;
    LogPlace purged;      // the term is 0 unless a reset said it
    LogPlace installing;  // {0, 0}: none
    LogIndex last;
    uint32_t last_crc = 0;
    bool operator==(const GroupMark&) const = default;
};
void encode(const GroupMark& mark, uint8_t* out);  // kGroupMarkBytes
// Of a Groups record; nothing if its body is no whole number of marks.
std::optional<std::vector<GroupMark>> decode_groups(const Record& record);

// Iterates the valid records from the front of a segment.
class SegmentReader {
public:
    // `bytes` holds the segment from `at` on and outlives the reader.
    SegmentReader(std::span<const uint8_t> bytes, Position at, uint64_t life)
        : bytes_(bytes), at_(at), life_(life) {}
    // The record at position(), and moves past it; nothing if there is no valid one.
    std::optional<Record> next();
    Position position() const { return at_; }

private:
    std::span<const uint8_t> bytes_;
    Position at_;
    uint64_t life_;
};

// Rule 37's evidence: among record headers in `segment` (whole file) beyond offset `from`, the
// highest synced_through, and whether there is any record at all. Bodies are not looked at.
struct Evidence {
    bool any = false;
    Position synced_through;
    uint64_t at = 0;  // offset of the record that says so
};
Evidence search_evidence(std::span<const uint8_t> segment, uint64_t sequence, uint64_t from,
                         uint64_t life);

std::string segment_name(uint64_t sequence);
std::optional<uint64_t> parse_segment_name(std::string_view name);

}  // namespace asterias::journal
