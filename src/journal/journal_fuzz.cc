// Bytes of a segment, as they are and with their checksums made right, must never crash the codec
// or the replay, nor make them allocate more than a small multiple of their size.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"
#include "journal/record.h"
#include "journal/replay.h"
#include "wire/reader.h"

namespace asterias::journal {
namespace {

constexpr uint64_t kLife = 7;
constexpr Position kFirst{3, kSegmentHeaderBytes};

void replay(std::span<const uint8_t> bytes, uint64_t first_segment) {
    Replay replay(first_segment);
    SegmentReader reader(bytes, kFirst, kLife);
    uint64_t payload = 0;
    while (auto record = reader.next()) {
        if (replay.apply(*record) != Replay::Verdict::Applied) break;
        payload += record->body.size();
    }
    auto result = replay.finish();
    if (!result) return;
    uint64_t kept = 0;
    for (const auto& [id, group] : result->recovered)
        for (const auto& entry : group.entries) {
            CHECK(wire::entry_intact(id, entry), "only intact entries are recovered");
            kept += entry.payload.size();
        }
    CHECK(kept <= payload, "nothing is recovered that was not there");
}

// Records of the input's choosing with everything right that a checksum would catch.
Bytes make_valid(const Bytes& input) {
    wire::Reader in(input);
    BytesBuilder out;
    Position at = kFirst;
    while (!in.at_end() && in.ok()) {
        RecordHeader h;
        h.type = RecordType{static_cast<uint8_t>(1 + in.u8() % 10)};
        const bool entry = h.type == RecordType::Entry || h.type == RecordType::Moved;
        h.fragment = entry ? Fragment{static_cast<uint8_t>(1 + in.u8() % 4)} : Fragment::Whole;
        h.entry_kind = 2;
        h.group = GroupId(in.u8() % 4);
        h.term = Term(in.u8());
        h.index = LogIndex(in.u8() == 255 ? UINT64_MAX : in.u8() % 16);
        h.prev_crc = in.u8() % 2 ? in.u32() : 0;
        h.entry_bytes = entry ? in.u8() : 0;
        const Bytes body = in.raw(std::min<size_t>(in.u8(), in.remaining()));
        h.body_bytes = static_cast<uint32_t>(body.size());
        if (entry && h.fragment == Fragment::Whole) h.entry_bytes = h.body_bytes;
        h.entry_crc =
            wire::entry_crc(h.group, {h.term, h.index, wire::EntryKind{h.entry_kind}, 0, body});
        h.body_crc = crc32c(body.view());
        h.at = at;
        uint8_t* header = out.extend(kRecordHeaderBytes);
        lay_out(h, header);
        seal(header, {}, 0, kLife);
        out.append(body.view());
        const size_t pad = record_bytes(body.size()) - kRecordHeaderBytes - body.size();
        std::memset(out.extend(pad), 0, pad);
        at.offset += record_bytes(body.size());
    }
    return out.take();
}

}  // namespace
}  // namespace asterias::journal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace asterias;
    using namespace asterias::journal;
    const std::span<const uint8_t> bytes{data, size};
    const auto header = decode_segment_header(bytes);
    if (header)
        CHECK(encode(*header).view().substr(0, 64) ==
                  std::string_view(reinterpret_cast<const char*>(data), 64),
              "what decodes encodes to the same bytes");
    replay(bytes, 1);
    search_evidence(bytes, kFirst.segment, 0, kLife);
    const Bytes valid = make_valid(Bytes::copy({reinterpret_cast<const char*>(data), size}));
    replay(valid.span(), 1);
    replay(valid.span(), kFirst.segment);
    return 0;
}
