#include <gtest/gtest.h>

#include "core/session/effects.h"

namespace asterias::session {
namespace {

const SessionId kId{NodeId(1), Incarnation(5), ShardId(0)};

Advance advance(SessionId id, uint64_t low, std::vector<uint64_t> numbers) {
    Advance a{id, low, {}};
    for (uint64_t n : numbers)
        a.results.push_back({n, kv::Reply::number(static_cast<int64_t>(n))});
    return a;
}

TEST(Session, AResultIsFoundUntilTheLowWaterMarkPassesIt) {
    Table table;
    EXPECT_TRUE(std::holds_alternative<Fresh>(table.find(kId, 1)));
    ASSERT_TRUE(table.apply(advance(kId, 1, {1, 2, 4})));
    EXPECT_EQ(std::get<Done>(table.find(kId, 2)).reply, kv::Reply::number(2));
    EXPECT_TRUE(std::holds_alternative<Fresh>(table.find(kId, 3)));
    EXPECT_TRUE(std::holds_alternative<Fresh>(table.find(kId, 5)));
    ASSERT_TRUE(table.apply(advance(kId, 4, {6})));
    EXPECT_TRUE(std::holds_alternative<Stale>(table.find(kId, 3)));
    EXPECT_EQ(std::get<Done>(table.find(kId, 4)).reply, kv::Reply::number(4));
}

TEST(Session, ARestartedGatewayDropsItsEarlierWindowAndTheEarlierStartStaysRefused) {
    Table table;
    SessionId next = kId;
    next.incarnation = kId.incarnation.next();
    table.apply(advance(kId, 1, {1}));
    ASSERT_TRUE(table.apply(advance(next, 1, {1})));
    EXPECT_TRUE(std::holds_alternative<Stale>(table.find(kId, 7)));
    EXPECT_FALSE(table.apply(advance(kId, 1, {8})));
    EXPECT_EQ(table.highest(kId), UINT64_MAX) << "nothing of it is new any more";
    EXPECT_EQ(table.highest(next), 1u);
    EXPECT_EQ(std::get<Done>(table.find(next, 1)).reply, kv::Reply::number(1));
}

TEST(Session, AStoredWindowComesBackAsItWas) {
    Table a, b;
    a.apply(advance(kId, 2, {2, 3, 9}));
    ASSERT_TRUE(b.load(a.encode(kId)).has_value());
    EXPECT_EQ(b.encode(kId), a.encode(kId));
    EXPECT_EQ(b.highest(kId), 9u);
    EXPECT_EQ(b.load(Bytes::literal("x")).error().code, Errc::Unsupported);
}

TEST(Effects, RoundTripAndEveryTruncationIsRefused) {
    Effects e{HybridTime(7),
              LogIndex(2),
              {advance(kId, 3, {3, 4})},
              {{Bytes::literal("k"), Bytes::literal("v")},
               {Bytes::literal("gone"), {}},
               {Bytes::literal("from"), {}, Bytes::literal("to")}}};
    const Bytes bytes = encode(e);
    ASSERT_EQ(decode_effects(bytes).value(), e);
    for (size_t n = 0; n < bytes.size(); ++n)
        EXPECT_FALSE(decode_effects(bytes.slice(0, n)));
}

}  // namespace
}  // namespace asterias::session
