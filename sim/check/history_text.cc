// The text form of histories.
#include <algorithm>
#include <charconv>
#include <set>

#include "sim/check/history.h"

namespace asterias::sim {

namespace {

bool plain_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == ':' || c == '-';
}

bool reserved(std::string_view word) {
    return word == "nil" || word == "ok" || word == "failed" || word == "unknown" || word == "->";
}

std::string word(std::string_view text) {
    if (!text.empty() && !reserved(text) && std::all_of(text.begin(), text.end(), plain_char))
        return std::string(text);
    static constexpr char kHex[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
            out += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
        }
    }
    return out + "\"";
}

std::string value_word(const Value& value) { return value ? word(*value) : "nil"; }

std::string result_text(const Op& op) {
    if (op.outcome == Outcome::Failed) return "failed";
    if (op.outcome == Outcome::Unknown) return "unknown";
    if (op.results.empty()) return "ok";
    std::string out;
    for (const Value& value : op.results)
        out += (out.empty() ? "" : " ") + value_word(value);
    return out;
}

struct Word {
    std::string text;
    bool quoted = false;
    bool is(std::string_view expected) const { return !quoted && text == expected; }
};

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

// Cuts one line into words; '=' outside quotes ends a word and is a word of its own.
class Words {
public:
    explicit Words(std::string_view line) : rest_(line) {}

    bool done() {
        while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t' || rest_[0] == '\r'))
            rest_.remove_prefix(1);
        return rest_.empty();
    }
    bool next_is(std::string_view expected) { return !done() && rest_.starts_with(expected); }

    Result<Word> next() {
        if (done()) return fail(Errc::InvalidArgument, "the line ends too early");
        if (rest_[0] == '"') return quoted();
        size_t n = rest_[0] == '=' ? 1 : rest_.find_first_of(" \t\r=");
        n = std::min(n, rest_.size());
        Word w{std::string(rest_.substr(0, n))};
        rest_.remove_prefix(n);
        return w;
    }

private:
    Result<Word> quoted() {
        Word w{{}, true};
        size_t i = 1;
        while (i < rest_.size() && rest_[i] != '"') {
            if (rest_[i] != '\\') {
                w.text += rest_[i++];
                continue;
            }
            const int high = i + 3 < rest_.size() ? hex_digit(rest_[i + 2]) : -1;
            const int low = high >= 0 ? hex_digit(rest_[i + 3]) : -1;
            if (low < 0 || rest_[i + 1] != 'x')
                return fail(Errc::InvalidArgument, "only \\xHH escapes are known");
            w.text += static_cast<char>(high * 16 + low);
            i += 4;
        }
        if (i >= rest_.size()) return fail(Errc::InvalidArgument, "a quote is not closed");
        rest_.remove_prefix(i + 1);
        return w;
    }

    std::string_view rest_;
};

template <typename T>
Result<T> number(std::string_view text, std::string_view what) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        return fail(Errc::InvalidArgument,
                    "'" + std::string(text) + "' is no " + std::string(what));
    return value;
}

// The number after the letter that a word must begin with.
Result<uint64_t> tagged(const Word& w, char letter, std::string_view what) {
    if (w.quoted || w.text.empty() || w.text[0] != letter)
        return fail(Errc::InvalidArgument,
                    "expected " + std::string(what) + ", found '" + w.text + "'");
    return number<uint64_t>(std::string_view(w.text).substr(1), what);
}

Result<void> parse_window(Op& op, const Word& w) {
    const size_t dots = w.text.find("..");
    if (w.quoted || dots == std::string::npos)
        return fail(Errc::InvalidArgument,
                    "expected a window such as 10..20, found '" + w.text + "'");
    op.invoked = Duration(TRY(number<int64_t>(w.text.substr(0, dots), "time")));
    const std::string end = w.text.substr(dots + 2);
    op.completed = end == "-" ? kNever : Duration(TRY(number<int64_t>(end, "time")));
    if (op.completed < op.invoked)
        return fail(Errc::InvalidArgument, "it completes before it is invoked");
    return {};
}

Result<OpKind> parse_kind(const Word& w) {
    for (int k = 0; k <= static_cast<int>(OpKind::Wipe); ++k)
        if (w.is(to_string(static_cast<OpKind>(k)))) return static_cast<OpKind>(k);
    return fail(Errc::InvalidArgument, "unknown operation '" + w.text + "'");
}

