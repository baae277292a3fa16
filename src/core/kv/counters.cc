// INCR and its family (t_string.c, util.c of Redis 7.0).
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/mutant.h"
#include "core/kv/evaluation.h"

namespace asterias::kv {
namespace {

constexpr std::string_view kNotInteger = "ERR value is not an integer or out of range";
constexpr std::string_view kOverflow = "ERR increment or decrement would overflow";
constexpr std::string_view kNotFloat = "ERR value is not a valid float";
constexpr std::string_view kNoNumber = "ERR increment would produce NaN or Infinity";

// What strtold takes as a whole, without blanks before it; also "0x10", "1e3" and "inf", not "nan".
bool parse_float(std::string_view text, long double& out) {
    char buffer[256];
    if (text.empty() || text.size() >= sizeof buffer) return false;
    const char c = text[0];
    if (c == ' ' || (c >= '\t' && c <= '\r')) return false;
    text.copy(buffer, text.size());
    buffer[text.size()] = 0;
    char* end = nullptr;
    errno = 0;
    out = std::strtold(buffer, &end);
    if (static_cast<size_t>(end - buffer) != text.size() || std::isnan(out)) return false;
    const bool lost = std::isinf(out) || std::fpclassify(out) == FP_ZERO;
    return errno != ERANGE || !lost;
}

// Seventeen digits behind the point, without the zeros at the end.
Bytes float_text(long double value) {
    char text[5 * 1024];  // the largest has 4,933 digits
    auto size = static_cast<size_t>(std::snprintf(text, sizeof text, "%.17Lf", value));
    while (text[size - 1] == '0')
        --size;
    if (text[size - 1] == '.') --size;
    const std::string_view shown(text, size);
    return Bytes::copy(shown == "-0" ? "0" : shown);
}

}  // namespace

Reply incr_by(Run& run) {
    const Record* r = run.live(0);
    int64_t value = 0;
    if (r && !parse_integer(r->value.view(), value)) return Reply::error(kNotInteger);
    if (__builtin_add_overflow(value, run.c.number, &value)) return Reply::error(kOverflow);
    char text[24];
    const auto end = std::to_chars(text, text + sizeof text, value).ptr;
    const Record* dated = MUTANT(kv_incr_keeps_passed_deadline) ? run.stored(0) : r;
    run.put(run.keys[0], Bytes::copy({text, static_cast<size_t>(end - text)}),
            dated ? dated->expiry_ms : 0);
    return Reply::number(value);
}

Reply incr_by_float(Run& run) {
    const Record* r = run.live(0);
    long double value = 0, increment = 0;
    if (r && !parse_float(r->value.view(), value)) return Reply::error(kNotFloat);
    if (!parse_float(run.c.values[0].view(), increment)) return Reply::error(kNotFloat);
    value += increment;
    if (std::isnan(value) || std::isinf(value)) return Reply::error(kNoNumber);
    Bytes text = float_text(value);
    run.put(run.keys[0], text, r ? r->expiry_ms : 0);
    return Reply::bulk(std::move(text));
}

}  // namespace asterias::kv
