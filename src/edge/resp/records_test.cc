// What the door notes of the commands that ran, and who asks for it.
#include "edge/resp/door_test_bench.h"

namespace asterias::edge_resp {
namespace {

resp::Request request_of(std::initializer_list<std::string_view> words) {
    resp::Request request;
    for (const auto word : words)
        request.push_back(Bytes::copy(word));
    return request;
}

const resp::CommandSpec& spec(std::string_view name) { return *resp::find_command(name); }

struct OneNode : SharedRecords {
    Records records;
    bool taken = false;
    void with(const std::function<void(Records&)>& use) override {
        ASSERT_FALSE(std::exchange(taken, true)) << "a lock would never come free";
        use(records);
        taken = false;
    }
};

// As the composition root answers, with two parameters.
struct Two : Parameters {
    Live live;
    std::vector<Value> all() const override {
        return {{"port", "6379"}, {"timeout", std::to_string(live.idle_timeout)}};
    }
    std::variant<Live, Refused> set(const std::vector<Value>& wanted) override {
        for (const auto& [name, value] : wanted) {
            if (name == "timeout")
                live.idle_timeout = static_cast<uint32_t>(std::stoul(value));
            else if (name == "slow")
                live.slowlog_slower_than = std::stol(value);
            else if (name == "len")
                live.slowlog_max_len = std::stoul(value);
            else if (name == "latency")
                live.latency_threshold = std::stoul(value);
            else
                return Refused{"ERR no " + name};
        }
        return live;
    }
};

struct Recorded : testing::Test {
    OneNode node;
    Two parameters;
    Bench b{[this] {
        Options options;
        options.records = &node;
        options.parameters = &parameters;
        options.debug = DebugFor::Everybody;
        return options;
    }()};
    sim::Collector& c = b.connect();
    std::string say(const std::string& text) {
        c.received.clear();
        b.say(c, text + "\r\n");
        return c.received;
    }
    CommandSums sums(std::string_view name) { return node.records.sums(spec(name).id); }
};

TEST(Records, AnEntryOfTheSlowLogIsTrimmedAsRedisDoes) {
    resp::Request many = request_of({"mget"});
    for (int i = 0; i < 40; ++i)
        many.push_back(Bytes::copy(std::to_string(i)));
    const auto shown = arguments_of(note_of(spec("mget"), many));
    ASSERT_EQ(shown.size(), 32u);
    EXPECT_EQ(shown[30], "29");
    EXPECT_EQ(shown[31], "... (10 more arguments)");
    const auto set = request_of({"SET", "k", std::string(129, 'A')});
    EXPECT_EQ(arguments_of(note_of(spec("set"), set)),
              (std::vector<std::string>{"SET", "k", std::string(128, 'A') + "... (1 more bytes)"}));
}

TEST(Records, PasswordsAreNotKept) {
    const auto kept = [](std::string_view name, std::initializer_list<std::string_view> words) {
        std::string all;
        for (const auto& text : arguments_of(note_of(spec(name), request_of(words))))
            all += text + " ";
        return all;
    };
    EXPECT_EQ(kept("auth", {"auth", "me", "secret"}), "auth (redacted) (redacted) ");
    EXPECT_EQ(kept("hello", {"hello", "3", "auth", "me", "secret"}),
              "hello 3 auth (redacted) (redacted) ");
    EXPECT_EQ(kept("hello", {"hello", "3", "setname", "auth", "auth", "me", "secret"}),
              "hello 3 setname auth auth (redacted) (redacted) ");
    EXPECT_EQ(kept("hello", {"hello", "3", "pw", "auth", "me"}),
              "hello 3 (redacted) (redacted) (redacted) ");
    EXPECT_EQ(kept("asterias.request", {"asterias.request", "c", "1", "auth", "me", "secret"}),
              "asterias.request c 1 auth (redacted) (redacted) ");
    EXPECT_EQ(kept("config|set", {"config", "set", "masterAuth", "secret", "timeout", "5"}),
              "config set masterAuth (redacted) timeout 5 ");
}

TEST(Records, ASecondHasOneSampleTheLongestAndThereAreSoManyAtMost) {
    Records records;
    records.add_event("command", 1, 5);
    records.add_event("command", 1, 9);
    records.add_event("command", 1, 7);
    for (int64_t i = 2; i < 500; ++i)
        records.add_event("command", i, 1);
    const auto& event = records.events().at("command");
    EXPECT_EQ(event.longest, 9u);
    EXPECT_EQ(event.samples.size(), LatencyEvent::kSamplesMax);
    EXPECT_EQ(event.samples.back().seconds, 499);
}

TEST(Records, WhatWasResetCountsFromThenOnAtAllDoors) {
    Records records;
    Figures &one = records.add_door(), &other = records.add_door();
    const auto get = static_cast<size_t>(resp::CommandId::Get);
    one[get].ran(3);
    other[get].ran(100);
    records.note_error("ERR a");
    EXPECT_EQ(records.sums(resp::CommandId::Get).calls, 2u);
    EXPECT_EQ(records.sums(resp::CommandId::Get).micros, 103u);
    EXPECT_EQ(records.sums(resp::CommandId::Get).quantile_micros(0.5), 4u);
    EXPECT_EQ(records.sums(resp::CommandId::Get).quantile_micros(0.99), 128u);
    records.reset();
    other[get].ran(9);
    EXPECT_EQ(records.sums(resp::CommandId::Get).calls, 1u);
    EXPECT_EQ(records.sums(resp::CommandId::Get).micros, 9u);
    EXPECT_EQ(records.errors(), 0u);
}

TEST_F(Recorded, ACommandCountsFromItsArrivalToItsAnswer) {
    say("GET a");
    EXPECT_EQ(sums("get").calls, 0u);
    b.world.run_for(milliseconds(20));
    b.answer(0, kv::Reply::nil());
    EXPECT_EQ(sums("get").calls, 1u);
    EXPECT_GE(sums("get").micros, 20'000u);
    say("SET a b nonsense");
    EXPECT_EQ(sums("set").failed, 1u);
    say("GET");
    EXPECT_EQ(sums("get").rejected, 1u);
    EXPECT_EQ(sums("get").calls, 1u);
    EXPECT_EQ(node.records.errors(), 2u);
    EXPECT_NE(say("INFO commandstats").find("cmdstat_get:calls=1,usec="), std::string::npos);
    EXPECT_NE(say("INFO errorstats").find("errorstat_ERR:count=2"), std::string::npos);
    EXPECT_EQ(say("CONFIG RESETSTAT\r\nLATENCY HISTOGRAM"),
              "+OK\r\n*2\r\n$16\r\nconfig|resetstat\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\n"
              "histogram_usec\r\n*2\r\n:1\r\n:1\r\n");
}

TEST_F(Recorded, AnErrorOfTheStoreIsAFailedCall) {
    say("GET a");
    b.answer(0, kv::Reply::error("TRYAGAIN later"));
    EXPECT_EQ(sums("get").failed, 1u);
    EXPECT_NE(say("INFO errorstats").find("errorstat_TRYAGAIN:count=1"), std::string::npos);
}

TEST_F(Recorded, WhatIsSlowIsInTheSlowLogWithItsClient) {
    say("CLIENT SETNAME me\r\nDEBUG SLEEP 0.02");
    b.world.run_for(milliseconds(50));
    const std::string log = say("SLOWLOG GET");
    EXPECT_TRUE(log.starts_with("*1\r\n*6\r\n:0\r\n:")) << log;
    EXPECT_NE(log.find("*3\r\n$5\r\nDEBUG\r\n$5\r\nSLEEP\r\n$4\r\n0.02\r\n$1\r\nc\r\n$2\r\nme\r\n"),
              std::string::npos)
        << log;
    EXPECT_EQ(say("SLOWLOG LEN"), ":1\r\n");
    EXPECT_EQ(say("SLOWLOG GET -2"), "-ERR count should be greater than or equal to -1\r\n");
    EXPECT_EQ(say("SLOWLOG GET 0"), "*0\r\n");
    EXPECT_EQ(say("CONFIG SET slow -1\r\nSLOWLOG RESET\r\nDEBUG SLEEP 0.02"),
              "+OK\r\n+OK\r\n+OK\r\n");
    EXPECT_EQ(say("SLOWLOG LEN"), ":0\r\n");
}

TEST_F(Recorded, EachOfManyUnderWayIsLoggedWithItsOwnArguments) {
    say("CONFIG SET slow 0 len 1000");
    std::string asked;
    for (int i = 0; i < 300; ++i)
        asked += "SET k" + std::to_string(i) + " " + std::string(100, 'v') +
                 (i % 3 ? "\r\n" : "\r\nSET k\r\nMULTI\r\nGET q\r\nDISCARD\r\nSET k v bad\r\n");
    say(asked);
    for (size_t i = 0; i < 300; ++i) {  // some forty are under way at a time
        ASSERT_LT(i, b.strategy->asked.size());
        b.answer(i, kv::Reply::ok());
    }
    say("CONFIG SET slow -1");
    std::vector<std::string> keys;
    for (const auto& command : node.records.slow())
        if (const auto words = arguments_of(command.note); words[0] == "SET" && words.size() == 3)
            keys.insert(keys.begin(), words[1]);
    ASSERT_EQ(keys.size(), 300u);
    for (int i = 0; i < 300; ++i)
        EXPECT_EQ(keys[static_cast<size_t>(i)], "k" + std::to_string(i));
}

TEST_F(Recorded, TheSlowLogIsCutWhenItsLengthIs) {
    say("CONFIG SET slow 0\r\nPING\r\nPING\r\nPING\r\nPING");
    EXPECT_EQ(say("SLOWLOG LEN"), ":5\r\n");
    say("CONFIG SET slow -1 len 2");
    EXPECT_EQ(say("SLOWLOG LEN"), ":2\r\n");
}

TEST_F(Recorded, OfATransactionItsCommandsAreLoggedAndNotExecUnlessTheStoreDecidedThem) {
    say("CONFIG SET slow 10000\r\nMULTI\r\nDEBUG SLEEP 0.02\r\nPING\r\nEXEC");
    b.world.run_for(milliseconds(50));
    EXPECT_TRUE(c.received.ends_with("*2\r\n+OK\r\n+PONG\r\n")) << c.received;
    std::string log = say("SLOWLOG GET");
    EXPECT_TRUE(log.starts_with("*1\r\n")) << log;
    EXPECT_NE(log.find("DEBUG"), std::string::npos) << log;
    say("SLOWLOG RESET\r\nMULTI\r\nSET k v\r\nEXEC");
    b.world.run_for(milliseconds(30));
    kv::Reply reply;
    reply.kind = kv::Reply::Kind::Array;
    reply.items = {kv::Reply::ok()};
    b.answer(0, std::move(reply));
    log = say("SLOWLOG GET");
    EXPECT_TRUE(log.starts_with("*1\r\n")) << log;
    EXPECT_NE(log.find("EXEC"), std::string::npos) << log;
    EXPECT_EQ(sums("set").calls, 1u);
    EXPECT_EQ(sums("exec").calls, 2u);
}

TEST_F(Recorded, DebugSleepHoldsUpItsConnectionOnly) {
    auto& other = b.connect();
    say("DEBUG SLEEP 5\r\nPING");
    EXPECT_EQ(c.received, "");
    b.say(other, "PING\r\n");
    EXPECT_EQ(other.received, "+PONG\r\n");
    b.world.run_for(seconds(5));
    EXPECT_EQ(c.received, "+OK\r\n+PONG\r\n");
}

TEST_F(Recorded, InATransactionDebugTakesNothingElseEither) {
    say("MULTI\r\nDEBUG SLEEP 0\r\nDEBUG JMAP\r\nDEBUG SLEEP\r\nEXEC");
    b.world.run_for(milliseconds(50));
    const std::string wrong = "-ERR unknown subcommand or wrong number of arguments for '";
    EXPECT_TRUE(c.received.ends_with("*3\r\n+OK\r\n" + wrong + "JMAP'. Try DEBUG HELP.\r\n" +
                                     wrong + "SLEEP'. Try DEBUG HELP.\r\n"))
        << c.received;
}

// What is short to ask for and long to make keeps the loop from nobody else.
TEST_F(Recorded, CommandsAboutTheNodeAreBoundedInWhatTheyTake) {
    std::string many = "CONFIG GET", patterns;
    for (int i = 0; i < 1000; ++i)
        many += " a?";
    EXPECT_EQ(say(many),
              "-ERR too many arguments for a command about the node, at most 1000 "
              "(local-arguments-max)\r\n");
    const std::string glob =
        "-ERR the pattern is too long, at most 1024 bytes (glob-bytes-max)\r\n";
    EXPECT_EQ(say("CONFIG GET " + std::string(1025, '?')), glob);
    EXPECT_EQ(say("COMMAND LIST FILTERBY PATTERN " + std::string(1025, '?')), glob);
    const auto cut = [this] {
        return b.registry->counter("asterias_resp_cut_turns_total", "").value();
    };
    const uint64_t before = cut();
    say("INFO\r\nINFO\r\nINFO\r\nINFO");
    EXPECT_EQ(cut(), before);
    std::string lolwut;
    for (int i = 0; i < 100; ++i)
        lolwut += "LOLWUT VERSION 5 66 32\r\n";
    say(lolwut + "ECHO last");
    EXPECT_GT(cut(), before) << "a hundred are more than one turn's";
    EXPECT_TRUE(c.received.ends_with("$4\r\nlast\r\n"));
    EXPECT_LT(say("LOLWUT VERSION 5 1000 1000").size(), 3000u);
    std::string transaction = "MULTI\r\n";
    for (int i = 0; i < 65; ++i)
        transaction += "CLIENT LIST\r\n";
    EXPECT_TRUE(
        say(transaction + "EXEC")
            .ends_with("-ERR the transaction has too many commands about the node, at most 64 "
                       "(transaction-local-commands-max)\r\n-EXECABORT Transaction discarded "
                       "because of previous "
                       "errors.\r\n"));
}

TEST(RespDebug, IsRefusedUnlessItIsEnabled) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "DEBUG SLEEP 0\r\nMULTI\r\nDEBUG SLEEP 0\r\nEXEC\r\n");
    EXPECT_TRUE(c.received.starts_with("-ERR DEBUG command not allowed. ")) << c.received;
    EXPECT_TRUE(
        c.received.ends_with("-EXECABORT Transaction discarded because of previous errors.\r\n"))
        << c.received;
}

TEST_F(Recorded, SlowMomentsAreToldByLatency) {
    EXPECT_NE(say("LATENCY DOCTOR").find("not watched"), std::string::npos);
    say("CONFIG SET latency 10\r\nDEBUG SLEEP 0.015");
    b.world.run_for(milliseconds(50));
    const std::string latest = say("LATENCY LATEST");
    EXPECT_TRUE(latest.starts_with("*1\r\n*4\r\n$7\r\ncommand\r\n:")) << latest;
    EXPECT_TRUE(latest.ends_with(":15\r\n:15\r\n")) << latest;
    EXPECT_TRUE(say("LATENCY HISTORY command").ends_with(":15\r\n"));
    EXPECT_NE(say("LATENCY GRAPH command").find("command - high 15 ms"), std::string::npos);
    EXPECT_EQ(say("LATENCY HISTORY nosuch"), "*0\r\n");
    EXPECT_EQ(say("LATENCY GRAPH nosuch"), "-ERR No samples available for event 'nosuch'\r\n");
    EXPECT_EQ(say("LATENCY RESET nosuch"), ":0\r\n");
    EXPECT_EQ(say("LATENCY RESET"), ":1\r\n");
    EXPECT_EQ(say("LATENCY LATEST"), "*0\r\n");
}

TEST_F(Recorded, ConfigGetTakesPatternsAndTellsANameAsItWasWritten) {
    EXPECT_EQ(say("CONFIG GET *"),
              "*4\r\n$4\r\nport\r\n$4\r\n6379\r\n$7\r\ntimeout\r\n$1\r\n0\r\n");
    EXPECT_EQ(say("CONFIG GET TimeOut"), "*2\r\n$7\r\nTimeOut\r\n$1\r\n0\r\n");
    EXPECT_EQ(say("CONFIG GET nosuch"), "*0\r\n");
    EXPECT_EQ(say("CONFIG SET timeout 1 nosuch"), "-ERR syntax error\r\n");
    EXPECT_EQ(say("CONFIG SET nosuch 1"), "-ERR no nosuch\r\n");
}

TEST_F(Recorded, AConnectionThatAsksNothingForTheTimeoutIsClosed) {
    auto &listens = b.connect(), &waits = b.connect();
    b.say(listens, "SUBSCRIBE a\r\n");
    b.say(waits, "GET k\r\n");
    say("CONFIG SET timeout 3");
    b.world.run_for(seconds(2));
    EXPECT_EQ(say("PING"), "+PONG\r\n");
    b.world.run_for(milliseconds(2500));
    EXPECT_EQ((*b.door)->connections(), 3u) << "PING began its time anew";
    b.world.run_for(seconds(2));
    EXPECT_EQ((*b.door)->connections(), 2u) << "who listens or waits for an answer stays";
}

TEST_F(Recorded, WhatAPauseHoldsIsCountedOnceAndFromItsEndOn) {
    auto& admin = b.connect();
    b.say(admin, "CLIENT PAUSE 60000 WRITE\r\n");
    b.say(c, "SET k v\r\n");
    b.world.run_for(seconds(5));
    EXPECT_EQ(sums("set").calls, 0u);
    b.say(admin, "CLIENT UNPAUSE\r\n");
    b.answer(0, kv::Reply::ok());
    EXPECT_EQ(sums("set").calls, 1u);
    EXPECT_LT(sums("set").micros, 1'000'000u) << "the pause is not the command's";
}

TEST_F(Recorded, AnExecThatWaitsForAPasswordIsCountedOnceFromItsArrivalOn) {
    b.world.run_for(seconds(5));
    say("MULTI\r\nAUTH default x\r\nSET k v\r\nEXEC");
    ASSERT_EQ(b.strategy->asked.size(), 1u);
    EXPECT_EQ(sums("exec").calls, 0u);
    kv::Reply done;
    done.kind = kv::Reply::Kind::Array;
    done.items = {kv::Reply::ok()};
    b.answer(0, done);
    EXPECT_EQ(sums("exec").calls, 1u);
    EXPECT_EQ(sums("auth").calls, 1u);
    EXPECT_EQ(sums("set").calls, 1u);
    EXPECT_LT(sums("set").micros, 1'000'000u);
}

TEST_F(Recorded, WhoWaitsForAPauseOrWatchesCommandsIsNotIdle) {
    auto &admin = b.connect(), &monitor = b.connect();
    b.say(admin, "CONFIG SET timeout 3\r\nCLIENT PAUSE 60000 WRITE\r\n");
    b.say(monitor, "MONITOR\r\n");
    b.say(c, "SET k v\r\n");
    b.world.run_for(seconds(10));
    EXPECT_EQ((*b.door)->connections(), 2u) << "who asked for the pause has gone";
}

}  // namespace
}  // namespace asterias::edge_resp
