#include "base/glob.h"

#include <utility>

namespace asterias {
namespace {

constexpr uint16_t kAny = 256, kStar = 257;
constexpr uint32_t kSet = 258;
constexpr size_t kSetsMost = UINT16_MAX - kSet;

// As in Redis bytes are signed: in ranges those from 0x80 on come before the others.
int fold(char c, GlobCase mode) {
    const bool upper = mode == GlobCase::Ignored && c >= 'A' && c <= 'Z';
    return static_cast<signed char>(upper ? c + 32 : c);
}

unsigned char byte(int c) { return static_cast<unsigned char>(c); }

}  // namespace

Glob::Glob(std::string_view pattern, GlobCase mode) : mode_(mode) {
    elements_.reserve(pattern.size());
    for (size_t at = 0; at < pattern.size(); ++at) {
        switch (pattern[at]) {
            case '*':
                if (elements_.empty() || elements_.back() != kStar) elements_.push_back(kStar);
                break;
            case '?':
                elements_.push_back(kAny);
                break;
            case '[':
                at = read_set(pattern, at + 1);
                break;
            case '\\':
                if (at + 1 < pattern.size()) ++at;
                [[fallthrough]];
            default:
                elements_.push_back(byte(fold(pattern[at], mode_)));
        }
    }
}

// From behind '['; gives the place of ']', or that of the last byte: an unclosed set ends with the
// pattern.
size_t Glob::read_set(std::string_view pattern, size_t at) {
    Set set{};
    const auto add = [&set](unsigned char c) { set[c / 64] |= uint64_t{1} << (c % 64); };
    const auto add_range = [&](int low, int high) {
        for (int c = 0; c < 256; ++c) {
            const int folded = fold(static_cast<char>(c), mode_);
            if (folded >= low && folded <= high) add(byte(c));
        }
    };
    const bool inverted = at < pattern.size() && pattern[at] == '^';
    if (inverted) ++at;
    for (; at < pattern.size() && pattern[at] != ']'; ++at) {
        if (pattern[at] == '\\' && at + 1 < pattern.size()) {
            add(byte(pattern[++at]));  // in its case, whatever the mode
        } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
            // Ordered before they are folded: [Z-a] without case is empty there, too.
            char low = pattern[at], high = pattern[at + 2];
            if (static_cast<signed char>(low) > static_cast<signed char>(high))
                std::swap(low, high);
            add_range(fold(low, mode_), fold(high, mode_));
            at += 2;
        } else {
            const int c = fold(pattern[at], mode_);
            add_range(c, c);
        }
    }
    if (inverted)
        for (auto& word : set)
            word = ~word;
    // Patterns with so many sets are longer than any that a client may give; they match nothing.
    if (sets_.size() == kSetsMost)
        sets_.back() = {};
    else
        sets_.push_back(set);
    elements_.push_back(static_cast<uint16_t>(kSet + sets_.size() - 1));
    return at;
}

bool Glob::takes(uint16_t element, unsigned char c) const {
    if (element < 256) return byte(fold(static_cast<char>(c), mode_)) == element;
    if (element == kAny) return true;
    return sets_[element - kSet][c / 64] >> (c % 64) & 1;
}

bool Glob::matches(std::string_view text, uint64_t& steps) const {
    constexpr size_t kNone = SIZE_MAX;
    const size_t end = elements_.size();
    size_t e = 0, t = 0, after_star = kNone, star_text = 0;
    for (;; ++steps) {
        if (e < end && elements_[e] == kStar) {
            after_star = ++e;
            if (e == end) return true;
            star_text = t;
            continue;
        }
        if (t == text.size()) return e == end;
        if (e < end && takes(elements_[e], byte(text[t]))) {
            ++e, ++t;
            continue;
        }
        if (after_star == kNone) return false;
        e = after_star;  // let the last star take one byte more
        t = ++star_text;
    }
}

bool glob_match(std::string_view pattern, std::string_view text, GlobCase mode) {
    return Glob(pattern, mode).matches(text);
}

}  // namespace asterias
