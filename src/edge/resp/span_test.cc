// Commands on all keys at the door: which keyspaces are asked, and what the client hears.
#include "edge/resp/cursors.h"
#include "edge/resp/door_test_bench.h"

namespace asterias::edge_resp {
namespace {

kv::Reply list(std::vector<kv::Reply> items) {
    kv::Reply reply;
    reply.kind = kv::Reply::Kind::Array;
    reply.items = std::move(items);
    return reply;
}
kv::Reply word(std::string_view text) { return kv::Reply::bulk(Bytes::copy(text)); }

struct Spans : testing::Test {
    Bench b;
    sim::Collector& c = b.connect();
    Spans() { b.strategy->there = {7, {KeyspaceId(1), KeyspaceId(2)}}; }
    std::string say(const std::string& text) {
        c.received.clear();
        b.say(c, text);
        return c.received;
    }
    std::string answer(kv::Reply reply) {
        c.received.clear();
        b.answer(asked() - 1, std::move(reply));
        return c.received;
    }
    size_t asked() const { return b.strategy->asked.size(); }
    const kv::Command& sent() const { return b.strategy->asked.back().request.command; }
    // The cursor in a reply of SCAN.
    static std::string cursor(const std::string& reply) {
        const size_t at = reply.find("\r\n", reply.find('$')) + 2;
        return reply.substr(at, reply.find("\r\n", at) - at);
    }
};

TEST_F(Spans, EachKeyspaceIsAskedInOrderAndWhatIsBehindWaits) {
    EXPECT_EQ(say("SELECT 3\r\nDBSIZE\r\nGET a\r\n"), "+OK\r\n");
    ASSERT_EQ(asked(), 1u);
    EXPECT_EQ(sent().op, kv::Op::Count);
    EXPECT_EQ(sent().keyspace, KeyspaceId()) << "the first one, whichever it is";
    EXPECT_EQ(sent().database, 3);
    EXPECT_EQ(answer(kv::Reply::number(4)), "");
    ASSERT_EQ(asked(), 2u);
    EXPECT_EQ(sent().keyspace, KeyspaceId(2));
    EXPECT_EQ(sent().generation, 7u) << "no older catalogue will do";
    EXPECT_EQ(answer(kv::Reply::number(5)), ":9\r\n");
    ASSERT_EQ(asked(), 3u) << "GET";
}

// Else a write that meets a keyspace on its way out could be seen in neither group.
TEST_F(Spans, NothingIsAskedBeforeAllThatIsBeforeItIsAnswered) {  // mutant resp_span_out_of_turn
    say("SET a 1\r\nSET b 1\r\nDBSIZE\r\n");
    ASSERT_EQ(asked(), 2u);
    b.answer(1, kv::Reply::ok());
    EXPECT_EQ(asked(), 2u);
    b.answer(0, kv::Reply::ok());
    ASSERT_EQ(asked(), 3u);
    EXPECT_EQ(sent().op, kv::Op::Count);
}

// One that is made meanwhile holds nothing that the first one did not tell.
TEST_F(Spans, WhichKeyspacesThereAreIsToldWithTheFirstAnswer) {
    b.strategy->there = {8, {KeyspaceId(1), KeyspaceId(4), KeyspaceId(6)}};
    say("DBSIZE\r\n");
    answer(kv::Reply::number(4));
    EXPECT_EQ(sent().keyspace, KeyspaceId(4));
    b.strategy->there = {9, {KeyspaceId(1), KeyspaceId(4), KeyspaceId(6), KeyspaceId(7)}};
    answer(kv::Reply::number(1));
    EXPECT_EQ(sent().keyspace, KeyspaceId(6));
    EXPECT_EQ(sent().generation, 8u);
    EXPECT_EQ(answer(kv::Reply::number(1)), ":6\r\n");
}

// Else a node that is behind takes the scan for complete without a keyspace that it has not heard
// of, whose keys the scan was not told in `default` any more.
TEST_F(Spans, ACursorIsNotHonouredByAnOlderCatalogueThanThatWhichItWasGivenBy) {
    say("SCAN 0\r\n");
    EXPECT_EQ(sent().generation, 0u);
    const std::string first = cursor(answer(list({word("k5"), list({})})));
    say("SCAN " + first + "\r\n");
    EXPECT_EQ(sent().generation, 7u);
    b.strategy->there = {9, {KeyspaceId(1), KeyspaceId(5)}};
    const std::string second = cursor(answer(list({kv::Reply::nil(), list({})})));
    say("SCAN " + second + "\r\n");
    EXPECT_EQ(sent().keyspace, KeyspaceId(5));
    EXPECT_EQ(sent().generation, 9u);
    EXPECT_TRUE(answer(list({kv::Reply::nil(), list({})})).starts_with("*2\r\n$1\r\n0\r\n"));
}

TEST_F(Spans, APatternTooLongIsRefusedAtTheDoor) {
    const std::string longest(kGlobBytesMax, '*');
    const std::string refused = "-" + std::string(kGlobTooLong) + "\r\n";
    EXPECT_EQ(say("KEYS *" + longest + "\r\n"), refused);
    EXPECT_EQ(say("SCAN 0 MATCH *" + longest + "\r\n"), refused);
    EXPECT_EQ(asked(), 0u);
    say("KEYS " + longest + "\r\n");
    EXPECT_EQ(asked(), 1u);
}

TEST_F(Spans, KeysAreThoseOfAll) {
    say("KEYS a*\r\n");
    EXPECT_EQ(sent().values[0].view(), "a*");
    answer(list({word("a1")}));
    EXPECT_EQ(answer(list({word("a2")})), "*2\r\n$2\r\na1\r\n$2\r\na2\r\n");
    say("RANDOMKEY\r\n");
    answer(list({kv::Reply::number(0), kv::Reply::nil()}));
    EXPECT_EQ(answer(list({kv::Reply::number(3), word("x")})), "$1\r\nx\r\n");
}

TEST_F(Spans, AFlushThatFailsInTheMiddleDoesNotSayThatNothingWasDone) {
    say("FLUSHALL ASYNC\r\n");
    EXPECT_EQ(sent().op, kv::Op::Flush);
    EXPECT_EQ(sent().number, 1);
    answer(kv::Reply::ok());
    EXPECT_EQ(answer(kv::Reply::error(execute::kClusterDown)).substr(0, 57),
              "-UNKNOWN 1 of 2 keyspaces were emptied, then: CLUSTERDOWN");
    say("FLUSHDB\r\n");
    EXPECT_EQ(answer(kv::Reply::error(execute::kClusterDown)).substr(0, 12), "-CLUSTERDOWN");
    EXPECT_EQ(say("FLUSHDB NOW\r\nFLUSHALL SYNC ASYNC\r\n"),
              "-ERR syntax error\r\n-ERR syntax error\r\n");
}

TEST_F(Spans, AScanGoesThroughTheKeyspacesByCursor) {
    say("SCAN 0 MATCH k* COUNT 7 TYPE string\r\n");
    EXPECT_EQ(sent().number, 7);
    EXPECT_EQ(sent().number2, 0);
    EXPECT_EQ(sent().values[0].view(), "k*");
    const std::string first = cursor(answer(list({word("k5"), list({word("k1"), word("k4")})})));
    ASSERT_NE(first, "0");
    say("SCAN " + first + "\r\n");
    EXPECT_EQ(sent().keyspace, KeyspaceId(1));
    EXPECT_EQ(sent().values[1].view(), "k5");
    const std::string second = cursor(answer(list({kv::Reply::nil(), list({})})));
    ASSERT_NE(second, "0");
    say("SCAN " + second + "\r\n");
    EXPECT_EQ(sent().keyspace, KeyspaceId(2));
    EXPECT_EQ(sent().values[1].view(), "");
    EXPECT_EQ(answer(list({kv::Reply::nil(), list({word("z")})})),
              "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nz\r\n");
    EXPECT_TRUE(say("SCAN " + first + "\r\n").starts_with("-ERR this cursor is lost"));
}

TEST_F(Spans, WhatIsNoScanIsRefusedAsByRedis) {
    EXPECT_EQ(say("SCAN x\r\nSCAN -1\r\nSCAN 0 COUNT x\r\nSCAN 0 COUNT 0\r\nSCAN 0 MATCH\r\n"),
              "-ERR invalid cursor\r\n-ERR invalid cursor\r\n"
              "-ERR value is not an integer or out of range\r\n-ERR syntax error\r\n"
              "-ERR syntax error\r\n");
    EXPECT_TRUE(say("SCAN 77\r\n").starts_with("-ERR this cursor is lost"));
    say("SCAN 0 TYPE list\r\n");
    EXPECT_EQ(sent().number2, 1);
}

TEST_F(Spans, ATransactionTakesAFlushAndNoReadOfAllKeys) {
    EXPECT_EQ(say("MULTI\r\nSET a 1\r\nFLUSHALL\r\nEXEC\r\n"), "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    ASSERT_EQ(sent().batch.size(), 2u);
    EXPECT_EQ(sent().batch[1].op, kv::Op::Flush);
    EXPECT_EQ(answer(list({kv::Reply::ok(), kv::Reply::ok()})), "*2\r\n+OK\r\n+OK\r\n");
    EXPECT_TRUE(say("MULTI\r\nKEYS *\r\n").find("-ERR 'keys' cannot be used inside MULTI") !=
                std::string::npos);
    EXPECT_TRUE(say("EXEC\r\n").starts_with("-EXECABORT"));
}

TEST_F(Spans, ACursorOfAnotherNodeIsAskedForThere) {
    uint64_t wanted = 0;
    About::Found found;
    About about;
    about.find_cursor = [&](uint64_t cursor, About::Found to) {
        wanted = cursor;
        found = std::move(to);
    };
    Options options;
    options.address = {"s", 6380};
    Registry registry;
    auto& door = b.host->own<std::unique_ptr<Door>>(std::make_unique<Door>(
        b.host->shard(), *b.strategy, about, options, registry, Log(b.world.log(b.server), "t")));
    ASSERT_TRUE(door->listen());
    auto& mine = b.guest->own<sim::Collector>();
    auto& dialled = b.guest->own<sim::DialResult>();
    b.guest->scope().spawn(
        "dial", sim::dial_into(b.guest->shard(), {"s", 6380}, "", seconds(1), mine, dialled));
    ASSERT_TRUE(b.world.run_until([&] { return dialled.done; }, seconds(1)));
    const auto answer = [&](Result<Cursors::Place> place) {
        mine.received.clear();
        b.host->shard().post([&, place = std::move(place)]() mutable { found(std::move(place)); });
        b.world.run_for(milliseconds(50));
    };
    const uint64_t away = uint64_t{5} << 51 | 77;
    b.say(mine, "SCAN " + std::to_string(away) + "\r\nPING\r\n");
    EXPECT_EQ(wanted, away);
    EXPECT_EQ(Cursors::node_of(away), 5u);
    EXPECT_EQ(mine.received, "") << "what is behind it waits";
    answer(Cursors::decode(Cursors::encode({KeyspaceId(2), Bytes::literal("k5"), 5})));
    ASSERT_EQ(asked(), 1u);
    EXPECT_EQ(sent().keyspace, KeyspaceId(2));
    EXPECT_EQ(sent().values[1].view(), "k5");
    EXPECT_EQ(sent().generation, 5u);
    this->answer(list({kv::Reply::nil(), list({})}));
    EXPECT_EQ(mine.received, "*2\r\n$1\r\n0\r\n*0\r\n+PONG\r\n");
    b.say(mine, "SCAN " + std::to_string(away) + "\r\n");
    answer(fail(Errc::NotFound, "gone"));
    EXPECT_TRUE(mine.received.starts_with("-ERR this cursor is lost")) << mine.received;
    b.say(mine, "SCAN " + std::to_string(away) + "\r\n");
    answer(fail(Errc::Unavailable, "down"));
    EXPECT_TRUE(mine.received.starts_with("-TRYAGAIN ")) << mine.received;
    b.host->shard().post([&door] { door.reset(); });
    b.world.run_for(milliseconds(50));
}

TEST(Cursors, HoldUntilTheNextIsUsedOrForTenMinutesOrWhileThereIsRoom) {
    Cursors cursors(3, ShardId(1));
    Instant now = Instant() + seconds(1000);
    const auto put = [&](uint64_t before, uint64_t random) {
        return cursors.put({KeyspaceId(1), Bytes::literal("k")}, before, random, now);
    };
    const uint64_t first = put(0, 5);
    EXPECT_TRUE(cursors.is_own(first));
    EXPECT_FALSE(Cursors(4, ShardId(1)).is_own(first));
    const uint64_t second = put(first, 5);
    EXPECT_NE(first, second);
    EXPECT_TRUE(cursors.find(first, now)) << "its answer may have been lost";
    now = now + seconds(500);
    EXPECT_TRUE(cursors.find(second, now));
    EXPECT_FALSE(cursors.find(first, now));
    now = now + seconds(500);
    EXPECT_TRUE(cursors.find(second, now)) << "it was used meanwhile";
    now = now + seconds(601);
    EXPECT_FALSE(cursors.find(second, now));
    EXPECT_EQ(cursors.size(), 0u);
    for (uint64_t i = 0; i < Cursors::kMost + 10; ++i)
        put(0, i);
    EXPECT_EQ(cursors.size(), Cursors::kMost);
}

TEST(Cursors, ScansThatGoOnForLongPileNothingUp) {
    Cursors cursors(3, ShardId(1));
    const Instant now{};
    const auto place = [] { return Cursors::Place{KeyspaceId(1), Bytes::literal("k")}; };
    const uint64_t waiting = cursors.put(place(), 0, 1, now);
    uint64_t cursor = 0;
    for (uint64_t i = 2; i < 100'000; ++i) {
        cursor = cursors.put(place(), cursor, i, now);
        ASSERT_TRUE(cursors.find(cursor, now));
        ASSERT_LE(cursors.uses(), 200u);
    }
    EXPECT_TRUE(cursors.find(waiting, now));
    EXPECT_LE(cursors.size(), 3u);
}

}  // namespace
}  // namespace asterias::edge_resp
