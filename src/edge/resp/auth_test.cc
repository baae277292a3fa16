// AUTH and HELLO AUTH at the door, with a guard that the test plays.
#include <gtest/gtest.h>

#include "edge/resp/door.h"
#include "runtime/sim/test_support.h"

namespace asterias::edge_resp {
namespace {

struct Played : execute::Strategy {
    size_t asked = 0;
    void execute(execute::Request, execute::Completion done) override {
        ++asked;
        done({kv::Reply::nil(), {}});
    }
};

// Knows `default` with "secret" and `bob` with "b"; answers when the test says so.
struct Keeper : Guard {
    bool closed = true, answers = true;
    std::vector<std::pair<Done, Verdict>> waiting;
    bool required() const override { return closed; }
    void check(port::Shard&, std::string user, std::string password, Done done) override {
        const bool right =
            (user == "default" && password == "secret") || (user == "bob" && password == "b");
        const Verdict verdict = user == "busy" ? Verdict::Busy
                                : right        ? Verdict::Right
                                               : Verdict::Wrong;
        if (answers) return done(verdict);
        waiting.emplace_back(std::move(done), verdict);
    }
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
        door = &host->own<std::unique_ptr<Door>>(
            std::make_unique<Door>(host->shard(), *strategy, About{}, options,
                                   host->own<Registry>(), Log(world.log(server), "t")));
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

    Keeper keeper;  // outlives the world
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

TEST(RespAuth, WithinMultiItIsRefusedAndExecDoesNothing) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "AUTH secret\r\n");
    const std::string told = b.say(c, "MULTI\r\nAUTH bob b\r\nHELLO 3 AUTH bob b\r\nEXEC\r\n");
    const std::string refused = "-ERR AUTH is not allowed within MULTI\r\n";
    EXPECT_TRUE(told.starts_with("+OK\r\n" + refused + refused + "-EXECABORT ")) << told;
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
