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
    // Nothing is known of what the entries up to `now` deleted: at the beginning of a leadership,
    // and with an entry that deletes keys without naming them.
    void begin(LogIndex now);
    // begin() was called before. The entry at `index` deletes this engine key.
    void note(const Bytes& key, LogIndex index);
    // No lower than the last entry that deleted the key.
    LogIndex last(const Bytes& key) const;

private:
    static constexpr size_t kPlaces = 4096;  // 32 KiB

    std::vector<LogIndex> places_;
};

}  // namespace asterias::kv
