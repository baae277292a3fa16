#include "proto/resp/reply_parser.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "proto/resp/integer.h"

namespace asterias::resp {
namespace {

bool parse_real(std::string_view text, double& value) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (text == "inf" || text == "-inf") {
        value = text[0] == '-' ? -kInfinity : kInfinity;
        return true;
    }
    if (text == "nan" || text == "-nan") {
        value = std::numeric_limits<double>::quiet_NaN();
        return true;
    }
    if (text.starts_with("+")) text.remove_prefix(1);
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return code == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool is_digits(std::string_view text) {
    if (text.starts_with("-") || text.starts_with("+")) text.remove_prefix(1);
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

ValueKind aggregate_kind(char type) {
    switch (type) {
        case '%':
        case '|':
            return ValueKind::Map;
        case '~':
            return ValueKind::Set;
        case '>':
            return ValueKind::Push;
        default:
            return ValueKind::Array;
    }
}

void quote(std::string& out, std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out.push_back('"');
    for (const char c : text) {
        const auto byte = static_cast<uint8_t>(c);
        if (c == '"' || c == '\\')
            out.append({'\\', c});
        else if (c == '\n')
            out.append("\\n");
        else if (c == '\r')
            out.append("\\r");
        else if (byte < 0x20 || byte >= 0x7f)
            out.append({'\\', 'x', kHex[byte >> 4], kHex[byte & 15]});
        else
            out.push_back(c);
    }
    out.push_back('"');
}

// Depth is bounded by ReplyLimits, so recursion is.
void describe_to(std::string& out, const Value& v);

void describe_items(std::string& out, const Value& v, std::string_view brackets) {
    out.push_back(brackets[0]);
    for (size_t i = 0; i < v.items.size(); ++i) {
        if (i > 0) out.append(v.kind == ValueKind::Map && i % 2 == 1 ? ": " : ", ");
        describe_to(out, v.items[i]);
    }
    out.push_back(brackets[1]);
}

void describe_to(std::string& out, const Value& v) {
    switch (v.kind) {
        case ValueKind::Simple:
            out.append(v.text.view());
            return;
        case ValueKind::Error:
            out.append("(error) ").append(v.text.view());
            return;
        case ValueKind::Integer:
            out.append("(integer) ").append(std::to_string(v.integer));
            return;
        case ValueKind::Bulk:
        case ValueKind::Verbatim:
            return quote(out, v.text.view());
        case ValueKind::Null:
            out.append("(nil)");
            return;
        case ValueKind::Array:
            return describe_items(out, v, "[]");
        case ValueKind::Map:
            return describe_items(out, v, "{}");
        case ValueKind::Set:
            out.append("set");
            return describe_items(out, v, "[]");
        case ValueKind::Push:
            out.append("push");
            return describe_items(out, v, "[]");
        case ValueKind::Double: {
            char text[32];
            out.append("(double) ").append(text, std::to_chars(text, text + 32, v.real).ptr);
            return;
        }
        case ValueKind::Boolean:
            out.append(v.integer ? "(true)" : "(false)");
            return;
        case ValueKind::BigNumber:
            out.append("(big number) ").append(v.text.view());
            return;
    }
}

}  // namespace

std::string Value::describe() const {
    std::string out;
    describe_to(out, *this);
    return out;
}

ReplyOutcome ReplyParser::next(const Bytes& input, size_t& at) {
    while (!closed_) {
        Value value;
        opened_ = false;
        const Step step = read_value(input, at, value);
        if (step == Step::More) return NeedMore{wanted_};
        if (step == Step::Failed) {
            at = input.size();
            return ProtocolError{std::move(error_)};
        }
        if (opened_) continue;
        if (place(value)) {
            values_ = 0;
            return value;
        }
    }
    at = input.size();
    return NeedMore{0};
}

bool ReplyParser::place(Value& value) {
    while (!frames_.empty()) {
        Frame& top = frames_.back();
        if (!top.dropped) top.value.items.push_back(std::move(value));
        if (--top.left > 0) return false;
        const bool dropped = top.dropped;
        value = std::move(top.value);
        frames_.pop_back();
        if (dropped) return false;  // the value that it describes comes next
    }
    return true;
}

ReplyParser::Step ReplyParser::fail(std::string text) {
    closed_ = true;
    wanted_ = 0;
    frames_.clear();
    error_ = "bad reply: " + std::move(text);
    return Step::Failed;
}

ReplyParser::Step ReplyParser::read_line(const Bytes& input, size_t& at, Bytes& line) {
    wanted_ = 0;
    const std::string_view text = input.view().substr(at);
    const size_t end = text.find('\r', std::min(scanned_, text.size()));
    if (std::min(end, text.size()) > limits_.line_bytes_max) return fail("too long line");
    if (end == text.npos || end + 1 == text.size()) {
        scanned_ = std::min(end, text.size());
        return Step::More;
    }
    if (text[end + 1] != '\n') return fail("CR without LF");
    if (end == 0) return fail("empty line");
    line = input.slice(at, end);
    at += end + 2;
    scanned_ = 0;
    return Step::Done;
}

ReplyParser::Step ReplyParser::read_value(const Bytes& input, size_t& at, Value& value) {
    if (bulk_type_ == 0) {
        Bytes line;
        const Step step = read_line(input, at, line);
        if (step != Step::Done) return step;
        if (++values_ > limits_.values_max) return fail("too many values");
        const char type = static_cast<char>(line[0]);
        const Bytes text = line.suffix(1);
        constexpr std::string_view kAggregates = "*%~>|", kBulks = "$=!";
        if (kAggregates.contains(type)) return aggregate(type, text, value);
        if (!kBulks.contains(type)) return scalar(type, text, value);
        const Step header = bulk(type, text, value);
        if (header != Step::Done || bulk_type_ == 0) return header;
    }
    return read_body(input, at, value);
}

ReplyParser::Step ReplyParser::bulk(char type, const Bytes& text, Value& value) {
    int64_t length = 0;
    if (!parse_integer(text.view(), length) || length < -1 || length > limits_.bulk_bytes_max)
        return fail("invalid bulk length");
    if (length == -1) {
        if (type != '$') return fail("invalid bulk length");
        value.kind = ValueKind::Null;
        return Step::Done;
    }
    bulk_type_ = type;
    bulk_bytes_ = length;
    return Step::Done;
}

ReplyParser::Step ReplyParser::read_body(const Bytes& input, size_t& at, Value& value) {
    const auto length = static_cast<size_t>(bulk_bytes_);
    if (input.size() - at < length + 2) {
        wanted_ = length + 2;
        return Step::More;
    }
    if (input[at + length] != '\r' || input[at + length + 1] != '\n')
        return fail("a bulk does not end where it said");
    value.text = input.slice(at, length);
    at += length + 2;
    value.kind = bulk_type_ == '!' ? ValueKind::Error : ValueKind::Bulk;
    if (bulk_type_ == '=') {
        if (length < 4 || value.text[3] != ':') return fail("verbatim text without a format");
        value.kind = ValueKind::Verbatim;
        value.text = value.text.suffix(4);
    }
    bulk_type_ = 0;
    return Step::Done;
}

ReplyParser::Step ReplyParser::aggregate(char type, const Bytes& text, Value& value) {
    int64_t count = 0;
    if (!parse_integer(text.view(), count) || count < -1 || (count == -1 && type != '*'))
        return fail("invalid aggregate length");
    if (count == -1) {
        value.kind = ValueKind::Null;
        return Step::Done;
    }
    if (count > static_cast<int64_t>(limits_.values_max)) return fail("too many values");
    const bool pairs = type == '%' || type == '|';
    value.kind = aggregate_kind(type);
    if (count == 0 && type != '|') return Step::Done;
    opened_ = true;
    if (count == 0) return Step::Done;  // an empty attribute
    if (frames_.size() == limits_.depth_max) return fail("nested too deep");
    frames_.push_back({std::move(value), pairs ? count * 2 : count, type == '|'});
    return Step::Done;
}

ReplyParser::Step ReplyParser::scalar(char type, const Bytes& text, Value& value) {
    switch (type) {
        case '+':
            value.kind = ValueKind::Simple;
            value.text = text;
            return Step::Done;
        case '-':
            value.kind = ValueKind::Error;
            value.text = text;
            return Step::Done;
        case ':':
            value.kind = ValueKind::Integer;
            return parse_integer(text.view(), value.integer) ? Step::Done : fail("invalid integer");
        case '_':
            value.kind = ValueKind::Null;
            return text.empty() ? Step::Done : fail("a null with a text");
        case '#':
            value.kind = ValueKind::Boolean;
            value.integer = text.view() == "t";
            return text.view() == "t" || text.view() == "f" ? Step::Done : fail("invalid boolean");
        case ',':
            value.kind = ValueKind::Double;
            return parse_real(text.view(), value.real) ? Step::Done : fail("invalid double");
        case '(':
            value.kind = ValueKind::BigNumber;
            value.text = text;
            return is_digits(text.view()) ? Step::Done : fail("invalid big number");
        default:
            return fail("unknown type");
    }
}

}  // namespace asterias::resp
