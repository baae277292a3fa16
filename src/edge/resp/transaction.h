// edge/resp/transaction.h: MULTI to EXEC of one connection: what is queued, what is watched, and
// what EXEC sends to the store and answers (docs/adr/0016-where-a-redis-command-is-decided.md). The
// session's part of it is in transaction.cc.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.h"
#include "edge/resp/guard.h"
#include "edge/resp/span.h"
#include "edge/resp/translate.h"

namespace asterias::edge_resp {

struct Queued {
    const resp::CommandSpec* spec;
    resp::Request request;
    std::optional<Guard::Verdict> verdict{};  // of the password in it, when EXEC runs it

    size_t bytes() const { return sizeof(Queued) + request.bytes(); }
};

struct Watched {
    Bytes key;
    uint16_t database;
    int64_t version;  // as kv::Op::Version answers
};

struct Transaction {
    static constexpr size_t kCommandsMax = 10'000;  // transaction-commands-max
    // Answers of an EXEC that this node gives from what it knows: transaction-local-bytes-max. The
    // last may be beyond it.
    static constexpr size_t kLocalBytesMax = 8 * 1024 * 1024;

    // Commands about the node that EXEC runs in one go: transaction-local-commands-max.
    static constexpr size_t kLocalCommandsMax = 64;

    bool open = false;
    bool failed = false;  // something was refused: EXEC will refuse all
    std::vector<Queued> queued;
    size_t local_commands = 0;  // of `queued`, those about the node
    size_t content_bytes = 0;   // of `queued`: what its arguments say
    size_t bytes = 0;           // of `queued`: what they hold, charged to the door
    std::vector<Watched> watched;
    size_t watched_bytes = 0;  // of `watched`, charged to the door, too
    bool watch_lost = false;   // nobody knows the version of a key: EXEC takes it for changed
};

// A WATCH whose versions are asked for.
struct PendingWatch {
    std::vector<Bytes> keys;
    uint16_t database;
};

// Lines for monitors: of what EXEC runs, if it does, and of EXEC.
struct Shown {
    std::string queued, itself;

    size_t bytes() const { return queued.size() + itself.size(); }
};

// An EXEC on its way: one part for each queued command, in their order.
struct PendingExec {
    // Of the store's reply; or an error of shape; or a command for the session to run when the
    // store has done the rest.
    struct Stored {
        Show show;
        const resp::CommandSpec* spec;
    };
    struct NotRun {
        std::string text;
        const resp::CommandSpec* spec;
    };
    using Part = std::variant<Stored, NotRun, Queued>;
    std::vector<Part> parts;
    Duration sleep{};  // of DEBUG SLEEP in it
    bool has_local = false;
    size_t local_bytes = 0;  // of those for the session
    Shown shown;
};
// A command about messages whose turn has not come, or whose subscription is not known everywhere.
struct PendingMessage {
    Queued command;
    std::vector<int64_t> notices;  // SUBSCRIBE has been done: what the client has after each name
};
using Pending = std::variant<PendingWatch, PendingExec, PendingMessage, PendingSpan>;

// What DEBUG SLEEP asks for, a minute at most; of anything else nothing.
Duration sleep_of(const Queued& command);

// Makes of what is queued and watched one command, empty (an empty batch) when the store need not
// be asked, and the plan of the reply.
struct Prepared {
    kv::Command command;
    PendingExec exec;
};
// Refused as a whole if it is longer than `content_bytes_max`: RESTORE holds more than it said.
std::variant<Prepared, Refused> prepare(Transaction transaction, uint16_t database,
                                        const TranslateLimits& limits, size_t content_bytes_max);

}  // namespace asterias::edge_resp
