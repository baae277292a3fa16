#include "core/kv/command.h"

#include <algorithm>
#include <iterator>

namespace asterias::kv {

namespace {
constexpr uint8_t kMany = OpTraits::kMany;
// clang-format off
constexpr OpTraits kTraits[] = {
    // keys      values write  grows  needs_values, span
    {0, 0,       0,     false, false, false, false},  // none has number 0
    {1, 1,       0,     false, false, true, false},   // Get
    {1, 1,       1,     true,  true,  true, false},   // Set
    {1, kMany,   0,     true,  false, false, false},  // Del
    {1, kMany,   0,     false, false, false, false},  // Exists
    {1, 1,       0,     true,  true,  true, false},   // IncrBy
    {1, kMany,   0,     false, false, true, false},   // MGet
    {1, kMany,   kMany, true,  true,  true, false},   // MSet
    {1, 1,       0,     false, false, false, false},  // Ttl
    {1, 1,       0,     true,  false, true, false},   // ExpireAt
    {1, 1,       0,     true,  false, true, false},   // Persist
    {1, 1,       0,     false, false, false, false},  // Type
    {1, 1,       0,     false, false, true, false},   // StrLen
    {1, 1,       1,     true,  true,  true, false},   // Append
    {1, 1,       0,     true,  false, true, false},   // GetDel
    {1, 1,       0,     true,  false, true, false},   // GetEx
    {1, kMany,   kMany, true,  true,  false, false},  // MSetNx
    {1, 1,       1,     true,  true,  true, false},   // IncrByFloat
    {1, 1,       1,     true,  true,  true, false},   // SetRange
    {1, 1,       0,     false, false, true, false},   // GetRange
    {2, 2,       0,     false, false, true, false},   // Lcs
    {2, 2,       0,     true,  true,  true, false},   // Rename
    {2, 2,       0,     true,  true,  true, false},   // Copy
    {1, 1,       0,     false, false, true, false},   // Object
    {1, kMany,   0,     false, false, false, false},  // Version
    {1, 1,       0,     false, false, false, false},  // IfVersion
    {0, 0,       0,     false, false, true, false},   // Batch
    {0, 0,       0,     true,  false, false, false},  // Flush
    {0, 0,       0,     false, false, false, true},   // Count
    {0, 0,       1,     false, false, false, true},   // Keys
    {0, 0,       2,     false, false, false, true},   // Scan
    {0, 0,       0,     false, false, false, true},   // RandomKey
    {0, 0,       1,     true,  true,  false, false},  // Boundary
};
// clang-format on
static_assert(std::size(kTraits) == kLastOp + 1);

bool fits(const Command& c) {
    const OpTraits& t = traits(c.op);
    const bool many = t.keys_most == kMany;
    const size_t values = t.values == kMany ? c.keys.size() : t.values;
    return c.keys.size() >= t.keys_least && (many || c.keys.size() <= t.keys_most) &&
           c.values.size() == values && (c.op == Op::Batch) == !c.batch.empty();
}
}  // namespace

const OpTraits& traits(Op op) { return kTraits[static_cast<uint8_t>(op)]; }

bool Command::is_write() const {
    return traits(op).write || std::ranges::any_of(batch, &Command::is_write);
}

bool Command::grows() const {
    return traits(op).grows || std::ranges::any_of(batch, &Command::grows);
}

bool Command::on_all_keys() const { return op == Op::Flush || traits(op).span; }

bool Command::flushes() const {
    return op == Op::Flush || std::ranges::any_of(batch, &Command::flushes);
}

namespace {
uint64_t zigzag(int64_t v) {
    return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
int64_t unzigzag(uint64_t v) { return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1); }

// A count of things that take at least one byte each cannot exceed what is left.
size_t checked_count(wire::Reader& in) {
    const uint64_t n = in.varint();
    if (n > in.remaining()) {
        in.set_failed();
        return 0;
    }
    return n;
}
}  // namespace

size_t Reply::content_bytes() const {
    size_t bytes = 16 + text.size();
    for (const auto& item : items)
        bytes += item.content_bytes();
    return bytes;
}

void encode(wire::Writer& out, const Command& c) {
    out.u8(static_cast<uint8_t>(c.op)).varint(c.flags).varint(c.database).varint(c.keyspace.value);
    out.varint(zigzag(c.number)).varint(zigzag(c.number2)).varint(c.keys.size());
    for (const auto& key : c.keys)
        out.bytes(key);
    out.varint(c.values.size());
    for (const auto& value : c.values)
        out.bytes(value);
    out.bytes(c.request.client);
    if (!c.request.client.empty()) out.varint(c.request.sequence);
    if (c.op == Op::Batch) {
        out.varint(c.batch.size());
        for (const auto& command : c.batch)
            encode(out, command);
    }
    if (c.spans()) out.varint(c.generation);
}

Command decode_command(wire::Reader& in, int depth) {
    Command c;
    const uint8_t op = in.u8();
    if (op == 0 || op > kLastOp) in.set_failed();
    c.op = static_cast<Op>(op);
    c.flags = static_cast<uint16_t>(in.varint());
    c.database = static_cast<uint16_t>(in.varint());
    c.keyspace = KeyspaceId(in.varint());
    c.number = unzigzag(in.varint());
    c.number2 = unzigzag(in.varint());
    for (size_t n = checked_count(in); n > 0 && in.ok(); --n)
        c.keys.push_back(in.bytes());
    for (size_t n = checked_count(in); n > 0 && in.ok(); --n)
        c.values.push_back(in.bytes());
    c.request.client = in.bytes();
    if (!c.request.client.empty()) c.request.sequence = in.varint();
    if (in.ok() && c.op == Op::Batch && depth == 0)
        for (size_t n = checked_count(in); n > 0 && in.ok(); --n)
            c.batch.push_back(decode_command(in, depth + 1));
    if (in.ok() && c.spans()) c.generation = in.varint();
    const bool inner = depth > 0;
    if (inner && (!c.request.client.empty() || c.keyspace != KeyspaceId() || c.generation))
        in.set_failed();
    if ((c.op == Op::IfVersion) > inner || (c.op == Op::Boundary && inner) || !in.ok() || !fits(c))
        in.set_failed();
    if (inner && in.ok() && traits(c.op).span) in.set_failed();
    return c;
}

void encode(wire::Writer& out, const Reply& r) {
    out.u8(static_cast<uint8_t>(r.kind));
    switch (r.kind) {
        case Reply::Kind::Ok:
        case Reply::Kind::Nil:
            break;
        case Reply::Kind::Integer:
            out.varint(zigzag(r.integer));
            break;
        case Reply::Kind::Bulk:
        case Reply::Kind::Status:
        case Reply::Kind::Error:
            out.bytes(r.text);
            break;
        case Reply::Kind::Array:
            out.varint(r.items.size());
            for (const auto& item : r.items)
                encode(out, item);
    }
}

Reply decode_reply(wire::Reader& in, int depth) {
    constexpr int kDepthMax = 5;  // a batch of Lcs with kIndexes
    Reply r;
    const uint8_t kind = in.u8();
    r.kind = static_cast<Reply::Kind>(kind);
    switch (r.kind) {
        case Reply::Kind::Ok:
        case Reply::Kind::Nil:
            break;
        case Reply::Kind::Integer:
            r.integer = unzigzag(in.varint());
            break;
        case Reply::Kind::Bulk:
        case Reply::Kind::Status:
        case Reply::Kind::Error:
            r.text = in.bytes();
            break;
        case Reply::Kind::Array:
            if (depth == kDepthMax) {
                in.set_failed();
                break;
            }
            // An item is many times larger here than there: grow with what is really read.
            for (size_t n = checked_count(in); n > 0 && in.ok(); --n)
                r.items.push_back(decode_reply(in, depth + 1));
            break;
        default:
            in.set_failed();
    }
    return r;
}

}  // namespace asterias::kv
