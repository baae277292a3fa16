#include "proto/resp/integer.h"

#include <charconv>
#include <limits>

namespace asterias::resp {

bool parse_integer(std::string_view text, int64_t& value) {
    if (text.empty() || text.size() > kIntegerChars) return false;
    if (text == "0") {
        value = 0;
        return true;
    }
    const bool negative = text[0] == '-';
    if (negative) text.remove_prefix(1);
    if (text.empty() || text[0] < '1' || text[0] > '9') return false;
    uint64_t magnitude = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return false;
        const auto digit = static_cast<uint64_t>(c - '0');
        if (magnitude > (std::numeric_limits<uint64_t>::max() - digit) / 10) return false;
        magnitude = magnitude * 10 + digit;
    }
    constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    if (magnitude > kMax + (negative ? 1 : 0)) return false;
    value = static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
    return true;
}

size_t format_integer(int64_t value, char* out) {
    return static_cast<size_t>(std::to_chars(out, out + kIntegerChars, value).ptr - out);
}

}  // namespace asterias::resp
