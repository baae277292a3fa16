// app/text.h: bytes of keys and values as a person, or a parser of JSON, is shown them.
// Threading: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace asterias::app {

bool is_utf8(std::string_view text);
// A JSON string (RFC 8259). What is not UTF-8 becomes U+FFFD.
std::string json_string(std::string_view text);
// "NAME":"..." if it is UTF-8, else "NAME_base64":"...", so that nothing is lost.
std::string json_bytes(std::string_view name, std::string_view bytes);
// On one line: control characters, what is not UTF-8 and the backslash become \n, \\ or \xNN, so
// that a value cannot steer a terminal.
std::string shown(std::string_view bytes);
// UTF-8 of at most `columns` bytes; "..." where it was cut.
std::string cut(std::string text, size_t columns);

}  // namespace asterias::app
