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
    Set = 2,
    Del = 3,
    Exists = 4,
    IncrBy = 5,  // number: the increment
    MGet = 6,
    MSet = 7,
    Ttl = 8,       // milliseconds left; -1 no expiry, -2 no key
    ExpireAt = 9,  // number: absolute milliseconds, or relative with kRelative; sets the deadline
    Persist = 10,
    Type = 11,
    StrLen = 12,
    Append = 13,
    GetDel = 14,
};
inline constexpr uint8_t kLastOp = 14;

namespace flag {
inline constexpr uint16_t kNx = 1;   // only if the key is absent (Set), has no deadline (ExpireAt)
inline constexpr uint16_t kXx = 2;   // only if the key exists
inline constexpr uint16_t kGet = 4;  // Set: answer the old value
inline constexpr uint16_t kKeepTtl = 8;    // Set: keep the deadline
inline constexpr uint16_t kExpire = 16;    // Set: `number` is a deadline
inline constexpr uint16_t kRelative = 32;  // `number` counts from the leader's evaluation
inline constexpr uint16_t kGt = 64;        // ExpireAt: only if later than the present deadline
inline constexpr uint16_t kLt = 128;       // ExpireAt: only if sooner
}  // namespace flag

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
    std::vector<Bytes> keys;    // user keys
    std::vector<Bytes> values;  // Set, Append: one; MSet: one per key
    ClientRequest request;

    bool operator==(const Command&) const = default;
    // May it change state by itself? (A read that meets a passed deadline also does, see evaluate.)
    bool is_write() const;
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
    size_t content_bytes() const;  // of text, in all items
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
Command decode_command(wire::Reader& in);
Reply decode_reply(wire::Reader& in, int depth = 0);

}  // namespace asterias::kv
