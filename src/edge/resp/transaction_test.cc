// MULTI, EXEC, WATCH at the door: what is sent to the store, and what the client hears.
#include "edge/resp/door_test_bench.h"
#include "proto/resp/dump.h"

namespace asterias::edge_resp {
namespace {

kv::Reply list(std::vector<kv::Reply> items) {
    kv::Reply reply;
    reply.kind = kv::Reply::Kind::Array;
    reply.items = std::move(items);
    return reply;
}

// RESTORE of `size` bytes, which takes a hundredth of them.
std::string restore_of(size_t size, const std::string& key) {
    std::string packed("\0a", 2);
    size_t left = size - 1;
    for (; left >= 264; left -= 264)
        packed += std::string("\xe0\xff\0", 3);
    for (; left > 0; --left)
        packed += std::string("\0a", 2);
    std::string dump("\0\xc3", 2);
    for (const size_t length : {packed.size(), size}) {
        dump += '\x80';
        for (int shift = 24; shift >= 0; shift -= 8)
            dump += static_cast<char>(length >> shift);
    }
    dump += packed + std::string("\x0a\0", 2);
    uint64_t crc = resp::crc64(dump);
    for (int i = 0; i < 8; ++i, crc >>= 8)
        dump += static_cast<char>(crc);
    return "*4\r\n$7\r\nRESTORE\r\n$" + std::to_string(key.size()) + "\r\n" + key +
           "\r\n$1\r\n0\r\n$" + std::to_string(dump.size()) + "\r\n" + dump + "\r\n";
}

struct Transactions : testing::Test {
    Bench b;
    sim::Collector& c = b.connect();
    // What the client hears of `text`.
    std::string say(const std::string& text) {
        c.received.clear();
        b.say(c, text);
        return c.received;
    }
    std::string answer(size_t i, kv::Reply reply) {
        c.received.clear();
        b.answer(i, std::move(reply));
        return c.received;
    }
    size_t asked() const { return b.strategy->asked.size(); }
    const kv::Command& sent(size_t i) const { return b.strategy->asked[i].request.command; }
};

TEST_F(Transactions, WhatIsQueuedIsSentAsOneBatchAndAnsweredInItsPlaces) {
    EXPECT_EQ(say("MULTI\r\nSET a 1\r\nPING\r\nSET a 1 EX x\r\nTTL a\r\n"),
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
    EXPECT_EQ(asked(), 0u);
    EXPECT_EQ(say("EXEC\r\n"), "");
    ASSERT_EQ(asked(), 1u);
    ASSERT_EQ(sent(0).op, kv::Op::Batch);
    ASSERT_EQ(sent(0).batch.size(), 2u);
    EXPECT_EQ(sent(0).batch[1].op, kv::Op::Ttl);
    EXPECT_EQ(answer(0, list({kv::Reply::ok(), kv::Reply::number(2600)})),
              "*4\r\n+OK\r\n+PONG\r\n-ERR value is not an integer or out of range\r\n:3\r\n");
}

TEST_F(Transactions, WithoutKeysTheStoreIsNotAsked) {
    EXPECT_EQ(say("MULTI\r\nECHO x\r\nUNWATCH\r\nEXEC\r\nMULTI\r\nEXEC\r\n"),
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\nx\r\n+OK\r\n+OK\r\n*0\r\n");
    EXPECT_EQ(asked(), 0u);
}

TEST_F(Transactions, SelectHoldsForThoseBehindItAndForTheConnectionOnlyIfTheBatchWasDone) {
    for (const bool done : {false, true}) {
        say("MULTI\r\nSET a 1\r\nSELECT 3\r\nSET b 1\r\nEXEC\r\nGET c\r\n");
        const size_t batch = asked() - 1;
        ASSERT_EQ(sent(batch).op, kv::Op::Batch) << "what is behind it waits";
        EXPECT_EQ(sent(batch).batch[0].database, 0);
        EXPECT_EQ(sent(batch).batch[1].database, 3);
        answer(batch, done ? list({kv::Reply::ok(), kv::Reply::ok()}) : kv::Reply::nil());
        ASSERT_EQ(asked(), batch + 2);
        EXPECT_EQ(sent(batch + 1).database, done ? 3 : 0);
        answer(batch + 1, kv::Reply::nil());
    }
}

TEST_F(Transactions, HelloInsideSwitchesTheRepliesBehindIt) {
    say("MULTI\r\nGET a\r\nHELLO 3\r\nGET a\r\nEXEC\r\n");
    const std::string heard = answer(0, list({kv::Reply::nil(), kv::Reply::nil()}));
    EXPECT_TRUE(heard.starts_with("*3\r\n$-1\r\n%7\r\n")) << heard;
    EXPECT_TRUE(heard.ends_with("_\r\n")) << heard;
    EXPECT_EQ(say("PING\r\n"), "+PONG\r\n");
}

TEST_F(Transactions, WhatIsRefusedWhenItIsQueuedFailsTheWhole) {
    for (const char* bad : {"NOSUCH", "GET", "LPUSH a 1", "ASTERIAS.REQUEST me 1 GET a"}) {
        say("MULTI\r\nSET a 1\r\n");
        EXPECT_TRUE(say(std::string(bad) + "\r\n").starts_with("-ERR ")) << bad;
        EXPECT_EQ(say("GET a\r\nEXEC\r\nEXEC\r\n"),
                  "+QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n"
                  "-ERR EXEC without MULTI\r\n");
    }
    EXPECT_EQ(asked(), 0u);
}

TEST_F(Transactions, EndsAndNestingsOutOfPlaceAreRefusedAndDoNoHarm) {
    EXPECT_EQ(say("DISCARD\r\nEXEC\r\nMULTI\r\nMULTI\r\nWATCH a\r\nDISCARD\r\nEXEC\r\n"),
              "-ERR DISCARD without MULTI\r\n-ERR EXEC without MULTI\r\n+OK\r\n"
              "-ERR MULTI calls can not be nested\r\n-ERR WATCH inside MULTI is not allowed\r\n"
              "+OK\r\n-ERR EXEC without MULTI\r\n");
    EXPECT_EQ(say("MULTI\r\nEXEC x\r\nEXEC\r\n"),
              "+OK\r\n-EXECABORT Transaction discarded because of: wrong number of arguments for "
              "'exec' command\r\n-ERR EXEC without MULTI\r\n");
    EXPECT_EQ(say("MULTI\r\nRESET\r\nEXEC\r\n"), "+OK\r\n+RESET\r\n-ERR EXEC without MULTI\r\n");
    EXPECT_EQ(asked(), 0u);
}

TEST_F(Transactions, WatchAsksForVersionsBeforeAnythingBehindItAndExecSendsThem) {
    EXPECT_EQ(say("WATCH a b\r\nMULTI\r\nSET c 1\r\nEXEC\r\n"), "");
    ASSERT_EQ(asked(), 1u);
    EXPECT_EQ(sent(0).op, kv::Op::Version);
    EXPECT_EQ(answer(0, list({kv::Reply::number(7), kv::Reply::number(0)})),
              "+OK\r\n+OK\r\n+QUEUED\r\n");
    ASSERT_EQ(asked(), 2u);
    const auto& batch = sent(1).batch;
    ASSERT_EQ(batch.size(), 3u);
    EXPECT_EQ(batch[0].op, kv::Op::IfVersion);
    EXPECT_EQ(batch[0].number, 7);
    EXPECT_EQ(batch[1].keys[0].view(), "b");
    EXPECT_EQ(answer(1, kv::Reply::nil()), "*-1\r\n");
    say("MULTI\r\nSET c 1\r\nEXEC\r\n");
    EXPECT_EQ(sent(2).batch.size(), 1u) << "EXEC ends what is watched";
}

TEST_F(Transactions, AKeyWatchedTwiceKeepsItsFirstVersionAndDiscardOrUnwatchEndsIt) {
    say("WATCH a\r\n");
    answer(0, list({kv::Reply::number(7)}));
    EXPECT_EQ(say("WATCH a\r\n"), "+OK\r\n");
    EXPECT_EQ(asked(), 1u);
    say("SELECT 1\r\nWATCH a\r\n");
    ASSERT_EQ(asked(), 2u) << "another key";
    answer(1, list({kv::Reply::number(8)}));
    say("MULTI\r\nGET a\r\nEXEC\r\n");
    ASSERT_EQ(sent(2).batch.size(), 3u);
    EXPECT_EQ(sent(2).batch[0].database, 0);
    EXPECT_EQ(sent(2).batch[1].database, 1);
    for (const char* end : {"UNWATCH\r\n", "MULTI\r\nDISCARD\r\n"}) {
        say("WATCH a\r\n");
        answer(asked() - 1, list({kv::Reply::number(7)}));
        say(std::string(end) + "MULTI\r\nGET a\r\nEXEC\r\n");
        EXPECT_EQ(sent(asked() - 1).batch.size(), 1u) << end;
    }
}

TEST_F(Transactions, AWatchThatFailsCountsAsAChange) {
    say("WATCH a\r\n");
    EXPECT_EQ(answer(0, kv::Reply::error(execute::kClusterDown)),
              "-" + std::string(execute::kClusterDown) + "\r\n");
    EXPECT_EQ(say("MULTI\r\nSET a 1\r\nEXEC\r\n"), "+OK\r\n+QUEUED\r\n*-1\r\n");
    EXPECT_EQ(asked(), 1u);
    say("MULTI\r\nSET a 1\r\nEXEC\r\n");
    EXPECT_EQ(asked(), 2u);
}

TEST_F(Transactions, AnErrorOfTheStoreIsTheAnswerToExecAsAWhole) {
    say("MULTI\r\nSET a 1\r\nPING\r\nEXEC\r\n");
    EXPECT_EQ(answer(0, kv::Reply::error(execute::kUnknown)),
              "-" + std::string(execute::kUnknown) + "\r\n");
}

TEST_F(Transactions, ATransactionThatIsTooLongFails) {
    std::string many = "MULTI\r\n";
    for (size_t i = 0; i < 10'001; ++i)
        many += "PING\r\n";
    const std::string heard = say(many);
    EXPECT_TRUE(heard.ends_with("(transaction-commands-max, transaction-bytes-max)\r\n"));
    EXPECT_TRUE(say("EXEC\r\n").starts_with("-EXECABORT "));
}

TEST(TransactionMemory, WhatRestoreInflatesCountsAndExecIsRefusedAsAWhole) {
    Options options;
    options.value_bytes_max = 100'000;
    Bench b(options);
    auto& c = b.connect();
    b.say(c, "MULTI\r\n" + restore_of(99'999, "a") + restore_of(99'999, "b") + "EXEC\r\n");
    ASSERT_EQ(b.strategy->asked.size(), 1u) << "twice value-bytes-max";
    b.answer(0, list({kv::Reply::ok(), kv::Reply::ok()}));
    c.received.clear();
    b.say(c, "MULTI\r\n" + restore_of(99'999, "a") + restore_of(99'999, "b") +
                 "SET c 1\r\nEXEC\r\nMULTI\r\nEXEC\r\n");
    EXPECT_EQ(b.strategy->asked.size(), 1u);
    EXPECT_EQ(c.received,
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n-ERR the transaction is too long: at most "
              "10000 commands of 200000 bytes together (transaction-commands-max, "
              "transaction-bytes-max)\r\n+OK\r\n*0\r\n");
}

TEST(TransactionMemory, WatchedKeysAreBoundedAndCharged) {
    Options options;
    options.inflight_bytes_max = 3'000'000;
    Bench b(options);
    auto& c = b.connect();
    auto& other = b.connect();
    std::vector<kv::Reply> versions;
    for (int i = 0; i < 64; ++i) {
        versions.push_back(kv::Reply::number(1));
        if (i % 8 != 7) continue;
        std::string request = "*9\r\n$5\r\nWATCH\r\n";
        for (int k = i - 7; k <= i; ++k) {
            const std::string key = std::to_string(k) + std::string(50'000, 'x');
            request += "$" + std::to_string(key.size()) + "\r\n" + key + "\r\n";
        }
        b.say(c, request);
        if (b.strategy->asked.size() < static_cast<size_t>(i / 8 + 1)) break;
        b.answer(static_cast<size_t>(i / 8), list(std::exchange(versions, {})));
    }
    const std::string busy = "-" + std::string(execute::kBusyMemory) + "\r\n";
    b.say(other, "GET a\r\n");
    EXPECT_EQ(other.received, busy);
    b.say(c, "UNWATCH\r\n");
    other.received.clear();
    const size_t asked = b.strategy->asked.size();
    b.say(other, "GET a\r\n");
    EXPECT_EQ(b.strategy->asked.size(), asked + 1) << "they are forgotten";
}

TEST(TransactionMemory, WhatRestoreInflatesIsChargedToTheDoor) {
    Options options;
    options.inflight_bytes_max = 250'000;
    Bench b(options);
    auto& c = b.connect();
    std::string all;
    for (int i = 0; i < 10; ++i)
        all += restore_of(100'000, "a");
    b.say(c, all);
    EXPECT_EQ(b.strategy->asked.size(), 3u);
    for (size_t i = 0; i < 3; ++i)
        b.answer(i, kv::Reply::ok());
    b.say(c, all);
    EXPECT_EQ(b.strategy->asked.size(), 6u);
}

TEST(TransactionMemory, WhatIsQueuedIsChargedToTheDoorUntilItEnds) {
    Options options;
    options.inflight_bytes_max = 1000;
    Bench b(options);
    auto& c = b.connect();
    auto& other = b.connect();
    b.say(c, "MULTI\r\nSET a " + std::string(1000, 'x') + "\r\n");
    const std::string busy = "-" + std::string(execute::kBusyMemory) + "\r\n";
    b.say(other, "GET a\r\n");
    EXPECT_EQ(other.received, busy);
    b.say(c, "DISCARD\r\n");
    b.say(other, "GET a\r\n");
    EXPECT_EQ(b.strategy->asked.size(), 1u);
    b.answer(0, kv::Reply::nil());
    b.say(c, "MULTI\r\nSET a " + std::string(1000, 'x') + "\r\nGET a\r\n");
    EXPECT_TRUE(c.received.ends_with(busy));
    b.guest->shard().post([&c] { c.connection->close_after_flush(); });
    b.world.run_for(milliseconds(50));
    b.say(other, "GET a\r\n");
    EXPECT_EQ(b.strategy->asked.size(), 2u) << "its connection is gone";
}

TEST(TransactionMemory, WhatIsWatchedIsChargedToTheDoorUntilItIsForgotten) {
    Options options;
    options.inflight_bytes_max = 1000;
    Bench b(options);
    auto& c = b.connect();
    auto& other = b.connect();
    const std::string busy = "-" + std::string(execute::kBusyMemory) + "\r\n";
    const auto watch = [&] {
        b.say(c, "WATCH " + std::string(1000, 'x') + "\r\n");
        b.answer(b.strategy->asked.size() - 1, list({kv::Reply::number(0)}));
        other.received.clear();
        b.say(other, "WATCH a\r\n");
        EXPECT_EQ(other.received, busy);
    };
    const auto room = [&] {
        const size_t asked = b.strategy->asked.size();
        b.say(other, "GET a\r\n");
        ASSERT_EQ(b.strategy->asked.size(), asked + 1);
        b.answer(asked, kv::Reply::nil());
    };
    watch();
    b.say(c, "UNWATCH\r\n");
    room();
    watch();
    b.say(c, "MULTI\r\nEXEC\r\n");  // asks whether the key is as it was
    b.answer(b.strategy->asked.size() - 1, list({}));
    room();
    watch();
    b.say(c, "RESET\r\n");
    room();
    watch();
    b.guest->shard().post([&c] { c.connection->close_after_flush(); });
    b.world.run_for(milliseconds(50));
    room();
}

TEST(TransactionMemory, WhatANodeTellsInOneIsBounded) {
    Bench b;
    auto &c = b.connect(), &hears = b.connect();
    b.say(hears, "SUBSCRIBE a\r\n");
    std::string all = "MULTI\r\n";
    for (int i = 0; i < 20; ++i)
        all += "*2\r\n$4\r\nECHO\r\n$500000\r\n" + std::string(500'000, 'x') + "\r\n";
    b.say(c, all + "SELECT 3\r\nPING\r\nPUBLISH a x\r\nEXEC\r\n");
    b.world.run_for(seconds(20));
    EXPECT_LT(c.received.size(), 10u * 1024 * 1024);
    const std::string refused =
        "-ERR not run: the answers before it are too long (transaction-local-bytes-max)\r\n";
    EXPECT_TRUE(c.received.ends_with(refused + "+OK\r\n" + refused + ":1\r\n"));
    EXPECT_TRUE(hears.received.ends_with("$1\r\nx\r\n"));
    c.received.clear();
    b.say(c, "GET k\r\n");
    EXPECT_EQ(b.strategy->asked[0].request.command.database, 3);
}

}  // namespace
}  // namespace asterias::edge_resp
