// journal/retention.h: which segments still hold entries that somebody may ask for. Fed with what
// is durable, never with what is merely written: a segment may go only by facts that survive a
// crash. Segments go oldest first (the prefix rule): a younger one may supersede what an older one
// says, and replay would raise the dead if the younger one were gone.
#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "base/ids.h"

namespace asterias::journal {

class Retention {
public:
    // An entry in `segment` (where it begins, if it is sliced) with its record bytes. Supersedes
    // the group's entries at and above `index`.
    void entry(GroupId group, LogIndex index, uint64_t segment, uint64_t bytes);
    // The entry, so far in another segment, now lives in `segment`. One that was not known here
    // (its first place was in a segment that is gone) becomes known.
    void moved(GroupId group, LogIndex index, uint64_t segment, uint64_t bytes);
    void purge(GroupId group, LogIndex through);
    // No entry of the group counts any more.
    void forget(GroupId group);

    // The oldest segment with a live entry; `otherwise` if there is none.
    uint64_t oldest(uint64_t otherwise) const;
    // Estimated by run: exact until part of a run is purged.
    uint64_t live_bytes(uint64_t segment) const;
    // Sum over segments < before.
    uint64_t live_bytes_before(uint64_t before) const;
    bool lives_in(GroupId group, LogIndex index, uint64_t segment) const;

private:
    struct Run {  // neighbouring entries of a group in one segment
        uint64_t first, last, segment, bytes;
        uint64_t count() const { return last - first + 1; }
    };
    struct Live {
        uint64_t runs = 0, bytes = 0;
    };
    void add(const Run& run);
    void drop(const Run& run);

    std::map<GroupId, std::deque<Run>> groups_;  // ascending, disjoint
    std::map<uint64_t, Live> segments_;
};

}  // namespace asterias::journal
