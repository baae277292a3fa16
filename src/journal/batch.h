// journal/batch.h: the records collected for one write. Each record knows its place in the journal
// when it is added; a batch that crosses into another segment has a part per segment, written and
// synced one after the other.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "journal/journal.h"
#include "journal/record.h"

namespace asterias::journal {

// Payloads of this size and more are linked, smaller ones copied together.
inline constexpr size_t kLinkBytes = 4096;

class Batch {
public:
    struct Item {  // what the journal needs to know of a record once it is durable
        RecordType type;
        Fragment fragment;
        uint32_t body_bytes;
        size_t header_at;  // in the part's buffer
        GroupId group;
        LogIndex index;
        uint64_t segment;
    };

    bool empty() const { return items_.empty(); }
    size_t parts() const { return parts_.size(); }
    const std::vector<Item>& items() const { return items_; }
    uint64_t bytes() const { return bytes_; }
    Position part_begin(size_t part) const { return parts_[part].begin; }
    uint64_t part_bytes(size_t part) const { return parts_[part].bytes; }

    // A record at header.at, which follows the one before or begins another segment.
    void add(const RecordHeader& header, const Bytes& body);
    void add(const RecordHeader& header, std::string_view body);
    // Makes the part's headers final and returns its bytes in order. Once per part.
    std::vector<Bytes> seal(size_t part, Position synced_through, uint64_t oldest, uint64_t life);
    // Empty again, for another round; keeps its memory but for the buffers.
    void clear();

private:
    struct Part {
        Position begin;
        uint64_t bytes = 0;
        BytesBuilder buffer;
        size_t first_item = 0, first_link = 0;
    };
    struct Link {
        size_t before;  // offset in the part's buffer that it is inserted at
        Bytes bytes;
    };
    Part& begin_record(const RecordHeader& header, size_t inlined);

    std::vector<Part> parts_;
    std::vector<Item> items_;
    std::vector<Link> links_;
    uint64_t bytes_ = 0;
    size_t buffer_hint_ = 4096;  // what the last batch needed
};

}  // namespace asterias::journal
