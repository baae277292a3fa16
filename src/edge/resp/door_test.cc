// Connections, slots, back-pressure.
#include "edge/resp/door_test_bench.h"
#include "proto/resp/dump.h"

namespace asterias::edge_resp {
namespace {

TEST(RespDoor, RepliesKeepTheOrderOfTheRequestsWhoeverAnswersThem) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "SET a 1\r\nPING\r\nGET a\r\nECHO x\r\n");
    ASSERT_EQ(b.strategy->asked.size(), 2u);
    EXPECT_EQ(c.received, "") << "PING waits for what was asked before it";
    b.answer(1, kv::Reply::bulk(Bytes::literal("1")));
    EXPECT_EQ(c.received, "");
    b.answer(0, kv::Reply::ok());
    EXPECT_EQ(c.received, "+OK\r\n+PONG\r\n$1\r\n1\r\n$1\r\nx\r\n");
}

TEST(RespDoor, PingTakesOneArgumentAtMost) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "PING\r\nPING a\r\nPING a b\r\n");
    EXPECT_EQ(c.received,
              "+PONG\r\n$1\r\na\r\n-ERR wrong number of arguments for 'ping' command\r\n");
}

TEST(RespDoor, InfoTellsTheSectionsThatAreNamed) {
    const std::vector<std::string> sections = {"# Server", "# Clients", "# Stats", "# Replication"};
    const auto told = [&](const std::string& request) {
        Bench b;
        auto& c = b.connect();
        b.say(c, request + "\r\n");
        std::string out;
        for (const auto& s : sections)
            out += c.received.find(s + "\r\n") != std::string::npos ? s : "";
        return out == "" ? c.received : out;
    };
    EXPECT_EQ(told("INFO"), "# Server# Clients# Stats# Replication");
    EXPECT_EQ(told("INFO clients SERVER bogus"), "# Server# Clients");
    EXPECT_EQ(told("INFO replication"), "# Replication");
    EXPECT_EQ(told("INFO bogus"), "$0\r\n\r\n");
    for (const char* all : {"all", "Default", "everything", "stats ALL"})
        EXPECT_EQ(told(std::string("INFO ") + all), told("INFO")) << all;
}

TEST(RespDoor, HelloInTheMiddleOfAPipelineChangesOnlyWhatFollows) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "GET a\r\nHELLO 3\r\nGET b\r\n");
    b.answer(1, kv::Reply::nil());
    b.answer(0, kv::Reply::nil());
    EXPECT_TRUE(c.received.starts_with("$-1\r\n%7\r\n")) << c.received;
    EXPECT_TRUE(c.received.ends_with("_\r\n")) << c.received;
}

TEST(RespDoor, SelectHoldsForWhatFollows) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "GET a\r\nSELECT 3\r\nGET a\r\nSELECT 16\r\n");
    ASSERT_EQ(b.strategy->asked.size(), 2u);
    EXPECT_EQ(b.strategy->asked[0].request.command.database, 0);
    EXPECT_EQ(b.strategy->asked[1].request.command.database, 3);
    EXPECT_EQ(b.strategy->asked[0].request.stream, b.strategy->asked[1].request.stream);
}

TEST(RespDoor, AHalfClosedClientGetsAllItsAnswers) {
    Bench b;
    auto& c = b.connect();
    b.guest->shard().post([&c] {
        c.connection->out().append(std::string_view("SET a 1\r\nGET a\r\n"));
        c.connection->close_after_flush();
    });
    b.world.run_for(milliseconds(50));
    ASSERT_EQ(b.strategy->asked.size(), 2u);
    EXPECT_EQ((*b.door)->connections(), 1u);
    b.answer(0, kv::Reply::ok());
    b.answer(1, kv::Reply::nil());
    EXPECT_EQ((*b.door)->connections(), 0u);
}

// How many messages were published in the turn that published most.
struct TurnCounter : port::TurnHook {
    explicit TurnCounter(Bench& b) : bench(b) {
        bench.host->shard().add_turn_hook(port::TurnPhase::Sync, *this);
    }
    ~TurnCounter() override { bench.host->shard().remove_turn_hook(*this); }
    void on_turn_end() override {
        most = std::max(most, bench.heard.published.size() - before);
        before = bench.heard.published.size();
    }
    Bench& bench;
    size_t before = 0, most = 0;
};

