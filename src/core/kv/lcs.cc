// The longest common subsequence of two strings (t_string.c of Redis 7.0: which of several equally
// long ones is told, and how matches are cut into ranges, is as there).
#include <algorithm>

#include "core/kv/evaluation.h"

namespace asterias::kv {
namespace {

class Table {
public:
    Table(std::string_view a, std::string_view b)
        : a_(a), b_(b), row_(b.size() + 1), cells_((a.size() + 1) * row_) {
        for (size_t i = 1; i <= a.size(); ++i)
            for (size_t j = 1; j <= b.size(); ++j)
                cells_[i * row_ + j] = a[i - 1] == b[j - 1] ? at(i - 1, j - 1) + 1
                                                            : std::max(at(i - 1, j), at(i, j - 1));
    }
    uint32_t length() const { return at(a_.size(), b_.size()); }

    struct Match {
        size_t a, b, length;  // where it begins in each
    };
    // From the last to the first; `text` becomes the subsequence.
    std::vector<Match> matches(std::string& text) const {
        std::vector<Match> found;
        text.resize(length());
        size_t filled = text.size();
        bool open = false;
        for (size_t i = a_.size(), j = b_.size(); i > 0 && j > 0;) {
            if (a_[i - 1] == b_[j - 1]) {
                --i, --j;
                text[--filled] = a_[i];
                if (open)
                    found.back() = {i, j, found.back().length + 1};
                else
                    found.push_back({i, j, 1});
                open = true;
            } else {
                at(i - 1, j) > at(i, j - 1) ? --i : --j;
                open = false;
            }
        }
        return found;
    }

private:
    uint32_t at(size_t i, size_t j) const { return cells_[i * row_ + j]; }
    std::string_view a_, b_;
    size_t row_;
    std::vector<uint32_t> cells_;
};

Reply list(std::vector<Reply> items) {
    Reply reply;
    reply.kind = Reply::Kind::Array;
    reply.items = std::move(items);
    return reply;
}

Reply range(size_t first, size_t length) {
    return list({Reply::number(static_cast<int64_t>(first)),
                 Reply::number(static_cast<int64_t>(first + length - 1))});
}

}  // namespace

Reply lcs(Run& run) {
    const auto flags = run.c.flags;
    const Record *first = run.live(0), *second = run.live(1);
    const std::string_view a = first ? first->value.view() : std::string_view();
    const std::string_view b = second ? second->value.view() : std::string_view();
    const size_t cells = (a.size() + 1) * (b.size() + 1);
    if (cells > run.allowance.lcs_cells) return Reply::error(kLcsTooLong);
    run.allowance.lcs_cells -= cells;
    const Table table(a, b);
    const Reply length = Reply::number(table.length());
    if (flags & flag::kLength) return length;
    std::string text;
    const auto matches = table.matches(text);
    if (!(flags & flag::kIndexes)) return Reply::bulk(Bytes::copy(text));
    std::vector<Reply> told;
    for (const auto& m : matches) {
        if (static_cast<int64_t>(m.length) < run.c.number) continue;
        std::vector<Reply> parts{range(m.a, m.length), range(m.b, m.length)};
        if (flags & flag::kMatchLengths)
            parts.push_back(Reply::number(static_cast<int64_t>(m.length)));
        told.push_back(list(std::move(parts)));
    }
    return list({Reply::bulk(Bytes::literal("matches")), list(std::move(told)),
                 Reply::bulk(Bytes::literal("len")), length});
}

}  // namespace asterias::kv
