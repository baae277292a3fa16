#include "core/kv/command.h"

namespace asterias::kv {

bool Command::is_write() const {
    switch (op) {
        case Op::Get:
        case Op::Exists:
        case Op::MGet:
        case Op::Ttl:
        case Op::Type:
        case Op::StrLen:
            return false;
        case Op::Set:
        case Op::Del:
        case Op::IncrBy:
        case Op::MSet:
        case Op::ExpireAt:
        case Op::Persist:
        case Op::Append:
        case Op::GetDel:
            return true;
    }
    return true;
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
    size_t bytes = text.size();
    for (const auto& item : items)
        bytes += item.content_bytes();
    return bytes;
}

void encode(wire::Writer& out, const Command& c) {
    out.u8(static_cast<uint8_t>(c.op)).varint(c.flags).varint(c.database).varint(c.keyspace.value);
    out.varint(zigzag(c.number)).varint(c.keys.size());
    for (const auto& key : c.keys)
        out.bytes(key);
    out.varint(c.values.size());
    for (const auto& value : c.values)
        out.bytes(value);
    out.bytes(c.request.client);
    if (!c.request.client.empty()) out.varint(c.request.sequence);
}

Command decode_command(wire::Reader& in) {
    Command c;
    const uint8_t op = in.u8();
    if (op == 0 || op > kLastOp) in.set_failed();
    c.op = static_cast<Op>(op);
    c.flags = static_cast<uint16_t>(in.varint());
    c.database = static_cast<uint16_t>(in.varint());
    c.keyspace = KeyspaceId(in.varint());
    c.number = unzigzag(in.varint());
    for (size_t n = checked_count(in); n > 0 && in.ok(); --n)
        c.keys.push_back(in.bytes());
    for (size_t n = checked_count(in); n > 0 && in.ok(); --n)
        c.values.push_back(in.bytes());
    c.request.client = in.bytes();
    if (!c.request.client.empty()) c.request.sequence = in.varint();
    const bool one_value = c.op == Op::Set || c.op == Op::Append;
    const size_t values_wanted = one_value ? 1 : c.op == Op::MSet ? c.keys.size() : 0;
    if (c.keys.empty() || c.values.size() != values_wanted) in.set_failed();
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
            if (depth == 4) {
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