TEST(RespDoor, ATurnTakesPartOfALongPipelineAndTheNextOnesTakeTheRestInOrder) {
    Bench b;
    TurnCounter turns(b);
    constexpr size_t kClients = 5, kEach = 3000;
    std::vector<std::vector<std::string>> said(kClients);
    for (size_t c = 0; c < kClients; ++c) {
        auto& client = b.connect();
        std::string all;
        for (size_t i = 0; i < kEach; ++i) {
            said[c].push_back(std::to_string(c) + ":" + std::to_string(i));
            all += "PUBLISH x " + said[c].back() + "\r\n";
        }
        b.guest->shard().post([&client, all] {
            client.connection->out().append(all);
            client.connection->close_after_flush();  // half-closed: all of it is done
        });
    }
    b.world.run_for(milliseconds(200));
    EXPECT_LE(turns.most, kClients * 512);
    std::vector<std::vector<std::string>> heard(kClients);
    for (const auto& payload : b.heard.published)
        heard[static_cast<size_t>(payload[0] - '0')].push_back(payload);
    EXPECT_TRUE(heard == said) << "somebody waits for ever, or order is lost";
    EXPECT_EQ((*b.door)->connections(), 0u);
}

TEST(RespDoor, QuitAndProtocolErrorsCloseBehindTheRepliesOwed) {
    for (const char* end : {"QUIT\r\nGET b\r\n", "*1\r\n!\r\nGET b\r\n"}) {
        Bench b;
        auto& c = b.connect();
        b.say(c, std::string("GET a\r\n") + end);
        ASSERT_EQ(b.strategy->asked.size(), 1u);
        b.answer(0, kv::Reply::nil());
        EXPECT_TRUE(c.received.starts_with("$-1\r\n")) << c.received;
        EXPECT_TRUE(c.ended || c.closed);
        EXPECT_EQ((*b.door)->connections(), 0u);
    }
}

TEST(RespDoor, WhoClosesLeavesItsUnansweredCommandsOnTheBill) {
    Options options;
    options.inflight_bytes_max = 1000;
    Bench b(options);
    auto& gone = b.connect();
    b.say(gone, "GET a\r\nSET a " + std::string(2000, 'x') + "\r\n");
    ASSERT_EQ(b.strategy->asked.size(), 2u);
    b.guest->shard().post([&gone] { gone.connection.reset(); });
    b.world.run_for(milliseconds(50));
    b.answer(0, kv::Reply::nil());  // nobody is there to take it: the connection is reset
    ASSERT_EQ((*b.door)->connections(), 0u);
    auto& next = b.connect();
    b.say(next, "GET a\r\n");
    EXPECT_EQ(next.received, "-" + std::string(execute::kBusyMemory) + "\r\n");
    b.answer(1, kv::Reply::ok());
    b.say(next, "GET a\r\n");
    EXPECT_EQ(b.strategy->asked.size(), 3u) << "its bytes are free again";
}

TEST(RespDoor, RepliesUnderWayOfAllConnectionsAreBoundedAndNobodyIsForgotten) {
    Options options;
    options.replies_bytes_max = 64 * 1024 * 1024;  // 16 of what a door expects at first
    Bench b(options);
    constexpr size_t kClients = 10, kEach = 8;
    std::vector<sim::Collector*> clients;
    for (size_t i = 0; i < kClients; ++i)
        clients.push_back(&b.connect());
    for (auto* c : clients) {
        std::string all;
        for (size_t k = 0; k < kEach; ++k)
            all += "GET k\r\n";
        b.say(*c, all);
    }
    EXPECT_EQ(b.strategy->asked.size(), 16u);
    size_t most = 0;
    for (size_t i = 0; i < kClients * kEach; ++i) {
        ASSERT_GT(b.strategy->asked.size(), i) << "somebody waits for ever";
        most = std::max(most, b.strategy->asked.size() - i);
        b.answer(i, kv::Reply::bulk(Bytes::copy(std::string(100, 'x'))));
    }
    EXPECT_GT(most, 16u) << "small replies make room for more";
    for (auto* c : clients)
        EXPECT_EQ(c->received.size(), kEach * (6 + 100 + 2));
}

