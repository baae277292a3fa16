// AUTH and HELLO AUTH at the door, with a guard that the test plays.
#include <gtest/gtest.h>

#include "edge/resp/door.h"
#include "runtime/sim/test_support.h"

namespace asterias::edge_resp {
namespace {

struct Played : execute::Strategy {
    size_t asked = 0;
    void execute(execute::Request request, execute::Completion done) override {
        ++asked;
        kv::Reply reply;
        if (request.command.op == kv::Op::Batch) {
            reply.kind = kv::Reply::Kind::Array;
            reply.items.resize(request.command.batch.size());
        }
        done({std::move(reply), {}});
    }
};

// Knows `default` with "secret" and `bob` with "b"; answers when the test says so.
struct Keeper : Guard {
    bool closed = true, answers = true, bob_gone = false;
    std::vector<std::pair<Done, Verdict>> waiting;
    std::string asked_of;  // host, last
    size_t given_up = 0;
    bool required() const override { return closed; }
    bool knows(const std::string& user) const override { return user == "bob" && !bob_gone; }
    GiveUp check(port::Shard&, std::string host, std::string user, std::string password,
                 Done done) override {
        asked_of = std::move(host);
        const bool right =
            (user == "default" && password == "secret") || (user == "bob" && password == "b");
        const Verdict verdict = user == "busy" ? Verdict::Busy
                                : right        ? Verdict::Right
                                               : Verdict::Wrong;
        if (answers)
            done(verdict);
        else
            waiting.emplace_back(std::move(done), verdict);
        return [this] { ++given_up; };
    }
};

struct LineCounter : LogSink {
    size_t lines = 0;
    std::string last;
    void write(LogLevel, std::string_view, std::string text) override {
        ++lines;
        last = std::move(text);
    }
    bool enabled(LogLevel) const override { return true; }
};

struct Bench {
    explicit Bench(bool closed = true) {
        keeper.closed = closed;
        server = world.add_node("s", {});
        client = world.add_node("c", {});
        host = sim::boot_host(world, server);
        guest = sim::boot_host(world, client);
        strategy = &host->own<Played>();
        Options options;
        options.address = {"s", 6379};
        options.guard = &keeper;
        door = &host->own<std::unique_ptr<Door>>(std::make_unique<Door>(
            host->shard(), *strategy, About{}, options, host->own<Registry>(), Log(sink, "t")));
        EXPECT_TRUE((*door)->listen());
    }
    sim::Collector& connect() {
        auto& c = guest->own<sim::Collector>();
        auto& result = guest->own<sim::DialResult>();
        guest->scope().spawn(
            "dial", sim::dial_into(guest->shard(), {"s", 6379}, "", seconds(1), c, result));
        EXPECT_TRUE(world.run_until([&] { return result.done; }, seconds(1)));
        return c;
    }
    // What it answers to `text`.
    std::string say(sim::Collector& c, std::string text, Duration wait = milliseconds(50)) {
        const size_t before = c.received.size();
        guest->shard().post([&c, text] { c.connection->out().append(text); });
        world.run_for(wait);
        return c.received.substr(before);
    }

