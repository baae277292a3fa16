#include <gtest/gtest.h>

#include "core/kv/evaluate.h"
#include "core/kv/kv_test_store.h"

namespace asterias::kv {
namespace {

using S = Store;

TEST(Evaluate, SetConditionsAndOldValue) {
    Store s;
    EXPECT_EQ(s.run(S::make(Op::Set, {"a"}, {"1"}, flag::kXx)), Reply::nil());
    EXPECT_EQ(s.run(S::make(Op::Set, {"a"}, {"1"}, flag::kNx)), Reply::ok());
    EXPECT_EQ(s.run(S::make(Op::Set, {"a"}, {"2"}, flag::kNx)), Reply::nil());
    EXPECT_EQ(s.run(S::make(Op::Set, {"a"}, {"3"}, flag::kGet)), Reply::bulk(Bytes::literal("1")));
    EXPECT_EQ(s.run(S::make(Op::Get, {"a"})), Reply::bulk(Bytes::literal("3")));
}

TEST(Evaluate, IncrementsRefuseWhatIsNoIntegerAndOverflow) {
    Store s;
    EXPECT_EQ(s.run(S::make(Op::IncrBy, {"n"}, {}, 0, 5)), Reply::number(5));
    EXPECT_EQ(s.run(S::make(Op::IncrBy, {"n"}, {}, 0, INT64_MAX)).kind, Reply::Kind::Error);
    for (const char* bad : {"", "01", "+1", " 1", "1 ", "-0", "9223372036854775808"}) {
        s.run(S::make(Op::Set, {"n"}, {bad}));
        EXPECT_EQ(s.run(S::make(Op::IncrBy, {"n"}, {}, 0, 1)).kind, Reply::Kind::Error) << bad;
    }
    s.run(S::make(Op::Set, {"n"}, {"-9223372036854775808"}));
    EXPECT_EQ(s.run(S::make(Op::IncrBy, {"n"}, {}, 0, 1)), Reply::number(-9223372036854775807));
}

TEST(Evaluate, AReadThatMeetsAPassedDeadlineWritesTheDeletion) {
    Store s;
    s.run(S::make(Op::Set, {"a"}, {"1"}, flag::kExpire | flag::kRelative, 500));
    EXPECT_EQ(s.run(S::make(Op::Ttl, {"a"})), Reply::number(500));
    s.now_ms += 499;
    EXPECT_EQ(s.run(S::make(Op::Get, {"a"})), Reply::bulk(Bytes::literal("1")));
    EXPECT_EQ(s.last_writes, 0u);
    s.now_ms += 1;
    EXPECT_EQ(s.run(S::make(Op::Get, {"a"})), Reply::nil());
    EXPECT_EQ(s.last_writes, 1u);
    EXPECT_TRUE(s.state.empty());
    s.now_ms -= 1000;  // a leader with a slower clock sees the decision of the log
    EXPECT_EQ(s.run(S::make(Op::Get, {"a"})), Reply::nil());
}

TEST(Evaluate, ExpireConditions) {
    Store s;
    s.run(S::make(Op::Set, {"a"}, {"1"}));
    EXPECT_EQ(s.run(S::make(Op::ExpireAt, {"a"}, {}, flag::kXx, 9000)), Reply::number(0));
    EXPECT_EQ(s.run(S::make(Op::ExpireAt, {"a"}, {}, flag::kGt, 9000)), Reply::number(0));
    EXPECT_EQ(s.run(S::make(Op::ExpireAt, {"a"}, {}, flag::kLt, 9000)), Reply::number(1));
    EXPECT_EQ(s.run(S::make(Op::ExpireAt, {"a"}, {}, flag::kGt, 9001)), Reply::number(1));
    EXPECT_EQ(s.run(S::make(Op::Persist, {"a"})), Reply::number(1));
    EXPECT_EQ(s.run(S::make(Op::Ttl, {"a"})), Reply::number(-1));
    EXPECT_EQ(s.run(S::make(Op::ExpireAt, {"a"}, {}, flag::kRelative, -1)), Reply::number(1));
    EXPECT_EQ(s.run(S::make(Op::Exists, {"a"})), Reply::number(0));
}

TEST(Evaluate, ABlindSetAndAnMSetReadNothing) {
    EXPECT_TRUE(keys_read(S::make(Op::Set, {"a"}, {"1"}, flag::kExpire, 5000)).empty());
    EXPECT_TRUE(keys_read(S::make(Op::MSet, {"a", "b"}, {"1", "2"})).empty());
}

TEST(Evaluate, AnMGetThatIsTooLongForOneFrameIsRefused) {
    Command c;
    c.op = Op::MGet;
    c.keys.assign(3, Bytes::literal("k"));
    Record record;
    record.value = Bytes::copy(std::string(kReplyBytesMax / 2 - 100, 'x'));
    EXPECT_EQ(evaluate(c, keys_read(c), {&record, &record, nullptr}, {}).reply.items.size(), 3u);
    EXPECT_EQ(evaluate(c, keys_read(c), {&record, &record, &record}, {}).reply.kind,
              Reply::Kind::Error);
}

TEST(Evaluate, WhereValuesAreNotNeededARecordWithoutItsValueWillDo) {
    for (const int64_t expiry : {int64_t{0}, int64_t{50}}) {
        Record record{Type::String, HybridTime(7), LogIndex(3), expiry, Bytes::literal("value")};
        const Bytes whole = encode(record);
        EXPECT_EQ(value_bytes(whole.view()), 5u);
        auto less = decode_record(excerpt(whole.view(), {0, 0}));
        ASSERT_TRUE(less);
        EXPECT_EQ(less->value_bytes(), 5u);
        record.value = {};
        record.behind = 5;
        EXPECT_EQ(*less, record);
        for (const Op op : {Op::Exists, Op::Del}) {
            const Command c = S::make(op, {"a"});
            EXPECT_EQ(part_read(c, 5).bytes, 0u);
            EXPECT_EQ(evaluate(c, keys_read(c), {&*less}, {}).reply, Reply::number(1));
        }
    }
    EXPECT_EQ(value_bytes("x"), 0u);
    EXPECT_TRUE(reads_whole_values(S::make(Op::MGet, {"a"})));
    EXPECT_TRUE(reads_whole_values(S::make(Op::Append, {"a"}, {"x"})));
}

// The tests of this room give evaluate() no more than that.
TEST(Evaluate, AnExcerptHasThePartThatACommandReads) {
    Record record{Type::String, HybridTime(7), LogIndex(3), 50, Bytes::literal("0123456789")};
    const Bytes whole = encode(record);
    const auto read = [&](const Command& c) {
        return decode_record(excerpt(whole.view(), part_read(c, 10))).value();
    };
    const Record middle = read(S::make(Op::GetRange, {"a"}, {}, 0, -8, 4));
    EXPECT_EQ(middle.value.view(), "234");
    EXPECT_EQ(middle.before, 2u);
    EXPECT_EQ(middle.behind, 5u);
    EXPECT_EQ(read(S::make(Op::GetRange, {"a"}, {}, 0, 7, 99)).value.view(), "789");
    for (const Op op : {Op::StrLen, Op::Ttl, Op::Set, Op::Type, Op::MSetNx}) {
        const Record none = read(S::make(op, {"a"}, {"v"}, flag::kNx));
        EXPECT_EQ(none.value.size(), 0u);
        EXPECT_EQ(none.value_bytes(), 10u);
    }
    EXPECT_EQ(read(S::make(Op::Set, {"a"}, {"v"}, flag::kGet)), record);
    // A number is told from what is too long for one.
    S store;
    store.run(S::make(Op::Set, {"n"}, {std::string(1000, '1')}));
    EXPECT_EQ(store.run(S::make(Op::IncrBy, {"n"}, {}, 0, 1)).kind, Reply::Kind::Error);
    EXPECT_EQ(store.run(S::make(Op::IncrByFloat, {"n"}, {"1"})).kind, Reply::Kind::Error);
    store.run(S::make(Op::Set, {"n"}, {"-9223372036854775808"}));
    EXPECT_EQ(shown(store.run(S::make(Op::IncrBy, {"n"}, {}, 0, 1))), "-9223372036854775807");
}

TEST(Evaluate, HowLargeAKeyIsNeedsNoneOfItsValue) {
    for (const int64_t expiry : {int64_t{0}, int64_t{5000}}) {
        Record record{Type::String, HybridTime(7), LogIndex(3), expiry, Bytes::literal("12345")};
        record.value = Bytes::copy(std::string(1000, '1'));
        EXPECT_EQ(encoded_bytes(record), encode(record).size());
        const auto ask = [](Asked asked) {
            return S::make(Op::Object, {"a"}, {}, 0, static_cast<int64_t>(asked));
        };
        for (const Asked asked : {Asked::Bytes, Asked::IdleSeconds, Asked::Encoding}) {
            const Command c = ask(asked);
            EXPECT_EQ(part_read(c, 1000).bytes, 0u);
            const Record none = decode_record(excerpt(encode(record).view(), {0, 0})).value();
            EXPECT_EQ(evaluate(c, keys_read(c), {&none}, {}).reply,
                      evaluate(c, keys_read(c), {&record}, {}).reply);
        }
        EXPECT_GE(part_read(ask(Asked::Encoding), 44).bytes, 44u);
    }
}

TEST(Evaluate, FlushesInABatchMeetABoundedNumberOfKeys) {
    Command keys = S::make(Op::MSet, {}, {});
    for (size_t i = 0; i < 60'000; ++i) {
        keys.keys.push_back(Bytes::copy(std::to_string(i)));
        keys.values.push_back(Bytes::literal("v"));
    }
    std::vector<Command> commands(10, S::make(Op::Flush, {}));
    commands.insert(commands.begin(), keys);
    S store;
    EXPECT_EQ(store.run(S::batch(commands)).items.size(), 11u);
    commands.resize(1000, S::make(Op::Flush, {}));
    EXPECT_EQ(store.run(S::batch(commands)), Reply::error(kFlushedTooMuch));
}

TEST(Evaluate, TheWorkOfACommandIsTold) {
    Record record;
    record.value = Bytes::copy(std::string(999, 'x'));
    Command lcs = S::make(Op::Lcs, {"a", "a"}, {}, flag::kLength);
    EXPECT_EQ(evaluate(lcs, keys_read(lcs), {&record, &record}, {}).work, 4'000'000u);
    const Command both = S::batch({lcs, lcs});
    EXPECT_GE(evaluate(both, keys_read(both), {&record}, {}).work, 8'000'000u);
    // What it has undone, too.
    const Command twice =
        S::batch({S::make(Op::Append, {"a"}, {std::string(5000, 'x')}), S::make(Op::Del, {"a"}),
                  S::make(Op::IfVersion, {"b"}, {}, 0, 9)});
    const auto undone = evaluate(twice, keys_read(twice), {&record, nullptr}, {});
    EXPECT_EQ(undone.reply, Reply::nil());
    EXPECT_GE(undone.work, 5999u);
}

TEST(Evaluate, DeletingAKeyTwiceInOneCommandCountsOnce) {
    Store s;
    s.run(S::make(Op::MSet, {"a", "b"}, {"1", "2"}));
    EXPECT_EQ(s.run(S::make(Op::Del, {"a", "a", "b", "c"})), Reply::number(2));
}

TEST(Evaluate, RepeatedKeysCountOnceWhereTheyAreDeletedAndEachTimeWhereTheyAreAskedFor) {
    Store s;
    s.run(S::make(Op::MSet, {"a", "b", "a"}, {"1", "2", "3"}));
    EXPECT_EQ(s.run(S::make(Op::Get, {"a"})), Reply::bulk(Bytes::literal("3")));
    EXPECT_EQ(s.run(S::make(Op::Exists, {"a", "b", "a", "c"})), Reply::number(3));
    const auto both = s.run(S::make(Op::MGet, {"a", "a"}));
    EXPECT_EQ(both.items, std::vector<Reply>(2, Reply::bulk(Bytes::literal("3"))));
    EXPECT_EQ(s.run(S::make(Op::Del, {"b", "a", "c", "a", "b", "a"})), Reply::number(2));
    EXPECT_EQ(s.last_writes, 2u);
    EXPECT_TRUE(s.state.empty());
}

TEST(Evaluate, ACommandOfTheMostKeysIsDoneAndOneOfMoreIsRefused) {
    Store s;
    std::vector<std::string> keys, values(kKeysMax, "v");
    for (size_t i = 0; i < kKeysMax; ++i)
        keys.push_back(std::to_string(i * 7919 % kKeysMax));
    EXPECT_EQ(s.run(S::make(Op::MSet, keys, values)), Reply::ok());
    EXPECT_EQ(s.run(S::make(Op::Exists, keys)), Reply::number(int64_t{kKeysMax}));
    keys.push_back("one more");
    values.push_back("v");
    for (const Op op : {Op::MSet, Op::Exists, Op::MGet, Op::Del}) {
        const Command c = S::make(op, keys, op == Op::MSet ? values : std::vector<std::string>{});
        EXPECT_TRUE(keys_read(c).empty());
        EXPECT_EQ(s.run(c), Reply::error(kTooManyKeys));
        EXPECT_EQ(s.last_writes, 0u);
    }
    keys.pop_back();
    EXPECT_EQ(s.run(S::make(Op::Del, keys)), Reply::number(int64_t{kKeysMax}));
    EXPECT_NE(kTooManyKeys.find(std::to_string(kKeysMax)), std::string_view::npos);
    EXPECT_NE(kEffectsTooLong.find(std::to_string(kEffectsBytesMax)), std::string_view::npos);
}

Bytes encoded(const Command& command) {
    wire::Writer out;
    encode(out, command);
    return out.take();
}

TEST(Codec, ACommandOfAnotherShapeThanItsOperationHasIsRefused) {
    const auto refused = [](const Command& command) {
        wire::Reader in(encoded(command));
        decode_command(in);
        return !in.ok();
    };
    const Command get = S::make(Op::Get, {"a"});
    EXPECT_FALSE(refused(get));
    EXPECT_TRUE(refused(S::make(Op::Get, {})));
    EXPECT_TRUE(refused(S::make(Op::Get, {"a", "b"})));
    EXPECT_TRUE(refused(S::make(Op::Get, {"a"}, {"v"})));
    EXPECT_TRUE(refused(S::make(Op::Rename, {"a"})));
    EXPECT_TRUE(refused(S::make(Op::MSet, {"a", "b"}, {"v"})));
    EXPECT_TRUE(refused(S::make(Op::IfVersion, {"a"})));
    EXPECT_TRUE(refused(S::batch({})));
    EXPECT_TRUE(refused(S::batch({S::batch({get})})));
    EXPECT_FALSE(refused(S::batch({S::make(Op::IfVersion, {"a"}), get})));
    Command with_keyspace = get, with_client = get;
    with_keyspace.keyspace = KeyspaceId(3);
    with_client.request = {Bytes::literal("me"), 1};
    EXPECT_TRUE(refused(S::batch({with_keyspace})));
    EXPECT_TRUE(refused(S::batch({with_client})));
}

TEST(Codec, CommandsAndRepliesRoundTripAndEveryTruncationIsRefused) {
    Command c = S::make(Op::MSet, {"a", "b"}, {"1", ""}, flag::kNx, -77);
    c.database = 3;
    c.keyspace = KeyspaceId(9);
    c.number2 = 5;
    c.request = {Bytes::literal("me"), 12};
    Command batch =
        S::batch({S::make(Op::IfVersion, {"a"}, {}, 0, 7), S::make(Op::Set, {"b"}, {"1"})});
    batch.batch[1].database = 4;
    for (const Command& command : {c, batch}) {
        const Bytes bytes = encoded(command);
        wire::Reader in(bytes);
        EXPECT_EQ(decode_command(in), command);
        for (size_t n = 0; n < bytes.size(); ++n) {
            wire::Reader cut(bytes.slice(0, n));
            decode_command(cut);
            EXPECT_FALSE(cut.ok());
        }
    }
    Reply r;
    r.kind = Reply::Kind::Array;
    r.items = {Reply::nil(), Reply::number(-3), Reply::bulk(Bytes::literal("x"))};
    wire::Writer reply_out;
    encode(reply_out, r);
    wire::Reader reply_in(reply_out.take());
    EXPECT_EQ(decode_reply(reply_in), r);
}

TEST(Record, KeysSortByKeyspaceThenDatabaseThenKey) {
    EXPECT_LT(data_key(KeyspaceId(1), 300, "z"), data_key(KeyspaceId(2), 0, "a"));
    EXPECT_LT(data_key(KeyspaceId(1), 0, "z"), data_key(KeyspaceId(1), 1, "a"));
    EXPECT_EQ(after_prefix(Bytes::literal("a\xff")).view(), "b");
}

}  // namespace
}  // namespace asterias::kv
