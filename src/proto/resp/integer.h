// proto/resp/integer.h: the one textual form of an integer that Redis accepts (util.c: string2ll):
// an optional '-', no '+', no leading zeros, no blanks, no "-0", within 64 bits.
#pragma once

#include <cstdint>
#include <string_view>

namespace asterias::resp {

// True and `value` set if `text` is such an integer.
bool parse_integer(std::string_view text, int64_t& value);

// Decimal digits of `value` at `out` (at least kIntegerChars bytes); returns how many.
inline constexpr size_t kIntegerChars = 20;
size_t format_integer(int64_t value, char* out);

}  // namespace asterias::resp
