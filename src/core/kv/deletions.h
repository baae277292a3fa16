// core/kv/deletions.h: when keys went away, as far as WATCH needs to know. A leader's memory, of
// fixed size: many keys share a place, so it may tell a later entry than the right one, which costs
// a transaction another try, and never an earlier one. Threading: one owner.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace asterias::kv {

class Deletions {
public:
    // Nothing is known of what the entries up to `now` deleted: at the beginning of a leadership.
    void begin(LogIndex now);
    // From here on begin() was called before. The entry at `index` deletes this engine key; an
    // entry writes it; the entry at `index` deletes keys without naming them. The last is taken for
    // a deletion only of keys that were written since they were deleted: of one that was absent all
    // the while nothing is said. (One that was there since before begin() has a record; whoever
    // knows that sees it gone.)
    void note(const Bytes& key, LogIndex index);
    void note_written(const Bytes& key);
    void note_flush(LogIndex index);
    // No lower than the last entry that deleted the key, but for a flush of one that was not
    // written since begin().
    LogIndex last(const Bytes& key) const;

private:
    static constexpr size_t kPlaces = 4096;  // 32 KiB

    static size_t place_of(const Bytes& key);

    std::vector<LogIndex> places_;  // the last deletion, as far as is known
    std::vector<bool> written_;     // since that
};

}  // namespace asterias::kv
