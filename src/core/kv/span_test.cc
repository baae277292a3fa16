#include "core/kv/span.h"

#include <map>

#include <gtest/gtest.h>

#include "base/prng.h"
#include "core/kv/deletions.h"
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
        if (key < read.from() || key >= read.to() || read.full()) continue;
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

TEST(KvSpan, APatternTooLongIsRefusedBeforeAnythingIsRead) {
    Filled store;
    const std::string longest = "a" + std::string(kGlobBytesMax - 1, '*');
    EXPECT_EQ(shown(read(store, span(Op::Keys, {longest}))), "[a, ab]");
    for (const Command& c :
         {span(Op::Keys, {longest + "*"}), span(Op::Scan, {longest + "*", ""})}) {
        EXPECT_TRUE(SpanRead(c, 0, 0).full());
        EXPECT_EQ(read(store, c), Reply::error(kGlobTooLong));
    }
    EXPECT_NE(kGlobTooLong.find("glob-bytes-max"), std::string_view::npos);
}

TEST(KvSpan, WhatMatchingTakesIsCounted) {
    Filled store;
    store.run(Store::make(Op::Set, {std::string(1000, 'x')}, {"v"}));
    const Command command = span(Op::Keys, {"*xy*xz"});
    SpanRead read(command, store.now_ms, 7);
    for (const auto& [key, record] : store.state)
        if (key < read.to()) EXPECT_TRUE(read.take(key, record));
    EXPECT_GT(read.steps(), 1000u);
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

// Their deletions are one entry: what is named fits, and asking again gets further.
TEST(KvSpan, LongNamesPastTheirDeadlineAreDeletedInSteps) {
    Store store;
    for (int i = 0; i < 300; ++i) {
        Command c = Store::make(Op::Set, {std::to_string(100 + i) + std::string(60'000, 'x')},
                                {"v"}, flag::kExpire, 1500);
        EXPECT_EQ(store.run(c), Reply::ok());
    }
    store.now_ms = 1500;
    std::vector<Bytes> expired;
    for (const size_t left : {161u, 22u}) {
        EXPECT_EQ(read(store, span(Op::Count), &expired), Reply::error(kSpanTooManyExpired));
        size_t bytes = 0;
        for (const auto& key : expired)
            bytes += key.size() + store.state.erase(key);
        EXPECT_LE(bytes, kSpanExpiredBytesMax + expired.size());
        EXPECT_EQ(store.state.size(), left);
    }
    EXPECT_EQ(read(store, span(Op::Count), &expired), Reply::number(0));
    EXPECT_EQ(expired.size(), 22u);
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

// Of so many keys that they share places. Mutant kv_flush_deletes_nothing.
TEST(KvSpan, WhatWasAbsentAllTheWhileIsNotDeletedByAFlushAndWhatCameAndWentIs) {
    Prng prng(3);
    Deletions deletions;
    deletions.begin(LogIndex(1));
    struct Seen {
        bool there = false, came = false;
        LogIndex told;
    };
    std::map<Bytes, Seen> keys;
    for (int i = 0; i < 6000; ++i)
        keys[Bytes::copy("key" + std::to_string(i))].told = LogIndex(1);
    uint64_t index = 1, flushes = 0, unmoved = 0;
    for (int step = 0; step < 40'000; ++step) {
        const uint64_t what = prng.below(4000);
        const LogIndex now(index += prng.below(2));
        auto& [key, seen] = *std::next(keys.begin(), static_cast<int64_t>(prng.below(300)));
        if (what == 0) {
            deletions.note_flush(now);
            ++flushes;
            for (auto& [name, one] : keys)
                one.there = false;
        } else if (what < 2000) {
            deletions.note_written(key);
            seen.there = seen.came = true;
        } else if (seen.there) {
            deletions.note(key, now);
            seen.there = false;
        }
        if (seen.there) continue;
        if (seen.came) ASSERT_NE(deletions.last(key), seen.told) << key.view();
        // Somebody watches it from here on; nothing else is written under this index.
        seen = {false, false, deletions.last(key)};
        ++index;
    }
    for (const auto& [key, seen] : keys)
        unmoved += deletions.last(key) == LogIndex(1);
    EXPECT_GT(flushes, 3u);
    EXPECT_GT(unmoved, 5000u) << "a flush is of what was written";
}

}  // namespace
}  // namespace asterias::kv
