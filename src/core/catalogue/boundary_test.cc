#include "core/catalogue/boundary.h"

#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace asterias::catalogue {
namespace {

constexpr KeyspaceId kFrom{1}, kTo{5};
constexpr Place kPlace{GroupId(2), kFrom};
using What = Order::What;

kv::Context context() { return {1000, HybridTime(9), LogIndex(70)}; }
Decided decide(const Boundary& now, const Order& order, Place place = kPlace) {
    return evaluate(now, command_of(order, place.keyspace), place, context());
}
kv::Command get(std::string key) {
    kv::Command c;
    c.keys.push_back(Bytes::copy(key));
    return c;
}

TEST(Boundary, AFencedPrefixIsRefusedAndNothingElse) {
    const auto decided = decide({}, {What::Fence, 2, "cart", {}});
    ASSERT_TRUE(decided.boundary);
    const Boundary b = *decided.boundary;
    EXPECT_TRUE(b.refuses(get("cart:1")));
    EXPECT_TRUE(b.refuses(get("cart:")));
    for (const char* other : {"cart", "carts:1", "car:t:1", "1:cart:", ""})
        EXPECT_FALSE(b.refuses(get(other))) << other;
    kv::Command batch;
    batch.op = kv::Op::Batch;
    batch.batch = {get("other"), get("cart:7")};
    EXPECT_TRUE(b.refuses(batch));
    EXPECT_EQ(decided.evaluation.writes.back(), (kv::Write{boundary_key(GroupId(2)), encode(b)}));
    EXPECT_EQ(decode_boundary(encode(b)).value(), b);
    EXPECT_FALSE(decide(b, {What::Lift, 3, "cart", {}}).boundary->refuses(get("cart:1")));
}

// Who does not know of a fence does not know who else to ask: it would miss keys.
TEST(Boundary, WhatIsOnAllKeysGoesByACatalogueAboveTheFences) {
    const auto on_all = [](kv::Op op, uint64_t generation) {
        kv::Command c;
        c.op = op;
        c.generation = generation;
        return c;
    };
    const Boundary fenced = *decide({}, {What::Fence, 5, "cart", {}}).boundary;
    for (const kv::Op op : {kv::Op::Flush, kv::Op::Count, kv::Op::Keys, kv::Op::Scan}) {
        EXPECT_FALSE(Boundary().refuses(on_all(op, 1)));
        EXPECT_TRUE(fenced.refuses(on_all(op, 5)));
        EXPECT_FALSE(fenced.refuses(on_all(op, 6)));
    }
    kv::Command batch = on_all(kv::Op::Batch, 5);
    batch.batch = {get("other")};
    EXPECT_FALSE(fenced.refuses(batch));
    batch.batch.push_back(on_all(kv::Op::Flush, 0));
    EXPECT_TRUE(fenced.refuses(batch));
    const Boundary again = *decide(fenced, {What::Fence, 8, "cart", {}}).boundary;
    EXPECT_FALSE(again.refuses(on_all(kv::Op::Count, 6))) << "it stood before";
    const Boundary lifted = *decide(again, {What::Lift, 9, "cart", {}}).boundary;
    EXPECT_TRUE(lifted.refuses(on_all(kv::Op::Count, 9))) << "it may ask who has them no more";
    EXPECT_FALSE(lifted.refuses(on_all(kv::Op::Count, 10)));
    EXPECT_EQ(decode_boundary(encode(lifted)).value(), lifted);
    EXPECT_TRUE(
        decide({}, {What::Close, 2, "cart", {}}).boundary->refuses(on_all(kv::Op::Count, 9)));
}

TEST(Boundary, AClosedGroupRefusesEverything) {
    const auto closed = decide({}, {What::Close, 2, "cart", {}}).boundary;
    EXPECT_TRUE(closed->refuses(get("anything")));
    EXPECT_FALSE(decide(*closed, {What::Open, 2, "cart", {}}).boundary->refuses(get("anything")));
}

TEST(Boundary, AnOrderOfAnEarlierGenerationIsLate) {
    const auto lifted = decide({}, {What::Lift, 5, "cart", {}}).boundary;
    const auto late = decide(*lifted, {What::Fence, 4, "cart", {}});
    EXPECT_FALSE(late.boundary);
    EXPECT_TRUE(late.evaluation.writes.empty());
    EXPECT_EQ(late.evaluation.reply, kv::Reply::error(kLate));
    EXPECT_TRUE(decide(*lifted, {What::Fence, 5, "cart", {}}).boundary);
}

TEST(Boundary, WhatIsTakenInKeepsItsDeadline) {
    const kv::Record record{kv::Type::String, HybridTime(3), LogIndex(4), 5000,
                            Bytes::literal("v")};
    const Bytes result = kv::encode_request_result(8, kv::Reply::ok());
    const Order order{What::Import,
                      2,
                      "cart",
                      {{kv::data_key(kFrom, 3, "cart:1"), kv::encode(record)},
                       {kv::request_key(kFrom, "me"), result}}};
    EXPECT_EQ(decode_order(encode(order)).value(), order);
    const auto decided = decide({}, order, {GroupId(6), kTo});
    ASSERT_EQ(decided.evaluation.writes.size(), 3u);
    const auto& write = decided.evaluation.writes[0];
    EXPECT_EQ(write.key, kv::data_key(kTo, 3, "cart:1"));
    const auto now = kv::decode_record(write.record).value();
    EXPECT_EQ(now.expiry_ms, 5000);
    EXPECT_EQ(now.value.view(), "v");
    EXPECT_EQ(now.version, LogIndex(70));
    EXPECT_EQ(decided.evaluation.writes[1], (kv::Write{kv::request_key(kTo, "me"), result}));
}

TEST(Boundary, OnlyWhatAFenceHidesIsDeleted) {
    const auto fenced = *decide({}, {What::Fence, 2, "cart", {}}).boundary;
    const Bytes mine = kv::data_key(kFrom, 0, "cart:1"), other = kv::data_key(kFrom, 0, "a:1");
    const auto cleared = decide(fenced, {What::Clear, 2, "cart", {{mine, {}}}});
    EXPECT_EQ(cleared.evaluation.writes[0], (kv::Write{mine, {}}));
    EXPECT_FALSE(decide(fenced, {What::Clear, 2, "cart", {{other, {}}}}).boundary);
    EXPECT_FALSE(decide({}, {What::Clear, 2, "cart", {{mine, {}}}}).boundary) << "no fence";
}

TEST(Boundary, WhatIsNoOrderDoesNothing) {
    kv::Command odd;
    odd.op = kv::Op::Boundary;
    odd.values.push_back(Bytes::literal("\x09"));
    EXPECT_FALSE(evaluate({}, odd, kPlace, context()).boundary);
    const Order bad{What::Import, 2, "cart", {{kv::data_key(kFrom, 3, "cart:1"), {}}}};
    EXPECT_FALSE(decide({}, bad).boundary) << "no record";
    EXPECT_FALSE(decide({}, {What::Fence, 2, "a:b", {}}).boundary) << "no name";
}

TEST(Boundary, AWalkMeetsEveryKeyOfTheNameInEveryDatabase) {
    std::set<Bytes> engine, wanted;
    for (const uint16_t database : std::vector<uint16_t>{0, 1, 9, 65535})
        for (const char* key : {"a", "cart", "cart:", "cart:1", "cart:1:2", "cart;", "d:1"}) {
            const Bytes at = kv::data_key(kFrom, database, key);
            engine.insert(at);
            if (is_of(kFrom, "cart", at)) wanted.insert(at);
        }
    engine.insert(kv::data_key(KeyspaceId(2), 0, "cart:1"));
    std::set<Bytes> met;
    Bytes last;
    size_t steps = 0;
    while (auto next = seek(kFrom, "cart", last)) {
        ASSERT_LT(++steps, 100u);
        const auto it = engine.lower_bound(*next);
        if (it == engine.end()) break;
        last = *it;
        if (is_of(kFrom, "cart", last)) met.insert(last);
    }
    EXPECT_EQ(met, wanted);
    EXPECT_EQ(met.size(), 12u);
}

}  // namespace
}  // namespace asterias::catalogue
