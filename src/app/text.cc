#include "app/text.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace asterias::app {
namespace {

// How many bytes the character at the front of `text` has; 0: it is none (RFC 3629).
size_t character(std::string_view text) {
    const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const uint8_t first = at(0);
    if (first < 0x80) return 1;
    const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
    for (size_t i = 1; i < size; ++i)
        if ((at(i) & 0xC0) != 0x80) return 0;
    // Longer than it needs to be, half of a surrogate pair, beyond the last character.
    if ((first == 0xE0 && at(1) < 0xA0) || (first == 0xED && at(1) > 0x9F) ||
        (first == 0xF0 && at(1) < 0x90) || (first == 0xF4 && at(1) > 0x8F))
        return 0;
    return size;
}

std::string with_hex(const char* form, char byte) {
    char text[8];
    std::snprintf(text, sizeof text, form, static_cast<unsigned>(static_cast<uint8_t>(byte)));
    return text;
}

std::string base64(std::string_view bytes) {
    constexpr std::string_view kLetters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        uint32_t three = 0;
        for (size_t k = 0; k < 3; ++k)
            three = three << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
        for (size_t k = 0; k < 4; ++k)
            out += i + k <= bytes.size() ? kLetters[three >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

}  // namespace

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const size_t size = character(text);
        if (size == 0) return false;
        text.remove_prefix(size);
    }
    return true;
}

std::string json_string(std::string_view text) {
    std::string out = "\"";
    while (!text.empty()) {
        const size_t size = character(text);
        const char c = text[0];
        if (size == 0)
            out += "\\ufffd";
        else if (c == '"' || c == '\\')
            out.append({'\\', c});
        else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7F)
            out += with_hex("\\u%04x", c);
        else
            out += text.substr(0, size);
        text.remove_prefix(std::max<size_t>(size, 1));
    }
    return out + "\"";
}

std::string json_bytes(std::string_view name, std::string_view bytes) {
    if (is_utf8(bytes)) return "\"" + std::string(name) + "\":" + json_string(bytes);
    return "\"" + std::string(name) + "_base64\":\"" + base64(bytes) + "\"";
}

std::string shown(std::string_view bytes) {
    std::string out;
    while (!bytes.empty()) {
        const size_t size = character(bytes);
        const char c = bytes[0];
        // U+0080 to U+009F steer terminals, too.
        const bool steers = static_cast<uint8_t>(c) < 0x20 || c == 0x7F || size == 0 ||
                            (size == 2 && c == '\xC2' && static_cast<uint8_t>(bytes[1]) < 0xA0);
        const size_t taken = std::max<size_t>(size, 1);
        if (c == '\\')
            out += "\\\\";
        else if (c == '\n')
            out += "\\n";
        else if (steers)
            for (size_t i = 0; i < taken; ++i)
                out += with_hex("\\x%02x", bytes[i]);
        else
            out += bytes.substr(0, taken);
        bytes.remove_prefix(taken);
    }
    return out;
}

std::string cut(std::string text, size_t columns) {
    if (text.size() <= columns) return text;
    text.resize(columns < 3 ? columns : columns - 3);
    while (!is_utf8(text))  // not in the middle of a character
        text.pop_back();
    return columns < 3 ? text : text + "...";
}

}  // namespace asterias::app
