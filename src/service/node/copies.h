// service/node/copies.h: how many copies a keyspace has beside those that it wants, what
// the next loss would do, and which changes are done only when they are forced. Pure.
#pragma once

#include <string>
#include <vector>

#include "core/raft/core.h"
#include "service/node/identity.h"

namespace asterias::node {

struct Copies {
    size_t wanted = 0;  // as the catalogue says (wanted_copies)
    size_t data = 0;    // voters that hold data
    size_t voters = 0;  // those, and witnesses
    bool below() const { return data < wanted; }
    // What the next loss does to those that are there, all of them up.
    bool loses_data() const { return voters == 1 || data <= 1; }
};
// Of the voters to come while a change is under way; learners are none yet.
Copies copies_of(const raft::Membership& membership, size_t wanted);
// "1 of 3 copies: one more loss loses the data"
std::string describe(const Copies& copies);
// What makes one more: "asterias replica add --keyspace K --node N", of those that could hold one.
std::string way_to_more(const std::string& keyspace, const std::vector<NodeId>& could);

// A change as the leader's node sees it.
struct Intent {
    const raft::Change& change;
    const raft::Status& status;  // the leader's
    const Founding& founding;
    size_t wanted;  // copies
    std::string keyspace;
    std::vector<NodeId> reached;  // connected to the leader's node, and it itself; ascending
};
// Nodes of the cluster without a member of the group, and within reach.
std::vector<NodeId> could_hold_one(const raft::Membership& membership, const Founding& founding,
                                   const std::vector<NodeId>& reached);
// Error: Conflict, with what would be risked and the ways out. Refused is what takes away a copy
// that is up and leaves fewer than wanted (one whose node is not heard counts for nothing: the
// others bear as many losses without it), and a new member on a node that is not within reach (it
// could not catch up, and bars other changes meanwhile). What the core refuses is not looked at.
Result<void> unforced(const Intent& intent);
// What it leaves, if those are fewer copies than wanted, and what to do then; else empty.
std::string left_behind(const Intent& intent);

}  // namespace asterias::node