// Keys and arguments, up to and without "->".
Result<void> parse_command(Op& op, Words& words) {
    while (!words.next_is("->")) {
        const bool many =
            op.kind == OpKind::MGet || op.kind == OpKind::MSet || op.kind == OpKind::Wipe;
        if (!many && op.keys.size() == 1) {
            op.arguments.push_back(TRY(words.next()).text);
            continue;
        }
        op.keys.push_back(TRY(words.next()).text);
        if (op.kind != OpKind::MSet) continue;
        if (!TRY(words.next()).is("="))
            return fail(Errc::InvalidArgument, "mset takes key=value pairs");
        op.arguments.push_back(TRY(words.next()).text);
    }
    const bool one = op.kind == OpKind::Set || op.kind == OpKind::SetNx || op.kind == OpKind::Incr;
    const size_t wanted = op.kind == OpKind::MSet    ? op.keys.size()
                          : op.kind == OpKind::SetPx ? 2
                          : one                      ? 1
                                                     : 0;
    if (op.keys.empty() || op.arguments.size() != wanted)
        return fail(Errc::InvalidArgument,
                    "wrong number of arguments for " + std::string(to_string(op.kind)));
    if (std::set<std::string>(op.keys.begin(), op.keys.end()).size() != op.keys.size())
        return fail(Errc::InvalidArgument, "a key is named twice");
    if (op.kind == OpKind::Incr) (void)TRY(number<int64_t>(op.arguments[0], "amount"));
    if (op.kind == OpKind::SetPx)
        (void)TRY(number<int64_t>(op.arguments[1], "number of milliseconds"));
    return {};
}

Result<void> parse_outcome(Op& op, Words& words) {
    (void)TRY(words.next());  // "->", seen by parse_command
    std::vector<Word> found;
    while (!words.done())
        found.push_back(TRY(words.next()));
    if (found.empty()) return fail(Errc::InvalidArgument, "the line has no outcome");
    op.outcome = found[0].is("failed")    ? Outcome::Failed
                 : found[0].is("unknown") ? Outcome::Unknown
                                          : Outcome::Ok;
    const bool bare = op.kind == OpKind::Set || op.kind == OpKind::SetPx ||
                      op.kind == OpKind::MSet || op.kind == OpKind::Wipe;
    if (op.outcome == Outcome::Ok && !bare) {
        for (const Word& w : found)
            op.results.push_back(w.is("nil") ? Value() : Value(w.text));
        if (op.results.size() != (op.kind == OpKind::MGet ? op.keys.size() : 1))
            return fail(Errc::InvalidArgument, "wrong number of results");
        return {};
    }
    if (found.size() != 1 || (op.outcome == Outcome::Ok && !found[0].is("ok")))
        return fail(Errc::InvalidArgument, "the outcome is ok, failed or unknown");
    return {};
}

Result<Op> parse_line(std::string_view line) {
    Words words(line);
    Op op;
    const Word client = TRY(words.next());
    op.client = TRY(tagged(client, 'c', "client"));
    const Word place = TRY(words.next());
    const size_t dot = place.text.find('.');
    if (dot == std::string::npos)
        return fail(Errc::InvalidArgument,
                    "expected a place such as n1.2, found '" + place.text + "'");
    op.connection = TRY(tagged({place.text.substr(0, dot)}, 'n', "connection"));
    op.sequence = TRY(number<uint64_t>(place.text.substr(dot + 1), "sequence number"));
    Word w = TRY(words.next());
    if (w.text.starts_with("r")) {
        op.request = TRY(tagged(w, 'r', "request"));
        w = TRY(words.next());
    }
    TRY(parse_window(op, w));
    w = TRY(words.next());
    op.kind = TRY(parse_kind(w));
    TRY(parse_command(op, words));
    TRY(parse_outcome(op, words));
    if (op.outcome == Outcome::Ok && op.completed == kNever)
        return fail(Errc::InvalidArgument, "an answered operation has a completion time");
    return op;
}

}  // namespace

std::string print(const Op& op) {
    std::string out = "c" + std::to_string(op.client) + " n" + std::to_string(op.connection) + "." +
                      std::to_string(op.sequence);
    if (op.request != 0) out += " r" + std::to_string(op.request);
    out += " " + std::to_string(op.invoked.count()) + ".." +
           (op.completed == kNever ? "-" : std::to_string(op.completed.count()));
    out += " " + std::string(to_string(op.kind));
    for (size_t i = 0; i < op.keys.size(); ++i) {
        out += " " + word(op.keys[i]);
        if (op.kind == OpKind::MSet) out += "=" + word(op.arguments[i]);
    }
    if (op.kind != OpKind::MSet)
        for (const std::string& argument : op.arguments)
            out += " " + word(argument);
    return out + " -> " + result_text(op);
}

std::string print(const History& history) {
    std::string out;
    for (const Op& op : history)
        out += print(op) + "\n";
    return out;
}

Result<History> parse_history(std::string_view text) {
    History history;
    std::set<std::pair<uint64_t, uint64_t>> places;
    for (size_t line = 1; !text.empty(); ++line) {
        const std::string_view current = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), current.size() + 1));
        if (Words(current).done() || current[0] == '#') continue;
        auto op = parse_line(current);
        if (op && op->connection != 0 && !places.insert({op->connection, op->sequence}).second)
            op = fail(Errc::InvalidArgument, "a place in a connection is taken twice");
        if (!op)
            return fail(op.error().code,
                        "line " + std::to_string(line) + ": " + op.error().context);
        history.push_back(std::move(*op));
    }
    return history;
}

}  // namespace asterias::sim
