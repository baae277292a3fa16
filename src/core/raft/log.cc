#include "core/raft/log.h"

#include <algorithm>

#include "base/check.h"

namespace asterias::raft {
namespace {
constexpr size_t kSmallestRing = 64;
}

Log::Log(LogIndex start, Term start_term, std::vector<Entry> entries)
    : ring_(kSmallestRing), start_(start), runs_{{start, start_term}} {
    for (Entry& entry : entries)
        append(std::move(entry));
}

Term Log::term(LogIndex index) const {
    if (index == start_) return runs_.front().term;
    return at(index).term;
}

const Entry& Log::at(LogIndex index) const {
    CHECK(index > start_ && index <= last(), "the caller keeps to the log's range");
    return nth(index.value - start_.value - 1);
}

bool Log::matches(LogIndex index, Term term) const {
    return index >= start_ && index <= last() && this->term(index) == term;
}

LogIndex Log::run_start(LogIndex index) const {
    CHECK(index >= start_ && index <= last(), "the caller keeps to the log's range");
    auto after = std::upper_bound(runs_.begin(), runs_.end(), index,
                                  [](LogIndex i, const Run& run) { return i < run.first; });
    return std::prev(after)->first;
}

LogIndex Log::last_of_term(Term term) const {
    auto run = std::lower_bound(runs_.begin(), runs_.end(), term,
                                [](const Run& r, Term t) { return r.term < t; });
    if (run == runs_.end() || run->term != term) return LogIndex(0);
    return std::next(run) == runs_.end() ? last() : std::next(run)->first.prev();
}

void Log::copy(LogIndex first, LogIndex last, std::vector<Entry>& out) const {
    if (first > last) return;
    CHECK(first > start_ && last <= this->last(), "the caller keeps to the log's range");
    out.reserve(out.size() + (last.value - first.value + 1));
    for (LogIndex i = first; i <= last; i = i.next())
        out.push_back(at(i));
}

void Log::append(Entry entry) {
    CHECK(entry.index == last().next(), "a log has no gaps");
    CHECK(entry.term >= runs_.back().term, "terms do not fall along a log");
    if (entry.term > runs_.back().term) runs_.push_back({entry.index, entry.term});
    if (size_ == ring_.size()) resize(2 * ring_.size());
    ring_[slot(size_)] = std::move(entry);
    ++size_;
}

void Log::truncate_from(LogIndex from, LogIndex commit) {
    CHECK(from > commit, "nothing at or below commit is ever truncated (I4)");
    CHECK(from > start_ && from <= last(), "the caller keeps to the log's range");
    while (last() >= from) {
        --size_;
        ring_[slot(size_)] = Entry{};
    }
    while (runs_.size() > 1 && runs_.back().first >= from)
        runs_.pop_back();
}

void Log::compact(LogIndex through) {
    if (through <= start_) return;
    CHECK(through <= last(), "the caller keeps to the log's range");
    const Term start_term = term(through);
    while (start_ < through) {
        ring_[slot(0)] = Entry{};
        head_ = slot(1);
        --size_;
        start_ = start_.next();
    }
    auto after = std::upper_bound(runs_.begin(), runs_.end(), through,
                                  [](LogIndex i, const Run& run) { return i < run.first; });
    runs_.erase(runs_.begin(), std::prev(after));
    runs_.front() = {through, start_term};
    if (ring_.size() > kSmallestRing && size_ < ring_.size() / 8) resize(ring_.size() / 4);
}

void Log::resize(size_t capacity) {
    capacity = std::max(capacity, kSmallestRing);
    std::vector<Entry> ring(capacity);
    for (size_t i = 0; i < size_; ++i)
        ring[i] = std::move(ring_[slot(i)]);
    ring_ = std::move(ring);
    head_ = 0;
}

}  // namespace asterias::raft
