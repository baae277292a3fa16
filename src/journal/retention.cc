#include "journal/retention.h"

#include <algorithm>

#include "base/mutant.h"

namespace asterias::journal {

void Retention::add(const Run& run) {
    Live& live = segments_[run.segment];
    ++live.runs;
    live.bytes += run.bytes;
}

void Retention::drop(const Run& run) {
    auto live = segments_.find(run.segment);
    live->second.bytes -= run.bytes;
    if (--live->second.runs == 0) segments_.erase(live);
}

void Retention::entry(GroupId group, LogIndex index, uint64_t segment, uint64_t bytes) {
    auto& runs = groups_[group];
    while (!runs.empty() && runs.back().last >= index.value) {
        Run& run = runs.back();
        drop(run);
        if (run.first >= index.value) {
            runs.pop_back();
            continue;
        }
        const uint64_t kept = index.value - run.first;
        run.bytes = run.bytes * kept / run.count();
        run.last = index.value - 1;
        add(run);
    }
    if (!runs.empty() && runs.back().segment == segment && runs.back().last + 1 == index.value) {
        runs.back().last = index.value;
        runs.back().bytes += bytes;
        segments_[segment].bytes += bytes;
        return;
    }
    runs.push_back({index.value, index.value, segment, bytes});
    add(runs.back());
}

void Retention::moved(GroupId group, LogIndex index, uint64_t segment, uint64_t bytes) {
    auto& runs = groups_[group];
    auto at =
        std::find_if(runs.begin(), runs.end(), [&](const Run& r) { return index.value <= r.last; });
    auto insert = [&](const Run& run) {
        if (run.first > run.last) return;
        at = runs.insert(at, run);
        add(*at);
        ++at;
    };
    Run after{1, 0, 0, 0};
    if (at != runs.end() && at->first <= index.value) {
        const Run old = *at;
        if (old.segment == segment) return;
        drop(old);
        at = runs.erase(at);
        const uint64_t before = index.value - old.first, behind = old.last - index.value;
        insert({old.first, index.value - 1, old.segment, old.bytes * before / old.count()});
        after = {index.value + 1, old.last, old.segment, old.bytes * behind / old.count()};
    }
    if (at != runs.begin() && (at - 1)->segment == segment && (at - 1)->last + 1 == index.value) {
        (at - 1)->last = index.value;
        (at - 1)->bytes += bytes;
        segments_[segment].bytes += bytes;
    } else {
        insert({index.value, index.value, segment, bytes});
    }
    insert(after);
}

void Retention::purge(GroupId group, LogIndex through) {
    auto found = groups_.find(group);
    if (found == groups_.end()) return;
    auto& runs = found->second;
    while (!runs.empty() && runs.front().first <= through.value) {
        Run& run = runs.front();
        drop(run);
        if (run.last <= through.value || MUTANT(journal_purge_early)) {
            runs.pop_front();
            continue;
        }
        run.bytes = run.bytes * (run.last - through.value) / run.count();
        run.first = through.value + 1;
        add(run);
    }
    if (runs.empty()) groups_.erase(found);
}

void Retention::forget(GroupId group) {
    auto found = groups_.find(group);
    if (found == groups_.end()) return;
    for (const Run& run : found->second)
        drop(run);
    groups_.erase(found);
}

uint64_t Retention::oldest(uint64_t otherwise) const {
    return segments_.empty() ? otherwise : std::min(otherwise, segments_.begin()->first);
}

uint64_t Retention::live_bytes(uint64_t segment) const {
    auto live = segments_.find(segment);
    return live == segments_.end() ? 0 : live->second.bytes;
}

uint64_t Retention::live_bytes_before(uint64_t before) const {
    uint64_t sum = 0;
    for (auto live = segments_.begin(); live != segments_.end() && live->first < before; ++live)
        sum += live->second.bytes;
    return sum;
}

bool Retention::lives_in(GroupId group, LogIndex index, uint64_t segment) const {
    auto found = groups_.find(group);
    if (found == groups_.end()) return false;
    return std::any_of(found->second.begin(), found->second.end(), [&](const Run& r) {
        return r.segment == segment && r.first <= index.value && index.value <= r.last;
    });
}

}  // namespace asterias::journal
