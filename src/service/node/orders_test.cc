// Orders on their way: as bytes, as words, and what is wrong with them.
#include "service/node/orders.h"

#include <gtest/gtest.h>

namespace asterias::node {
namespace {

using What = Order::What;

TEST(Orders, RoundTripAndEveryTruncationIsRefused) {
    const Order order{What::Replace, "orders", NodeId(300), NodeId(2), false, true};
    const Bytes bytes = encode(order);
    EXPECT_EQ(decode_order(bytes).value(), order);
    for (size_t n = 0; n < bytes.size(); ++n)
        EXPECT_FALSE(decode_order(bytes.slice(0, n)));
    EXPECT_FALSE(decode_order(Bytes::copy(bytes.str() + "x")));
    for (const char what : {'\0', '\6'}) {
        std::string bad = bytes.str();
        bad[0] = what;
        EXPECT_FALSE(decode_order(Bytes::copy(bad)));
    }
}

TEST(Orders, WhatIsMissingOrNotKnownIsNamed) {
    Founding founding;
    founding.expected = 2;
    founding.members = {{NodeId(1), 1, {}, {}}, {NodeId(2), 2, {}, {}}};
    const auto why = [&](Order order) {
        order.keyspace = "k";
        const auto checked = check(order, founding);
        return checked ? "" : checked.error().context;
    };
    EXPECT_EQ(why({What::List, "", {}, {}, false, false}), "");
    EXPECT_EQ(why({What::Transfer, "", {}, {}, false, false}), "");
    EXPECT_EQ(why({What::Add, "", NodeId(2), {}, true, false}), "");
    EXPECT_EQ(why({What::Replace, "", NodeId(2), NodeId(1), false, false}), "");
    EXPECT_NE(why({What::Add, "", {}, {}, false, false}).find("node is missing"),
              std::string::npos);
    EXPECT_NE(why({What::Replace, "", NodeId(2), {}, false, false}).find("from"),
              std::string::npos);
    EXPECT_NE(why({What::Remove, "", NodeId(2), NodeId(1), false, false}).find("from"),
              std::string::npos);
    EXPECT_NE(why({What::Remove, "", NodeId(2), {}, true, false}).find("witness"),
              std::string::npos);
    EXPECT_EQ(why({What::Add, "", NodeId(9), {}, false, false}),
              "there is no node 9 in this cluster, but nodes 1, 2");
    EXPECT_FALSE(what_of("list"));
    EXPECT_EQ(what_of("transfer").value(), What::Transfer);
}

TEST(Orders, AListTellsWhoComesAndWhoGoes) {
    replica::Status group;
    group.group = GroupId(2);
    auto& raft = group.raft;
    raft.last = LogIndex(100);
    raft.membership.voters = {{ReplicaId(1), NodeId(1)}, {ReplicaId(4), NodeId(4), true}};
    raft.membership.outgoing = {{ReplicaId(1), NodeId(1)}, {ReplicaId(2), NodeId(2)}};
    raft.membership.learners = {{ReplicaId(5), NodeId(5)}};
    raft.peers.push_back({{ReplicaId(5), NodeId(5)}, LogIndex(40), {}, true, true});
    const Copies copies{3, 1, 2};
    group.snapshots.push_back({false, NodeId(5), LogIndex(90), 4096});
    EXPECT_EQ(members_json(group, "orders", NodeId(1), copies),
              "{\"keyspace\":\"orders\",\"group\":2,\"leader\":1,\"term\":0,\"last\":100,"
              "\"settled\":false,\"copies\":1,\"wanted\":3,\"members\":["
              "{\"node\":1,\"replica\":1,\"role\":\"voter\",\"witness\":false,\"match\":100,"
              "\"heard\":true},"
              "{\"node\":4,\"replica\":4,\"role\":\"voter\",\"witness\":true},"
              "{\"node\":2,\"replica\":2,\"role\":\"leaving\",\"witness\":false},"
              "{\"node\":5,\"replica\":5,\"role\":\"learner\",\"witness\":false,\"match\":40,"
              "\"heard\":true,\"needs_snapshot\":true,\"snapshot_bytes\":4096}]}");
    raft.membership.outgoing.clear();
    EXPECT_NE(members_json(group, "orders", NodeId(1), copies).find("\"settled\":true"),
              std::string::npos);
    raft.membership.promote = ReplicaId(5);
    EXPECT_NE(members_json(group, "orders", NodeId(1), copies).find("\"settled\":false"),
              std::string::npos);
}

}  // namespace
}  // namespace asterias::node