    Keeper keeper;  // outlives the world, as does the sink
    LineCounter sink;
    sim::World world{1};
    sim::NodeIndex server, client;
    sim::Host *host, *guest;
    Played* strategy;
    std::unique_ptr<Door>* door;
};

const std::string kWrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
const std::string kNoAuth = "-NOAUTH Authentication required.\r\n";

TEST(RespAuth, NothingRunsBeforeThePasswordAndEverythingAfterIt) {
    Bench b;
    auto& c = b.connect();
    EXPECT_EQ(b.say(c, "GET a\r\nPING\r\nCONFIG GET *\r\nASTERIAS.REQUEST c 1 GET a\r\n"),
              kNoAuth + kNoAuth + kNoAuth + kNoAuth);
    EXPECT_EQ(b.strategy->asked, 0u);
    EXPECT_EQ(b.say(c, "NOSUCH\r\n"),
              "-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    EXPECT_EQ(b.say(c, "GET\r\n"), "-ERR wrong number of arguments for 'get' command\r\n");
    EXPECT_EQ(b.say(c, "AUTH a b c\r\n"), "-ERR syntax error\r\n");
    EXPECT_EQ(b.say(c, "AUTH secret\r\nGET a\r\n"), "+OK\r\n$-1\r\n");
    EXPECT_EQ(b.strategy->asked, 1u);
    EXPECT_EQ(b.say(c, "AUTH bob b\r\n"), "+OK\r\n");
}

TEST(RespAuth, AWrongPasswordIsAnsweredLaterEachTimeAndChangesNothing) {
    Bench b;
    auto& c = b.connect();
    EXPECT_EQ(b.say(c, "AUTH bad\r\nGET a\r\n", milliseconds(90)), "");
    b.world.run_for(milliseconds(50));
    EXPECT_EQ(c.received, kWrong + kNoAuth);
    EXPECT_EQ(b.say(c, "AUTH bob secret\r\n", milliseconds(190)), "");
    b.world.run_for(milliseconds(50));
    EXPECT_EQ(c.received, kWrong + kNoAuth + kWrong);
    EXPECT_EQ(b.say(c, "AUTH secret\r\n"), "+OK\r\n");
    b.say(c, "AUTH bad\r\n", milliseconds(150));
    EXPECT_EQ(b.say(c, "GET a\r\n"), "$-1\r\n") << "who was in stays in, as in Redis";
}

TEST(RespAuth, HelloAuthenticatesAndChangesNothingWhenItFails) {
    Bench b;
    auto& c = b.connect();
    EXPECT_TRUE(b.say(c, "HELLO 3\r\n").starts_with("-NOAUTH HELLO must be called with"));
    EXPECT_EQ(b.say(c, "HELLO 3 AUTH bob x SETNAME n\r\n", milliseconds(200)), kWrong);
    EXPECT_TRUE(b.say(c, "HELLO 3 AUTH bob b SETNAME n\r\n").starts_with("%7\r\n"));
    EXPECT_EQ(b.say(c, "CLIENT GETNAME\r\n"), "$1\r\nn\r\n");
    EXPECT_EQ(b.say(c, "RESET\r\nGET a\r\n"), "+RESET\r\n" + kNoAuth);
}

TEST(RespAuth, WhatFollowsAnAuthWaitsForItsVerdictAndKeepsItsOrder) {
    Bench b;
    b.keeper.answers = false;
    auto& c = b.connect();
    EXPECT_EQ(b.say(c, "AUTH secret\r\nGET a\r\n"), "");
    EXPECT_EQ(b.strategy->asked, 0u);
    ASSERT_EQ(b.keeper.waiting.size(), 1u);
    b.host->shard().post([&b] { b.keeper.waiting[0].first(b.keeper.waiting[0].second); });
    b.world.run_for(milliseconds(50));
    EXPECT_EQ(c.received, "+OK\r\n$-1\r\n");
}

TEST(RespAuth, BeforeThePasswordRequestsAreSmall) {
    Bench b;
    EXPECT_EQ(b.say(b.connect(), "*11\r\n"),
              "-ERR Protocol error: unauthenticated multibulk length\r\n");
    auto& c = b.connect();
    EXPECT_EQ(b.say(c, "*2\r\n$4\r\nAUTH\r\n$16385\r\n"),
              "-ERR Protocol error: unauthenticated bulk length\r\n");
}

TEST(RespAuth, WhoDoesNotAuthenticateInTimeIsClosed) {
    Bench b;
    auto& silent = b.connect();
    auto& user = b.connect();
    b.say(user, "AUTH secret\r\n");
    EXPECT_EQ((*b.door)->connections(), 2u);
    b.world.run_for(seconds(11));
    EXPECT_EQ((*b.door)->connections(), 1u);
    EXPECT_EQ(silent.received, "");
    EXPECT_EQ(b.say(user, "GET a\r\n"), "$-1\r\n");
}

TEST(RespAuth, WhoAsksTooMuchBeforeThePasswordIsClosedWithAWord) {
    Bench b;
    auto& flood = b.connect();
    std::string text;
    for (int i = 0; i < 10'000; ++i)
        text += "a\n";
    b.say(flood, text);
    EXPECT_EQ((*b.door)->connections(), 0u);
    EXPECT_TRUE(flood.received.ends_with(
        "-ERR too many commands before AUTH (guest-commands-max); the connection is closed\r\n"))
        << flood.received.substr(0, 1000);
    EXPECT_LT(flood.received.size(), 1000u);
    auto& patient = b.connect();
    for (int i = 0; i < 7; ++i)
        EXPECT_EQ(b.say(patient, "GET a\r\n"), kNoAuth);
    EXPECT_EQ(b.say(patient, "AUTH secret\r\n"), "+OK\r\n");
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(b.say(patient, "GET a\r\n"), "$-1\r\n");
    b.say(patient, "RESET\r\n");
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(b.say(patient, "GET a\r\n"), kNoAuth) << "it was a user once";
}

TEST(RespAuth, BeforeThePasswordUnreadRepliesAreFew) {
    Bench b;
    auto& c = b.connect();
    const std::string name(120, 'x');
    std::string text;
    for (int i = 0; i < 6; ++i)
        text += name + " " + name + "\r\n";
    b.say(c, text);
    EXPECT_EQ((*b.door)->connections(), 0u);
    EXPECT_LE(c.received.size(), 2000u);
}

TEST(RespAuth, WhoIsClosedForTheTimeLeavesNoOutputBehind) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "AUTH secret\r\n");
    const std::string big(1024 * 1024, 'x');
    b.guest->shard().post([&] {
        c.connection->pause_reading(true);
        c.connection->out().append("*2\r\n$4\r\nECHO\r\n$1048576\r\n" + big + "\r\nRESET\r\n");
    });
    b.world.run_for(seconds(12));
    EXPECT_EQ((*b.door)->connections(), 0u);
    b.guest->shard().post([&] { c.connection->pause_reading(false); });
    b.world.run_for(seconds(1));
    EXPECT_LT(c.received.size(), big.size()) << "the rest was kept for it";
}

TEST(RespAuth, TheGuardHearsWhoAsksAndWhenNobodyWaitsAnyMore) {
    Bench b;
    b.keeper.answers = false;
    auto& c = b.connect();
    b.say(c, "AUTH secret\r\n");
    EXPECT_FALSE(b.keeper.asked_of.empty());
    EXPECT_EQ(b.keeper.asked_of.find(':'), std::string::npos) << b.keeper.asked_of;
    EXPECT_EQ(b.keeper.given_up, 0u);
    b.guest->shard().post([&c] { c.connection.reset(); });
    b.world.run_for(seconds(11));
    EXPECT_EQ(b.keeper.given_up, 1u);
}

TEST(RespAuth, WhoWantsNoReplyHearsNoneToAuth) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "AUTH secret\r\n");
    EXPECT_EQ(b.say(c, "CLIENT REPLY SKIP\r\nAUTH secret\r\nECHO hi\r\n"), "$2\r\nhi\r\n");
    EXPECT_EQ(b.say(c, "CLIENT REPLY OFF\r\nAUTH secret\r\nCLIENT REPLY ON\r\n"), "+OK\r\n");
}

