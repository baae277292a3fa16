#include "service/replica/codec.h"

namespace asterias::replica {
namespace {
enum MessageKind : uint8_t {
    kVoteRequest = 1,
    kVoteReply = 2,
    kAppendRequest = 3,
    kAppendReply = 4,
    kHeartbeat = 5,
    kHeartbeatReply = 6,
    kTimeoutNow = 7,
    kRemoved = 8,
    kReadIndexRequest = 9,
    kReadIndexReply = 10,
};

struct BodyWriter {
    wire::Writer& out;

    uint8_t operator()(const raft::VoteRequest& m) {
        out.u8(m.pre).varint(m.last_index.value).varint(m.last_term.value).u8(m.transfer);
        return kVoteRequest;
    }
    uint8_t operator()(const raft::VoteReply& m) {
        out.u8(m.pre).u8(m.granted);
        return kVoteReply;
    }
    uint8_t operator()(const raft::AppendRequest& m) {
        out.varint(m.prev_index.value).varint(m.prev_term.value).varint(m.commit.value);
        out.varint(m.entries.size());
        for (const auto& e : m.entries)
            out.varint(e.term.value).u8(static_cast<uint8_t>(e.kind)).u32(e.crc).bytes(e.payload);
        return kAppendRequest;
    }
    uint8_t operator()(const raft::AppendReply& m) {
        out.u8(m.accepted).varint(m.match.value).varint(m.conflict_index.value);
        out.varint(m.conflict_term.value);
        return kAppendReply;
    }
    uint8_t operator()(const raft::Heartbeat& m) {
        out.varint(m.commit.value).varint(m.round).u8(m.quiesce);
        return kHeartbeat;
    }
    uint8_t operator()(const raft::HeartbeatReply& m) {
        out.varint(m.round).u8(m.stalled);
        return kHeartbeatReply;
    }
    uint8_t operator()(const raft::TimeoutNow&) { return kTimeoutNow; }
    uint8_t operator()(const raft::Removed& m) {
        out.varint(m.index.value);
        return kRemoved;
    }
    uint8_t operator()(const raft::ReadIndexRequest& m) {
        out.varint(m.context);
        return kReadIndexRequest;
    }
    uint8_t operator()(const raft::ReadIndexReply& m) {
        out.varint(m.context).varint(m.index.value);
        return kReadIndexReply;
    }
};

raft::AppendRequest read_append(wire::Reader& in) {
    raft::AppendRequest m{LogIndex(in.varint()), Term(in.varint()), LogIndex(in.varint()), {}};
    LogIndex index = m.prev_index;
    for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
        index = index.next();
        wire::Entry e;
        e.index = index;
        e.term = Term(in.varint());
        const uint8_t kind = in.u8();
        if (kind == 0 || kind > wire::kLastEntryKind) in.set_failed();
        e.kind = static_cast<wire::EntryKind>(kind);
        e.crc = in.u32();
        // The entry outlives the frame it came in: it must not keep a whole read buffer alive.
        const Bytes payload = in.bytes();
        e.payload = Bytes::copy(payload.view());
        m.entries.push_back(std::move(e));
    }
    return m;
}
}  // namespace

void write_message(wire::Writer& out, GroupId group, const raft::Message& message) {
    out.varint(group.value);
    const size_t head = out.size();
    out.u8(0).u32(0);
    out.varint(message.from.value).varint(message.to.value).varint(message.term.value);
    const uint8_t kind = std::visit(BodyWriter{out}, message.body);
    const auto length = static_cast<uint32_t>(out.size() - head - 5);
    out.patch(head, {reinterpret_cast<const char*>(&kind), 1});
    out.patch(head + 1, {reinterpret_cast<const char*>(&length), 4});
}

bool read_message(wire::Reader& whole, GroupMessage& out) {
    out.group = GroupId(whole.varint());
    const uint8_t kind = whole.u8();
    const uint32_t length = whole.u32();
    wire::Reader in(whole.raw(length));
    if (!whole.ok()) return false;
    raft::Message& m = out.message;
    m.from = ReplicaId(in.varint());
    m.to = ReplicaId(in.varint());
    m.term = Term(in.varint());
    if (m.from > kReplicaMax || m.to > kReplicaMax) in.set_failed();
    switch (kind) {
        case kVoteRequest:
            m.body = raft::VoteRequest{in.u8() != 0, LogIndex(in.varint()), Term(in.varint()),
                                       in.u8() != 0};
            break;
        case kVoteReply:
            m.body = raft::VoteReply{in.u8() != 0, in.u8() != 0};
            break;
        case kAppendRequest:
            m.body = read_append(in);
            break;
        case kAppendReply:
            m.body = raft::AppendReply{in.u8() != 0, LogIndex(in.varint()), LogIndex(in.varint()),
                                       Term(in.varint())};
            break;
        case kHeartbeat:
            m.body = raft::Heartbeat{LogIndex(in.varint()), in.varint(), in.u8() != 0};
            break;
        case kHeartbeatReply:
            m.body = raft::HeartbeatReply{in.varint(), in.u8() != 0};
            break;
        case kTimeoutNow:
            m.body = raft::TimeoutNow{};
            break;
        case kRemoved:
            m.body = raft::Removed{LogIndex(in.varint())};
            break;
        case kReadIndexRequest:
            m.body = raft::ReadIndexRequest{in.varint()};
            break;
        case kReadIndexReply:
            m.body = raft::ReadIndexReply{in.varint(), LogIndex(in.varint())};
            break;
        default:
            return false;
    }
    if (!in.ok()) whole.set_failed();
    return whole.ok();
}

void write_head(wire::Writer& out, const ForwardHead& h) {
    out.varint(h.group.value).varint(h.session_shard.value).varint(h.epoch).varint(h.low_water);
}
ForwardHead read_head(wire::Reader& in) {
    return {GroupId(in.varint()), ShardId(in.varint()), in.varint(), in.varint()};
}

void write_forwarded(wire::Writer& out, uint64_t ticket, uint64_t sequence, uint32_t remaining_ms,
                     const kv::Command& command) {
    out.varint(ticket).varint(sequence).varint(remaining_ms);
    kv::encode(out, command);
}
Forwarded read_forwarded(wire::Reader& in) {
    Forwarded f{in.varint(), in.varint(), static_cast<uint32_t>(in.varint()), {}};
    f.command = kv::decode_command(in);
    return f;
}

void write_answered(wire::Writer& out, const Answered& a) {
    out.varint(a.ticket).varint(a.epoch).u8(static_cast<uint8_t>(a.answer.kind));
    out.varint(a.answer.leader.value).varint(a.answer.term.value).varint(a.answer.index.value);
    if (a.answer.kind == Answer::Kind::Done) kv::encode(out, a.answer.reply);
}
Answered read_answered(wire::Reader& in) {
    Answered a{in.varint(), in.varint(), {}};
    const uint8_t kind = in.u8();
    if (kind == 0 || kind > static_cast<uint8_t>(Answer::Kind::Full)) in.set_failed();
    a.answer.kind = static_cast<Answer::Kind>(kind);
    a.answer.leader = NodeId(in.varint());
    a.answer.term = Term(in.varint());
    a.answer.index = LogIndex(in.varint());
    if (a.answer.kind == Answer::Kind::Done) a.answer.reply = kv::decode_reply(in);
    return a;
}

}  // namespace asterias::replica
