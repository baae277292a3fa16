#include "journal/record.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "base/crc32c.h"
#include "base/mutant.h"

namespace asterias::journal {
namespace {

constexpr uint32_t kSegmentMagic = 0x53524A41;  // "AJRS"
constexpr uint32_t kRecordMagic = 0x52524A41;   // "AJRR"
constexpr uint8_t kFormat = 2;

// Offsets inside a record header; docs/formats/journal.md.
constexpr size_t kCrcAt = 4, kFormatAt = 8, kFragmentAt = 9, kTypeAt = 10, kKindAt = 11,
                 kBodyBytesAt = 12, kSegmentAt = 16, kOffsetAt = 24, kSyncedOffsetAt = 28,
                 kSyncedSegmentAt = 32, kGroupAt = 40, kTermAt = 48, kIndexAt = 56,
                 kEntryCrcAt = 64, kPrevCrcAt = 68, kBodyCrcAt = 72, kEntryBytesAt = 76,
                 kOldestBackAt = 80, kZeroAt = 84;
static_assert(kZeroAt + 4 == kRecordHeaderBytes);

template <typename T>
void put(uint8_t* out, size_t at, T value) {
    std::memcpy(out + at, &value, sizeof value);
}
template <typename T>
T get(const uint8_t* in, size_t at) {
    T value;
    std::memcpy(&value, in + at, sizeof value);
    return value;
}
std::string_view text(std::span<const uint8_t> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

uint32_t header_crc(const uint8_t* header, uint64_t life) {
    char seed[8];
    std::memcpy(seed, &life, sizeof seed);
    return crc32c(
        {reinterpret_cast<const char*>(header) + kFormatAt, kRecordHeaderBytes - kFormatAt},
        crc32c({seed, sizeof seed}));
}

bool is_entry(RecordType type) { return type == RecordType::Entry || type == RecordType::Moved; }

// What holds of every header that the writer makes, whatever its place.
bool plausible(const RecordHeader& h) {
    if (h.oldest_back > h.at.segment) return false;
    if (!is_entry(h.type)) return h.fragment == Fragment::Whole && h.entry_bytes == 0;
    if (h.fragment == Fragment::Whole) return h.body_bytes == h.entry_bytes;
    return h.body_bytes > 0 && h.body_bytes < h.entry_bytes;
}

bool body_intact(const RecordHeader& h, std::span<const uint8_t> body) {
    if (MUTANT(journal_torn_as_valid)) return true;
    if (!is_entry(h.type) || h.fragment != Fragment::Whole) return crc32c(text(body)) == h.body_crc;
    char head[25];
    put(reinterpret_cast<uint8_t*>(head), 0, h.group.value);
    put(reinterpret_cast<uint8_t*>(head), 8, h.term.value);
    put(reinterpret_cast<uint8_t*>(head), 16, h.index.value);
    head[24] = static_cast<char>(h.entry_kind);
    return crc32c(text(body), crc32c({head, sizeof head})) == h.entry_crc;
}

}  // namespace

Bytes encode(const SegmentHeader& header) {
    BytesBuilder out(kSegmentHeaderBytes);
    uint8_t* p = out.extend(kSegmentHeaderBytes);
    std::memset(p, 0, kSegmentHeaderBytes);
    put(p, 0, kSegmentMagic);
    put(p, 8, uint32_t{kFormat});
    put(p, 16, header.sequence);
    put(p, 24, header.segment_bytes);
    put(p, 32, header.cluster.value);
    put(p, 40, header.node.value);
    put(p, 48, header.shard.value);
    put(p, 56, header.life);
    put(p, 64, header.opening_first);
    put(p, 4, crc32c(out.view().substr(8)));
    return out.take();
}

Result<SegmentHeader> decode_segment_header(std::span<const uint8_t> bytes) {
    if (bytes.size() < kSegmentHeaderBytes) return fail(Errc::Corrupt, "segment header cut short");
    const uint8_t* p = bytes.data();
    if (get<uint32_t>(p, 0) != kSegmentMagic ||
        get<uint32_t>(p, 4) != crc32c(text(bytes.first(kSegmentHeaderBytes)).substr(8)))
        return fail(Errc::Corrupt, "segment header fails its checksum");
    if (get<uint32_t>(p, 8) != kFormat)
        return fail(Errc::Unsupported, "journal format " + std::to_string(get<uint32_t>(p, 8)) +
                                           " is not known to this build");
    SegmentHeader h;
    h.sequence = get<uint64_t>(p, 16);
    h.segment_bytes = get<uint64_t>(p, 24);
    h.cluster = ClusterId(get<uint64_t>(p, 32));
    h.node = NodeId(get<uint64_t>(p, 40));
    h.shard = ShardId(get<uint64_t>(p, 48));
    h.life = get<uint64_t>(p, 56);
    h.opening_first = get<uint64_t>(p, 64);
    if (h.sequence == 0 || h.opening_first == 0 || h.opening_first > h.sequence ||
        h.segment_bytes <= kSegmentHeaderBytes || h.segment_bytes > kSegmentBytesMax)
        return fail(Errc::Corrupt, "segment header names an impossible segment");
    return h;
}

void lay_out(const RecordHeader& h, uint8_t* out) {
    put(out, 0, kRecordMagic);
    put(out, kFormatAt, kFormat);
    put(out, kFragmentAt, static_cast<uint8_t>(h.fragment));
    put(out, kTypeAt, static_cast<uint8_t>(h.type));
    put(out, kKindAt, h.entry_kind);
    put(out, kBodyBytesAt, h.body_bytes);
    put(out, kSegmentAt, h.at.segment);
    put(out, kOffsetAt, static_cast<uint32_t>(h.at.offset));
    put(out, kGroupAt, h.group.value);
    put(out, kTermAt, h.term.value);
    put(out, kIndexAt, h.index.value);
    put(out, kEntryCrcAt, h.entry_crc);
    put(out, kPrevCrcAt, h.prev_crc);
    put(out, kBodyCrcAt, h.body_crc);
    put(out, kEntryBytesAt, h.entry_bytes);
    put(out, kZeroAt, uint32_t{0});
}

void seal(uint8_t* header, Position synced_through, uint32_t oldest_back, uint64_t life) {
    put(header, kSyncedOffsetAt, static_cast<uint32_t>(synced_through.offset));
    put(header, kSyncedSegmentAt, synced_through.segment);
    put(header, kOldestBackAt, oldest_back);
    put(header, kCrcAt, header_crc(header, life));
}

std::optional<RecordHeader> decode_record_header(std::span<const uint8_t> bytes, Position at,
                                                 uint64_t life) {
    if (bytes.size() < kRecordHeaderBytes) return std::nullopt;
    const uint8_t* p = bytes.data();
    if (get<uint32_t>(p, 0) != kRecordMagic || get<uint8_t>(p, kFormatAt) != kFormat)
        return std::nullopt;
    if (get<uint32_t>(p, kOffsetAt) != at.offset || get<uint32_t>(p, kZeroAt) != 0)
        return std::nullopt;
    const bool same_life = MUTANT(journal_recycled_record_accepted)
                               ? get<uint64_t>(p, kSegmentAt) <= at.segment
                               : get<uint64_t>(p, kSegmentAt) == at.segment;
    if (!same_life || get<uint32_t>(p, kCrcAt) != header_crc(p, life)) return std::nullopt;

    RecordHeader h;
    h.fragment = Fragment{get<uint8_t>(p, kFragmentAt)};
    h.type = RecordType{get<uint8_t>(p, kTypeAt)};
    if (h.fragment < Fragment::Whole || h.fragment > Fragment::Last || h.type < RecordType::Start ||
        h.type > RecordType::Reset)
        return std::nullopt;
    h.entry_kind = get<uint8_t>(p, kKindAt);
    h.body_bytes = get<uint32_t>(p, kBodyBytesAt);
    h.at = at;
    h.synced_through = {get<uint64_t>(p, kSyncedSegmentAt), get<uint32_t>(p, kSyncedOffsetAt)};
    h.oldest_back = get<uint32_t>(p, kOldestBackAt);
    h.group = GroupId(get<uint64_t>(p, kGroupAt));
    h.term = Term(get<uint64_t>(p, kTermAt));
    h.index = LogIndex(get<uint64_t>(p, kIndexAt));
    h.entry_crc = get<uint32_t>(p, kEntryCrcAt);
    h.prev_crc = get<uint32_t>(p, kPrevCrcAt);
    h.body_crc = get<uint32_t>(p, kBodyCrcAt);
    h.entry_bytes = get<uint32_t>(p, kEntryBytesAt);
    if (!plausible(h)) return std::nullopt;
    return h;
}

std::optional<Record> decode_record(std::span<const uint8_t> bytes, Position at, uint64_t life) {
    auto header = decode_record_header(bytes, at, life);
    if (!header || record_bytes(header->body_bytes) > bytes.size()) return std::nullopt;
    Record record{*header, bytes.subspan(kRecordHeaderBytes, header->body_bytes)};
    if (!body_intact(record.header, record.body)) return std::nullopt;
    for (size_t i = kRecordHeaderBytes + header->body_bytes; i < record_bytes(header->body_bytes);
         ++i)
        if (bytes[i] != 0) return std::nullopt;
    return record;
}

void encode(const Start& start, uint8_t* out) {
    put(out, 0, start.previous_end.segment);
    put(out, 8, start.previous_end.offset);
    put(out, 16, uint64_t{start.opening});
}

std::optional<Start> decode_start(const Record& record) {
    if (record.header.type != RecordType::Start || record.body.size() != kStartBodyBytes)
        return std::nullopt;
    const uint8_t* p = record.body.data();
    return Start{{get<uint64_t>(p, 0), get<uint64_t>(p, 8)}, get<uint64_t>(p, 16) != 0};
}

std::optional<Vote> decode_vote(const Record& record) {
    const RecordHeader& h = record.header;
    if (h.type != RecordType::Vote || record.body.size() != kVoteBodyBytes) return std::nullopt;
    return Vote{h.term, ReplicaId(h.index.value), ReplicaId(get<uint64_t>(record.body.data(), 0))};
}

void encode(const GroupMark& mark, uint8_t* out) {
    put(out, 0, mark.group.value);
    put(out, 8, mark.vote.term.value);
    put(out, 16, mark.vote.vote.value);
    put(out, 24, mark.vote.self.value);
    put(out, 32, mark.purged.index.value);
    put(out, 40, mark.purged.term.value);
    put(out, 48, mark.installing.index.value);
    put(out, 56, mark.installing.term.value);
    put(out, 64, mark.last.value);
    put(out, 72, mark.last_crc);
    put(out, 76, uint32_t{0});
}

std::optional<std::vector<GroupMark>> decode_groups(const Record& record) {
    if (record.header.type != RecordType::Groups || record.body.size() % kGroupMarkBytes != 0)
        return std::nullopt;
    std::vector<GroupMark> marks(record.body.size() / kGroupMarkBytes);
    const uint8_t* p = record.body.data();
    for (GroupMark& mark : marks) {
        mark.group = GroupId(get<uint64_t>(p, 0));
        mark.vote = {Term(get<uint64_t>(p, 8)), ReplicaId(get<uint64_t>(p, 16)),
                     ReplicaId(get<uint64_t>(p, 24))};
        mark.purged = {LogIndex(get<uint64_t>(p, 32)), Term(get<uint64_t>(p, 40))};
        mark.installing = {LogIndex(get<uint64_t>(p, 48)), Term(get<uint64_t>(p, 56))};
        mark.last = LogIndex(get<uint64_t>(p, 64));
        mark.last_crc = get<uint32_t>(p, 72);
        p += kGroupMarkBytes;
    }
    return marks;
}

std::optional<Record> SegmentReader::next() {
    auto record = decode_record(bytes_, at_, life_);
    if (!record) return std::nullopt;
    const uint64_t size = record_bytes(record->header.body_bytes);
    bytes_ = bytes_.subspan(size);
    at_.offset += size;
    return record;
}

Evidence search_evidence(std::span<const uint8_t> segment, uint64_t sequence, uint64_t from,
                         uint64_t life) {
    Evidence found;
    for (uint64_t at = from; at + kRecordHeaderBytes <= segment.size(); at += kRecordAlign) {
        auto header = decode_record_header(segment.subspan(at), {sequence, at}, life);
        if (!header) continue;
        if (!found.any || header->synced_through > found.synced_through) {
            found.synced_through = header->synced_through;
            found.at = at;
        }
        found.any = true;
    }
    return found;
}

std::string segment_name(uint64_t sequence) {
    char name[32];
    std::snprintf(name, sizeof name, "%016llx.journal", static_cast<unsigned long long>(sequence));
    return name;
}

std::optional<uint64_t> parse_segment_name(std::string_view name) {
    constexpr std::string_view kSuffix = ".journal";
    if (name.size() != 16 + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
    uint64_t sequence = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + 16, sequence, 16);
    if (error != std::errc() || end != name.data() + 16 || sequence == 0 ||
        segment_name(sequence) != name)
        return std::nullopt;
    return sequence;
}

}  // namespace asterias::journal