TEST(RespAuth, AFloodOfWrongPasswordsIsOneLineASecond) {
    Bench b;
    for (int i = 0; i < 10; ++i)
        b.say(b.connect(), "AUTH bad\r\n", milliseconds(1));
    EXPECT_EQ(b.sink.lines, 1u);
    b.world.run_for(seconds(1));
    b.say(b.connect(), "AUTH bad\r\n", milliseconds(1));
    EXPECT_EQ(b.sink.lines, 2u);
    EXPECT_NE(b.sink.last.find("9 more not shown"), std::string::npos) << b.sink.last;
}

TEST(RespAuth, WithinMultiItIsCheckedBeforeTheRestRunsAndAnsweredInItsPlace) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "AUTH secret\r\n");
    EXPECT_EQ(b.say(c,
                    "MULTI\r\nAUTH bob b\r\nGET a\r\nAUTH bob x\r\nAUTH 1 2 3\r\nEXEC\r\n"
                    "PING\r\n",
                    milliseconds(500)),
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n" + std::string("*4\r\n") +
                  "+OK\r\n$-1\r\n" + kWrong + "-ERR syntax error\r\n+PONG\r\n");
    EXPECT_TRUE(b.say(c, "MULTI\r\nHELLO 3 AUTH bob b\r\nEXEC\r\n").find("%7\r\n") !=
                std::string::npos);
    EXPECT_EQ(b.say(c, "GET a\r\n"), "_\r\n");
}

