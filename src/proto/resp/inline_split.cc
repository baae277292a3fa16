#include "proto/resp/inline_split.h"

#include <string>

namespace asterias::resp {
namespace {

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
// What ends a word outside quotes: \v and \f separate words, but do not end one (as in Redis).
bool ends_word(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

char unescape(char c) {
    switch (c) {
        case 'n':
            return '\n';
        case 'r':
            return '\r';
        case 't':
            return '\t';
        case 'b':
            return '\b';
        case 'a':
            return '\a';
        default:
            return c;
    }
}

class Splitter {
public:
    explicit Splitter(std::string_view line) : line_(line) {}

    // One quoted piece; at_ stands on the opening quote. False if it does not end properly.
    bool quoted(std::string& word) {
        const char quote = line_[at_++];
        for (; at_ < line_.size(); ++at_) {
            const char c = line_[at_];
            if (c == quote) {
                ++at_;
                return at_ == line_.size() || is_blank(line_[at_]);
            }
            if (c == '\\' && quote == '"')
                escaped(word);
            else if (c == '\\' && at_ + 1 < line_.size() && line_[at_ + 1] == '\'')
                word.push_back(line_[++at_]);
            else
                word.push_back(c);
        }
        return false;
    }

    bool words(const Bytes& line, Request& out) {
        for (;;) {
            while (at_ < line_.size() && is_blank(line_[at_]))
                ++at_;
            if (at_ == line_.size()) return true;
            if (!word(line, out)) return false;
        }
    }

private:
    bool word(const Bytes& line, Request& out) {
        const size_t start = at_;
        while (at_ < line_.size() && !ends_word(line_[at_])) {
            if (line_[at_] != '"' && line_[at_] != '\'') {
                ++at_;
                continue;
            }
            std::string copy(line_.substr(start, at_ - start));
            if (!quoted(copy)) return false;
            out.push_back(Bytes::copy(copy));
            return true;
        }
        out.push_back(line.slice(start, at_ - start));
        return true;
    }

    // at_ stands on a backslash inside "..." and ends on the last byte of the escape.
    void escaped(std::string& word) {
        if (at_ + 1 == line_.size()) {
            word.push_back('\\');
            return;
        }
        if (line_[at_ + 1] == 'x' && at_ + 3 < line_.size()) {
            const int high = hex_digit(line_[at_ + 2]), low = hex_digit(line_[at_ + 3]);
            if (high >= 0 && low >= 0) {
                word.push_back(static_cast<char>(high * 16 + low));
                at_ += 3;
                return;
            }
        }
        word.push_back(unescape(line_[++at_]));
    }

    std::string_view line_;
    size_t at_ = 0;
};

}  // namespace

bool split_inline(const Bytes& line, Request& out) {
    return Splitter(line.view().substr(0, line.view().find('\0'))).words(line, out);
}

}  // namespace asterias::resp
