#include "service/replica/snapshot.h"

namespace asterias::replica {
namespace {
enum SnapshotKind : uint8_t { kBegin = 1, kPiece = 2 };
constexpr size_t kWhyBytesMax = 200;

struct BodyWriter {
    wire::Writer& out;
    void operator()(const SnapshotBegin& b) {
        const auto& [meta, commit_time, matched_by_all] = b.head;
        out.u8(kBegin).varint(meta.index.value).varint(meta.term.value);
        out.varint(meta.membership_index.value).bytes(raft::encode(meta.membership));
        out.u64(commit_time.value).varint(matched_by_all.value);
    }
    void operator()(const SnapshotPiece& p) {
        out.u8(kPiece).varint(p.number).u32(p.crc).u8(p.last);
        if (p.last) out.varint(p.pairs).u32(p.crc_of_all);
        out.bytes(p.content);
    }
};

Result<SnapshotBegin> read_begin(wire::Reader& in) {
    SnapshotHead head;
    head.meta.index = LogIndex(in.varint());
    head.meta.term = Term(in.varint());
    head.meta.membership_index = LogIndex(in.varint());
    const Bytes membership = in.bytes();
    head.commit_time = HybridTime(in.u64());
    head.matched_by_all = LogIndex(in.varint());
    if (!in.ok()) return fail(Errc::Corrupt, "head of a snapshot");
    head.meta.membership = TRY(raft::decode_membership(membership));
    const auto& m = head.meta;
    if (!m.index || m.index > raft::kIndexMax || !m.term || m.term > raft::kTermMax ||
        m.membership_index > m.index || head.matched_by_all > m.index)
        return fail(Errc::Corrupt, "head of a snapshot: numbers that cannot be");
    return SnapshotBegin{std::move(head)};
}
}  // namespace

void write_snapshot(wire::Writer& out, const SnapshotMessage& m) {
    out.varint(m.group.value).varint(m.from.value).varint(m.to.value);
    out.varint(m.term.value).u64(m.id);
    std::visit(BodyWriter{out}, m.body);
}

Result<SnapshotMessage> read_snapshot(const Bytes& body) {
    wire::Reader in(body);
    SnapshotMessage m{GroupId(in.varint()),
                      ReplicaId(in.varint()),
                      ReplicaId(in.varint()),
                      Term(in.varint()),
                      in.u64(),
                      {}};
    const uint8_t kind = in.u8();
    if (!in.ok() || m.term > raft::kTermMax) return fail(Errc::Corrupt, "snapshot");
    if (kind == kBegin) {
        m.body = TRY(read_begin(in));
    } else if (kind == kPiece) {
        SnapshotPiece p;
        p.number = in.varint();
        p.crc = in.u32();
        p.last = in.u8() != 0;
        if (p.last) {
            p.pairs = in.varint();
            p.crc_of_all = in.u32();
        }
        p.content = in.bytes();
        m.body = std::move(p);
    } else {
        return fail(Errc::Unsupported, "snapshot message kind " + std::to_string(kind));
    }
    if (!in.ok() || !in.at_end()) return fail(Errc::Corrupt, "snapshot");
    return m;
}

void write_snapshot_reply(wire::Writer& out, const SnapshotReply& r) {
    out.varint(r.group.value).varint(r.from.value).varint(r.to.value).u64(r.id);
    out.u8(static_cast<uint8_t>(r.kind)).varint(r.next);
    out.bytes(std::string_view(r.why).substr(0, kWhyBytesMax));
}

Result<SnapshotReply> read_snapshot_reply(const Bytes& body) {
    wire::Reader in(body);
    SnapshotReply r{
        GroupId(in.varint()), ReplicaId(in.varint()), ReplicaId(in.varint()), in.u64(), {}, 0, {}};
    const uint8_t kind = in.u8();
    if (kind == 0 || kind > static_cast<uint8_t>(SnapshotReply::Kind::Busy)) in.set_failed();
    r.kind = static_cast<SnapshotReply::Kind>(kind);
    r.next = in.varint();
    r.why = in.bytes().view().substr(0, kWhyBytesMax);
    for (char& c : r.why)
        if (c < 0x20 || c > 0x7e) c = '?';
    if (!in.ok() || !in.at_end()) return fail(Errc::Corrupt, "snapshot reply");
    return r;
}

Bytes encode_pairs(const std::vector<port::KeyValue>& pairs) {
    size_t bytes = 0;
    for (const auto& [key, value] : pairs)
        bytes += key.size() + value.size() + 10;
    wire::Writer out(bytes);
    for (const auto& [key, value] : pairs)
        out.bytes(key).bytes(value);
    return out.take();
}

Result<std::vector<port::KeyValue>> decode_pairs(const Bytes& content) {
    wire::Reader in(content);
    std::vector<port::KeyValue> pairs;
    while (in.ok() && !in.at_end()) {
        port::KeyValue pair;
        pair.key = in.bytes();
        pair.value = in.bytes();
        pairs.push_back(std::move(pair));
    }
    if (!in.ok()) return fail(Errc::Corrupt, "content of a snapshot");
    return pairs;
}

}  // namespace asterias::replica
