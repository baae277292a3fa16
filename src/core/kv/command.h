// core/kv/command.h: commands on string keys and their replies, as data. A door translates its
// protocol into a Command and a Reply back; between the two nothing knows the protocol.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace asterias::kv {

enum class Op : uint8_t {
    Get = 1,
    Set = 2,  // number2: a Verb
    Del = 3,
    Exists = 4,
    IncrBy = 5,  // number: the increment
    MGet = 6,
    MSet = 7,
    Ttl = 8,       // milliseconds left, or kAbsolute: the deadline; -1 no expiry, -2 no key
    ExpireAt = 9,  // number: absolute milliseconds, or relative with kRelative; sets the deadline
    Persist = 10,
    Type = 11,
    StrLen = 12,
    Append = 13,
    GetDel = 14,
    GetEx = 15,        // as Get; kExpire: number becomes the deadline, kPersist: there is none
    MSetNx = 16,       // all or, if one of the keys exists, none; 1 or 0
    IncrByFloat = 17,  // value: the increment as text
    SetRange = 18,     // number: offset, not negative
    GetRange = 19,     // number, number2: first and last byte; negative: from the end
    Lcs = 20,     // two keys; kLength, kIndexes, kMatchLengths; number: the shortest match told
    Rename = 21,  // two keys; kNx: only if the second is absent, 1 or 0
    Copy = 22,  // two keys, the second in database `number`; kReplace; kTake: the first goes; 1, 0
    Object = 23,  // number: an Asked
    // Of each key the index of the entry that wrote its record, or, negative, one no lower than
    // that of the last entry that deleted it: what WATCH takes. A leader answers only when nothing
    // else can be written under that index any more.
    Version = 24,
    // Only in a batch: goes on if Version still answers `number`, else the batch is Nil.
    IfVersion = 25,
    // `batch`, one after the other, each seeing those before it, in one go: the replies of all but
    // IfVersion. An error does not stop it, but what exceeds a limit is an error as a whole.
    Batch = 26,
    // Commands without keys, on all keys of the keyspace in `database`; see core/kv/span.h.
    Flush = 27,  // deletes them; number: 1 in every database
    Count = 28,
    Keys = 29,  // values: a glob pattern
    // values: a glob pattern, the user key to begin at; number: how many records to look at;
    // number2: 1: only of a type that there is not. [where to go on, or nil; [keys]]
    Scan = 30,
    RandomKey = 31,  // [how many there are; one of them, or nil]
    // value: an order of core/catalogue, which evaluates it. No door makes one.
    Boundary = 32,
};
inline constexpr uint8_t kLastOp = 32;

// What is fixed about an operation.
struct OpTraits {
    static constexpr uint8_t kMany = 255;
    uint8_t keys_least, keys_most;
    uint8_t values;     // kMany: one per key
    bool write;         // may change state by itself
    bool grows;         // takes more space than it gives back
    bool needs_values;  // else records without their values will do; see part_read()
    bool span;          // a read of all keys, not evaluated with the others, in no batch
};
const OpTraits& traits(Op op);

namespace flag {
inline constexpr uint16_t kNx = 1;   // only if the key is absent (Set), has no deadline (ExpireAt)
inline constexpr uint16_t kXx = 2;   // only if the key exists
inline constexpr uint16_t kGet = 4;  // Set: answer the old value
inline constexpr uint16_t kKeepTtl = 8;     // Set: keep the deadline
inline constexpr uint16_t kExpire = 16;     // Set: `number` is a deadline
inline constexpr uint16_t kRelative = 32;   // `number` counts from the leader's evaluation
inline constexpr uint16_t kGt = 64;         // ExpireAt: only if later than the present deadline
inline constexpr uint16_t kLt = 128;        // ExpireAt: only if sooner
inline constexpr uint16_t kAbsolute = 256;  // Ttl: the deadline itself
inline constexpr uint16_t kPersist = 512;   // GetEx: no deadline any more
inline constexpr uint16_t kReplace = 1024;  // Copy: also over a key that exists
inline constexpr uint16_t kTake = 2048;     // Copy: the source goes away (MOVE)
inline constexpr uint16_t kLength = 4096;   // Lcs: how long it is
inline constexpr uint16_t kIndexes = 8192;  // Lcs: where the matches are
inline constexpr uint16_t kMatchLengths = 16384;  // Lcs: with kIndexes, how long each is
}  // namespace flag

