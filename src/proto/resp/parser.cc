#include "proto/resp/parser.h"

#include <algorithm>

#include "base/mutant.h"
#include "proto/resp/inline_split.h"
#include "proto/resp/integer.h"

namespace asterias::resp {
namespace {

constexpr size_t kNotFound = std::string_view::npos;

// "<type><digits>\r?" of up to nine digits without a leading zero, all of it here: nearly every
// line. Returns the bytes of the line, or 0 for "look closer".
size_t plain_number(std::string_view text, int64_t& number) {
    const size_t most = std::min<size_t>(text.size(), 11);
    int64_t value = 0;
    size_t i = 1;
    for (; i < most; ++i) {
        const auto digit = static_cast<unsigned>(text[i] - '0');
        if (digit > 9) break;
        value = value * 10 + digit;
    }
    if (i == 1 || i + 1 >= text.size() || text[i] != '\r') return 0;
    if (text[1] == '0' && i > 2) return 0;
    number = value;
    return i + 2;
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
    return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b;
    });
}

bool is_http(const Bytes& name) {
    if (name.size() != 4 && name.size() != 5) return false;
    return equals_ignoring_case(name.view(), "post") || equals_ignoring_case(name.view(), "host:");
}

std::string expected_dollar(uint8_t got) {
    // An error reply is one line: what would end it is shown as a blank.
    const char shown = got == '\r' || got == '\n' ? ' ' : static_cast<char>(got);
    return std::string("expected '$', got '") + shown + "'";
}

}  // namespace

Outcome Parser::next(const Bytes& input, size_t& at) {
    while (!closed_ && at < input.size()) {
        Step step = Step::Done;
        if (arguments_left_ == 0)
            step = input[at] == '*' ? read_argument_count(input, at) : read_inline(input, at);
        if (step == Step::Done && arguments_left_ > 0) step = read_arguments(input, at);
        if (step == Step::More) {
            release_input();
            return NeedMore{wanted_};
        }
        if (step == Step::Failed) {
            at = input.size();
            return ProtocolError{std::move(error_)};
        }
        if (!request_.empty()) return finish();
    }
    if (closed_) at = input.size();
    return NeedMore{wanted_};
}

// Otherwise a client that sends one argument per read would hold a read buffer with each (I2).
void Parser::release_input() {
    for (; compacted_ < request_.size(); ++compacted_)
        request_[compacted_] = request_[compacted_].compact();
}

Outcome Parser::finish() {
    compacted_ = 0;
    if (is_http(request_[0]) && !MUTANT(resp_http_runs)) {
        closed_ = true;
        request_.reset();
        return ForeignProtocol{};
    }
    return Outcome(std::in_place_type<Request>, std::move(request_));
}

Parser::Step Parser::fail(std::string text) {
    closed_ = true;
    wanted_ = 0;
    compacted_ = 0;
    request_.reset();
    error_ = "ERR Protocol error: " + std::move(text);
    return Step::Failed;
}

Parser::Step Parser::read_inline(const Bytes& input, size_t& at) {
    wanted_ = 0;
    const std::string_view text = input.view().substr(at);
    const size_t newline = text.find('\n', std::min(scanned_, text.size()));
    // The whole line is judged, not what one read happened to bring (I1).
    if (std::min(newline, text.size()) > limits_.line_bytes_max)
        return fail("too big inline request");
    if (newline == kNotFound) {
        scanned_ = text.size();
        return Step::More;
    }
    const size_t end = newline > 0 && text[newline - 1] == '\r' ? newline - 1 : newline;
    if (!split_inline(input.slice(at, end), request_)) return fail("unbalanced quotes in request");
    at += newline + 1;
    scanned_ = 0;
    return Step::Done;
}

Parser::Step Parser::read_number(const Bytes& input, size_t& at, const char* too_big, Number& valid,
                                 int64_t& number) {
    wanted_ = 0;
    const std::string_view text = input.view().substr(at);
    if (const size_t line = plain_number(text, number); line > 0) [[likely]] {
        valid = Number::Valid;
        at += line;
        scanned_ = 0;
        return Step::Done;
    }
    const size_t end = text.find('\r', std::min(scanned_, text.size()));
    if (std::min(end, text.size()) > limits_.line_bytes_max) return fail(too_big);
    if (end == kNotFound || end + 1 == text.size()) {
        scanned_ = std::min(end, text.size());
        return Step::More;
    }
    const bool ok = end > 0 && parse_integer(text.substr(1, end - 1), number);
    valid = ok ? Number::Valid : Number::Invalid;
    at += end + 2;
    scanned_ = 0;
    return Step::Done;
}

Parser::Step Parser::read_argument_count(const Bytes& input, size_t& at) {
    Number valid;
    int64_t count = 0;
    const Step step = read_number(input, at, "too big mbulk count string", valid, count);
    if (step != Step::Done) return step;
    if (valid == Number::Invalid || count > limits_.arguments_max)
        return fail("invalid multibulk length");
    if (!authenticated_ && count > limits_.unauthenticated_arguments_max &&
        !MUTANT(resp_unauthenticated_count))
        return fail("unauthenticated multibulk length");
    arguments_left_ = std::max<int64_t>(count, 0);
    bulk_bytes_ = -1;
    return Step::Done;
}

Parser::Step Parser::read_bulk_length(const Bytes& input, size_t& at) {
    const uint8_t type = input[at];
    Number valid;
    int64_t length = 0;
    const Step step = read_number(input, at, "too big bulk count string", valid, length);
    if (step != Step::Done) return step;
    if (type != '$') return fail(expected_dollar(type));
    if (valid == Number::Invalid || length < 0 || length > limits_.bulk_bytes_max)
        return fail("invalid bulk length");
    if (!authenticated_ && length > limits_.unauthenticated_bulk_bytes_max &&
        !MUTANT(resp_unauthenticated_bulk))
        return fail("unauthenticated bulk length");
    if (request_.content_bytes() + static_cast<size_t>(length) > limits_.request_bytes_max)
        return fail("too big request");
    bulk_bytes_ = length;
    return Step::Done;
}

Parser::Step Parser::read_arguments(const Bytes& input, size_t& at) {
    while (arguments_left_ > 0) {
        if (bulk_bytes_ < 0) {
            wanted_ = 0;
            if (at == input.size()) return Step::More;
            const Step step = read_bulk_length(input, at);
            if (step != Step::Done) return step;
        }
        const auto length = static_cast<size_t>(bulk_bytes_);
        if (input.size() - at < length + 2) {
            wanted_ = length + 2;
            return Step::More;
        }
        request_.push_back(input.slice(at, length));
        at += length + 2;
        bulk_bytes_ = -1;
        --arguments_left_;
    }
    wanted_ = 0;
    return Step::Done;
}

}  // namespace asterias::resp
