// core/raft/types.h: the nouns of the consensus core. Section numbers refer to Ongaro's
// dissertation "Consensus: Bridging Theory and Practice" (2014).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "wire/entry.h"

namespace asterias::raft {

using wire::Entry;
using wire::EntryKind;

// A replica and the node it lives on. The replica id is unique per group and never reused: a
// replica removed and added again on the same disk is another replica (rule 47).
struct Member {
    ReplicaId replica;
    NodeId node;
    auto operator<=>(const Member&) const = default;
};

// Who votes. Fixed from the group's birth until membership change is built.
struct Membership {
    std::vector<Member> voters;  // ascending by replica
    bool operator==(const Membership&) const = default;
};

// What must be durable before any answer that depends on it leaves (rule 1).
struct HardState {
    Term term;
    ReplicaId vote;  // 0: none in this term
    bool operator==(const HardState&) const = default;
};

struct VoteRequest {
    bool pre = false;  // pre-vote: the term asked about is term + 1, and nobody's term moves (9.6)
    LogIndex last_index;
    Term last_term;
    bool operator==(const VoteRequest&) const = default;
};
struct VoteReply {
    bool pre = false;
    bool granted = false;
    bool operator==(const VoteReply&) const = default;
};
struct AppendRequest {
    LogIndex prev_index;
    Term prev_term;
    LogIndex commit;
    std::vector<Entry> entries;
    bool operator==(const AppendRequest&) const = default;
};
struct AppendReply {
    bool accepted = false;
    LogIndex match;           // accepted: durable up to here, in the request's log
    LogIndex conflict_index;  // refused: first index of conflict_term, or own last + 1
    Term conflict_term;  // refused: term at prev_index here, 0 if there is none (5.3, back-off)
    bool operator==(const AppendReply&) const = default;
};
// Light, never behind bulk; the driver coalesces those of all groups per pair of nodes.
struct Heartbeat {
    LogIndex commit;  // <= what the receiver is known to match
    uint64_t round = 0;
    bool operator==(const Heartbeat&) const = default;
};
struct HeartbeatReply {
    uint64_t round = 0;
    bool operator==(const HeartbeatReply&) const = default;
};

using MessageBody =
    std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, Heartbeat, HeartbeatReply>;

struct Message {
    ReplicaId from, to;
    Term term;  // the sender's; for a pre-vote request the term it would campaign in
    MessageBody body;
    bool operator==(const Message&) const = default;
};

// Above these nothing is believed: a term or an index that cannot be counted on from would wrap
// around. Nobody gets there in earnest.
inline constexpr Term kTermMax{uint64_t{1} << 62};
inline constexpr LogIndex kIndexMax{uint64_t{1} << 62};

enum class Role : uint8_t { Follower, PreCandidate, Candidate, Leader };
std::string_view to_string(Role role);

}  // namespace asterias::raft
