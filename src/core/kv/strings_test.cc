// Corner cases of the commands on strings, numbers, deadlines and keys. That the door shows them as
// Redis does is tests/redis_compat.py.
#include <gtest/gtest.h>

#include "core/kv/evaluate.h"
#include "core/kv/kv_test_store.h"

namespace asterias::kv {
namespace {

using S = Store;

struct Strings : testing::Test {
    Store store;
    std::string run(Op op, std::vector<std::string> keys, std::vector<std::string> values = {},
                    uint16_t flags = 0, int64_t number = 0, int64_t number2 = 0) {
        return shown(
            store.run(S::make(op, std::move(keys), std::move(values), flags, number, number2)));
    }
    std::string get(const std::string& key) { return run(Op::Get, {key}); }
    void set(const std::string& key, const std::string& value, int64_t deadline = 0) {
        const uint16_t flags = deadline ? flag::kExpire : 0;
        ASSERT_EQ(run(Op::Set, {key}, {value}, flags, deadline), "OK");
    }
    std::string deadline(const std::string& key) {
        return run(Op::Ttl, {key}, {}, flag::kAbsolute);
    }
};

TEST_F(Strings, GetExSetsRemovesAndPassesDeadlines) {
    EXPECT_EQ(run(Op::GetEx, {"k"}, {}, flag::kExpire, 5000), "(nil)");
    set("k", "v");
    EXPECT_EQ(run(Op::GetEx, {"k"}, {}, flag::kExpire | flag::kRelative, 500), "v");
    EXPECT_EQ(deadline("k"), "1500");
    EXPECT_EQ(run(Op::GetEx, {"k"}, {}, flag::kPersist), "v");
    EXPECT_EQ(deadline("k"), "-1");
    EXPECT_EQ(run(Op::GetEx, {"k"}, {}, flag::kPersist), "v");
    EXPECT_EQ(store.last_writes, 0u);
    EXPECT_EQ(run(Op::GetEx, {"k"}, {}, flag::kExpire | flag::kRelative, INT64_MAX,
                  static_cast<int64_t>(Verb::GetEx)),
              "(error) ERR invalid expire time in 'getex' command");
    EXPECT_EQ(run(Op::GetEx, {"k"}, {}, flag::kExpire, 1), "v");
    EXPECT_EQ(get("k"), "(nil)");
}

TEST_F(Strings, AnImpossibleDeadlineNamesTheCommandThatAskedForIt) {
    const char* const names[] = {"set", "setex", "psetex", "getex", "expire", "pexpire"};
    set("k", "v");
    for (uint8_t verb = 0; verb <= kLastVerb; ++verb)
        EXPECT_EQ(run(Op::ExpireAt, {"k"}, {}, flag::kRelative, INT64_MAX, verb),
                  "(error) ERR invalid expire time in '" + std::string(names[verb]) + "' command");
    EXPECT_EQ(run(Op::ExpireAt, {"k"}, {}, flag::kRelative, INT64_MIN), "1") << "long past";
    EXPECT_EQ(get("k"), "(nil)");
}

TEST_F(Strings, MSetNxSetsAllOrNone) {
    set("b", "old", 9000);
    EXPECT_EQ(run(Op::MSetNx, {"a", "b"}, {"1", "2"}), "0");
    EXPECT_EQ(get("a"), "(nil)");
    store.now_ms = 9000;
    EXPECT_EQ(run(Op::MSetNx, {"a", "b", "a"}, {"1", "2", "3"}), "1") << "b is past its deadline";
    EXPECT_EQ(run(Op::MGet, {"a", "b"}), "[3, 2]");
    EXPECT_EQ(deadline("b"), "-1");
}

TEST_F(Strings, SetRangePadsWithZerosAndStaysWithinTheLimit) {
    EXPECT_EQ(run(Op::SetRange, {"k"}, {""}, 0, 7), "0");
    EXPECT_EQ(store.last_writes, 0u);
    EXPECT_EQ(run(Op::SetRange, {"k"}, {"ab"}, 0, 2), "4");
    EXPECT_EQ(get("k"), std::string("\0\0ab", 4));
    EXPECT_EQ(run(Op::SetRange, {"k"}, {"xy"}, 0, 1), "4");
    EXPECT_EQ(get("k"), std::string("\0xyb", 4));
    set("k", "abc", 9000);
    EXPECT_EQ(run(Op::SetRange, {"k"}, {"Z"}, 0, 3), "4");
    EXPECT_EQ(deadline("k"), "9000");
    for (const int64_t offset : {int64_t{kValueBytesMax}, INT64_MAX, int64_t{-1}})
        EXPECT_TRUE(run(Op::SetRange, {"k"}, {"x"}, 0, offset).starts_with("(error) ERR string"));
    EXPECT_EQ(run(Op::SetRange, {"m"}, {"x"}, 0, kValueBytesMax - 1),
              std::to_string(kValueBytesMax));
    EXPECT_TRUE(run(Op::Append, {"m"}, {"x"}).starts_with("(error) ERR string exceeds"));
}

TEST_F(Strings, GetRangeCountsFromBothEnds) {
    set("k", "This is a string");
    const auto range = [this](int64_t first, int64_t last) {
        return run(Op::GetRange, {"k"}, {}, 0, first, last);
    };
    EXPECT_EQ(range(0, 3), "This");
    EXPECT_EQ(range(-3, -1), "ing");
    EXPECT_EQ(range(0, -1), "This is a string");
    EXPECT_EQ(range(5, 3), "");
    EXPECT_EQ(range(-1, -3), "");
    EXPECT_EQ(range(20, 40), "");
    EXPECT_EQ(range(INT64_MIN, INT64_MAX), "This is a string");
    EXPECT_EQ(range(INT64_MIN, INT64_MIN), "T") << "both ends are cut to the first byte";
    EXPECT_EQ(run(Op::GetRange, {"absent"}, {}, 0, 0, -1), "");
}

TEST_F(Strings, FloatsAreAddedAndShownAsRedisDoes) {
    const auto add = [this](const std::string& text) {
        return run(Op::IncrByFloat, {"f"}, {text});
    };
    EXPECT_EQ(add("3.0e3"), "3000");
    EXPECT_EQ(add("0x10"), "3016");
    EXPECT_EQ(add("-3016.25"), "-0.25");
    EXPECT_EQ(add("0.25"), "0");
    EXPECT_EQ(add("-1.23456789012345678901"), "-1.23456789012345679");
    for (const char* bad : {"", "x", " 1", "1 ", "nan", "1e5000", "1e-5000", "1,5"})
        EXPECT_EQ(add(bad), "(error) ERR value is not a valid float") << bad;
    EXPECT_EQ(add(std::string(300, '1')), "(error) ERR value is not a valid float");
    EXPECT_EQ(add("inf"), "(error) ERR increment would produce NaN or Infinity");
    set("f", "1e4932", 9000);
    EXPECT_EQ(add("0").size(), 4933u);
    EXPECT_EQ(deadline("f"), "9000");
    set("f", "foo");
    EXPECT_EQ(add("1"), "(error) ERR value is not a valid float");
}

TEST_F(Strings, RenameAndCopyTakeTheDeadlineWithThem) {
    EXPECT_EQ(run(Op::Rename, {"a", "b"}), "(error) ERR no such key");
    EXPECT_EQ(run(Op::Rename, {"a", "b"}, {}, flag::kNx), "(error) ERR no such key");
    set("a", "1", 9000);
    set("b", "2");
    EXPECT_EQ(run(Op::Rename, {"a", "b"}, {}, flag::kNx), "0");
    EXPECT_EQ(run(Op::Rename, {"a", "a"}), "OK");
    EXPECT_EQ(run(Op::Rename, {"a", "a"}, {}, flag::kNx), "0");
    EXPECT_EQ(run(Op::Rename, {"a", "b"}), "OK");
    EXPECT_EQ(get("a"), "(nil)");
    EXPECT_EQ(get("b"), "1");
    EXPECT_EQ(deadline("b"), "9000");
    EXPECT_EQ(run(Op::Copy, {"b", "c"}), "1");
    EXPECT_EQ(deadline("c"), "9000");
    EXPECT_EQ(run(Op::Copy, {"b", "c"}), "0");
    EXPECT_EQ(run(Op::Copy, {"absent", "c"}, {}, flag::kReplace), "0");
    set("b", "3");
    EXPECT_EQ(run(Op::Copy, {"b", "c"}, {}, flag::kReplace), "1");
    EXPECT_EQ(deadline("c"), "-1");
    store.now_ms = 9000;
    set("d", "4", 9001);
    store.now_ms = 9001;
    EXPECT_EQ(run(Op::Rename, {"d", "b"}), "(error) ERR no such key") << "past its deadline";
}

TEST_F(Strings, MoveTakesAKeyToAnotherDatabaseIfItIsAbsentThere) {
    set("k", "v", 9000);
    EXPECT_EQ(run(Op::Copy, {"k", "k"}, {}, flag::kTake, 3), "1");
    EXPECT_EQ(get("k"), "(nil)");
    Command there = S::make(Op::Get, {"k"});
    there.database = 3;
    EXPECT_EQ(shown(store.run(there)), "v");
    set("k", "w");
    EXPECT_EQ(run(Op::Copy, {"k", "k"}, {}, flag::kTake, 3), "0");
    EXPECT_EQ(get("k"), "w");
}

TEST_F(Strings, ObjectTellsHowRedisWouldHoldIt) {
    const auto ask = [this](const std::string& key, Asked asked) {
        return run(Op::Object, {key}, {}, 0, static_cast<int64_t>(asked));
    };
    EXPECT_EQ(ask("absent", Asked::Frequency), "(nil)");
    for (const auto& [value, encoding] :
         std::map<std::string, std::string>{{"-9223372036854775808", "int"},
                                            {"9223372036854775808", "embstr"},
                                            {"01", "embstr"},
                                            {std::string(44, 'x'), "embstr"},
                                            {std::string(45, 'x'), "raw"}}) {
        set("k", value);
        EXPECT_EQ(ask("k", Asked::Encoding), encoding);
    }
    store.now_ms = 5'999;  // written in the first millisecond of all time, by its label
    EXPECT_EQ(ask("k", Asked::IdleSeconds), "5");
    EXPECT_EQ(ask("k", Asked::References), "1");
    EXPECT_TRUE(ask("k", Asked::Frequency).starts_with("(error) ERR An LFU maxmemory policy"));
    EXPECT_GT(std::stoi(ask("k", Asked::Bytes)), 45);
    EXPECT_TRUE(run(Op::Object, {"k"}, {}, 0, kLastAsked + 1).starts_with("(error)"));
}

TEST_F(Strings, LcsFindsWhatRedisFinds) {
    set("a", "ohmytext");
    set("b", "mynewtext");
    const auto find = [this](uint16_t flags, int64_t shortest = 0) {
        return run(Op::Lcs, {"a", "b"}, {}, flags, shortest);
    };
    EXPECT_EQ(find(0), "mytext");
    EXPECT_EQ(find(flag::kLength), "6");
    EXPECT_EQ(find(flag::kIndexes), "[matches, [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], len, 6]");
    EXPECT_EQ(find(flag::kIndexes | flag::kMatchLengths, 4),
              "[matches, [[[4, 7], [5, 8], 4]], len, 6]");
    EXPECT_EQ(run(Op::Lcs, {"a", "absent"}), "");
    EXPECT_EQ(run(Op::Lcs, {"absent", "absent"}, {}, flag::kIndexes), "[matches, [], len, 0]");
    EXPECT_EQ(run(Op::Lcs, {"a", "a"}), "ohmytext");
}

TEST_F(Strings, LcsIsRefusedBeyondItsTableAlsoWhenABatchAddsUp) {
    set("a", std::string(2047, 'x'));
    set("b", std::string(2048, 'x'));
    const Command most = S::make(Op::Lcs, {"a", "a"}, {}, flag::kLength);
    EXPECT_EQ(shown(store.run(most)), "2047");
    EXPECT_EQ(run(Op::Lcs, {"a", "b"}), "(error) " + std::string(kLcsTooLong));
    const Command half = S::make(Op::Lcs, {"a", "absent"}, {}, flag::kLength);
    EXPECT_EQ(shown(store.run(S::batch({most, half}))),
              "[2047, (error) " + std::string(kLcsTooLong) + "]");
    EXPECT_NE(kLcsTooLong.find(std::to_string(kLcsCellsMax)), std::string_view::npos);
}

}  // namespace
}  // namespace asterias::kv
