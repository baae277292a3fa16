// wire/reader.h, wire/writer.h: hand-laid binary formats. Little-endian fixed integers, LEB128
// varints, length-prefixed bytes. A Reader never reads past its end and never allocates by a length
// it has not checked: on bad bytes it turns `failed` and returns zeros; the caller asks ok() once.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace asterias::wire {

class Reader {
public:
    explicit Reader(Bytes data) : data_(std::move(data)) {}

    uint8_t u8() { return fixed<uint8_t>(); }
    uint16_t u16() { return fixed<uint16_t>(); }
    uint32_t u32() { return fixed<uint32_t>(); }
    uint64_t u64() { return fixed<uint64_t>(); }
    uint64_t varint();
    // varint length, then that many bytes; a slice of the input, no copy.
    Bytes bytes();
    // Exactly `count` bytes.
    Bytes raw(size_t count);

    bool ok() const { return !failed_; }
    bool at_end() const { return at_ == data_.size(); }
    size_t remaining() const { return data_.size() - at_; }
    size_t position() const { return at_; }
    // For callers that find the bytes wrong above the byte level.
    void set_failed() {
        failed_ = true;
        at_ = data_.size();
    }

private:
    template <typename T>
    T fixed() {
        if (remaining() < sizeof(T)) {
            set_failed();
            return 0;
        }
        T value;
        std::memcpy(&value, data_.data() + at_, sizeof(T));
        at_ += sizeof(T);
        return value;
    }

    Bytes data_;
    size_t at_ = 0;
    bool failed_ = false;
};

}  // namespace asterias::wire
