// sim/scenario/text.h: values as scenarios write them: `1500ms`, `0.25`, `3..5`.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

#include "sim/scenario/scenario.h"

namespace asterias::sim::text {

struct Unit {
    std::string_view name;
    int64_t nanoseconds;
};
inline constexpr std::array<Unit, 6> kUnits = {{{"h", 3'600'000'000'000},
                                                {"m", 60'000'000'000},
                                                {"s", 1'000'000'000},
                                                {"ms", 1'000'000},
                                                {"us", 1'000},
                                                {"ns", 1}}};

inline std::string text_of(Duration time) {
    if (time == Duration(0)) return "0s";
    for (const Unit& unit : kUnits)
        if (time.count() % unit.nanoseconds == 0)
            return std::to_string(time.count() / unit.nanoseconds) + std::string(unit.name);
    return "";
}
inline std::string text_of(double value) {
    char text[64];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
}
template <std::integral T>
std::string text_of(T value) {
    return std::to_string(value);
}
template <typename T>
std::string text_of(const Range<T>& range) {
    const std::string low = text_of(range.low);
    return range.low == range.high ? low : low + ".." + text_of(range.high);
}

template <typename T>
bool read(std::string_view text, T& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}
inline bool read(std::string_view text, Duration& value) {
    const size_t digits = text.find_first_not_of("-0123456789");
    int64_t number = 0;
    if (digits == std::string_view::npos || !read(text.substr(0, digits), number)) return false;
    for (const Unit& unit : kUnits) {
        int64_t nanoseconds = 0;
        if (text.substr(digits) != unit.name) continue;
        if (__builtin_mul_overflow(number, unit.nanoseconds, &nanoseconds)) return false;
        value = Duration(nanoseconds);
        return true;
    }
    return false;
}
template <typename T>
bool read(std::string_view text, Range<T>& range) {
    const size_t dots = text.find("..");
    if (dots == std::string_view::npos) {
        if (!read(text, range.low)) return false;
        range.high = range.low;
        return true;
    }
    return read(text.substr(0, dots), range.low) && read(text.substr(dots + 2), range.high);
}

}  // namespace asterias::sim::text
