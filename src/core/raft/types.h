// core/raft/types.h: the nouns of the consensus core. Section numbers refer to Ongaro's
// dissertation "Consensus: Bridging Theory and Practice" (2014).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
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
    bool witness = false;  // votes and keeps the log, holds no state (rule 46)
    auto operator<=>(const Member&) const = default;
};

// A number says to which life of its node it was given (ADR 0015): the low 8 bits, and below 256,
// which the founders have, life 0. So the directory of one life never holds what another one held.
inline constexpr uint64_t kLifeBits = 8;
inline constexpr uint64_t life_of(ReplicaId replica) {
    return replica.value >> kLifeBits ? replica.value & ((1 << kLifeBits) - 1) : 0;
}

// Who takes part in a group: the payload of a Config entry, and part of every snapshot. Holds from
// the moment its entry is appended, and is rolled back with it (rule 16). All lists ascend by
// replica; a node has at most one replica of a group that is not about to leave.
//
// Every change of voters is joint (dissertation 4.3, rule 14): while `outgoing` is not empty,
// elections, commits, reads and check-quorum need a majority of `voters` and one of `outgoing`; as
// soon as the joint entry is committed, the leader, or its successor, proposes the same without it.
struct Membership {
    std::vector<Member> voters;    // never empty
    std::vector<Member> outgoing;  // the voters that are being left; empty: not joint
    std::vector<Member> learners;  // hold the log and do not vote; in none of the above
    // The number given last in this group. The next is higher by the term of the leader that gives
    // it, above the bits of the life if those are needed: so no other leader gives the same one,
    // also when this entry is lost (rule 47).
    ReplicaId last_replica;
    // The change that is under way beyond `learners`: the leader, whoever it is, turns the learner
    // `promote` into a voter when it has caught up (rule 17), together with the removal of
    // `retire`.
    ReplicaId promote;  // 0: none
    ReplicaId retire;   // 0: none; a voter
    bool operator==(const Membership&) const = default;

    bool joint() const { return !outgoing.empty(); }
    // Wherever it stands; nullptr: not in this membership.
    const Member* find(ReplicaId replica) const;
    const Member* on(NodeId node) const;
    bool votes(ReplicaId replica) const;  // in voters or outgoing
};

// The Config entry's payload (docs/formats/entry.md). Decoding errors: Unsupported (format),
// Corrupt (bytes, or a membership that cannot be: no voters, a replica twice, not ascending).
Bytes encode(const Membership& membership);
Result<Membership> decode_membership(const Bytes& payload);
// "voters r1@n1 r2@n2w, learners r4@n4, promote r4 for r2"
std::string describe(const Membership& membership);

// What a snapshot is of: the state after applying `index`.
struct SnapshotMeta {
    LogIndex index;
    Term term;  // of the entry at `index`
    Membership membership;
    LogIndex membership_index;  // of its entry, <= index; 0: since the group's birth
    bool operator==(const SnapshotMeta&) const = default;
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
    bool transfer =
        false;  // the leader itself asked for it: no living leader is a reason to refuse
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
    bool quiesce = false;  // nothing more will come until something happens (rule 40)
    bool operator==(const Heartbeat&) const = default;
};
struct HeartbeatReply {
    uint64_t round = 0;
    bool stalled = false;  // its applied state takes no writes, and has not for a while
    bool operator==(const HeartbeatReply&) const = default;
};

// The leader gives its lead to the receiver, which campaigns at once, without a pre-vote
// [3.10, rule 21].
struct TimeoutNow {
    bool operator==(const TimeoutNow&) const = default;
};
// The receiver is not in the committed membership at `index`, and its number is not one that is
// still to be given: it was removed, for good (rule 19). A fact, whoever says it.
struct Removed {
    LogIndex index;
    bool operator==(const Removed&) const = default;
};

// A replica that does not lead asks its leader on behalf of a read (rule 24).
struct ReadIndexRequest {
    uint64_t context = 0;
    bool operator==(const ReadIndexRequest&) const = default;
};
// The sender led at some time after the request came, and everything that anybody had committed by
// then lies at or below `index`.
struct ReadIndexReply {
    uint64_t context = 0;
    LogIndex index;
    bool operator==(const ReadIndexReply&) const = default;
};

using MessageBody =
    std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, Heartbeat, HeartbeatReply,
                 TimeoutNow, Removed, ReadIndexRequest, ReadIndexReply>;

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
