#include "service/replica/codec.h"

#include <gtest/gtest.h>

namespace asterias::replica {
namespace {

kv::Command sample_command() {
    kv::Command c;
    c.op = kv::Op::Set;
    c.flags = kv::flag::kNx | kv::flag::kExpire;
    c.database = 3;
    c.keyspace = KeyspaceId(2);
    c.number = -5;
    c.keys = {Bytes::literal("key")};
    c.values = {Bytes::literal("value")};
    c.request = {Bytes::literal("client"), 9};
    return c;
}

std::vector<raft::MessageBody> sample_bodies() {
    const auto entry = wire::make_entry(GroupId(4), Term(6), LogIndex(8), wire::EntryKind::Effects,
                                        Bytes::literal("payload"));
    const auto noop = wire::make_entry(GroupId(4), Term(7), LogIndex(9), wire::EntryKind::Noop, {});
    return {raft::VoteRequest{true, LogIndex(300), Term(2), true},
            raft::VoteReply{false, true},
            raft::AppendRequest{LogIndex(7), Term(5), LogIndex(6), {entry, noop}},
            raft::AppendReply{false, {}, LogIndex(3), Term(1)},
            raft::Heartbeat{LogIndex(70), 1 << 20, true},
            raft::HeartbeatReply{12},
            raft::HeartbeatReply{13, true},
            raft::TimeoutNow{},
            raft::Removed{LogIndex(8)},
            raft::ReadIndexRequest{1 << 20},
            raft::ReadIndexReply{1 << 20, LogIndex(70)}};
}

TEST(Codec, MessagesOfSeveralGroupsShareABody) {
    wire::Writer out;
    for (const auto& body : sample_bodies())
        write_message(out, GroupId(4), {ReplicaId(1), ReplicaId(2), Term(7), body});
    wire::Reader in(out.take());
    for (const auto& body : sample_bodies()) {
        GroupMessage m;
        ASSERT_TRUE(read_message(in, m));
        EXPECT_EQ(m.group, GroupId(4));
        EXPECT_EQ(m.message, (raft::Message{ReplicaId(1), ReplicaId(2), Term(7), body}));
    }
    EXPECT_TRUE(in.ok() && in.at_end());
}

TEST(Codec, EveryTruncatedMessageIsRefused) {
    for (const auto& body : sample_bodies()) {
        wire::Writer out;
        write_message(out, GroupId(4), {ReplicaId(1), ReplicaId(2), Term(7), body});
        const Bytes whole = out.take();
        for (size_t n = 0; n < whole.size(); ++n) {
            wire::Reader in(whole.slice(0, n));
            GroupMessage m;
            EXPECT_FALSE(read_message(in, m));
            EXPECT_FALSE(in.ok());
        }
    }
}

// A node holds no replica below the highest that it was given: such a number would be the last.
TEST(Codec, AMessageToOrFromAReplicaOfAnAbsurdNumberIsRefused) {
    const ReplicaId above{kReplicaMax.value + 1};
    const auto is_read = [](ReplicaId from, ReplicaId to) {
        wire::Writer out;
        write_message(out, GroupId(4), {from, to, Term(7), raft::HeartbeatReply{12}});
        wire::Reader in(out.take());
        GroupMessage m;
        return read_message(in, m) && in.ok();
    };
    EXPECT_TRUE(is_read(kReplicaMax, kReplicaMax));
    EXPECT_FALSE(is_read(above, ReplicaId(1)));
    EXPECT_FALSE(is_read(ReplicaId(1), above));
}

TEST(Codec, AKindOfMessageThatIsNotKnownIsSkippedAndAKindOfEntryIsNot) {
    wire::Writer out;
    out.varint(4).u8(99).u32(3).raw("abc");
    write_message(out, GroupId(4), {ReplicaId(1), ReplicaId(2), Term(7), raft::HeartbeatReply{12}});
    wire::Reader in(out.take());
    GroupMessage m;
    EXPECT_FALSE(read_message(in, m));
    EXPECT_TRUE(in.ok());
    EXPECT_TRUE(read_message(in, m));

    auto entry = wire::make_entry(GroupId(4), Term(1), LogIndex(1),
                                  static_cast<wire::EntryKind>(wire::kLastEntryKind + 1), {});
    wire::Writer bad;
    write_message(bad, GroupId(4),
                  {ReplicaId(1), ReplicaId(2), Term(7), raft::AppendRequest{{}, {}, {}, {entry}}});
    wire::Reader refused(bad.take());
    EXPECT_FALSE(read_message(refused, m));
    EXPECT_FALSE(refused.ok());
}

TEST(Codec, ForwardedCommandsRoundTripAndEveryTruncationIsRefused) {
    wire::Writer out;
    write_head(out, {GroupId(2), ShardId(1), 77, 5});
    write_forwarded(out, 1000, 6, 4321, sample_command());
    const Bytes whole = out.take();
    wire::Reader in(whole);
    const auto head = read_head(in);
    EXPECT_EQ(head.group, GroupId(2));
    EXPECT_EQ(head.session_shard, ShardId(1));
    EXPECT_EQ(head.epoch, 77u);
    EXPECT_EQ(head.low_water, 5u);
    const auto f = read_forwarded(in);
    EXPECT_TRUE(in.ok() && in.at_end());
    EXPECT_EQ(f.ticket, 1000u);
    EXPECT_EQ(f.sequence, 6u);
    EXPECT_EQ(f.remaining_ms, 4321u);
    EXPECT_EQ(f.command, sample_command());
    for (size_t n = 0; n < whole.size(); ++n) {
        wire::Reader cut(whole.slice(0, n));
        read_head(cut);
        read_forwarded(cut);
        EXPECT_FALSE(cut.ok()) << n;
    }
}

TEST(Codec, AnswersRoundTripAndEveryTruncationIsRefused) {
    for (auto kind : {Answer::Kind::Done, Answer::Kind::NotLeader, Answer::Kind::Lost,
                      Answer::Kind::Refused, Answer::Kind::Busy, Answer::Kind::Full}) {
        wire::Writer out;
        const bool done = kind == Answer::Kind::Done;
        write_answered(out, {3,
                             4,
                             {kind, NodeId(5), Term(6), LogIndex(7),
                              done ? kv::Reply::number(-8) : kv::Reply::nil()}});
        const Bytes whole = out.take();
        wire::Reader in(whole);
        const auto a = read_answered(in);
        EXPECT_TRUE(in.ok() && in.at_end());
        EXPECT_EQ(a.ticket, 3u);
        EXPECT_EQ(a.epoch, 4u);
        EXPECT_EQ(a.answer.kind, kind);
        EXPECT_EQ(a.answer.leader, NodeId(5));
        EXPECT_EQ(a.answer.reply, done ? kv::Reply::number(-8) : kv::Reply::nil());
        for (size_t n = 0; n < whole.size(); ++n) {
            wire::Reader cut(whole.slice(0, n));
            read_answered(cut);
            EXPECT_FALSE(cut.ok()) << n;
        }
    }
    wire::Writer unknown;
    unknown.varint(1).varint(1).u8(7).varint(0).varint(0).varint(0);
    wire::Reader in(unknown.take());
    read_answered(in);
    EXPECT_FALSE(in.ok());
}

}  // namespace
}  // namespace asterias::replica
