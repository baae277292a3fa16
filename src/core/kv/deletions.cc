#include "core/kv/deletions.h"

#include "base/check.h"
#include "base/crc32c.h"

namespace asterias::kv {

void Deletions::begin(LogIndex now) { places_.assign(kPlaces, now); }

void Deletions::note(const Bytes& key, LogIndex index) {
    CHECK(!places_.empty(), "begin() comes first");
    places_[crc32c(key.view()) % kPlaces] = index;
}

LogIndex Deletions::last(const Bytes& key) const {
    CHECK(!places_.empty(), "begin() comes first");
    return places_[crc32c(key.view()) % kPlaces];
}

}  // namespace asterias::kv
