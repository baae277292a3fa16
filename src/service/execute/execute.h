// service/execute/execute.h: the seam between doors and replication: execute(Command, Bound,
// Deadline)
// -> Reply + Evidence. Every replication strategy (Raft here; async primary/backup in the
// simulator's tests; the others of the dial later) stands behind it, under the same workload and
// checkers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/kv/command.h"

namespace asterias::execute {

// How fresh an answer has to be.
enum class Bound : uint8_t { Linearizable };

// What it holds in memory, and never less than it takes in a frame.
inline size_t bytes_of(const kv::Command& command) {
    size_t bytes = sizeof(kv::Command) + command.request.client.size();
    for (const auto* list : {&command.keys, &command.values})
        for (const auto& piece : *list)
            bytes += sizeof(Bytes) + piece.size();
    for (const auto& one : command.batch)
        bytes += bytes_of(one);
    return bytes;
}

// Who holds what the reply tells, and how fresh it is.
struct Evidence {
    NodeId leader;  // who evaluated; 0: nobody did
    Term term;
    LogIndex index;        // a write's entry; a read's newest entry seen
    bool durable = false;  // on disk on a quorum
};

// The keyspaces there were when a command on all keys of one was answered, ascending: whoever wants
// all keys of a database asks those behind the first one, too. Keyspaces that are made later hold
// nothing that the first one did not tell, those that are dropped meanwhile answer that they are
// empty.
struct Listing {
    uint64_t generation = 0;
    std::vector<KeyspaceId> keyspaces;
};

struct Outcome {
    kv::Reply reply;
    Evidence evidence;
    std::shared_ptr<const Listing> listing = nullptr;  // of a command on all keys that was done
};

// Called once, on the shard of the execute() call, never inside it.
using Completion = std::move_only_function<void(Outcome)>;

// A client connection, for order: commands with the same stream and keyspace take effect in the
// order of the execute() calls. Unique per shard and start of the node.
using StreamId = TaggedId<struct StreamIdTag>;

struct Request {
    kv::Command command;
    Bound bound = Bound::Linearizable;
    Duration remaining = seconds(5);  // above 0; the completion is called by then, or a tick later
    StreamId stream;
};

class Strategy {
public:
    virtual ~Strategy() = default;
    // A batch has at least one command. A command's keyspace is filled in by the strategy, from the
    // keys; one on all keys names it, 0 for the first, and waits while keys are on their way from
    // one to another; a batch without keys works when there is only one. A read
    // of all keys of a keyspace is of a moment between question and answer: whoever asks waits for
    // the answer before it sends the next command of the stream. `done` is called exactly once,
    // with a reply or one of the errors below (or the store's own, "ERR ...", "CROSSKEYSPACE ..."),
    // unless the strategy dies first. What `done` holds on to lives until then. Threading: one
    // shard; `done` may call execute().
    virtual void execute(Request request, Completion done) = 0;
};

// The two honest errors. Nothing else is used for these two cases.
// Certainly nothing happened:
inline constexpr std::string_view kClusterDown =
    "CLUSTERDOWN nothing was done: no leader with a majority could be reached before the deadline";
inline constexpr std::string_view kOnTheirWay =
    "CLUSTERDOWN nothing was done: the keys were on their way to another keyspace until the "
    "deadline "
    "passed (asterias keyspace list)";
inline constexpr std::string_view kTryAgain =
    "TRYAGAIN nothing was done: the command was overtaken while its leader changed; send it again";
inline constexpr std::string_view kBusy =
    "TRYAGAIN nothing was done: too many commands in flight (router-inflight-max); send it again";
inline constexpr std::string_view kBusyMemory =
    "TRYAGAIN nothing was done: commands in flight hold too much memory (inflight-bytes-max); send "
    "it "
    "again";
inline constexpr std::string_view kBusyLeader =
    "TRYAGAIN nothing was done: its leader holds too much unfinished work (replica-queue-max, "
    "replica-queue-bytes-max, rpc-unsent-bytes-max); send it again";
inline constexpr std::string_view kTooLarge =
    "ERR nothing was done: the command is too large to travel between nodes (command-bytes-max)";
inline constexpr std::string_view kDiskFull =
    "TRYAGAIN nothing was done: the disk of its leader is full; reads and deletions go on, and "
    "writes as soon as there is space";
inline constexpr std::string_view kCrossKeyspace =
    "CROSSKEYSPACE nothing was done: the keys of one command or transaction must be in one "
    "keyspace";
// It may have happened, or may still:
inline constexpr std::string_view kUnknown =
    "UNKNOWN the write may or may not take effect: its leader was lost and the deadline passed "
    "before "
    "its fate was known";
inline constexpr std::string_view kUnknownResult =
    "UNKNOWN the write took effect, but its answer was too large to be kept for a second delivery";

// Between a group and its gateways, never to a client: certainly nothing happened, and the keys
// are, or will be, another group's.
inline constexpr std::string_view kMoved = "MOVED to another keyspace";

}  // namespace asterias::execute
