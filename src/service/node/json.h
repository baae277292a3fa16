// service/node/json.h: the little JSON that a node writes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace asterias::node {

// Text of any bytes as a JSON string; control characters become spaces.
inline std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20)
            out += ' ';
        else
            out += c;
    }
    return out + "\"";
}
inline std::string number(uint64_t n) { return std::to_string(n); }

}  // namespace asterias::node