// What they wait to say owes nothing, so that nothing of theirs will complete.
TEST(RespDoor, WhoRestsForWantOfRoomIsCalledAlsoWhenNothingIsUnderWayAnyMore) {
    Options options;
    options.replies_bytes_max = 8 * 1024 * 1024;  // two of what a door expects at first
    Bench b(options);
    auto& busy = b.connect();
    b.say(busy, "GET a\r\nGET b\r\n");
    ASSERT_EQ(b.strategy->asked.size(), 2u);
    std::vector<sim::Collector*> pool;
    for (int i = 0; i < 10; ++i) {
        pool.push_back(&b.connect());
        b.say(*pool.back(), "PING\r\n");
        EXPECT_EQ(pool.back()->received, "");
    }
    for (size_t i : {0, 1})
        b.answer(i, kv::Reply::bulk(Bytes::copy(std::string(4 * 1024 * 1024, 'x'))));
    for (auto* c : pool)
        EXPECT_EQ(c->received, "+PONG\r\n");
}

TEST(RespDoor, ReadingRestsAtPipelineMaxAndGoesOnWithNothingLost) {
    Options options;
    options.pipeline_max = 4;
    Bench b(options);
    auto& c = b.connect();
    std::string all;
    for (int i = 0; i < 10; ++i)
        all += "GET k" + std::to_string(i) + "\r\n";
    b.say(c, all);
    EXPECT_EQ(b.strategy->asked.size(), 4u);
    for (size_t i = 0; i < 10; ++i) {
        ASSERT_GT(b.strategy->asked.size(), i);
        EXPECT_EQ(b.strategy->asked[i].request.command.keys[0].str(), "k" + std::to_string(i));
        b.answer(i, kv::Reply::number(static_cast<int64_t>(i)));
    }
    EXPECT_TRUE(c.received.ends_with(":9\r\n"));
}

TEST(RespDoor, WhatAHalfClosedClientSentBeyondPipelineMaxIsStillDone) {
    Options options;
    options.pipeline_max = 2;
    Bench b(options);
    auto& c = b.connect();
    b.guest->shard().post([&c] {
        c.connection->out().append(std::string_view("GET a\r\nGET b\r\nGET c\r\n"));
        c.connection->close_after_flush();
    });
    b.world.run_for(milliseconds(50));
    b.answer(0, kv::Reply::nil());
    b.answer(1, kv::Reply::nil());
    EXPECT_EQ(b.strategy->asked.size(), 3u);
}

TEST(RespDoor, WhoDoesNotReadItsRepliesIsNotReadFrom) {
    Options options;
    options.unsent_bytes_max = 2 * 1024 * 1024;
    Bench b(options);
    auto& c = b.connect();
    c.connection->pause_reading(true);
    const std::string echo = "ECHO " + std::string(10'000, 'x') + "\r\n";
    std::string all;
    for (int i = 0; i < 2000; ++i)
        all += echo;
    b.guest->shard().post([&c, &all] { c.connection->out().append(all); });
    b.world.run_for(seconds(2));
    EXPECT_GT(c.connection->unsent(), 10'000'000u) << "20 MB of requests were not all taken";
    c.connection->pause_reading(false);
    b.world.run_for(seconds(10));
    EXPECT_EQ(c.received.size(), 2000 * (10'000 + 10));
}

TEST(RespDoor, ConnectionsAreBounded) {
    Options options;
    options.connections_max = 1;
    Bench b(options);
    b.connect();
    auto& second = b.connect();
    b.world.run_for(milliseconds(50));
    EXPECT_EQ(second.received, "-ERR max number of clients reached\r\n");
    EXPECT_TRUE(second.ended || second.closed);
}

TEST(RespDoor, AnAnswerThatComesAfterItsConnectionOrItsDoorIsDropped) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "GET a\r\nGET b\r\n");
    b.guest->shard().post([&c] { c.connection.reset(); });
    b.world.run_for(milliseconds(50));
    b.answer(0, kv::Reply::nil());
    b.host->shard().post([&b] { b.door->reset(); });
    b.world.run_for(milliseconds(50));
    b.answer(1, kv::Reply::nil());
}

TEST(RespDoor, ADoorMayGoInTheTurnInWhichItsConnectionsEnd) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "GET a\r\n");
    b.say(c, "QUIT\r\n");
    b.host->shard().post([&b] {
        b.strategy->answer(0, kv::Reply::nil());  // ends the session
        b.door->reset();
    });
    b.world.run_for(milliseconds(50));
}

