#include "wire/reader.h"

#include <bit>

namespace asterias::wire {

static_assert(std::endian::native == std::endian::little,
              "the formats are little-endian in memory");

uint64_t Reader::varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (at_ == data_.size()) break;
        const uint8_t byte = data_[at_++];
        // The tenth byte holds one bit; anything more would be cut off silently.
        if (shift == 63 && byte > 1) break;
        value |= static_cast<uint64_t>(byte & 0x7F) << shift;
        if (!(byte & 0x80)) return value;
    }
    set_failed();
    return 0;
}

Bytes Reader::bytes() {
    const uint64_t count = varint();
    if (count > remaining()) {
        set_failed();
        return {};
    }
    return raw(count);
}

Bytes Reader::raw(size_t count) {
    if (count > remaining()) {
        set_failed();
        return {};
    }
    Bytes b = data_.slice(at_, count);
    at_ += count;
    return b;
}

}  // namespace asterias::wire
