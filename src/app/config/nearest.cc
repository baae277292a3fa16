#include "app/config/nearest.h"

#include <algorithm>
#include <utility>

namespace asterias::config {
namespace {

// Levenshtein's: how many letters are put in, taken out or changed.
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> line(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j)
        line[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = std::exchange(line[0], i);
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = std::exchange(line[j], std::min({line[j] + 1, line[j - 1] + 1, change}));
        }
    }
    return line[b.size()];
}

}  // namespace

std::string_view nearest_of(std::string_view name, const std::vector<std::string_view>& names) {
    if (name.size() > 64) return "";
    std::string lower(name);
    for (char& c : lower)
        c = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    std::string_view best;
    size_t least = std::max<size_t>(lower.size() / 3, 2) + 1;
    for (const std::string_view each : names)
        // Not one in which nothing of it is left.
        if (const size_t d = distance(lower, each); d < least && d < each.size()) {
            least = d;
            best = each;
        }
    return best;
}

}  // namespace asterias::config
