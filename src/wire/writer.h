// wire/writer.h: the counterpart of wire/reader.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace asterias::wire {

class Writer {
public:
    explicit Writer(size_t capacity = 64) : out_(capacity) {}

    Writer& u8(uint8_t v) { return fixed(v); }
    Writer& u16(uint16_t v) { return fixed(v); }
    Writer& u32(uint32_t v) { return fixed(v); }
    Writer& u64(uint64_t v) { return fixed(v); }
    Writer& varint(uint64_t v) {
        while (v >= 0x80) {
            out_.push_back(static_cast<uint8_t>(v | 0x80));
            v >>= 7;
        }
        out_.push_back(static_cast<uint8_t>(v));
        return *this;
    }
    Writer& bytes(std::string_view text) {
        varint(text.size());
        out_.append(text);
        return *this;
    }
    Writer& bytes(const Bytes& b) { return bytes(b.view()); }
    Writer& raw(std::string_view text) {
        out_.append(text);
        return *this;
    }

    size_t size() const { return out_.size(); }
    std::string_view view() const { return out_.view(); }
    // Overwrites what was written before at `offset`.
    void patch(size_t offset, std::string_view text) {
        std::memcpy(out_.data() + offset, text.data(), text.size());
    }
    Bytes take() { return out_.take(); }

private:
    template <typename T>
    Writer& fixed(T v) {
        std::memcpy(out_.extend(sizeof v), &v, sizeof v);
        return *this;
    }
    BytesBuilder out_;
};

}  // namespace asterias::wire
