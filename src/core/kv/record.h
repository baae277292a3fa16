// core/kv/record.h: how a key's newest version lies in the engine (docs/formats/record.md).
// key   = {space u8}{keyspace u32 be}{database u16 be}{user key}
// value = {format u8}{flags u8}{type u8}{commit time u64}{version u64}[expiry u64 ms]{value...}
// A plain read is one point get; a plain write needs no read.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace asterias::kv {

enum class Space : uint8_t {
    Meta = 'm',      // state of groups: applied index, session windows
    Data = 'd',      // newest versions
    Requests = 'r',  // results of ASTERIAS.REQUEST, one per client id
};

enum class Type : uint8_t { String = 1 };

struct Record {
    Type type = Type::String;
    HybridTime commit_time;
    LogIndex version;       // index of the entry that wrote it
    int64_t expiry_ms = 0;  // absolute wall time; 0: never
    Bytes value;
    uint64_t before = 0, behind = 0;  // bytes of the value that were not read, beside `value`
    uint64_t value_bytes() const { return before + value.size() + behind; }
    bool operator==(const Record&) const = default;
};

inline constexpr size_t kDataPrefixBytes = 7;  // before the user key
// What all data keys of a keyspace begin with.
Bytes data_prefix(KeyspaceId keyspace);
// What those of one of its databases begin with.
Bytes database_prefix(KeyspaceId keyspace, uint16_t database);
Bytes data_key(KeyspaceId keyspace, uint16_t database, std::string_view user_key);
Bytes request_key(KeyspaceId keyspace, std::string_view client);
// Key of a group's state; `name` tells its parts apart ("applied", "session/…").
Bytes meta_key(GroupId group, std::string_view name);
// The first key after all keys that begin with `prefix`.
Bytes after_prefix(const Bytes& prefix);

Bytes encode(const Record& record);
// Does an encoded record carry a deadline? False for bytes that are none.
bool has_expiry(const Bytes& bytes);
size_t value_bytes(std::string_view bytes);
// Of encode()'s result for it, with all of its value.
uint64_t encoded_bytes(const Record& record);
// The value is a slice of `bytes`.
Result<Record> decode_record(const Bytes& bytes);

// Some bytes of a value; what is beyond its end does not count.
struct Part {
    uint64_t from = 0, bytes = UINT64_MAX;
};
// An encoded record, with a part of its value only.
struct Excerpt {
    Bytes bytes;
    uint64_t before = 0, behind = 0;  // of the value, left out
};
// In memory of its own.
Excerpt excerpt(std::string_view bytes, Part part);
// Errors: as for a whole one.
Result<Record> decode_record(const Excerpt& part);

}  // namespace asterias::kv
