#include "edge/resp/cursors.h"

namespace asterias::edge_resp {
namespace {
constexpr size_t kEntryBytes = 200;  // what holds a place, beside its key
constexpr uint64_t kRandom = (uint64_t{1} << 43) - 1;
}  // namespace

void Cursors::drop(uint64_t cursor) {
    const auto it = entries_.find(cursor);
    if (it == entries_.end()) return;
    bytes_ -= kEntryBytes + it->second.place.from.size();
    entries_.erase(it);
}

// False: all were used since, or there is none.
bool Cursors::drop_oldest(Instant unused_since) {
    while (!by_use_.empty()) {
        const auto [used, cursor] = by_use_.front();
        const auto it = entries_.find(cursor);
        if (it != entries_.end() && used > unused_since) return false;
        by_use_.pop_front();
        if (it == entries_.end()) continue;
        if (it->second.used > used) {
            by_use_.emplace_back(it->second.used, cursor);
            continue;
        }
        drop(cursor);
        return true;
    }
    return false;
}

uint64_t Cursors::put(Place place, uint64_t before, uint64_t random, Instant now) {
    while (drop_oldest(now - kIdle)) {
    }
    place.from = Bytes::copy(place.from.view());
    const size_t bytes = kEntryBytes + place.from.size();
    while ((entries_.size() >= kMost || bytes_ + bytes > kBytesMost) && drop_oldest(now)) {
    }
    uint64_t cursor = prefix_ | (random & kRandom);
    while (cursor == 0 || entries_.contains(cursor))
        cursor = prefix_ | ((cursor + 1) & kRandom);
    bytes_ += bytes;
    entries_.emplace(cursor, Entry{std::move(place), before, now});
    by_use_.emplace_back(now, cursor);
    return cursor;
}

std::optional<Cursors::Place> Cursors::find(uint64_t cursor, Instant now) {
    while (drop_oldest(now - kIdle)) {
    }
    const auto it = entries_.find(cursor);
    if (it == entries_.end()) return std::nullopt;
    it->second.used = now;
    drop(std::exchange(it->second.before, 0));
    return it->second.place;
}

}  // namespace asterias::edge_resp
