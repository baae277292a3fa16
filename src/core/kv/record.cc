#include "core/kv/record.h"

#include <algorithm>

#include "wire/reader.h"
#include "wire/writer.h"

namespace asterias::kv {
namespace {
constexpr uint8_t kFormat = 1;
constexpr uint8_t kHasExpiry = 1;
constexpr size_t kHeaderBytes = 19, kExpiryBytes = 8;

void big_endian(BytesBuilder& out, uint64_t v, int bytes) {
    for (int i = bytes - 1; i >= 0; --i)
        out.push_back(static_cast<uint8_t>(v >> (8 * i)));
}

Bytes make_key(Space space, uint64_t number, int number_bytes, std::string_view rest) {
    BytesBuilder out(1 + 8 + rest.size());
    out.push_back(static_cast<uint8_t>(space));
    big_endian(out, number, number_bytes);
    out.append(rest);
    return out.take();
}

bool says_expiry(std::string_view bytes) {
    return bytes.size() > 2 && bytes[0] == kFormat && (bytes[1] & kHasExpiry);
}

size_t header_bytes(std::string_view bytes) {
    return std::min(bytes.size(), kHeaderBytes + (says_expiry(bytes) ? kExpiryBytes : 0));
}
}  // namespace

Bytes data_prefix(KeyspaceId keyspace) { return make_key(Space::Data, keyspace.value, 4, ""); }

Bytes database_prefix(KeyspaceId keyspace, uint16_t database) {
    return data_key(keyspace, database, "");
}

Bytes data_key(KeyspaceId keyspace, uint16_t database, std::string_view user_key) {
    return make_key(Space::Data, keyspace.value << 16 | database, 6, user_key);
}
Bytes request_key(KeyspaceId keyspace, std::string_view client) {
    return make_key(Space::Requests, keyspace.value, 4, client);
}
Bytes meta_key(GroupId group, std::string_view name) {
    return make_key(Space::Meta, group.value, 8, name);
}

Bytes after_prefix(const Bytes& prefix) {
    std::string end = prefix.str();
    while (!end.empty() && static_cast<uint8_t>(end.back()) == 0xFF)
        end.pop_back();
    if (!end.empty()) end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
    return Bytes::copy(end);
}

uint64_t encoded_bytes(const Record& record) {
    return kHeaderBytes + (record.expiry_ms ? kExpiryBytes : 0) + record.value_bytes();
}

Bytes encode(const Record& record) {
    wire::Writer out(kHeaderBytes + kExpiryBytes + record.value.size());
    out.u8(kFormat).u8(record.expiry_ms ? kHasExpiry : 0).u8(static_cast<uint8_t>(record.type));
    out.u64(record.commit_time.value).u64(record.version.value);
    if (record.expiry_ms) out.u64(static_cast<uint64_t>(record.expiry_ms));
    out.raw(record.value.view());
    return out.take();
}

bool has_expiry(const Bytes& bytes) { return says_expiry(bytes.view()); }

size_t value_bytes(std::string_view bytes) { return bytes.size() - header_bytes(bytes); }

Excerpt excerpt(std::string_view bytes, Part part) {
    const size_t header = header_bytes(bytes), size = bytes.size() - header;
    const size_t from = std::min<uint64_t>(part.from, size);
    const size_t taken = std::min<uint64_t>(part.bytes, size - from);
    BytesBuilder out(header + taken);
    out.append(bytes.substr(0, header));
    out.append(bytes.substr(header + from, taken));
    return {out.take(), from, size - from - taken};
}

Result<Record> decode_record(const Excerpt& part) {
    Record r = TRY(decode_record(part.bytes));
    r.before = part.before;
    r.behind = part.behind;
    return r;
}

Result<Record> decode_record(const Bytes& bytes) {
    wire::Reader in(bytes);
    const uint8_t format = in.u8();
    if (in.ok() && format != kFormat)
        return fail(Errc::Unsupported, "record format " + std::to_string(format));
    const uint8_t flags = in.u8();
    Record r;
    r.type = static_cast<Type>(in.u8());
    r.commit_time = HybridTime(in.u64());
    r.version = LogIndex(in.u64());
    if (flags & kHasExpiry) r.expiry_ms = static_cast<int64_t>(in.u64());
    if (!in.ok() || (flags & ~kHasExpiry) || r.type != Type::String)
        return fail(Errc::Corrupt, "record header");
    r.value = in.raw(in.remaining());
    return r;
}

}  // namespace asterias::kv
