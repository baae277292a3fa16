#include "base/glob.h"

#include <utility>

namespace asterias {
namespace {

class Matcher {
public:
    Matcher(std::string_view pattern, GlobCase mode) : pattern_(pattern), mode_(mode) {}

    // Whether the element at `at` (not a star) takes `c`; moves `at` behind the element.
    bool takes(size_t& at, char c) const {
        switch (pattern_[at]) {
            case '?':
                ++at;
                return true;
            case '[':
                return set_takes(at, c);
            case '\\':
                if (at + 1 < pattern_.size()) ++at;
                [[fallthrough]];
            default:
                return fold(pattern_[at++]) == fold(c);
        }
    }

private:
    // An unclosed set ends with the pattern.
    bool set_takes(size_t& at, char c) const {
        ++at;
        const bool inverted = at < pattern_.size() && pattern_[at] == '^';
        if (inverted) ++at;
        bool found = false;
        for (; at < pattern_.size() && pattern_[at] != ']'; ++at) {
            if (pattern_[at] == '\\' && at + 1 < pattern_.size()) {
                found |= pattern_[++at] == c;
            } else if (at + 2 < pattern_.size() && pattern_[at + 1] == '-') {
                auto low = fold(pattern_[at]), high = fold(pattern_[at + 2]);
                if (low > high) std::swap(low, high);
                found |= fold(c) >= low && fold(c) <= high;
                at += 2;
            } else {
                found |= fold(pattern_[at]) == fold(c);
            }
        }
        if (at < pattern_.size()) ++at;
        return found != inverted;
    }

    unsigned char fold(char c) const {
        const bool upper = mode_ == GlobCase::Ignored && c >= 'A' && c <= 'Z';
        return static_cast<unsigned char>(upper ? c + 32 : c);
    }

    std::string_view pattern_;
    GlobCase mode_;
};

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text, GlobCase mode) {
    constexpr size_t kNone = std::string_view::npos;
    const Matcher matcher(pattern, mode);
    size_t p = 0, t = 0, after_star = kNone, star_text = 0;
    for (;;) {
        if (p < pattern.size() && pattern[p] == '*') {
            after_star = ++p;
            star_text = t;
            continue;
        }
        if (t == text.size()) return p == pattern.size();
        if (p < pattern.size() && matcher.takes(p, text[t])) {
            ++t;
            continue;
        }
        if (after_star == kNone) return false;
        p = after_star;  // let the last star take one byte more
        t = ++star_text;
    }
}

}  // namespace asterias
