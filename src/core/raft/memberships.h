// core/raft/memberships.h: the memberships of a group that this replica may still need: the one in
// force, which holds from the moment its entry is appended, and all below it down to one that
// cannot be taken back any more (rule 16). Not thread-safe.
#pragma once

#include <vector>

#include "core/raft/types.h"

namespace asterias::raft {

class Memberships {
public:
    struct At {
        LogIndex index;  // of its entry; 0: since the group's birth
        Membership membership;
    };
    // `base` is committed: it is never taken back.
    explicit Memberships(At base);

    const Membership& in_force() const { return stack_.back().membership; }
    LogIndex index() const { return stack_.back().index; }
    // The one that holds at `index`, or the lowest known.
    const At& as_of(LogIndex index) const;
    // As far as anything here remembers it; nullptr: it does not.
    const Member* find(ReplicaId replica) const;
    // In the one that holds at `from`, or in a later one.
    bool votes_since(LogIndex from, ReplicaId replica) const;
    // Everybody who is named by the one that holds at `from` or by a later one up to `through`,
    // each once, ascending by replica.
    std::vector<Member> named(LogIndex from, LogIndex through) const;

    // A Config entry was appended; index > index().
    void appended(LogIndex index, Membership membership);
    // The log's entries from here on are void. True: another membership is in force now.
    bool truncated(LogIndex from);
    // Nobody will ask about an index below `start` any more.
    void compacted(LogIndex start);
    // A snapshot was installed: what is known up to its index is its word; what lies behind it
    // stays if the log behind it does.
    void installed(const SnapshotMeta& meta, bool keep_later);

private:
    friend class Fingerprint;
    std::vector<At> stack_;  // ascending by index; never empty
};

// All who are named in it, each once, ascending by replica.
std::vector<Member> voting_members(const Membership& membership);  // voters and outgoing
std::vector<Member> all_members(const Membership& membership);

}  // namespace asterias::raft