TEST(RespDoor, ARequestIdentityGoesWithItsCommand) {
    Bench b;
    auto& c = b.connect();
    b.say(c,
          "ASTERIAS.REQUEST me 7 INCR n\r\nASTERIAS.REQUEST me 0 INCR n\r\nASTERIAS.REQUEST me 1 "
          "PING\r\n");
    ASSERT_EQ(b.strategy->asked.size(), 1u);
    EXPECT_EQ(b.strategy->asked[0].request.command.request.client.view(), "me");
    EXPECT_EQ(b.strategy->asked[0].request.command.request.sequence, 7u);
}

TEST(RespDoor, AKeyMayBeLongerThanAnyValue) {
    Options options;
    options.value_bytes_max = 1024;
    Bench b(options);
    auto& c = b.connect();
    b.say(c, "*2\r\n$3\r\nGET\r\n$2000\r\n" + std::string(2000, 'k') + "\r\n");
    EXPECT_EQ(b.strategy->asked.size(), 1u);
    EXPECT_EQ(c.received, "");
}

TEST(RespDoor, RestoreNamesItselfWhereItsDeadlineCannotBe) {
    Bench b;
    auto& c = b.connect();
    const Bytes dump = resp::dump_string("v");
    b.say(c, "*4\r\n$7\r\nRESTORE\r\n$1\r\nk\r\n$19\r\n9223372036854775807\r\n$" +
                 std::to_string(dump.size()) + "\r\n" + dump.str() + "\r\n");
    EXPECT_EQ(c.received, "-ERR invalid expire time in 'restore' command\r\n");
}

// SET of `size` bytes, but its last `missing`; and those.
std::pair<std::string, std::string> cut_set(size_t size, size_t missing) {
    const std::string all = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$" + std::to_string(size) + "\r\n" +
                            std::string(size, 'v') + "\r\n";
    return {all.substr(0, all.size() - missing), all.substr(all.size() - missing)};
}

TEST(RespDoor, UnfinishedRequestsOfAllAreBoundedAndEachEndsInTheEnd) {
    Options options;
    options.requests_bytes_max = 5'000'000;
    Bench b(options);
    const Gauge& held = b.registry->gauge("asterias_resp_unfinished_bytes", "");
    const auto [most, rest] = cut_set(4'000'000, 1);
    std::vector<sim::Collector*> clients;
    int64_t peak = 0;
    for (int i = 0; i < 10; ++i) {
        clients.push_back(&b.connect());
        b.say(*clients.back(), most);
        peak = std::max(peak, held.value());
    }
    EXPECT_GT(peak, 4'000'000);
    EXPECT_LE(peak, 15'000'000) << "what is allowed, one more, and a read of each";
    b.say(b.connect(), "SET small " + std::string(1000, 'x') + "\r\n");
    EXPECT_EQ(b.strategy->asked.size(), 1u) << "small ones do not wait";
    for (auto* c : clients)
        b.guest->shard().post([c, &rest] { c->connection->out().append(rest); });
    b.world.run_for(seconds(1));
    EXPECT_EQ(b.strategy->asked.size(), 11u);
    EXPECT_EQ(held.value(), 0);
}

TEST(RespDoor, WhoHoldsUpOtherUnfinishedRequestsIsClosed) {
    Options options;
    options.requests_bytes_max = 300'000;
    Bench b(options);
    const auto [most, rest] = cut_set(500'000, 1);
    auto& idle = b.connect();
    auto& too = b.connect();
    b.say(idle, most);
    b.say(too, most);
    auto& whole = b.connect();
    b.say(whole, most + rest);
    EXPECT_EQ(b.strategy->asked.size(), 0u);
    b.world.run_for(seconds(5));
    EXPECT_EQ(b.strategy->asked.size(), 1u) << "in its turn";
    for (const auto* c : {&idle, &too})
        EXPECT_TRUE(c->received.starts_with("-ERR the request took longer")) << c->received;
    b.world.run_for(seconds(20));
    EXPECT_EQ((*b.door)->connections(), 1u);
}

}  // namespace
}  // namespace asterias::edge_resp