// Command::number2 of Set, GetEx and ExpireAt: who is named when the deadline cannot be.
enum class Verb : uint8_t { Set, SetEx, PSetEx, GetEx, Expire, PExpire };
inline constexpr uint8_t kLastVerb = static_cast<uint8_t>(Verb::PExpire);
// Command::number of Object.
enum class Asked : uint8_t { Encoding, References, IdleSeconds, Frequency, Bytes };
inline constexpr uint8_t kLastAsked = static_cast<uint8_t>(Asked::Bytes);

// A user's own request identity (ASTERIAS.REQUEST): the same (client, sequence) takes effect once,
// whichever connection or node it comes through.
struct ClientRequest {
    Bytes client;  // empty: none
    uint64_t sequence = 0;
    bool operator==(const ClientRequest&) const = default;
};

struct Command {
    Op op = Op::Get;
    uint16_t flags = 0;
    uint16_t database = 0;
    KeyspaceId keyspace;
    int64_t number = 0;
    int64_t number2 = 0;
    std::vector<Bytes> keys;    // user keys
    std::vector<Bytes> values;  // as traits() says
    ClientRequest request;
    // Of what spans(): the catalogue of keyspaces that it goes by; to execute(): one that is older
    // will not do.
    uint64_t generation = 0;
    // Of Batch: no batches, and without keyspace and client of their own. Which databases they name
    // is theirs.
    std::vector<Command> batch;

    bool operator==(const Command&) const = default;
    // May it change state by itself? (A read that meets a passed deadline also does, see evaluate.)
    bool is_write() const;
    bool grows() const;  // as in traits
    // Deletes all keys of a keyspace, or a batch that does; a batch may name no key then.
    bool flushes() const;
    // On all keys of a keyspace: Flush, and the reads of all keys.
    bool on_all_keys() const;
    // That, or a batch that flushes.
    bool spans() const { return on_all_keys() || flushes(); }
    // Keys, of a batch those of all its commands.
    template <typename Visit>
    void for_each_key(Visit visit) const {
        for (const auto& key : keys)
            visit(key);
        for (const auto& command : batch)
            command.for_each_key(visit);
    }
};

struct Reply {
    enum class Kind : uint8_t {
        Ok = 1,
        Nil = 2,
        Integer = 3,
        Bulk = 4,
        Array = 5,
        Error = 6,
        Status = 7
    };
    Kind kind = Kind::Nil;
    int64_t integer = 0;
    Bytes text;  // Bulk, Status; Error: the whole error text with its prefix, without '-'
    std::vector<Reply> items;

    bool operator==(const Reply&) const = default;
    // What limits on replies count: the text, and 16 for each item, however empty. Never less than
    // encode() takes.
    size_t content_bytes() const;
    static Reply ok() { return {Kind::Ok, 0, {}, {}}; }
    static Reply nil() { return {}; }
    static Reply number(int64_t n) { return {Kind::Integer, n, {}, {}}; }
    static Reply bulk(Bytes b) { return {Kind::Bulk, 0, std::move(b), {}}; }
    static Reply status(std::string_view literal) {
        return {Kind::Status, 0, Bytes::literal(literal), {}};
    }
    // `literal` lives for ever.
    static Reply error(std::string_view literal) {
        return {Kind::Error, 0, Bytes::literal(literal), {}};
    }
};

// Formats: docs/formats/rpc.md (they travel in frames and, replies, in log entries).
void encode(wire::Writer& out, const Command& command);
void encode(wire::Writer& out, const Reply& reply);
// The reader turns failed on bad bytes.
Command decode_command(wire::Reader& in, int depth = 0);
Reply decode_reply(wire::Reader& in, int depth = 0);

}  // namespace asterias::kv
