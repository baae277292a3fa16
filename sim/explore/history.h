// sim/explore/history.h: what has happened and must not be contradicted, and the rules that every
// state is held against.
//
//   election safety       one leader a term, ever
//   votes                 one candidate a term and replica, across crashes
//   log matching          two logs that agree in (index, term) somewhere agree up to there
//   leader completeness   a leader has everything that leaders of earlier terms committed
//   state machine safety  what anybody takes for committed is what a leader once committed there
//   durability            all of it is on the disks, and in the logs, of a majority of the members
//                         that were committed last; of both halves, if they are joint
//   membership            each committed one is a step from the one before: joint, one at a time,
//                         with no number given twice
//   reads                 a confirmed read's replica has committed what anybody had when it was
//   asked
//
// A history is part of the state that is explored: two orders of events with the same replicas and
// different pasts are two states. What can never matter again is left out of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/explore/replica.h"

namespace asterias::sim::explore {

// What the rules look at in one replica. Entries are numbers: equal entries, equal numbers, not 0.
struct View {
    static constexpr uint32_t kCompacted = 0;
    bool leads = false, ready = false, removed = false, installing = false;
    uint64_t term = 0, commit = 0, disk_term = 0;
    std::vector<uint32_t> log, disk;  // from index 1 on; kCompacted: was committed, and has left
    std::vector<uint64_t> log_terms;
    size_t writes = 0;

    static bool has(const std::vector<uint32_t>& entries, size_t i, uint32_t entry) {
        return i < entries.size() && (entries[i] == entry || entries[i] == kCompacted);
    }
};

// By an entry's number: the membership that it says, or nullptr.
using MembershipOf = std::function<const raft::Membership*(uint32_t entry)>;

struct Vote {
    uint64_t term = 0;
    size_t voter = 0, candidate = 0;
    bool operator==(const Vote&) const = default;
};
// The votes that these messages give: by an answer, or by asking for oneself.
std::vector<Vote> votes_in(const std::vector<Parcel>& parcels);

struct History {
    struct Committed {
        uint32_t entry;
        uint64_t by;  // the term of the leader that did
    };
    struct Lead {
        uint64_t term;
        size_t replica;
    };
    struct Asked {
        uint64_t context;
        uint64_t committed;
    };
    std::vector<Committed> committed;
    std::vector<Lead> leaders;
    std::vector<Vote> votes;
    std::vector<Asked> reads;

    // Replica `moved` has done something; `views` are as of now. The rule that is broken; empty:
    // none.
    std::string note(const std::vector<const View*>& views, size_t moved, const View& was,
                     const std::vector<Vote>& cast, const std::vector<uint64_t>& reads_confirmed,
                     const raft::Membership& founders, const MembershipOf& membership_of);
    void asked(uint64_t context) { reads.push_back({context, committed.size()}); }
    std::string bytes() const;

private:
    std::string note_votes(const std::vector<Vote>& cast);
    std::string note_leader(const View& view, size_t replica);
    std::string note_commit(const View& view, const View& was, const raft::Membership& founders,
                            const MembershipOf& membership_of);
    std::string check_majority(const std::vector<const View*>& views,
                               const raft::Membership& members) const;
    // The last one that was committed.
    const raft::Membership& members(const raft::Membership& founders,
                                    const MembershipOf& membership_of) const;
    void forget(const std::vector<const View*>& views);
};

// Log matching between two.
bool logs_match(const View& a, const View& b);

}  // namespace asterias::sim::explore
