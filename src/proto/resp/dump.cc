#include "proto/resp/dump.h"

#include <array>
#include <cstring>
#include <limits>
#include <optional>

#include "base/check.h"
#include "proto/resp/errors.h"
#include "proto/resp/integer.h"

namespace asterias::resp {
namespace {

constexpr uint16_t kRdbVersion = 10;  // of Redis 7.0
constexpr uint8_t kString = 0;
constexpr size_t kFooterBytes = 10;

constexpr std::array<uint64_t, 256> make_crc_table() {
    constexpr uint64_t kReflected = 0x95ac9329ac4bc9b5;  // 0xad93d23594c935a9, bits turned around
    std::array<uint64_t, 256> table{};
    for (uint64_t i = 0; i < table.size(); ++i) {
        uint64_t crc = i;
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ (crc & 1 ? kReflected : 0);
        table[i] = crc;
    }
    return table;
}
constexpr auto kCrcTable = make_crc_table();

template <typename T>
void append_little(BytesBuilder& out, T value) {
    std::memcpy(out.extend(sizeof value), &value, sizeof value);
}

void append_big(BytesBuilder& out, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        out.push_back(static_cast<uint8_t>(value >> shift));
}

// What an RDB string begins with: a length, or how else it is written.
enum : uint8_t { kSixBits = 0, kFourteenBits = 1, kLong = 2, kEncoded = 3 };
enum : uint8_t { kInt8 = 0, kInt16 = 1, kInt32 = 2, kLzf = 3 };
constexpr uint8_t kLong32 = 0x80, kLong64 = 0x81;

class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}
    bool ok() const { return ok_; }
    bool at_end() const { return bytes_.empty(); }
    uint8_t u8() { return little<uint8_t>(); }
    template <typename T>
    T little() {
        T value{};
        const auto from = take(sizeof value);
        if (ok_) std::memcpy(&value, from.data(), sizeof value);
        return value;
    }
    uint64_t big(size_t bytes) {
        uint64_t value = 0;
        for (const char c : take(bytes))
            value = value << 8 | static_cast<uint8_t>(c);
        return value;
    }
    std::string_view take(size_t count) {
        ok_ = ok_ && count <= bytes_.size();
        if (!ok_) return {};
        const auto taken = bytes_.substr(0, count);
        bytes_.remove_prefix(count);
        return taken;
    }
    // False: it is an encoding, in `length`.
    bool length(uint64_t& length) {
        const uint8_t first = u8();
        length = first & 0x3f;
        if (first >> 6 == kSixBits) return true;
        if (first >> 6 == kEncoded) return false;
        if (first >> 6 == kFourteenBits)
            length = length << 8 | u8();
        else if (first == kLong32 || first == kLong64)
            length = big(first == kLong32 ? 4 : 8);
        else
            ok_ = false;
        return true;
    }

private:
    std::string_view bytes_;
    bool ok_ = true;
};

// LibLZF: below 32 so many bytes, plus one, as they are; else a piece of what is there already, its
// length in the upper three bits (seven: one more byte), and how far back it lies.
std::optional<Bytes> decompress(std::string_view bytes, size_t size) {
    Reader in(bytes);
    BytesBuilder out(size);
    while (!in.at_end()) {
        const uint8_t control = in.u8();
        if (control < 32) {
            out.append(in.take(control + 1u));
        } else {
            size_t length = control >> 5;
            if (length == 7) length += in.u8();
            const size_t back = (static_cast<size_t>(control & 0x1f) << 8 | in.u8()) + 1;
            length += 2;
            if (!in.ok() || back > out.size() || out.size() + length > size) return std::nullopt;
            for (; length > 0; --length)
                out.push_back(out.data()[out.size() - back]);
        }
        if (!in.ok() || out.size() > size) return std::nullopt;
    }
    if (out.size() != size) return std::nullopt;
    return out.take();
}

Bytes number_text(int64_t number) { return Bytes::copy(std::to_string(number)); }

std::optional<Bytes> read_string(Reader& in, size_t bytes_max) {
    uint64_t length = 0;
    if (in.length(length)) {
        const auto text = in.take(length);
        if (!in.ok() || length > bytes_max) return std::nullopt;
        return Bytes::copy(text);
    }
    switch (length) {
        case kInt8:
            return number_text(in.little<int8_t>());
        case kInt16:
            return number_text(in.little<int16_t>());
        case kInt32:
            return number_text(in.little<int32_t>());
        case kLzf: {
            uint64_t packed = 0, size = 0;
            if (!in.length(packed) || !in.length(size) || size > bytes_max) return std::nullopt;
            const auto bytes = in.take(packed);
            // A byte stands for 264 / 3 at most.
            if (!in.ok() || size > bytes.size() * 128) return std::nullopt;
            return decompress(bytes, size);
        }
        default:
            return std::nullopt;
    }
}

bool append_number(BytesBuilder& out, std::string_view value) {
    int64_t number = 0;
    if (!parse_integer(value, number)) return false;
    constexpr uint8_t kPrefix = kEncoded << 6;
    const auto fits = [number]<typename T>(T) {
        return number >= std::numeric_limits<T>::min() && number <= std::numeric_limits<T>::max();
    };
    if (fits(int8_t{})) {
        out.push_back(kPrefix | kInt8);
        append_little(out, static_cast<int8_t>(number));
    } else if (fits(int16_t{})) {
        out.push_back(kPrefix | kInt16);
        append_little(out, static_cast<int16_t>(number));
    } else if (fits(int32_t{})) {
        out.push_back(kPrefix | kInt32);
        append_little(out, static_cast<int32_t>(number));
    } else {
        return false;
    }
    return true;
}

void append_length(BytesBuilder& out, size_t length) {
    if (length < 1 << 6) {
        out.push_back(static_cast<uint8_t>(length));
    } else if (length < 1 << 14) {
        out.push_back(static_cast<uint8_t>(kFourteenBits << 6 | length >> 8));
        out.push_back(static_cast<uint8_t>(length));
    } else {
        CHECK(length <= UINT32_MAX, "a value is far smaller (value-bytes-max)");
        out.push_back(kLong32);
        append_big(out, static_cast<uint32_t>(length));
    }
}

}  // namespace

uint64_t crc64(std::string_view bytes) {
    uint64_t crc = 0;
    for (const char c : bytes)
        crc = kCrcTable[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ crc >> 8;
    return crc;
}

Bytes dump_string(std::string_view value) {
    BytesBuilder out(value.size() + 16);
    out.push_back(kString);
    if (!append_number(out, value)) {
        append_length(out, value.size());
        out.append(value);
    }
    append_little(out, kRdbVersion);
    append_little(out, crc64(out.view()));
    return out.take();
}

std::variant<Bytes, ArgumentError> restore_string(const Bytes& payload, size_t bytes_max) {
    const std::string_view all = payload.view();
    const ArgumentError wrong{std::string(kWrongDump)};
    if (all.size() < kFooterBytes) return wrong;
    Reader footer(all.substr(all.size() - kFooterBytes));
    const auto version = footer.little<uint16_t>();
    const auto crc = footer.little<uint64_t>();
    if (version > kRdbVersion || crc != crc64(all.substr(0, all.size() - 8))) return wrong;
    Reader in(all.substr(0, all.size() - kFooterBytes));
    const uint8_t type = in.u8();
    if (in.ok() && type != kString)
        return ArgumentError{"ERR only strings can be restored; see docs/compat/resp.md"};
    auto value = read_string(in, bytes_max);
    if (!value || !in.ok() || !in.at_end()) return ArgumentError{"ERR Bad data format"};
    return std::move(*value);
}

}  // namespace asterias::resp
