// core/kv/evaluate.h: a command against the state it sees, giving a reply and physical writes. Only
// a leader evaluates, in log order; the log carries the writes, so replicas apply them blindly and
// no clock, random number or version of this code is asked twice
// (docs/adr/0003-effects-in-the-log.md).
#pragma once

#include <functional>
#include <vector>

#include "core/kv/command.h"
#include "core/kv/deletions.h"
#include "core/kv/record.h"

namespace asterias::kv {

struct Write {
    Bytes key;      // engine key
    Bytes record;   // encoded; empty: delete
    Bytes until{};  // not empty: every key from `key` to before this one is deleted
    bool operator==(const Write&) const = default;
};

struct Context {
    int64_t now_ms = 0;      // the leader's wall clock, decided here and never asked again
    HybridTime commit_time;  // label of the entry
    LogIndex index;          // of the entry that will hold the writes
    const Deletions* deletions = nullptr;  // without it absent keys are all of one version
    // A key that moved to another group has another version there, whatever its index: below 2^19.
    GroupId group{};
};

struct Evaluation {
    Reply reply;
    std::vector<Write> writes;  // empty: a pure read
    uint64_t work = 0;          // bytes that it touched, beside those of what it read and writes
    uint64_t expired = 0;       // keys that it found past their deadline
};

// The engine keys whose present record evaluate() will ask for, in the order it asks; of a batch
// each once. None when there are more than kKeysMax: evaluate() refuses such a command.
std::vector<Bytes> keys_read(const Command& command);

// What of the values that it reads evaluate() looks at: an excerpt() of each record with that part
// will do. A part of no bytes: it only asks how large they are, since when and until when there.
bool reads_whole_values(const Command& command);
Part part_read(const Command& command, uint64_t value_bytes);

// EXISTS of the user key that an engine data key stands for; data_key() made it.
Command exists_by_key(const Bytes& engine_key);

// `records[i]` is the record of keys[i] = keys_read()[i], or nullptr when absent. Records that are
// past their deadline count as absent, and their deletion is among the writes.
Evaluation evaluate(const Command& command, const std::vector<Bytes>& keys,
                    const std::vector<const Record*>& records, const Context& context);

// The stored answer of a client's request: encoded next to the data it changed, in the same entry.
Bytes encode_request_result(uint64_t sequence, const Reply& reply);
struct RequestResult {
    uint64_t sequence;
    Reply reply;
};
Result<RequestResult> decode_request_result(const Bytes& bytes);

inline constexpr size_t kKeyBytesMax = 64 * 1024;
inline constexpr size_t kValueBytesMax = 16 * 1024 * 1024;
inline constexpr size_t kStoredReplyBytesMax = 4 * 1024;
// To evaluate() a read of all keys: see span.h.
inline constexpr std::string_view kReadElsewhere = "ERR all keys are not read like some keys";
// Of one MGET or batch: a reply fits into one frame between nodes, and a node's memory holds it.
inline constexpr size_t kReplyBytesMax = 32 * 1024 * 1024;
inline constexpr std::string_view kReplyTooLong =
    "ERR the values asked for exceed 33554432 bytes together (reply-bytes-max); ask for fewer keys";
// Of one command or batch: an entry travels whole, in one frame between nodes.
inline constexpr size_t kEffectsBytesMax = 48 * 1024 * 1024;
inline constexpr std::string_view kEffectsTooLong =
    "ERR what this command changes exceeds 50331648 bytes (effects-bytes-max); use several";
// Of one command or batch: it is evaluated in one go.
inline constexpr size_t kKeysMax = 65'536;
inline constexpr std::string_view kTooManyKeys =
    "ERR too many keys in one command, at most 65536 (keys-max)";
// Of one batch: keys of its own that its flushes meet, each as often as it is met.
inline constexpr size_t kFlushedOverMax = 1024 * 1024;
inline constexpr std::string_view kFlushedTooMuch =
    "ERR the flushes in this transaction meet more than 1048576 of its keys "
    "(transaction-flushed-max); use several";
// Of the table that LCS fills, (length + 1) * (length + 1), in all LCS of a command or batch: 16
// MiB of memory for its time, some 10 ms of the group's loop.
inline constexpr size_t kLcsCellsMax = 4 * 1024 * 1024;
inline constexpr std::string_view kLcsTooLong =
    "ERR the strings are too long for LCS: their lengths, each plus one, multiply to more than "
    "4194304 (lcs-cells-max)";
// What a value adds to a reply.
constexpr size_t reply_bytes(size_t value_bytes) { return 8 + value_bytes; }

}  // namespace asterias::kv
