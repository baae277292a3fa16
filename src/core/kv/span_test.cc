#include "core/kv/span.h"

#include <gtest/gtest.h>

#include "core/kv/kv_test_store.h"

namespace asterias::kv {
namespace {

Command span(Op op, std::vector<std::string> values = {}, int64_t number = 0) {
    return Store::make(op, {}, std::move(values), 0, number);
}

// As a leader reads its engine, all in one slice.
Reply read(const Store& store, const Command& command, std::vector<Bytes>* expired = nullptr) {
    SpanRead read(command, store.now_ms, 7);
    bool ended = true;
    for (const auto& [key, record] : store.state) {
        if (key < read.from() || key >= read.to()) continue;
        EXPECT_TRUE(read.take(key, record));
        if (read.full()) {
            ended = false;
            break;
        }
    }
    if (expired) *expired = read.take_expired();
    return read.finish(ended);
}

struct Filled : Store {
    Filled() {
        for (const char* key : {"a", "ab", "b", "c"})
            run(make(Op::Set, {key}, {"v"}));
        Command other = make(Op::Set, {"z"}, {"v"});
        other.database = 3;
        run(other);
    }
};

TEST(KvSpan, ADatabaseIsCountedAndListedWithoutItsNeighbours) {
    Filled store;
    EXPECT_EQ(shown(read(store, span(Op::Count))), "4");
    EXPECT_EQ(shown(read(store, span(Op::Keys, {"*"}))), "[a, ab, b, c]");
    EXPECT_EQ(shown(read(store, span(Op::Keys, {"a*"}))), "[a, ab]");
    EXPECT_EQ(shown(read(store, span(Op::Keys, {"x*"}))), "[]");
}

TEST(KvSpan, AScanGoesOnWhereItStoppedAndEndsWithNil) {
    Filled store;
    std::string from;
    std::vector<std::string> seen;
    for (int i = 0; i < 10; ++i) {
        const Reply reply = read(store, span(Op::Scan, {"*", from}, 2));
        for (const auto& key : reply.items[1].items)
            seen.push_back(key.text.str());
        if (reply.items[0].kind == Reply::Kind::Nil) break;
        from = reply.items[0].text.str();
    }
    EXPECT_EQ(seen, (std::vector<std::string>{"a", "ab", "b", "c"}));
    // What the pattern leaves out was looked at all the same.
    EXPECT_EQ(shown(read(store, span(Op::Scan, {"c", ""}, 1)).items[1]), "[]");
    Command other_type = span(Op::Scan, {"*", ""}, 10);
    other_type.number2 = 1;
    EXPECT_EQ(shown(read(store, other_type)), "[(nil), []]");
}

TEST(KvSpan, ARandomKeyIsOneOfThoseThatAreThere) {
    Filled store;
    const Reply reply = read(store, span(Op::RandomKey));
    EXPECT_EQ(reply.items[0].integer, 4);
    EXPECT_TRUE(std::string("a ab b c").find(reply.items[1].text.str()) != std::string::npos);
    EXPECT_EQ(shown(read(Store(), span(Op::RandomKey))), "[0, (nil)]");
}

TEST(KvSpan, WhatIsPastItsDeadlineIsAbsentAndNamed) {
    Filled store;
    store.run(Store::make(Op::ExpireAt, {"ab"}, {}, 0, 1500));
    store.now_ms = 1500;
    std::vector<Bytes> expired;
    EXPECT_EQ(shown(read(store, span(Op::Keys, {"*"}), &expired)), "[a, b, c]");
    EXPECT_EQ(expired, std::vector{data_key({}, 0, "ab")});
}

TEST(KvSpan, AFlushInABatchDeletesWhatIsBeforeItOnly) {
    Filled store;
    const Command flush = Store::make(Op::Flush, {});
    EXPECT_EQ(
        shown(store.run(Store::batch(
            {Store::make(Op::Set, {"b"}, {"1"}), Store::make(Op::Set, {"n"}, {"1"}), flush,
             Store::make(Op::Append, {"a"}, {"2"}), Store::make(Op::Exists, {"b", "n", "a"})}))),
        "[OK, OK, OK, 1, 1]");
    EXPECT_EQ(shown(read(store, span(Op::Keys, {"*"}))), "[a]");
    EXPECT_EQ(shown(store.run(Store::make(Op::Get, {"a"}))), "2");
    EXPECT_EQ(store.state.size(), 2u) << "the other database is as it was";
    EXPECT_EQ(shown(store.run(Store::make(Op::Flush, {}, {}, 0, 1))), "OK");
    EXPECT_TRUE(store.state.empty());
}

}  // namespace
}  // namespace asterias::kv
