#include "proto/resp/reply.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/mutant.h"
#include "proto/resp/integer.h"

namespace asterias::resp {
namespace {

constexpr size_t kLineChars = kIntegerChars + 3;  // type, number, CR LF

size_t number_line(char type, int64_t value, char* at) {
    at[0] = type;
    const size_t n = 1 + format_integer(value, at + 1);
    at[n] = '\r';
    at[n + 1] = '\n';
    return n + 2;
}

bool is_one_line(std::string_view text) { return text.find_first_of("\r\n") == text.npos; }

}  // namespace

void ReplyWriter::line(char type, std::string_view text) {
    out_.append({&type, 1});
    out_.append(text);
    literal("\r\n");
}

void ReplyWriter::header(char type, size_t count) {
    char text[kLineChars];
    out_.append({text, number_line(type, static_cast<int64_t>(count), text)});
}

void ReplyWriter::simple(std::string_view text) {
    CHECK(is_one_line(text), "a status is a constant of ours, not a client's bytes");
    line('+', text);
}

void ReplyWriter::error(std::string_view text) {
    if (witness_) witness_->on_error(text);
    if (is_one_line(text) || MUTANT(resp_error_splits)) return line('-', text);
    std::string shown(text);
    std::ranges::replace_if(shown, [](char c) { return c == '\r' || c == '\n'; }, ' ');
    line('-', shown);
}

void ReplyWriter::integer(int64_t value) {
    char text[kLineChars];
    const size_t n = number_line(':', value, text);
    std::memcpy(out_.extend(n), text, n);
}

void ReplyWriter::bulk(std::string_view text) {
    if (text.size() > Chain::kLinkBytes) {
        header('$', text.size());
        out_.append(text);
        return literal("\r\n");
    }
    char head[kLineChars];
    const size_t n = number_line('$', static_cast<int64_t>(text.size()), head);
    uint8_t* at = out_.extend(n + text.size() + 2);
    std::memcpy(at, head, n);
    if (!text.empty()) std::memcpy(at + n, text.data(), text.size());
    std::memcpy(at + n + text.size(), "\r\n", 2);
}

void ReplyWriter::bulk(const Bytes& value) {
    if (value.size() < Chain::kLinkBytes) return bulk(value.view());
    header('$', value.size());
    out_.append(value);
    literal("\r\n");
}

void ReplyWriter::boolean(bool value) {
    if (resp3())
        value ? literal("#t\r\n") : literal("#f\r\n");
    else
        value ? literal(":1\r\n") : literal(":0\r\n");
}

void ReplyWriter::real(double value) {
    char text[32];
    std::string_view shown = "nan";
    if (std::isinf(value))
        shown = value > 0 ? "inf" : "-inf";
    else if (!std::isnan(value))
        shown = {text,
                 static_cast<size_t>(std::to_chars(text, text + sizeof text, value).ptr - text)};
    resp3() ? line(',', shown) : bulk(shown);
}

void ReplyWriter::big_number(std::string_view digits) {
    CHECK(is_one_line(digits), "a big number is digits");
    resp3() ? line('(', digits) : bulk(digits);
}

void ReplyWriter::verbatim(std::string_view format, std::string_view text) {
    verbatim(format, Bytes::copy(text));
}

void ReplyWriter::verbatim(std::string_view format, const Bytes& text) {
    if (!resp3()) return bulk(text);
    CHECK(format.size() == 3, "RESP3 names the format of a verbatim text with three letters");
    header('=', text.size() + 4);
    out_.append(format);
    literal(":");
    out_.append(text);
    literal("\r\n");
}

}  // namespace asterias::resp
