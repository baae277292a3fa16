#include "journal/batch.h"

#include <algorithm>
#include <cstring>

namespace asterias::journal {

Batch::Part& Batch::begin_record(const RecordHeader& header, size_t inlined) {
    if (parts_.empty() || parts_.back().begin.segment != header.at.segment) {
        Part part;
        part.begin = header.at;
        part.buffer = BytesBuilder(buffer_hint_);
        part.first_item = items_.size();
        part.first_link = links_.size();
        parts_.push_back(std::move(part));
    }
    Part& part = parts_.back();
    items_.push_back({header.type, header.fragment, header.body_bytes, part.buffer.size(),
                      header.group, header.index, header.at.segment});
    part.buffer.reserve(part.buffer.size() + kRecordHeaderBytes + inlined + kRecordAlign);
    lay_out(header, part.buffer.extend(kRecordHeaderBytes));
    const uint64_t size = record_bytes(header.body_bytes);
    part.bytes += size;
    bytes_ += size;
    return part;
}

void Batch::add(const RecordHeader& header, std::string_view body) {
    Part& part = begin_record(header, body.size());
    part.buffer.append(body);
    const size_t pad = record_bytes(body.size()) - kRecordHeaderBytes - body.size();
    std::memset(part.buffer.extend(pad), 0, pad);
}

void Batch::add(const RecordHeader& header, const Bytes& body) {
    if (body.size() < kLinkBytes) return add(header, body.view());
    Part& part = begin_record(header, 0);
    links_.push_back({part.buffer.size(), body});
    const size_t pad = record_bytes(body.size()) - kRecordHeaderBytes - body.size();
    std::memset(part.buffer.extend(pad), 0, pad);
}

std::vector<Bytes> Batch::seal(size_t index, Position synced_through, uint64_t oldest,
                               uint64_t life) {
    Part& part = parts_[index];
    const bool last = index + 1 == parts_.size();
    const size_t end_item = last ? items_.size() : parts_[index + 1].first_item;
    const size_t end_link = last ? links_.size() : parts_[index + 1].first_link;
    const auto oldest_back = static_cast<uint32_t>(part.begin.segment - oldest);
    for (size_t i = part.first_item; i < end_item; ++i)
        journal::seal(part.buffer.data() + items_[i].header_at, synced_through, oldest_back, life);

    buffer_hint_ = std::clamp<size_t>(part.buffer.size(), 4096, 256 * 1024);
    const Bytes buffer = part.buffer.take();
    std::vector<Bytes> pieces;
    pieces.reserve(2 * (end_link - part.first_link) + 1);
    size_t at = 0;
    for (size_t i = part.first_link; i < end_link; ++i) {
        pieces.push_back(buffer.slice(at, links_[i].before - at));
        pieces.push_back(std::move(links_[i].bytes));
        at = links_[i].before;
    }
    if (at < buffer.size()) pieces.push_back(buffer.suffix(at));
    return pieces;
}

void Batch::clear() {
    parts_.clear();
    items_.clear();
    links_.clear();
    bytes_ = 0;
}

}  // namespace asterias::journal
