#include "edge/resp/cursors.h"

namespace asterias::edge_resp {
namespace {
constexpr size_t kEntryBytes = 200;  // what holds a place, beside its key
constexpr size_t kGoneMost = 100;
constexpr uint64_t kRandom = (uint64_t{1} << 43) - 1;
}  // namespace

// The keyspace's number in four bytes, the high one first; the generation in eight; the key.
Bytes Cursors::encode(const Place& place) {
    BytesBuilder out(12 + place.from.size());
    for (int shift = 24; shift >= 0; shift -= 8)
        out.push_back(static_cast<uint8_t>(place.keyspace.value >> shift));
    for (int shift = 56; shift >= 0; shift -= 8)
        out.push_back(static_cast<uint8_t>(place.generation >> shift));
    out.append(place.from.view());
    return out.take();
}

Result<Cursors::Place> Cursors::decode(const Bytes& bytes) {
    if (bytes.size() < 12) return fail(Errc::Corrupt, "the place of a cursor");
    uint64_t keyspace = 0, generation = 0;
    for (size_t i = 0; i < 4; ++i)
        keyspace = keyspace << 8 | bytes[i];
    for (size_t i = 4; i < 12; ++i)
        generation = generation << 8 | bytes[i];
    return Place{KeyspaceId(keyspace), bytes.suffix(12), generation};
}

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
    while ((entries_.size() >= most_ || bytes_ + bytes > bytes_most_) && drop_oldest(now)) {
    }
    uint64_t cursor = prefix_ | (random & kRandom);
    while (cursor == 0 || entries_.contains(cursor))
        cursor = prefix_ | ((cursor + 1) & kRandom);
    bytes_ += bytes;
    entries_.emplace(cursor, Entry{std::move(place), before, now});
    by_use_.emplace_back(now, cursor);
    // Most places go because their client went on; what names them must not pile up.
    if (by_use_.size() > 2 * entries_.size() + kGoneMost)
        std::erase_if(by_use_, [this](const auto& use) { return !entries_.contains(use.second); });
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
