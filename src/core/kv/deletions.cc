#include "core/kv/deletions.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mutant.h"

namespace asterias::kv {

size_t Deletions::place_of(const Bytes& key) { return crc32c(key.view()) % kPlaces; }

void Deletions::begin(LogIndex now) {
    places_.assign(kPlaces, now);
    written_.assign(kPlaces, false);
}

void Deletions::note(const Bytes& key, LogIndex index) {
    CHECK(!places_.empty(), "begin() comes first");
    const size_t place = place_of(key);
    places_[place] = index;
    written_[place] = false;
}

void Deletions::note_written(const Bytes& key) {
    CHECK(!places_.empty(), "begin() comes first");
    written_[place_of(key)] = true;
}

void Deletions::note_flush(LogIndex index) {
    for (size_t place = 0; place < places_.size(); ++place)
        if (written_[place] && !MUTANT(kv_flush_deletes_nothing)) {
            places_[place] = index;
            written_[place] = false;
        }
}

LogIndex Deletions::last(const Bytes& key) const {
    CHECK(!places_.empty(), "begin() comes first");
    return places_[place_of(key)];
}

}  // namespace asterias::kv
