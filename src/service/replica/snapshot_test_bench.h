// A snapshot made by hand, and a leader that the test plays. Included by tests only.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "service/replica/replica_test_bench.h"

namespace asterias::replica {

// The state of a group after `index`: string keys, and what sessions were told.
struct MadeSnapshot {
    SnapshotHead head;
    std::vector<port::KeyValue> pairs;  // ascending
    uint64_t id = 77;
    Term term{3};  // in which its sender leads
    ReplicaId from{2};
    size_t pairs_in_piece = 2;

    SnapshotMessage blank() const { return {kGroup, from, ReplicaId(1), term, id, {}}; }
    SnapshotMessage begin() const {
        SnapshotMessage m = blank();
        m.body = SnapshotBegin{head};
        return m;
    }
    std::vector<SnapshotMessage> pieces() const {
        std::vector<SnapshotMessage> all;
        uint32_t crc = 0;
        for (size_t at = 0;;) {
            const size_t end = std::min(pairs.size(), at + pairs_in_piece);
            SnapshotPiece p;
            p.number = all.size();
            p.content = encode_pairs({pairs.begin() + static_cast<ptrdiff_t>(at),
                                      pairs.begin() + static_cast<ptrdiff_t>(end)});
            p.crc = crc32c(p.content.view());
            crc = crc32c(p.content.view(), crc);
            p.last = end == pairs.size();
            p.pairs = p.last ? end : 0;
            p.crc_of_all = p.last ? crc : 0;
            at = end;
            SnapshotMessage m = blank();
            m.body = p;
            all.push_back(std::move(m));
            if (p.last) return all;
        }
    }
};

inline MadeSnapshot make_snapshot(uint64_t index, size_t keys) {
    MadeSnapshot made;
    made.head.meta.index = LogIndex(index);
    made.head.meta.term = Term(2);
    for (uint64_t i = 1; i <= 3; ++i)
        made.head.meta.membership.voters.push_back({ReplicaId(i), NodeId(i)});
    made.head.meta.membership.last_replica = ReplicaId(3);
    made.head.commit_time = HybridTime(uint64_t{1} << 40);
    for (size_t i = 0; i < keys; ++i) {
        kv::Record record;
        record.version = LogIndex(1 + i);
        record.commit_time = HybridTime(5);
        record.value = Bytes::copy("value" + std::to_string(i));
        made.pairs.push_back(
            {kv::data_key(kKeyspace, 0, "k" + std::to_string(i + 100)), kv::encode(record)});
    }
    // One session that was told 42 for its number 5.
    session::Table sessions;
    sessions.apply({kSession, 5, {{5, kv::Reply::number(42)}}});
    made.pairs.push_back(
        {kv::meta_key(kGroup, session::Table::name_of(kSession)), sessions.encode(kSession)});
    return made;
}

inline void hear(Bench& b, const SnapshotMessage& message) {
    b.replica->receive_snapshot(NodeId(message.from.value), message);
    b.shard->touch();
}

// All of it, as a sender that never waits would.
inline void hear_all(Bench& b, const MadeSnapshot& made) {
    hear(b, made.begin());
    for (const auto& piece : made.pieces())
        hear(b, piece);
}

inline bool heard_back(const Bench& b, SnapshotReply::Kind kind) {
    return std::ranges::any_of(b.snapshot_replies,
                               [kind](const auto& r) { return r.kind == kind; });
}

inline bool installed(const Bench& b, const MadeSnapshot& made) {
    return b.replica->status().raft.applied >= made.head.meta.index;
}

// Read back through a leader: what is not in the snapshot is not there, all that is, is.
inline void expect_content(Bench& b, size_t keys) {
    b.elect();
    for (size_t i = 0; i < keys; ++i)
        EXPECT_EQ(b.read("k" + std::to_string(i + 100)).text.view(), "value" + std::to_string(i));
    EXPECT_EQ(b.read("old"), kv::Reply::nil());
    b.submit(900'001, 5, incr("n"), 2'000'000);
    EXPECT_EQ(b.await(900'001).reply, kv::Reply::number(42)) << "told before, and told again";
    EXPECT_EQ(b.read("n"), kv::Reply::nil());
}

}  // namespace asterias::replica
