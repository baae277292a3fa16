// service/replica/codec.h: bodies of Raft, Forward and ForwardReply frames (docs/formats/rpc.md).
#pragma once

#include <vector>

#include "core/kv/command.h"
#include "core/raft/types.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace asterias::replica {

// No message names a replica above this. Numbers are given one by one, with a change of membership.
inline constexpr ReplicaId kReplicaMax{uint64_t{1} << 40};

// A Raft body is a run of these, of any groups.
void write_message(wire::Writer& out, GroupId group, const raft::Message& message);
struct GroupMessage {
    GroupId group;
    raft::Message message;
};
// Skips kinds that this build does not know (returns false for them); the reader turns failed on
// bad bytes. Entries are not verified here.
bool read_message(wire::Reader& in, GroupMessage& out);

// One command on its way from a gateway to the leader of its group.
struct Forwarded {
    uint64_t ticket = 0;    // the gateway's name for it
    uint64_t sequence = 0;  // number in the session; 0: a read
    uint32_t remaining_ms = 0;
    kv::Command command;
};
struct ForwardHead {
    GroupId group;
    ShardId session_shard;
    uint64_t epoch = 0;
    uint64_t low_water = 0;
};
void write_head(wire::Writer& out, const ForwardHead& head);
void write_forwarded(wire::Writer& out, uint64_t ticket, uint64_t sequence, uint32_t remaining_ms,
                     const kv::Command& command);
ForwardHead read_head(wire::Reader& in);
Forwarded read_forwarded(wire::Reader& in);

// What became of it at the replica that was asked.
struct Answer {
    enum class Kind : uint8_t {
        Done = 1,       // reply holds
        NotLeader = 2,  // not evaluated here; `leader` is a hint. Everything later of this epoch is
                        // refused too: send again from the first unanswered, under a higher epoch
        Lost = 3,       // evaluated, then the leadership was lost: send again, the same number
        Refused = 4,  // certainly not evaluated and never will be (overtaken, or past its deadline)
        Busy = 5,     // as Refused, because there was no room for it or for its answer
        Full = 6,     // as Refused, because a disk is full and it would take more of it
    };
    Kind kind = Kind::Refused;
    NodeId leader;
    Term term;
    LogIndex index;
    kv::Reply reply;
};
struct Answered {
    uint64_t ticket = 0;
    uint64_t epoch = 0;
    Answer answer;
};
void write_answered(wire::Writer& out, const Answered& answered);
Answered read_answered(wire::Reader& in);

}  // namespace asterias::replica