TEST(RespAuth, WhoLeavesWhileItsTransactionIsCheckedLeavesNothing) {
    Bench b;
    auto &c = b.connect(), &stays = b.connect(), &admin = b.connect();
    for (auto* one : {&c, &stays, &admin})
        b.say(*one, "AUTH secret\r\n");
    b.keeper.answers = false;
    const size_t asked = b.strategy->asked;
    b.say(c, "MULTI\r\nAUTH bob b\r\nGET a\r\nEXEC\r\n");
    b.say(stays, "MULTI\r\nAUTH bob b\r\nGET a\r\nEXEC\r\n");
    ASSERT_EQ(b.keeper.waiting.size(), 2u);
    EXPECT_EQ(b.strategy->asked, asked) << "not before the password is known";
    EXPECT_EQ(b.say(admin, "CLIENT KILL ID 1\r\n"), ":1\r\n");
    EXPECT_EQ(b.keeper.given_up, 1u);
    b.host->shard().post([&b] {
        for (auto& [done, verdict] : b.keeper.waiting)
            done(verdict);
    });
    b.world.run_for(milliseconds(50));
    EXPECT_EQ(b.strategy->asked, asked + 1);
    EXPECT_TRUE(stays.received.ends_with("*2\r\n+OK\r\n$-1\r\n")) << stays.received;
}

TEST(RespAuth, EachConnectionIsListedAndEndedByItsUser) {
    Bench b;
    auto &bob = b.connect(), &both = b.connect(), &admin = b.connect();
    b.say(bob, "AUTH bob b\r\n");
    b.say(both, "AUTH secret\r\nMULTI\r\nAUTH\r\nDISCARD\r\nMULTI\r\nAUTH bob b\r\nEXEC\r\n");
    b.say(admin, "AUTH secret\r\n");
    const std::string list = b.say(admin, "CLIENT LIST\r\n");
    EXPECT_NE(list.find("user=bob"), list.rfind("user=bob")) << list;
    EXPECT_NE(list.find("cmd=client|list user=default"), std::string::npos) << list;
    EXPECT_EQ(b.say(admin, "CLIENT KILL USER nobody\r\n"), "-ERR No such user 'nobody'\r\n");
    b.keeper.bob_gone = true;
    EXPECT_EQ(b.say(admin, "CLIENT KILL USER default\r\nCLIENT KILL USER bob\r\n"), ":0\r\n:2\r\n");
    EXPECT_EQ((*b.door)->connections(), 1u);
    EXPECT_EQ(b.say(admin, "CLIENT KILL USER bob\r\n"), "-ERR No such user 'bob'\r\n");
    b.keeper.bob_gone = false;
    EXPECT_EQ(b.say(admin, "CLIENT KILL USER bob\r\n"), ":0\r\n");
}

TEST(RespAuth, TooManyChecksAreSaidToBeSo) {
    Bench b;
    EXPECT_TRUE(b.say(b.connect(), "AUTH busy x\r\n").starts_with("-TRYAGAIN "));
}

TEST(RespAuth, WithoutUsersTheDoorIsOpenAndAuthAnswersAsRedisDoes) {
    Bench b(false);
    auto& c = b.connect();
    EXPECT_EQ(b.say(c, "GET a\r\n"), "$-1\r\n");
    EXPECT_EQ(b.say(c, "AUTH x\r\n"),
              "-ERR AUTH <password> called without any password configured for the default user. "
              "Are you sure your configuration is correct?\r\n");
    EXPECT_EQ(b.say(c, "AUTH default x\r\n"), "+OK\r\n");
    EXPECT_EQ(b.say(c, "AUTH bob x\r\n", milliseconds(200)), kWrong);
}

}  // namespace
}  // namespace asterias::edge_resp
